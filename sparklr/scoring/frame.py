"""Scores of a frame's rows as columns: by Spark's own model where there is a JVM, else by Arrow.

Both ways give a frame with three more columns, raw and probability (vectors) and prediction,
null where a feature is null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import StructField, StructType

from sparklr.arrays import Array, Matrix
from sparklr.objective.families import Family
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import Features
from sparklr.scoring.scorer import SCORES, Scorer
from sparklr.spark.classic import transform_in_jvm


@dataclass(frozen=True)
class Scored:
    """A frame with the columns of the user's, helpers to be dropped, and the scores."""

    frame: DataFrame
    helpers: tuple[str, ...]
    raw: Column
    probability: Column
    prediction: Column


def scorer_of(
    params: LogisticRegressionParams,
    coefficients: Matrix,
    intercepts: Array,
    *,
    classes: int,
    family: Family,
) -> Scorer:
    """What scores rows by these numbers and by the thresholds among the Params."""
    if not family.per_class:
        return Scorer(coefficients, intercepts, family, (params.getThreshold(),))
    thresholds = tuple(params.getThresholds()) if params.isSet(params.thresholds) else None
    if thresholds is not None and len(thresholds) != classes:
        raise ValueError(
            f"thresholds={list(thresholds)} has {len(thresholds)} values, but the model has "
            f"{classes} classes. Give one threshold per class."
        )
    return Scorer(coefficients, intercepts, family, thresholds)


def score_by_arrow(dataset: DataFrame, features: Features, scorer: Scorer) -> Scored:
    """By a Python function over Arrow batches; runs everywhere."""
    # One column for all three, so that rows go to Python once.
    scores = _helper()
    column = F.when(features.present, features.for_arrow)
    scored = dataset.select("*", _score_udf(scorer, vectors=features.vectors)(column).alias(scores))
    prediction = F.col(f"{scores}.prediction")
    present = prediction.isNotNull()
    raw, probability = (
        F.when(present, array_to_vector(_numbers(F.col(f"{scores}.{name}"))))
        for name in ("raw", "probability")
    )
    return Scored(scored, (scores,), raw, probability, prediction)


def _numbers(column: Column) -> Column:
    """A list of doubles, in which pandas, by which it came before Spark 4.1, makes NaN a null."""
    if hasattr(F, "arrow_udf"):
        return column
    return F.transform(column, lambda value: F.coalesce(value, F.lit(float("nan"))))


def score_by_twin(dataset: DataFrame, features: Features, twin: Any, scorer: Scorer) -> Scored:
    """By Spark's own model, which rows need not leave the JVM for."""
    helpers = vectors, raw, probability, prediction = tuple(_helper() for _ in range(4))
    width = scorer.features
    column = features.column if features.vectors else array_to_vector(features.column)
    size = _size(features)
    wrong = F.raise_error(F.concat(F.lit("A row has "), size, F.lit(_wanted(width))))
    # Spark's model fails on a null, so it is given zeros, and what it makes of them is dropped.
    column = F.when(features.present & (size == width), column).when(features.present, wrong)
    given = dataset.select("*", F.coalesce(column, _zeros(width)).alias(vectors))
    return Scored(
        transform_in_jvm(twin, given, helpers, scorer.thresholds),
        helpers,
        *(F.when(features.present, F.col(name)) for name in (raw, probability, prediction)),
    )


def _helper() -> str:
    return f"sparklr_{uuid4().hex}"


def _size(features: Features) -> Column:
    if not features.vectors:
        return F.size(features.column)
    parts = F.unwrap_udt(features.column)
    return F.coalesce(parts["size"], F.size(parts["values"]))


def check_width(features: Features, width: int) -> None:
    """Refuse features whose number is known, and is not the model's."""
    if features.width is not None and features.width != width:
        name = features.name if isinstance(features.name, str) else ", ".join(features.name)
        raise ValueError(f"'{name}' has {features.width}{_wanted(width)}")


def _wanted(width: int) -> str:
    return f" features, but the model was fitted on {width}. Transform data with the same features."


def _zeros(width: int) -> Column:
    """A literal vector of zeros: a sparse one, which no function of Spark's makes, but JSON can."""
    text = f'{{"v":{{"type":0,"size":{width},"indices":[],"values":[]}}}}'
    return F.from_json(F.lit(text), StructType([StructField("v", VectorUDT())]))["v"]


def _score_udf(scorer: Scorer, *, vectors: bool) -> Any:
    """A function of the features column that scores it, Arrow in and out where Spark can."""
    if hasattr(F, "arrow_udf"):  # Spark 4.1

        def score(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in batches:
                yield scorer.score_column(batch)

        return F.arrow_udf(score, SCORES)

    def score_pandas(batches: Iterator[Any]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            scores = scorer.score_column(_from_pandas(batch))
            names = [field.name for field in scores.type]
            columns = [scores.field(name).to_pandas() for name in names]
            yield pd.DataFrame(dict(zip(names, columns, strict=True)))

    # Spark reads the kind of function off its types: an unwrapped vector comes as a frame.
    batch: Any = pd.DataFrame if vectors else pd.Series
    score_pandas.__annotations__ = {
        "batches": Iterator[batch],
        "return": Iterator[pd.DataFrame],
    }
    return pandas_udf(score_pandas, SCORES)  # type: ignore[call-overload]  # knows no list columns


def _from_pandas(batch: Any) -> pa.Array:
    """An Arrow feature column from what pandas made of it."""
    if isinstance(batch, pd.Series):
        return pa.array(batch, pa.list_(pa.float64()))
    kinds = {"type": pa.int8(), "size": pa.int32()}
    kinds |= {"indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())}
    fields = [pa.array(batch[name], kind, from_pandas=True) for name, kind in kinds.items()]
    return pa.StructArray.from_arrays(
        fields, names=list(kinds), mask=pa.array(batch["type"].isna().to_numpy())
    )
