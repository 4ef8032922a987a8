"""A StandardScaler before the estimator: done without where it can be, else fitted in each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline
from pyspark.ml.feature import StandardScaler
from pyspark.ml.linalg import Matrices
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator
from tests.search.by_hand import Table, assert_metrics, by_hand
from tests.search.searches import TIGHT, area, assert_same_fit, maps_of, packings, searched
from tests.search.stages import assembled, assembler, plain, standardized
from tests.tiers import first_and_deep

pytestmark = pytest.mark.usefixtures("nothing_left")


def judge_for(estimator: Any) -> Any:
    """An evaluator that counts rows as the estimator does."""
    return area(weightCol="weight") if estimator.isSet("weightCol") else area()


def scaled_by_hand(_: Mapping[Any, Any], train: Table, **params: Any) -> Callable[[Table], Table]:
    """What assembler and scaler make of rows."""
    scale = standardized(assembled(train), **params)
    return lambda table: scale(assembled(table))


SCALED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"withMean": True}, {"standardization": False}),
    ({"withStd": False, "withMean": True}, {"standardization": False, "elasticNetParam": 1.0}),
    ({"withMean": True}, {"weightCol": "weight"}),
    ({}, {}),
    ({"withStd": False}, {"fitIntercept": False}),
]


@pytest.mark.parametrize(("scaling", "params"), first_and_deep(SCALED, first=3))
def test_a_scaler_is_done_without(
    two: Any, scaling: dict[str, Any], params: dict[str, Any]
) -> None:
    """One packing for all folds and the final model; numbers as with the scaler."""
    frame = plain(two).withColumn("x1", 40.0 * F.col("x1") + 9.0).withColumn("x2", F.lit(3.0))
    last = LogisticRegressionEstimator(**{**TIGHT, **params})
    scaler = StandardScaler(inputCol="raw", outputCol="features", **scaling)
    pipeline = Pipeline(stages=[assembler(), scaler, last])
    maps = maps_of(last, [{"regParam": 0.2}, {"regParam": 0.004}])
    what = CrossValidator, pipeline, maps, judge_for(last), frame
    with packings() as packed:
        found = searched(*what)
    assert len(packed) == 1
    assert_metrics(found, by_hand(*what, before=partial(scaled_by_hand, **scaling)))
    alone = pipeline.fit(frame, maps[int(np.argmax(found.avgMetrics))])
    assert_same_fit(found.bestModel, alone)
    mine, its = (piped.stages[-1] for piped in (found.bestModel, alone))
    assert mine.uid == its.uid
    assert mine.featureNames == its.featureNames
    assert mine.summary.objectiveHistory[-1] == pytest.approx(its.summary.objectiveHistory[-1])
    assert mine.summary.areaUnderROC == pytest.approx(its.summary.areaUnderROC, abs=1e-9)
    assert str(mine.summary).count("\n") == str(its.summary).count("\n")


# Searches in which the scaler matters: Params of the estimator, arguments of the search.
KEPT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "weights": ({"weightCol": "weight", "standardization": False}, {}),
    "models": ({}, {"collectSubModels": True}),
    # Of the rest `params/test_param_rules.py` and `test_pipelines.py` show as much.
    "centred without intercept": ({"fitIntercept": False}, {}),
    "bounds": ({"lowerBoundsOnCoefficients": Matrices.dense(1, 3, [0.1, -9.0, -9.0])}, {}),
    "unused": ({"featuresCol": "raw"}, {}),
    "standard errors": ({"inference": "always"}, {}),
}


@pytest.mark.parametrize("name", first_and_deep(KEPT, first=2))
def test_a_scaler_that_matters_is_fitted_in_each_fold(two: Any, name: str) -> None:
    params, more = KEPT[name]
    last = LogisticRegressionEstimator(**TIGHT, **params)
    scaler = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
    pipeline = Pipeline(stages=[assembler(), scaler, last])
    maps = maps_of(last, [{"regParam": 0.2}, {"regParam": 0.004}])
    what = CrossValidator, pipeline, maps, judge_for(last), plain(two)
    with packings() as packed:
        found = searched(*what, **more)
    assert len(packed) == 3
    assert_metrics(found, by_hand(*what, before=partial(scaled_by_hand, withMean=True)))


@pytest.mark.deep
def test_standard_errors_are_in_units_of_the_scalers_output(two: Any) -> None:
    """Asked for; by default a search has none behind a scaler, even for a single map."""
    found = {}
    for name, asked in (("always", {"inference": "always"}), ("default", {})):
        last = LogisticRegressionEstimator(**asked)
        scaler = StandardScaler(inputCol="raw", outputCol="features")
        pipeline = Pipeline(stages=[assembler(), scaler, last])
        frame = plain(two).withColumn("x1", 40.0 * F.col("x1"))
        model = searched(CrossValidator, pipeline, [{last.tol: 1e-8}], area(), frame).bestModel
        found[name] = model.stages[-1], pipeline.fit(frame).stages[-1]
    ours, expected = (
        its.estimates.coefficientTable.toPandas()["standardError"] for its in found["always"]
    )
    assert_allclose(ours, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="standard errors"):
        _ = found["default"][0].estimates
