"""Our validators beside Spark's: the same metrics, choice and models, in fewer readings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import tuning as spark_tuning
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.tuning import CrossValidator, TrainValidationSplit
from tests.search.by_hand import ByHand, assert_metrics, by_hand, fitted, table_of
from tests.search.conftest import Search
from tests.search.searches import (
    TIGHT,
    Brier,
    all_differ,
    area,
    assert_alike,
    assert_same_fit,
    maps_of,
    measure,
    packings,
    searched,
)

pytestmark = pytest.mark.usefixtures("nothing_left")

# By name: classes, Params of the estimator, settings of the maps, the evaluator.
CASES: dict[str, tuple[int, dict[str, Any], list[dict[str, Any]], Callable[[], Any]]] = {
    "weights": (
        2,
        {"weightCol": "weight", "regParam": 0.05},
        [{"fitIntercept": False}, {"fitIntercept": True}],
        partial(area, weightCol="weight", metricName="areaUnderPR", rawPredictionCol="probability"),
    ),
    "penalties": (
        2,
        {},
        [
            {"regParam": 0.2, "elasticNetParam": 0.5},
            {"regParam": 0.01, "elasticNetParam": 0.0},
            {"regParam": 0.1, "elasticNetParam": 1.0, "standardization": False},
        ],
        area,
    ),
    "threshold": (
        2,
        {"regParam": 0.1},
        [{"threshold": 0.1}, {"threshold": 0.5}],
        partial(measure, "accuracy"),
    ),
    "three classes": (
        3,
        {"weightCol": "weight"},
        [{"regParam": 0.1, "elasticNetParam": 0.3}, {"regParam": 0.01}],
        partial(measure, "logLoss", weightCol="weight"),
    ),
}
MORE_CASES = {
    "family and thresholds": (
        2,
        {"regParam": 0.02},
        [
            {"family": "multinomial"},
            {"family": "binomial"},
            {"thresholds": [0.9, 0.1]},
            {"thresholds": [0.2, 0.8], "family": "multinomial"},
        ],
        partial(measure, "accuracy"),
    ),
    "offsets": (
        2,
        {"offsetCol": "x1", "weightCol": "weight"},
        [
            {"regParam": 0.02},
            {"regParam": 0.1, "elasticNetParam": 0.7},
            {"regParam": 0.02, "fitIntercept": False},
        ],
        partial(measure, "logLoss", weightCol="weight"),
    ),
    "offsets, seen by an evaluator of frames": (
        2,
        {"offsetCol": "x1"},
        [{"regParam": 0.02}, {"regParam": 0.1}, {"regParam": 0.5}],
        Brier,
    ),
    "class weights": (
        2,
        {"regParam": 0.02},
        [{"classWeights": "balanced"}, {"classWeights": [1.0, 5.0]}, {"regParam": 0.05}],
        partial(measure, "logLoss"),
    ),
    "class weights of three": (
        3,
        {"regParam": 0.02, "weightCol": "weight", "classWeights": [1.0, 2.0, 3.0]},
        [{"classWeights": "balanced"}, {"elasticNetParam": 0.4}, {"regParam": 0.2}],
        partial(measure, "logLoss", weightCol="weight"),
    ),
    "thresholds of three": (
        3,
        {"regParam": 0.02},
        [{"thresholds": [0.8, 0.1, 0.1]}, {"thresholds": [0.3, 0.3, 0.4]}, {"fitIntercept": False}],
        partial(measure, "f1"),
    ),
}


@pytest.fixture
def frames(two: Any, three: Any) -> dict[int, Any]:
    return {2: two, 3: three}


@pytest.mark.deep
@pytest.mark.parametrize("name", CASES)
def test_metrics_and_choice_are_those_of_spark_alone(frames: dict[int, Any], name: str) -> None:
    classes, params, settings, make = CASES[name]
    evaluator = make()
    found = []
    for kind, estimator in (
        (CrossValidator, LogisticRegressionEstimator(**TIGHT, **params)),
        (spark_tuning.CrossValidator, LogisticRegression(**TIGHT, **params)),
    ):
        maps = maps_of(estimator, settings)
        found.append(searched(kind, estimator, maps, evaluator, frames[classes]))
    ours, theirs = found
    assert_alike(ours, theirs)
    assert all_differ(ours.avgMetrics)
    for param in {param for one in settings for param in one}:
        assert ours.bestModel.getOrDefault(param) == theirs.bestModel.getOrDefault(param)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-4)


@pytest.mark.parametrize("name", MORE_CASES)
def test_searches_are_those_by_hand(frames: dict[int, Any], name: str) -> None:
    classes, params, settings, make = MORE_CASES[name]
    frame, evaluator = frames[classes], make()
    estimator = LogisticRegressionEstimator(**TIGHT, **params)
    maps = maps_of(estimator, settings)
    found = searched(CrossValidator, estimator, maps, evaluator, frame, numFolds=3)
    assert_metrics(found, by_hand(CrossValidator, estimator, maps, evaluator, frame, numFolds=3))
    assert len(set(np.round(found.avgMetrics, 9))) > 2
    best = maps[int((np.argmax if evaluator.isLargerBetter() else np.argmin)(found.avgMetrics))]
    assert_same_fit(found.bestModel, fitted(estimator.copy(best), table_of(frame)))


# One split

SPLIT: dict[str, Any] = {"trainRatio": 0.6, "collectSubModels": True}
SPLIT_SETTINGS = [{"regParam": 0.3}, {"regParam": 0.01, "fitIntercept": False}]


@pytest.fixture(scope="module")
def one_split(two: Any) -> tuple[Any, ByHand]:
    """What one split gives, and what it should give."""
    estimator = LogisticRegressionEstimator(**TIGHT)
    what = TrainValidationSplit, estimator, maps_of(estimator, SPLIT_SETTINGS), area(), two
    return searched(*what, **SPLIT), by_hand(*what, **SPLIT)


def test_one_split_gives_sparks_metrics(two: Any, one_split: tuple[Any, ByHand]) -> None:
    ours, _ = one_split
    other = LogisticRegression(**TIGHT)
    maps = maps_of(other, SPLIT_SETTINGS)
    theirs = searched(spark_tuning.TrainValidationSplit, other, maps, area(), two, **SPLIT)
    assert_allclose(ours.validationMetrics, theirs.validationMetrics, atol=1e-6)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-4)
    assert ours.getTrainRatio() == 0.6


def test_models_of_one_split(one_split: tuple[Any, ByHand]) -> None:
    ours, expected = one_split
    assert_metrics(ours, expected)
    for at, model in enumerate(ours.subModels):
        assert_same_fit(model, expected.scorers[1, at], 1e-5)
        train = expected.train[1]
        predicted = expected.scorers[1, at].scores(train["features"]).prediction
        assert model.summary.accuracy == pytest.approx(np.mean(predicted == train["label"]))


# Models


def test_the_best_model_is_that_of_a_single_fit(two: Any, kept: Search) -> None:
    found = kept.found
    expected = kept.estimator.fit(two, kept.maps[int(np.argmax(found.avgMetrics))])
    assert_same_fit(found.bestModel, expected)
    assert isinstance(found.bestModel, LogisticRegressionModel)
    assert found.bestModel.extractParamMap() == expected.extractParamMap()
    assert found.bestModel.uid == kept.estimator.uid
    assert_allclose(found.bestModel.summary.accuracy, expected.summary.accuracy)
    assert found.bestModel.summary.predictions.count() == two.count()
    assert found.copy().bestModel.getRegParam() == expected.getRegParam()


def test_models_of_folds_are_those_of_fits_of_sparks_folds(two: Any, kept: Search) -> None:
    found = kept.found
    assert len(found.subModels) == 2
    for (train, _), models in zip(kept.validator._kFold(two), found.subModels, strict=True):
        rows = table_of(train)
        for extra, model in zip(kept.maps, models, strict=True):
            copy = kept.estimator.copy(extra)
            alone = fitted(copy, rows)
            assert_same_fit(model, alone, 1e-5)
            assert model.getThreshold() == copy.getThreshold()
            right = alone.scores(rows["features"]).prediction == rows["label"]
            assert model.summary.accuracy == pytest.approx(right.mean())
        assert models[0].summary.predictions.count() == len(rows["label"])


@pytest.mark.parametrize("kind", [CrossValidator, TrainValidationSplit])
def test_models_are_kept_only_where_they_are_asked_for(two: Any, kind: Any) -> None:
    assert searched(kind, LogisticRegressionEstimator(), [{}], area(), two).subModels is None


# Readings


def test_rows_are_packed_once(kept: Search) -> None:
    assert kept.packed == 1


def test_maps_of_other_columns_are_packed_apart(two: Any) -> None:
    frame = two.withColumn("flipped", 1 - F.col("label")).withColumn("again", F.col("features"))
    estimator = LogisticRegressionEstimator(**TIGHT, regParam=0.05)
    settings: list[dict[str, Any]] = [
        {"labelCol": "flipped"},
        {"featuresCols": ["x1"]},
        {"featuresCol": "again"},
        {"weightCol": "weight"},
        {"regParam": 0.5},
        {"fitIntercept": False},
    ]
    what = CrossValidator, estimator, maps_of(estimator, settings), area(), frame
    with packings() as packed:
        found = searched(*what)
    assert len(packed) == 5
    assert_metrics(found, by_hand(*what))
    best = estimator.copy(what[2][int(np.argmax(found.avgMetrics))])
    assert_same_fit(found.bestModel, fitted(best, table_of(frame)))
