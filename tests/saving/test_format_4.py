"""What the fourth version saved: a model of a stream, that goes on; made by tests/saved/make.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.saved.make import few_rows

pytestmark = [pytest.mark.connect]

SAVED = Path(__file__).parents[1] / "saved" / "format-4"


def test_a_saved_model_of_format_4_goes_on(spark: Any) -> None:
    model = LogisticRegressionModel.load(str(SAVED / "streamed"))
    assert (model.batchesLearned, model.rowsLearned) == (2, 16)
    assert_allclose(model.progressiveLoss, LOSS, rtol=1e-4)
    assert_allclose(model.coefficients, COEFFICIENTS, rtol=1e-4)
    estimator = LogisticRegressionEstimator(featuresCols=["dose", "flag"], regParam=0.1)
    assert estimator.partialFit(few_rows(spark), model).batchesLearned == 3


# By `tests.posterior.test_stream.stream`, whose tolerance is smaller.
LOSS, COEFFICIENTS = 0.3913359631237413, [0.74710623, 1.72778592]
