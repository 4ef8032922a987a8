"""The columns of a user's frame: found, checked by type, and selected under our own names.

Only schemas are looked at: nothing here runs a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, NumericType, StructField, StructType

from sparklr.params import LogisticRegressionParams


@dataclass(frozen=True)
class TrainingRows:
    """A frame with columns features, label and perhaps weight, and what the metadata tell."""

    frame: DataFrame
    names: dict[str, str]  # our column names to the user's
    width: int | None
    classes: int | None


@dataclass(frozen=True)
class FoundColumn:
    """A column of the user's frame: its name as given, its field, and the way to select it."""

    name: str
    field: StructField
    column: Column


def training_rows(dataset: DataFrame, params: LogisticRegressionParams) -> TrainingRows:
    """Select what a fit needs, or say which column is missing or of the wrong type."""
    check_output_columns(dataset, params)
    features = find_column(dataset, params.getFeaturesCol(), "featuresCol")
    label = find_column(dataset, params.getLabelCol(), "labelCol")
    _check_numeric(label, "labelCol")
    names = {"features": params.getFeaturesCol(), "label": params.getLabelCol()}
    columns = [
        features_column(features).alias("features"),
        label.column.cast("double").alias("label"),
    ]
    if params.isSet(params.weightCol) and params.getWeightCol():
        weight = find_column(dataset, params.getWeightCol(), "weightCol")
        _check_numeric(weight, "weightCol")
        columns.append(weight.column.cast("double").alias("weight"))
        names["weight"] = weight.name
    frame = dataset.select(*columns)
    return TrainingRows(frame, names, _vector_width(features.field), _label_classes(label.field))


def find_column(dataset: DataFrame, name: str, param: str) -> FoundColumn:
    """A column by its name, or by a path into nested ones; else an error that lists what there is.

    The schema is walked by hand: letting Spark fail to resolve the name would log a page of
    its JVM's stack trace.
    """
    parts = [name]
    field = _field(dataset.schema, name)
    if field is None and "." in name:
        parts = name.split(".")
        field = _field(dataset.schema, parts[0])
        for part in parts[1:]:
            field = None if field is None else _field(field.dataType, part)
    if field is None:
        raise ValueError(
            f"Column '{name}' does not exist. The data set has: {', '.join(dataset.columns)}. "
            f"Set {param} to one of them."
        )
    quoted = ".".join("`" + part.replace("`", "``") + "`" for part in parts)
    return FoundColumn(name, field, F.col(quoted))


def _field(kind: DataType, name: str) -> StructField | None:
    """The field of this name; if there is none, one that differs in case only, as Spark does."""
    if not isinstance(kind, StructType):
        return None
    if name in kind.names:
        return kind[name]
    alike = [field for field in kind.fields if field.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def features_column(features: FoundColumn) -> Column:
    """The features as Arrow can carry them: an unwrapped vector, or an array of doubles."""
    kind = features.field.dataType
    if isinstance(kind, VectorUDT):
        return F.unwrap_udt(features.column)
    if isinstance(kind, ArrayType) and _numeric(kind.elementType):
        return features.column.cast("array<double>")
    raise TypeError(
        f"Column '{features.name}' is of type {kind.simpleString()}, but featuresCol must be a "
        "vector or an array of numbers. Gather numeric columns with "
        "pyspark.ml.feature.VectorAssembler."
    )


def _check_numeric(found: FoundColumn, param: str) -> None:
    if not _numeric(found.field.dataType):
        raise TypeError(
            f"Column '{found.name}' is of type {found.field.dataType.simpleString()}, but {param} "
            "must be numeric. Cast it, or index text with pyspark.ml.feature.StringIndexer."
        )


def _numeric(kind: DataType) -> bool:
    return isinstance(kind, NumericType)


def check_output_columns(dataset: DataFrame, params: LogisticRegressionParams) -> None:
    """Refuse output columns that exist already or share a name."""
    names = output_columns(params)
    taken = [f"{param}='{name}'" for param, name in names.items() if name in dataset.columns]
    if taken:
        raise ValueError(
            f"The data set already has the output column {' and '.join(taken)}. Drop it, or "
            "set another name; an empty name leaves the column out."
        )
    if len(set(names.values())) < len(names):
        raise ValueError(f"Output columns share a name: {names}. Give each its own.")


def output_columns(params: LogisticRegressionParams) -> dict[str, str]:
    """The output columns that are wanted, by Param: an empty name means none."""
    names = {
        "rawPredictionCol": params.getRawPredictionCol(),
        "probabilityCol": params.getProbabilityCol(),
        "predictionCol": params.getPredictionCol(),
    }
    return {param: name for param, name in names.items() if name}


def _attributes(field: StructField) -> dict[str, Any]:
    found: dict[str, Any] = (field.metadata or {}).get("ml_attr", {})
    return found


def _vector_width(field: StructField) -> int | None:
    count = _attributes(field).get("num_attrs")
    if count is None:
        groups = _attributes(field).get("attrs", {})
        count = sum(len(group) for group in groups.values()) or None
    return count


def _label_classes(field: StructField) -> int | None:
    """The number of classes, where the label's metadata name it (as a StringIndexer writes)."""
    attributes = _attributes(field)
    if attributes.get("type") == "binary":
        return 2
    if attributes.get("type") != "nominal":
        return None
    values = attributes.get("vals")
    return len(values) if values is not None else attributes.get("num_vals")
