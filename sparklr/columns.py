"""The columns of a user's frame: found, checked by type, and selected under our own names.

Only schemas are looked at: nothing here runs a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, NumericType, StructField

from sparklr.params import LogisticRegressionParams


@dataclass(frozen=True)
class TrainingRows:
    """A frame with columns features, label and perhaps weight, and what the metadata tell."""

    frame: DataFrame
    names: dict[str, str]  # our column names to the user's
    width: int | None
    classes: int | None


def training_rows(dataset: DataFrame, params: LogisticRegressionParams) -> TrainingRows:
    """Select what a fit needs, or say which column is missing or of the wrong type."""
    check_output_columns(dataset, params)
    features = find_column(dataset, params.getFeaturesCol(), "featuresCol")
    label = find_column(dataset, params.getLabelCol(), "labelCol")
    _check_numeric(label, params.getLabelCol(), "labelCol")
    names = {"features": params.getFeaturesCol(), "label": params.getLabelCol()}
    columns = [
        features_column(features, params.getFeaturesCol()).alias("features"),
        _column(dataset, params.getLabelCol()).cast("double").alias("label"),
    ]
    weight = params.getWeightCol() if params.isSet(params.weightCol) else ""
    if weight:
        _check_numeric(find_column(dataset, weight, "weightCol"), weight, "weightCol")
        columns.append(_column(dataset, weight).cast("double").alias("weight"))
        names["weight"] = weight
    return TrainingRows(
        dataset.select(*columns), names, _vector_width(features), _label_classes(label)
    )


def find_column(dataset: DataFrame, name: str, param: str) -> StructField:
    """The field of a column, which may be nested, or an error that lists what there is."""
    if name in dataset.columns:
        return dataset.schema[name]
    try:
        found = dataset.select(F.col(name)).schema.fields[0]
    except Exception:
        # Spark's own analysis error lists the same with less of a remedy.
        raise ValueError(
            f"Column '{name}' does not exist. The data set has: {', '.join(dataset.columns)}. "
            f"Set {param} to one of them."
        ) from None
    return found


def _column(dataset: DataFrame, name: str) -> Column:
    return F.col(f"`{name}`") if name in dataset.columns else F.col(name)


def features_column(field: StructField, name: str) -> Column:
    """The features as Arrow can carry them: an unwrapped vector, or an array of doubles."""
    column = F.col(f"`{name}`") if field.name == name else F.col(name)
    if isinstance(field.dataType, VectorUDT):
        return F.unwrap_udt(column)
    if isinstance(field.dataType, ArrayType) and _numeric(field.dataType.elementType):
        return column.cast("array<double>")
    raise TypeError(
        f"Column '{name}' is of type {field.dataType.simpleString()}, but featuresCol must be a "
        "vector or an array of numbers. Gather numeric columns with "
        "pyspark.ml.feature.VectorAssembler."
    )


def _check_numeric(field: StructField, name: str, param: str) -> None:
    if not _numeric(field.dataType):
        raise TypeError(
            f"Column '{name}' is of type {field.dataType.simpleString()}, but {param} must be "
            "numeric. Cast it, or index text with pyspark.ml.feature.StringIndexer."
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
