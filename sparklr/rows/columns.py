"""The columns of a user's frame: found, checked by type, and selected under our own names.

Only schemas are read: nothing here runs a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from sparklr.params import LogisticRegressionParams, check_features, held_name, offset_name
from sparklr.rows.checks import ColumnNames
from sparklr.spark.array_bytes import ARRAY_BYTES
from sparklr.spark.errors import InvalidTypeError, InvalidValueError


@dataclass(frozen=True)
class TrainingRows:
    """A frame of features, label, perhaps weight, offset, held, fold, and facts from metadata."""

    frame: DataFrame
    names: ColumnNames
    width: int | None
    classes: int | None
    folded: bool = False


@dataclass(frozen=True)
class FoundColumn:
    """A column of the user's frame: the given name, the field, and the quoted SQL path."""

    name: str
    field: StructField
    path: str

    @property
    def column(self) -> Column:
        return F.col(self.path)


@dataclass(frozen=True)
class Features:
    """The features of the user's frame, in one column or in several.

    `column` holds vectors if `vectors` is true, else arrays of doubles; `present` is true in rows
    without a null feature; `each` has the names of single features, as far as they are known.
    """

    name: str | tuple[str, ...]
    column: Column
    present: Column
    vectors: bool
    width: int | None
    each: Sequence[str] | None
    paths: Sequence[str] = ()  # of the columns, if there are several

    @property
    def for_arrow(self) -> Column:
        """The column in a type that Arrow supports: an unwrapped vector or an array of doubles."""
        return F.unwrap_udt(self.column) if self.vectors else self.column


def training_rows(
    dataset: DataFrame,
    params: LogisticRegressionParams,
    fold: Column | None = None,
    extra: Mapping[str, Column] | None = None,
    *,
    fits: bool = False,
) -> TrainingRows:
    """Select the columns for a fit, or raise an error if one is missing or has a wrong type.

    `extra` columns stand last, under these names. Only an estimator `fits`, and tells held-out rows
    from others.
    """
    features = find_features(dataset, params)
    label = find_column(dataset, params.getLabelCol(), "labelCol")
    _check_numeric(label, "labelCol")
    columns = {"label": label.column.cast("double")}
    weight = find_weight(dataset, params)
    if weight is not None:
        columns["weight"] = weight.column.cast("double")
    offset = find_offset(dataset, params)
    if offset is not None:
        columns["offset"] = offset.column.cast("double")
    held = find_held(dataset, params) if fits else None
    if held is not None:
        columns["held"] = held.column.cast("double")
    if fold is not None:
        columns["fold"] = fold.cast("double")
    columns.update(extra or {})
    weighted, moved = weight.name if weight else "", offset.name if offset else ""
    judged = held.name if held else ""
    names = ColumnNames(features.name, label.name, weighted, features.each, moved, judged)
    frame = _select(dataset, features, columns)
    classes = _label_classes(label.field)
    return TrainingRows(frame, names, features.width, classes, fold is not None)


def _select(dataset: DataFrame, features: Features, others: Mapping[str, Column]) -> DataFrame:
    """Select the features, as bytes where that is possible, and other columns by their names."""
    session, columns = dataset.sparkSession, [its.alias(name) for name, its in others.items()]
    if features.paths and (quick := ARRAY_BYTES.arrays(session)):
        # A null has no bytes of its own, so it goes as NaN, in a row that is not whole.
        filled = (f"coalesce(cast({path} as double), double('NaN'))" for path in features.paths)
        array = F.expr(f"array({', '.join(filled)})").alias("features")
        frame = dataset.select(array, features.present.alias("whole"), *columns)
        return frame.select(*quick, *others)
    frame = dataset.select(features.for_arrow.alias("features"), *columns)
    quick = ARRAY_BYTES.vectors(session) if features.vectors else []
    return frame.select(*quick, *others) if quick else frame


def check_frame(dataset: object) -> None:
    """Refuse what is not a frame of Spark's, of either kind."""
    if hasattr(dataset, "sparkSession"):
        return
    kind = f"{type(dataset).__module__.split('.')[0]}.{type(dataset).__name__}"
    raise InvalidTypeError(
        f"The data set must be a DataFrame of Spark, but got a {kind.removeprefix('builtins.')}. "
        "Make one with spark.createDataFrame(...)."
    )


def find_weight(dataset: DataFrame, params: LogisticRegressionParams) -> FoundColumn | None:
    """Return the weight column, or None if weightCol is not set."""
    if not (params.isSet(params.weightCol) and params.getWeightCol()):
        return None
    weight = find_column(dataset, params.getWeightCol(), "weightCol")
    _check_numeric(weight, "weightCol")
    return weight


def find_offset(dataset: DataFrame, params: LogisticRegressionParams) -> FoundColumn | None:
    """Return the column of offsets, or None if offsetCol is not set."""
    name = offset_name(params)
    if name is None:
        return None
    offset = find_column(dataset, name, "offsetCol")
    _check_numeric(offset, "offsetCol")
    return offset


