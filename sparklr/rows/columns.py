"""The columns of a user's frame: found, checked by type, and selected under our own names.

Only schemas are looked at: nothing here runs a job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    NumericType,
    StructField,
    StructType,
)

from sparklr.params import LogisticRegressionParams, check_features
from sparklr.rows.checks import ColumnNames


@dataclass(frozen=True)
class TrainingRows:
    """A frame with columns features, label and perhaps weight and fold, and what metadata tell."""

    frame: DataFrame
    names: ColumnNames
    width: int | None
    classes: int | None
    folded: bool = False


@dataclass(frozen=True)
class FoundColumn:
    """A column of the user's frame: its name as given, its field, and how SQL names it."""

    name: str
    field: StructField
    path: str

    @property
    def column(self) -> Column:
        return F.col(self.path)


@dataclass(frozen=True)
class Features:
    """The features of the user's frame, in one column or in several.

    `column` holds vectors where `vectors` says so, else arrays of doubles; `present` tells
    where no feature is null; `each` names the features one by one, as far as names are known.
    """

    name: str | tuple[str, ...]
    column: Column
    present: Column
    vectors: bool
    width: int | None
    each: Sequence[str] | None

    @property
    def for_arrow(self) -> Column:
        """The column as Arrow can carry it: an unwrapped vector, or an array of doubles."""
        return F.unwrap_udt(self.column) if self.vectors else self.column


def training_rows(
    dataset: DataFrame, params: LogisticRegressionParams, fold: Column | None = None
) -> TrainingRows:
    """Select what a fit needs, or say which column is missing or of the wrong type."""
    features = find_features(dataset, params)
    label = find_column(dataset, params.getLabelCol(), "labelCol")
    _check_numeric(label, "labelCol")
    columns = [
        features.for_arrow.alias("features"),
        label.column.cast("double").alias("label"),
    ]
    weight = find_weight(dataset, params)
    if weight is not None:
        columns.append(weight.column.cast("double").alias("weight"))
    if fold is not None:
        columns.append(fold.cast("double").alias("fold"))
    names = ColumnNames(features.name, label.name, weight.name if weight else "", features.each)
    frame = dataset.select(*columns)
    classes = _label_classes(label.field)
    return TrainingRows(frame, names, features.width, classes, fold is not None)


def find_weight(dataset: DataFrame, params: LogisticRegressionParams) -> FoundColumn | None:
    """The column of weights, if one is asked for."""
    if not (params.isSet(params.weightCol) and params.getWeightCol()):
        return None
    weight = find_column(dataset, params.getWeightCol(), "weightCol")
    _check_numeric(weight, "weightCol")
    return weight


def find_features(dataset: DataFrame, params: LogisticRegressionParams) -> Features:
    """The features that `featuresCols` or `featuresCol` name."""
    check_features(params)
    if params.isSet(params.featuresCols):
        return _gather_features(dataset, tuple(params.getFeaturesCols()))
    found = find_column(dataset, params.getFeaturesCol(), "featuresCol")
    kind = found.field.dataType
    if isinstance(kind, VectorUDT):
        each = _feature_names(found)
        width = _vector_width(found.field)
        return Features(found.name, found.column, found.column.isNotNull(), True, width, each)
    if isinstance(kind, ArrayType) and _numeric(kind.elementType):
        present = F.forall(found.column, lambda value: value.isNotNull())
        column = found.column.cast("array<double>")
        return Features(found.name, column, present, False, None, None)
    raise TypeError(
        f"Column '{found.name}' is of type {kind.simpleString()}, but featuresCol must be a "
        "vector or an array of numbers. Name numeric columns in featuresCols instead."
    )


