"""What the second version saved: a model with its standard errors; made by tests/saved/make.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr import LogisticRegressionModel

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("spark")]

SAVED = Path(__file__).parents[1] / "saved" / "format-2"


def test_a_saved_model_of_format_2_has_its_table() -> None:
    estimates = LogisticRegressionModel.load(str(SAVED / "fitted")).estimates
    assert estimates.numInstances == 8
    assert "wherever 'flag' is above 0 the label is 1 (2 of 8" in str(estimates)
    dose, flag, intercept = estimates.coefficientStandardErrors
    square = estimates.covarianceMatrix.toArray()
    assert_allclose([intercept**2, dose**2], np.diagonal(square)[:2])
    # statsmodels' on the six rows without the flag: Logit(label, add_constant(dose)).fit().bse.
    assert_allclose([dose, intercept], [1.6229228346, 4.6022811678], rtol=1e-5)
    assert np.isnan(flag)


def test_a_saved_binomial_model_of_format_2_is_loaded() -> None:
    loaded = LogisticRegressionModel.load(str(SAVED / "binomial"))
    assert (loaded.intercept, loaded.getThreshold()) == (0.75, 0.3)
