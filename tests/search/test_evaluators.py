"""Evaluators of searches: a user's own, and Spark's with other labels or weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator, TrainValidationSplit
from tests.search.by_hand import assert_metrics, by_hand
from tests.search.searches import TIGHT, Brier, area, maps_of, measure, searched
from tests.tiers import first_and_deep

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("piped", first_and_deep([True, False]))
def test_an_evaluator_of_the_user_is_asked_once_a_fold_and_map(two: Any, piped: bool) -> None:
    last = LogisticRegressionEstimator(**TIGHT)
    estimator: Any = Pipeline(stages=[last]) if piped else last
    maps = maps_of(last, [{"regParam": 3.0}, {"regParam": 0.01}, {"regParam": 0.5}])
    evaluator = Brier()
    found = searched(CrossValidator, estimator, maps, evaluator, two)
    assert len(evaluator.frames) == 6
    assert sum(evaluator.frames) == 3 * two.count()
    assert_metrics(found, by_hand(CrossValidator, estimator, maps, Brier(), two))


@pytest.mark.parametrize("kind", [CrossValidator, TrainValidationSplit])
@pytest.mark.parametrize("larger", [False, True])
def test_the_evaluator_says_whether_more_is_better(two: Any, kind: Any, larger: bool) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 3.0}, {"regParam": 0.01}])
    found = searched(kind, estimator, maps, Brier(larger=larger), two)
    assert found.bestModel.getRegParam() == (3.0 if larger else 0.01)


@pytest.mark.deep
def test_an_evaluator_of_another_label_or_weight(two: Any) -> None:
    frame = two.withColumn("other", F.expr("cast(x0 > 0 as double)"))
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.5}])
    usual = by_hand(CrossValidator, estimator, maps, area(), frame).metrics
    for evaluator in (
        area(labelCol="other"),
        area(weightCol="weight"),
        measure("accuracy", labelCol="other"),
    ):
        what = CrossValidator, estimator, maps, evaluator, frame
        expected = by_hand(*what)
        assert_metrics(searched(*what), expected)
        assert not np.allclose(expected.metrics, usual)


@pytest.mark.parametrize(
    "make",
    first_and_deep(
        [
            partial(measure, "accuracy"),
            area,
            partial(measure, "f1", weightCol="some"),
            partial(area, metricName="areaUnderPR", weightCol="some"),
        ]
    ),
    ids=["accuracy", "area", "weighted f1", "weighted area"],
)
def test_rows_of_weight_zero(two: Any, make: Callable[[], Any]) -> None:
    """They are in no fit, and count for an evaluator without weights."""
    frame = two.withColumn("some", F.expr("if(x1 > 2, 0.0, weight)"))
    estimator = LogisticRegressionEstimator(**TIGHT, weightCol="some")
    maps = maps_of(estimator, [{"regParam": 0.5}, {"regParam": 0.01, "threshold": 0.4}])
    what = CrossValidator, estimator, maps, make(), frame
    assert_metrics(searched(*what), by_hand(*what))
