"""The estimator with `solver="sgd"`: what a user sets, sees and is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.fitting.cautions import ConvergenceWarning
from tests.faults.alone import rows


def estimator(**params: Any) -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(
        featuresCols=["x", "y"], regParam=0.01, solver="sgd", **params
    )


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    return rows(spark)


def test_a_model_has_the_history_by_epoch_and_the_rates(frame: Any) -> None:
    model = estimator(epochs=20).fit(frame)
    best = LogisticRegressionEstimator(featuresCols=["x", "y"], regParam=0.01).fit(frame)
    assert np.allclose(model.coefficients, best.coefficients, atol=1e-4)
    summary = model.summary
    assert summary.converged
    assert summary.solver == "sgd"
    assert summary.totalIterations == len(summary.objectiveHistory) - 1 < 20
    rates = summary.learningRates
    assert rates is not None
    assert len(rates.tried) == 16
    assert rates.kept in rates.tried
    assert summary.certificate.kktResidual < 1e-6
    page = str(summary)
    assert "plain steps, the best of 16 rates from 0.01 to 100" in page
    loaded = LogisticRegressionModel.fromJson(model.toJson()).fitSummary
    assert loaded.learningRates == rates
    assert "plain steps, the best of 16 rates from 0.01 to 100" in str(loaded)
    assert best.summary.learningRates is None


def test_a_fit_that_ends_early_is_told_not_to_have_converged(frame: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="raise epochs or tol"):
        model = estimator(epochs=1, learningRate=0.1).fit(frame)
    assert not model.summary.converged
    assert len(model.summary.objectiveHistory) == 2
    assert model.summary.certificate.kktResidual > 1e-6


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"elasticNetParam": 0.5}, r"solver='sgd' needs a smooth penalty.*Use solver='owl-qn'"),
    ({"posterior": "laplace"}, r"posterior='laplace' needs the optimum, but solver='sgd' may end"),
    ({"biasReduction": "firth", "regParam": 0.0}, "biasReduction='firth' has a solver of its own"),
    (
        {"solver": "auto", "momentum": 0.5},
        r"momentum is for solver='sgd', but the solver is 'auto'\. Set solver='sgd', or clear it",
    ),
]


@pytest.mark.parametrize(("params", "words"), REFUSED)
def test_what_does_not_go_with_it_is_refused(
    frame: Any, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        estimator().setParams(**params).fit(frame)
