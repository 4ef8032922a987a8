"""What the fourth version saved: facts of any fit, and streams; made by tests/saved/make.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.saved.make import few_rows

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("spark")]

SAVED = Path(__file__).parents[1] / "saved" / "format-4"
# The rows in tests/saved/make.py: the mean of the doses, and of the flag.
MEANS = [23 / 8, 2 / 8]


def test_a_saved_model_of_format_4_has_the_facts_of_a_penalised_fit() -> None:
    model = LogisticRegressionModel.load(str(SAVED / "penalised"))
    found = model.fitSummary
    assert (found.numInstances, found.converged, found.solver) == (8, True, "newton")
    assert found.stopReason.startswith("converged")
    assert_allclose(found.featureMeans, MEANS)
    assert found.areaUnderROC > 0.5
    assert not model.hasSummary
    shown = " ".join(str(model).split())
    for part in ("L2 (regParam=0.1", "area under ROC", f"deviance {found.deviance:.4f}"):
        assert part in shown
    with pytest.raises(ValueError, match="moves the coefficients towards zero"):
        _ = model.estimates


def test_a_saved_model_of_format_4_has_its_table() -> None:
    model = LogisticRegressionModel.load(str(SAVED / "fitted"))
    assert model.estimates.coefficientStandardErrors[0] == pytest.approx(1.6229228346, rel=1e-5)
    assert_allclose(model.fitSummary.featureMeans, MEANS)


def test_a_saved_model_of_format_4_goes_on(spark: Any) -> None:
    model = LogisticRegressionModel.load(str(SAVED / "streamed"))
    assert (model.batchesLearned, model.rowsLearned) == (2, 16)
    assert_allclose(model.progressiveLoss, LOSS, rtol=1e-4)
    assert_allclose(model.coefficients, COEFFICIENTS, rtol=1e-4)
    estimator = LogisticRegressionEstimator(featuresCols=["dose", "flag"], regParam=0.1)
    assert estimator.partialFit(few_rows(spark), model).batchesLearned == 3


# By `tests.posterior.test_stream.stream`, whose tolerance is smaller.
LOSS, COEFFICIENTS = 0.3913359631237413, [0.74710623, 1.72778592]
