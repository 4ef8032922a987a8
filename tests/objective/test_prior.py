"""A Gaussian prior as a value: its means over normal distributions, diagonal or full."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective.prior import GaussianPrior

RNG = np.random.default_rng(0)
MEAN, DIAGONAL = RNG.normal(size=3), np.array([0.5, 0.0, 2.0])
ROOT = RNG.normal(size=(3, 3))
PRIORS = [GaussianPrior(MEAN, DIAGONAL), GaussianPrior(MEAN, ROOT @ ROOT.T)]


@pytest.mark.parametrize("prior", PRIORS, ids=["diagonal", "full"])
def test_its_mean_gradient_and_curvature(prior: GaussianPrior) -> None:
    point, factor = RNG.normal(size=3), RNG.normal(size=(3, 2))
    square = np.diag(prior.precision) if prior.precision.ndim == 1 else prior.precision
    draws = point + RNG.normal(size=(400_000, 2)) @ factor.T - MEAN
    mean = np.einsum("ki,ij,kj->k", draws, square, draws).mean() / 2
    assert_allclose(prior.mean_value(point, factor), mean, rtol=0.02)
    assert_allclose(prior.gradient(point), square @ (point - MEAN))
    hessian = np.ones((3, 3))
    prior.add_to(hessian)
    assert_allclose(hessian, square + 1)


@pytest.mark.parametrize("square", [np.array([0.5, 1.0, 2.0]), PRIORS[1].precision])
def test_a_prior_of_a_pull_has_its_slope_at_zero(square: Array) -> None:
    pull = np.array([1.0, -2.0, 0.5])
    prior = GaussianPrior.of_pull(pull, square)
    assert_allclose(prior.gradient(np.zeros(3)), -pull)
    assert_allclose(prior.value(prior.mean), 0)
