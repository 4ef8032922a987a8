"""Scores of a frame's rows as columns: by Spark's own model if there is a JVM, else by Arrow.

Both ways return the wanted outputs (`scoring/outputs.py`), null where a feature is null.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

import pandas as pd
import pyarrow as pa
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import StructField, StructType, UserDefinedType

from sparklr.arrays import Array, Matrix
from sparklr.objective.families import Family
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import Features
from sparklr.scoring.class_posterior import ClassPosterior
from sparklr.scoring.margin_posterior import MarginPosterior
from sparklr.scoring.outputs import OUTPUTS, SQL_TYPES, Kind
from sparklr.scoring.scorer import Scorer, Scores
from sparklr.spark.classic import MADE_BY_SPARK, transform_in_jvm
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.types import JavaObject

# This output is never NaN, so that it is null only where the row was not scored.
ALWAYS_KNOWN = "predictionCol"


@dataclass(frozen=True)
class Scored:
    """A frame with the user's columns and helper columns to drop, and the outputs by Param."""

    frame: DataFrame
    helpers: tuple[str, ...]
    outputs: dict[str, Column]

    def with_columns(
        self, wanted: Mapping[str, str], classes: int, *, per_class: bool = False
    ) -> DataFrame:
        """Return the user's columns and the wanted outputs, by Param, under their names."""
        outputs = [
            self.outputs[param].alias(name, metadata=OUTPUTS[param].metadata(classes, per_class))
            for param, name in wanted.items()
        ]
        return self.frame.select("*", *outputs).drop(*self.helpers)


def scorer_of(
    params: LogisticRegressionParams,
    coefficients: Matrix,
    intercepts: Array,
    *,
    classes: int,
    family: Family,
    posterior: MarginPosterior | ClassPosterior | None = None,
) -> Scorer:
    """Return a scorer with these numbers and with the thresholds of the Params."""
    if not family.per_class:
        return Scorer(coefficients, intercepts, family, (params.getThreshold(),), posterior)
    thresholds = tuple(params.getThresholds()) if params.isSet(params.thresholds) else None
    if thresholds is not None and len(thresholds) != classes:
        raise InvalidValueError(
            f"thresholds={list(thresholds)} has {len(thresholds)} values, but the model has "
            f"{classes} classes. Give one threshold per class."
        )
    return Scorer(coefficients, intercepts, family, thresholds, posterior)


class ScoresColumns(Protocol):
    """What scores an Arrow column of features."""

    def score_column(
        self, column: pa.Array, outputs: Mapping[str, Callable[[Scores], Array]]
    ) -> pa.StructArray: ...


def score_by_arrow(
    dataset: DataFrame,
    features: Features,
    scorer: ScoresColumns,
    wanted: Collection[str],
    *,
    per_class: bool = False,
) -> Scored:
    """Score with a Python function on Arrow batches, which works everywhere."""
    made = {its: OUTPUTS[its] for its in OUTPUTS if its in wanted or its == ALWAYS_KNOWN}
    makers = {name: its.of_scores for name, its in made.items()}  # workers need no more
    kinds = {name: its.kind_of(per_class=per_class) for name, its in made.items()}
    scored, scores = with_numbers(
        dataset, features, partial(scorer.score_column, outputs=makers), kinds
    )
    columns = {param: F.col(f"{scores}.{param}") for param in made}
    known = columns[ALWAYS_KNOWN]
    outputs = {
        param: known
        if param == ALWAYS_KNOWN
        else F.when(known.isNotNull(), _from_python(columns[param], kinds[param]))
        for param in wanted
    }
    return Scored(scored, (scores,), outputs)


def with_numbers(
    dataset: DataFrame,
    features: Features,
    make: Callable[[pa.Array], pa.StructArray],
    kinds: Mapping[str, Kind],
) -> tuple[DataFrame, str]:
    """Return the frame with a column of structs, made of the features in Python, and its name.

    It is one column for all numbers, so that rows are sent to Python once.
    """
    name = _helper()
    column = F.when(features.present, features.for_arrow)
    udf = _features_udf(make, kinds, vectors=features.vectors)
    return _row_by_row(dataset, features).select("*", udf(column).alias(name)), name


LEAST_HASH = -(2**31)


def _row_by_row(dataset: DataFrame, features: Features) -> DataFrame:
    """Return the same rows from a plan that passes rows on, not batches of columns.

    In Spark 4.3 a Python function takes batches of columns where a scan gives them, and fails if
    one of the columns has vectors, as in a Parquet file. A filter takes rows, and every row passes
    this one, which the optimiser does not know.
    """
    if not any(isinstance(field.dataType, UserDefinedType) for field in dataset.schema):
        return dataset
    return dataset.where(F.hash(features.present) >= LEAST_HASH)


