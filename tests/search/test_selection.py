"""Which map is fitted on all rows: the best one, or the simplest within one standard error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.fitting.posterior import posterior_of
from sparklr.search.select import best_map, simplest_map
from sparklr.tuning import CrossValidator
from tests.search.by_hand import fitted, table_of
from tests.search.searches import TIGHT, area, assert_same_fit, maps_of, measure, searched

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("metric", ["accuracy", "logLoss"])
def test_one_standard_error(two: Any, metric: str) -> None:
    evaluator = measure(metric)
    estimator = LogisticRegressionEstimator(**TIGHT, elasticNetParam=0.5)
    penalties = [0.001, 0.05, 0.02, 0.1, 0.2, 0.6]
    maps = maps_of(estimator, [{"regParam": penalty} for penalty in penalties])
    rest = {"numFolds": 5, "seed": 8, "selectionRule": "1se"}
    found = searched(CrossValidator, estimator, maps, evaluator, two, **rest)
    scores = np.array(found.avgMetrics) * (1 if evaluator.isLargerBetter() else -1)
    best = int(scores.argmax())
    error = found.stdMetrics[best] / np.sqrt(5 - 1)
    near = [at for at in range(len(maps)) if scores[at] >= scores[best] - error]
    chosen = max(penalties[at] for at in near)
    assert 1 < len(near) < len(maps)
    assert penalties[best] < chosen
    assert found.bestModel.getRegParam() == chosen
    expected = fitted(estimator.copy({estimator.regParam: chosen}), table_of(two))
    assert_same_fit(found.bestModel, expected)


def test_only_the_best_map_gets_a_posterior(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes more readings than a fit, and nobody sees those of the others."""
    found: list[Any] = []

    def counted(*args: Any) -> Any:
        found.append(posterior_of(*args))
        return found[-1]

    monkeypatch.setattr("sparklr.fitting.shared.posterior_of", counted)
    estimator = LogisticRegressionEstimator(posterior="laplace", tol=1e-9)
    maps = maps_of(estimator, [{"regParam": 0.2}, {"regParam": 0.004}])
    model = searched(CrossValidator, estimator, maps, area(), two).bestModel
    (only,) = found
    expected = estimator.setRegParam(model.getRegParam()).fit(two).posterior
    assert_allclose(model.posterior.mean, expected.mean, rtol=1e-6)
    assert_allclose(model.posterior.stddev, expected.stddev, rtol=1e-6)
    assert only.kind == "laplace"


def test_a_rule_that_cannot_be_followed_is_refused_before_any_job(two: Any) -> None:
    failing = two.withColumn("label", F.raise_error(F.lit("a job ran")).cast("double"))
    ours, other = LogisticRegressionEstimator(), LogisticRegression()
    several = [{"regParam": 0.1}, {"regParam": 0.2}]
    for rule, estimator, maps, message in (
        ("2se", ours, maps_of(ours, several), "'2se' is not allowed: use 'best' or '1se'"),
        ("1se", ours, maps_of(ours, [{"threshold": 0.1}, {"threshold": 0.2}]), "several values"),
        ("1se", ours, maps_of(ours, several[:1] * 2), "several values"),
        ("1se", other, maps_of(other, several), "LogisticRegressionEstimator several"),
    ):
        with pytest.raises(ValueError, match=message):
            searched(CrossValidator, estimator, maps, area(), failing, selectionRule=rule)


def test_a_map_without_a_metric_is_not_the_best() -> None:
    assert best_map(np.array([np.nan, 0.1, 0.3, np.nan])) == 2
    assert simplest_map(np.array([np.nan, 0.29, 0.3]), 0.02, [(3, 0), (2, 0), (1, 0)]) == 1
    with pytest.raises(ValueError, match="metrics of all maps are NaN"):
        best_map(np.array([np.nan, np.nan]))
