"""What the third version saved: models with a posterior; made by tests/saved/make.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr import LogisticRegressionModel

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("spark")]

SAVED = Path(__file__).parents[1] / "saved" / "format-3"


@pytest.mark.parametrize("kind", ["gaussian", "sampled"])
def test_a_saved_model_of_format_3_has_its_posterior(kind: str) -> None:
    model = LogisticRegressionModel.load(str(SAVED / kind))
    posterior = model.posterior
    assert (posterior.kind, posterior.names) == (kind, ["dose", "flag", "(intercept)"])
    assert posterior.diagnostics.converged
    # Both kinds have about the same moments, the second with errors by chance.
    assert_allclose(posterior.mean, MEAN, atol=0.1)
    assert_allclose(posterior.stddev, DEVIATION, rtol=0.05)
    assert_allclose(np.sqrt(np.diagonal(posterior.covariance)), posterior.stddev)
    assert (kind == "gaussian") == model.getAveraged()
    assert np.isfinite(posterior.draws(10)).all()


MEAN, DEVIATION = [0.880, 2.095, -2.179], [0.599, 1.713, 1.900]
