"""Searches that cannot go on: what is wrong with maps, stages and evaluators comes through."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.ml import Pipeline

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator, TrainValidationSplit
from tests.search.searches import Brier, area, maps_of, searched
from tests.search.stages import Shift, assembler, plain

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("piped", [False, True])
def test_maps_that_would_change_nothing(two: Any, piped: bool) -> None:
    """Spark fits the same model for each of them."""
    ours, another = LogisticRegressionEstimator(), LogisticRegressionEstimator()
    estimator: Any = Pipeline(stages=[assembler(), ours]) if piped else ours
    for kind in (CrossValidator, TrainValidationSplit):
        with pytest.raises(ValueError, match=f"name regParam of {another.uid}, which is neither"):
            searched(kind, estimator, [{another.regParam: 0.1}], area(), two)
        with pytest.raises(TypeError, match="Param map keys must be Params, but got 'regParam'"):
            searched(kind, estimator, [{"regParam": 0.1}], area(), two)


@pytest.mark.parametrize("piped", [False, True])
def test_an_evaluator_that_fails(two: Any, piped: bool) -> None:
    estimator: Any = LogisticRegressionEstimator()
    maps = maps_of(estimator, [{"regParam": 0.3}, {"regParam": 0.01}])
    if piped:
        estimator = Pipeline(stages=[estimator])
    with pytest.raises(RuntimeError, match="cannot judge this"):
        searched(CrossValidator, estimator, maps, Brier(fails_at=3), two.where("x0 < 9"))


def test_a_stage_that_fails(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no such stage")

    monkeypatch.setattr(Shift, "_fit", fail)
    last = LogisticRegressionEstimator(featuresCol="raw")
    pipeline = Pipeline(stages=[Shift(), assembler(), last])
    with pytest.raises(RuntimeError, match="no such stage"):
        searched(CrossValidator, pipeline, [{}], area(), plain(two).where("x0 < 9"))


def test_a_map_that_cannot_be_fitted(two: Any) -> None:
    estimator = LogisticRegressionEstimator()
    maps = maps_of(estimator, [{"regParam": 0.3}, {"thresholds": [0.2, 0.3, 0.5]}])
    for kind in (CrossValidator, TrainValidationSplit):
        with pytest.raises(ValueError, match="thresholds has 3 values"):
            searched(kind, estimator, maps, area(), two)
