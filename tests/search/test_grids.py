"""`reg_param_grid`: from the smallest penalty that leaves no coefficient down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import Matrices

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import reg_param_grid
from tests.search.searches import TIGHT

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize(
    ("classes", "params"),
    [
        (2, {"elasticNetParam": 1.0}),
        (2, {"elasticNetParam": 0.5, "weightCol": "weight", "standardization": False}),
        (2, {"elasticNetParam": 0.5, "fitIntercept": False}),
        (3, {"elasticNetParam": 0.5, "weightCol": "weight"}),
        (2, {"elasticNetParam": 0.7, "family": "multinomial"}),
    ],
)
def test_the_largest_penalty_leaves_nothing_and_a_smaller_one_something(
    two: Any, three: Any, classes: int, params: dict[str, Any]
) -> None:
    frame = two if classes == 2 else three
    estimator = LogisticRegressionEstimator(**TIGHT, **params)
    (first,) = reg_param_grid(frame, estimator, n=1)
    penalty = first[estimator.regParam]
    shares = (1.0 + 1e-9, 0.999)
    models = estimator.fit(frame, [{estimator.regParam: penalty * share} for share in shares])
    left = [np.count_nonzero(model.coefficientMatrix.toArray()) for model in models]
    assert left[0] == 0 < left[1]


def test_the_grid_is_geometric(two: Any) -> None:
    estimator = LogisticRegressionEstimator(elasticNetParam=0.5)
    grid = reg_param_grid(two, estimator, n=5, ratio=0.01)
    assert all(set(one) == {estimator.regParam} for one in grid)
    values = np.array([one[estimator.regParam] for one in grid])
    assert_allclose(values[1:] / values[:-1], 0.01 ** (1 / 4))
    default = [one[estimator.regParam] for one in reg_param_grid(two, estimator)]
    assert len(default) == 20
    assert_allclose([default[0], default[-1]], [values[0], 1e-4 * values[0]])
    ridge = reg_param_grid(two, LogisticRegressionEstimator(), n=1)
    (largest,) = ridge[0].values()
    assert_allclose(largest, values[0] * 0.5 / 1e-3)
    wide = LogisticRegressionEstimator(elasticNetParam=0.5)
    few = [one[wide.regParam] for one in reg_param_grid(two.limit(3), wide, n=2)]
    assert_allclose(few[1] / few[0], 1e-2)


def test_a_grid_that_cannot_be_made(two: Any) -> None:
    ours = LogisticRegressionEstimator()
    bounded = LogisticRegressionEstimator(
        lowerBoundsOnCoefficients=Matrices.dense(1, 3, [0.0, 0.0, 0.0])
    )
    estimator: Any
    for estimator, rest, error, message in (
        (LogisticRegression(), {}, TypeError, "takes a LogisticRegressionEstimator"),
        (Pipeline(stages=[ours]), {}, TypeError, "got a Pipeline"),
        (ours, {"n": 0}, ValueError, "n must be at least 1"),
        (ours, {"ratio": 0.0}, ValueError, "ratio between 0 and 1"),
        (ours, {"ratio": 1.0}, ValueError, "ratio between 0 and 1"),
        (bounded, {}, ValueError, "[Bb]ounds"),
    ):
        with pytest.raises(error, match=message):
            reg_param_grid(two, estimator, **rest)