def _from_python(column: Column, kind: Kind) -> Column:
    """Return a column of this kind. Before Spark 4.1, pandas has turned each NaN into a null."""
    by_pandas, nan = not hasattr(F, "arrow_udf"), F.lit(float("nan"))
    if kind == "double":
        return F.coalesce(column, nan) if by_pandas else column
    if by_pandas:
        column = F.transform(column, lambda value: F.coalesce(value, nan))
    return array_to_vector(column)


def score_by_twin(
    dataset: DataFrame,
    features: Features,
    twin: JavaObject,
    scorer: Scorer,
    wanted: Collection[str],
) -> Scored:
    """Score with Spark's own model, so that rows do not leave the JVM."""
    vectors = _helper()
    names = {param: _helper() for param in MADE_BY_SPARK}
    width = scorer.features
    column = features.column if features.vectors else array_to_vector(features.column)
    size = _size(features)
    wrong = F.raise_error(F.concat(F.lit("A row has "), size, F.lit(_wanted(width))))
    # Spark's model fails on a null, so it gets zeros instead, and their scores are dropped.
    column = F.when(features.present & (size == width), column).when(features.present, wrong)
    given = dataset.select("*", F.coalesce(column, _zeros(width)).alias(vectors))
    per_class = scorer.family.per_class
    (threshold,) = (None,) if per_class or scorer.thresholds is None else scorer.thresholds
    scored = transform_in_jvm(
        twin,
        given,
        {"featuresCol": vectors, **names},
        threshold=threshold,
        thresholds=scorer.thresholds if per_class else None,
    )
    made = {param: F.col(name) for param, name in names.items()}
    makers = {param: OUTPUTS[param].of_spark for param in wanted}
    outputs = {
        param: F.when(features.present, make(made)) for param, make in makers.items() if make
    }
    return Scored(scored, (vectors, *names.values()), outputs)


def _helper() -> str:
    return f"sparklr_{uuid4().hex}"


def _size(features: Features) -> Column:
    if not features.vectors:
        return F.size(features.column)
    parts = F.unwrap_udt(features.column)
    return F.coalesce(parts["size"], F.size(parts["values"]))


def check_width(features: Features, width: int) -> None:
    """Refuse features if their number is known and differs from the model's."""
    if features.width is not None and features.width != width:
        name = features.name if isinstance(features.name, str) else ", ".join(features.name)
        raise InvalidValueError(f"'{name}' has {features.width}{_wanted(width)}")


def _wanted(width: int) -> str:
    return f" features, but the model was fitted on {width}. Transform data with the same features."


def _zeros(width: int) -> Column:
    """Return a literal sparse vector of zeros, from JSON: no function of Spark makes it."""
    text = f'{{"v":{{"type":0,"size":{width},"indices":[],"values":[]}}}}'
    return F.from_json(F.lit(text), StructType([StructField("v", VectorUDT())]))["v"]


def _features_udf(
    make: Callable[[pa.Array], pa.StructArray], kinds: Mapping[str, Kind], *, vectors: bool
) -> Any:
    """Return a function of the features column, on Arrow data if Spark supports it."""
    kind, names = ", ".join(f"{name} {SQL_TYPES[its]}" for name, its in kinds.items()), list(kinds)
    if hasattr(F, "arrow_udf"):  # Spark 4.1

        def score(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in batches:
                yield make(batch)

        return F.arrow_udf(score, kind)

    def score_pandas(batches: Iterator[Any]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            made = make(_from_pandas(batch))
            yield pd.DataFrame({name: made.field(name).to_pandas() for name in names})

    # Spark infers the kind of function from its types: an unwrapped vector arrives as a frame.
    batch: Any = pd.DataFrame if vectors else pd.Series
    score_pandas.__annotations__ = {
        "batches": Iterator[batch],
        "return": Iterator[pd.DataFrame],
    }
    return pandas_udf(score_pandas, kind)  # type: ignore[call-overload]  # knows no list columns


def _from_pandas(batch: Any) -> pa.Array:
    """Return the Arrow feature column of a pandas batch."""
    if isinstance(batch, pd.Series):
        return pa.array(batch, pa.list_(pa.float64()))
    kinds = {"type": pa.int8(), "size": pa.int32()}
    kinds |= {"indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())}
    fields = [pa.array(batch[name], kind, from_pandas=True) for name, kind in kinds.items()]
    return pa.StructArray.from_arrays(
        fields, names=list(kinds), mask=pa.array(batch["type"].isna().to_numpy())
    )