def find_held(dataset: DataFrame, params: LogisticRegressionParams) -> FoundColumn | None:
    """Return the column that tells held-out rows, or None if validationIndicatorCol is not set."""
    name = held_name(params)
    if name is None:
        return None
    held = find_column(dataset, name, "validationIndicatorCol")
    if not isinstance(held.field.dataType, BooleanType):
        raise InvalidTypeError(
            f"Column '{held.name}' is of type {held.field.dataType.simpleString()}, but "
            "validationIndicatorCol must be boolean: true in rows that are held out. Compare it, "
            f"e.g. df.withColumn('{held.name}', F.col('{held.name}') == 1)."
        )
    return held


def fitted_rows(dataset: DataFrame, params: LogisticRegressionParams) -> DataFrame:
    """Return the rows of a frame that a fit with these Params learns from: those not held out."""
    held = find_held(dataset, params)
    return dataset if held is None else dataset.where(~held.column)


def find_features(dataset: DataFrame, params: LogisticRegressionParams) -> Features:
    """Return the features that `featuresCols` or `featuresCol` names."""
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
    raise InvalidTypeError(
        f"Column '{found.name}' is of type {kind.simpleString()}, but featuresCol must be a "
        "vector or an array of numbers. For numeric columns, use featuresCols instead."
    )


def _gather_features(dataset: DataFrame, names: tuple[str, ...]) -> Features:
    schema, paths = dataset.schema, []
    for name in names:
        found = _find_field(schema, name, "featuresCols")
        kind = found.field.dataType
        if not isinstance(kind, BooleanType) and not _numeric(kind):
            raise InvalidTypeError(
                f"Column '{name}' is of type {kind.simpleString()}, but featuresCols must be "
                "numeric. Cast it, encode text, or use featuresCol for a vector column."
            )
        paths.append(found.path)
    # As text: a Column takes about ten calls into the JVM, and a long chain of `&` is too deep for
    # the JVM's stack and for messages of Spark Connect.
    array = F.expr(f"array({', '.join(f'cast({path} as double)' for path in paths)})")
    present = F.expr(" and ".join(f"{path} is not null" for path in paths))
    return Features(names, array, present, False, len(names), names, paths)


def find_column(dataset: DataFrame, name: str, param: str) -> FoundColumn:
    """Return a column by name or by a path into structs, or raise an error that lists all names.

    The schema is searched here: if Spark failed to resolve the name, it would log a page of stack
    trace.
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
        raise InvalidValueError(
            f"Column '{name}' does not exist. The columns are: {', '.join(schema.names)}. "
            f"Set {param} to one of them."
        )
    quoted = ".".join("`" + part.replace("`", "``") + "`" for part in parts)
    return FoundColumn(name, field, quoted)


def _field(kind: DataType, name: str) -> StructField | None:
    """Return the field of this name or, as in Spark, the only one that differs just in case."""
    if not isinstance(kind, StructType):
        return None
    if name in kind.names:
        return kind[name]
    alike = [field for field in kind.fields if field.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _check_numeric(found: FoundColumn, param: str) -> None:
    if not _numeric(found.field.dataType):
        raise InvalidTypeError(
            f"Column '{found.name}' is of type {found.field.dataType.simpleString()}, but {param} "
            "must be numeric. Cast it, or index text with pyspark.ml.feature.StringIndexer."
        )


def _numeric(kind: DataType) -> bool:
    return isinstance(kind, NumericType)


def _attributes(field: StructField) -> dict[str, object]:
    """Return the ML attributes in a column's metadata; anybody can write them, so check all."""
    found = (field.metadata or {}).get("ml_attr")
    return found if isinstance(found, dict) else {}


def _described(field: StructField) -> list[dict[str, object]]:
    """Return the metadata entries of single features of a vector column."""
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
    """Return the names in a vector column's metadata; a feature without a name gets a number."""
    known = {one["idx"]: one.get("name") for one in _described(features.field)}
    if not known:
        return None
    names = [known.get(at) for at in range(_vector_width(features.field) or 0)]
    return [
        name if isinstance(name, str) and name else nameless(features.name, at)
        for at, name in enumerate(names)
    ]


def nameless(column: str, at: int) -> str:
    """Return the name for a feature that has none."""
    return f"{column}[{at}]"


def _label_classes(field: StructField) -> int | None:
    """Return the number of classes in the label's metadata (StringIndexer writes it), or None."""
    attributes = _attributes(field)
    if attributes.get("type") == "binary":
        return 2
    if attributes.get("type") != "nominal":
        return None
    values, count = attributes.get("vals"), attributes.get("num_vals")
    if isinstance(values, list):
        return len(values)
    return count if type(count) is int else None