def _gather_features(dataset: DataFrame, names: tuple[str, ...]) -> Features:
    schema, paths = dataset.schema, []
    for name in names:
        found = _find_field(schema, name, "featuresCols")
        kind = found.field.dataType
        if not isinstance(kind, BooleanType) and not _numeric(kind):
            raise TypeError(
                f"Column '{name}' is of type {kind.simpleString()}, but featuresCols must be "
                "numeric. Cast it, encode text, or name a vector column in featuresCol instead."
            )
        paths.append(found.path)
    # As text: a Column is some ten calls into the JVM, and a chain of `&` is soon too deep for
    # the JVM's stack and for messages of Spark Connect.
    array = F.expr(f"array({', '.join(f'cast({path} as double)' for path in paths)})")
    present = F.expr(" and ".join(f"{path} is not null" for path in paths))
    return Features(names, array, present, False, len(names), names)


def find_column(dataset: DataFrame, name: str, param: str) -> FoundColumn:
    """A column by its name, or by a path into nested ones; else an error that lists what there is.

    The schema is walked by hand: letting Spark fail to resolve the name would log a page of
    its JVM's stack trace.
    """
    return _find_field(dataset.schema, name, param)


def _find_field(schema: StructType, name: str, param: str) -> FoundColumn:
    parts = [name]
    field = _field(schema, name)
    if field is None and "." in name:
        parts = name.split(".")
        field = _field(schema, parts[0])
        for part in parts[1:]:
            field = None if field is None else _field(field.dataType, part)
    if field is None:
        raise ValueError(
            f"Column '{name}' does not exist. The data set has: {', '.join(schema.names)}. "
            f"Set {param} to one of them."
        )
    quoted = ".".join("`" + part.replace("`", "``") + "`" for part in parts)
    return FoundColumn(name, field, quoted)


def _field(kind: DataType, name: str) -> StructField | None:
    """The field of this name; if there is none, one that differs in case only, as Spark does."""
    if not isinstance(kind, StructType):
        return None
    if name in kind.names:
        return kind[name]
    alike = [field for field in kind.fields if field.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _check_numeric(found: FoundColumn, param: str) -> None:
    if not _numeric(found.field.dataType):
        raise TypeError(
            f"Column '{found.name}' is of type {found.field.dataType.simpleString()}, but {param} "
            "must be numeric. Cast it, or index text with pyspark.ml.feature.StringIndexer."
        )


def _numeric(kind: DataType) -> bool:
    return isinstance(kind, NumericType)


def _attributes(field: StructField) -> dict[str, object]:
    """What a stage left in a column's metadata. Anybody can write there, so nothing is believed."""
    found = (field.metadata or {}).get("ml_attr")
    return found if isinstance(found, dict) else {}


def _described(field: StructField) -> list[dict[str, object]]:
    """The features that the metadata of a vector column describe one by one."""
    groups = _attributes(field).get("attrs")
    lists = groups.values() if isinstance(groups, dict) else ()
    ones = [one for each in lists if isinstance(each, list) for one in each]
    return [one for one in ones if isinstance(one, dict) and type(one.get("idx")) is int]


def _vector_width(field: StructField) -> int | None:
    count = _attributes(field).get("num_attrs")
    if count is None:
        count = len(_described(field))
    return count if type(count) is int and count > 0 else None


def _feature_names(features: FoundColumn) -> list[str] | None:
    """The names in a vector column's metadata; a feature without one gets a number."""
    known = {one["idx"]: one.get("name") for one in _described(features.field)}
    if not known:
        return None
    names = [known.get(at) for at in range(_vector_width(features.field) or 0)]
    return [
        name if isinstance(name, str) and name else nameless(features.name, at)
        for at, name in enumerate(names)
    ]


def nameless(column: str, at: int) -> str:
    """What a feature without a name is called."""
    return f"{column}[{at}]"


def _label_classes(field: StructField) -> int | None:
    """The number of classes, where the label's metadata name it (as a StringIndexer writes)."""
    attributes = _attributes(field)
    if attributes.get("type") == "binary":
        return 2
    if attributes.get("type") != "nominal":
        return None
    values, count = attributes.get("vals"), attributes.get("num_vals")
    if isinstance(values, list):
        return len(values)
    return count if type(count) is int else None
