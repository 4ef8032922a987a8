"""A frame with the largest contributions of each row's features, as a column of arrays."""

from __future__ import annotations

import json

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import check_frame, find_features
from sparklr.scoring.contributions import Contributions
from sparklr.scoring.frame import check_width, with_numbers
from sparklr.scoring.numbers import ModelNumbers
from sparklr.scoring.outputs import Kind
from sparklr.scoring.scorer import Scorer
from sparklr.spark.errors import InvalidValueError

KINDS: dict[str, Kind] = {"place": "vector", "value": "vector", "contribution": "vector"}


def explained(
    dataset: DataFrame,
    params: LogisticRegressionParams,
    numbers: ModelNumbers,
    scorer: Scorer,
    *,
    means: Array | None,
    top: int,
    label: int | None,
    column: str,
) -> DataFrame:
    """Return the frame with a column of contributions against these means, or against zero."""
    check_frame(dataset)
    _check(dataset, numbers, top, label, column)
    features = find_features(dataset, params)
    check_width(features, numbers.features)
    used = numbers.used
    every = numbers.feature_names(params.getFeaturesCol())
    baseline = np.zeros(len(used)) if means is None else means[used]
    names = [every[j] for j in used]
    its = Contributions(scorer, used, baseline, label, top)
    scored, helper = with_numbers(dataset, features, its.of_column, KINDS)
    found = _structs(F.col(helper), names).alias(column)
    return scored.select("*", found).drop(helper)


def _structs(found: Column, names: list[str]) -> Column:
    """Return array<struct<feature, value, contribution>> from arrays of places and numbers."""
    # As JSON: an array of many literals takes a call into the JVM for each of them.
    named = F.from_json(F.lit(json.dumps(names)), "array<string>")

    def one(place: Column, at: Column) -> Column:
        return F.struct(
            F.element_at(named, place.cast("int") + 1).alias("feature"),
            F.element_at(found["value"], at + 1).alias("value"),
            F.element_at(found["contribution"], at + 1).alias("contribution"),
        )

    return F.transform(found["place"], one)


def _check(
    dataset: DataFrame, numbers: ModelNumbers, top: int, label: int | None, column: str
) -> None:
    if top < 1:
        raise InvalidValueError(f"top={top} is not allowed: it must be 1 or more.")
    labels = max(numbers.classes, 2)
    if label is not None and label not in range(labels):
        raise InvalidValueError(
            f"label={label} is not a label of this model: it must be between 0 and {labels - 1}."
        )
    if column in dataset.columns:
        raise InvalidValueError(
            f"The data set already has a column '{column}'. Drop it, or set another name by "
            "column='...'."
        )
