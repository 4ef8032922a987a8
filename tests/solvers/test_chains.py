"""Chains against densities whose moments are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers.chains import Chains, ManyAnswer, ManyQuery, run_chains


def run(
    ask: Callable[[Array], tuple[Array, Array]], start: Array, root: Array, **sizes: int
) -> Chains:
    solver = run_chains(start, root, **{"chains": 64, "warm": 20, "steps": 100, "seed": 1, **sizes})
    query = next(solver)
    while True:
        try:
            query = solver.send(ManyAnswer(*ask(query.points)))
        except StopIteration as finished:
            return cast(Chains, finished.value)


PRECISION = np.array([[2.0, 0.6], [0.6, 0.5]])
CENTRE = np.array([1.0, -3.0])


def normal(points: Array) -> tuple[Array, Array]:
    away = points - CENTRE
    return np.einsum("ki,ij,kj->k", away, PRECISION, away) / 2, away @ PRECISION


def test_of_a_normal_density_the_moments_are_exact_by_the_control_variates() -> None:
    root = np.linalg.inv(np.linalg.cholesky(PRECISION)).T
    found = run(normal, CENTRE + 0.3, root, steps=10)
    assert_allclose(0.3 + CENTRE + root @ found.mean, CENTRE, atol=1e-12)
    assert_allclose(found.covariance, np.eye(2), atol=1e-12)
    assert found.errors(root).max() < 1e-12


def test_draws_have_the_distribution_from_another_start() -> None:
    """From a normal distribution of other moments, without the control variates' help."""
    found = run(normal, np.zeros(2), np.eye(2), warm=60, steps=200)
    draws = found.draws.reshape(-1, 2)
    assert_allclose(draws.mean(axis=0), CENTRE, atol=0.05)
    assert_allclose(np.cov(draws.T), np.linalg.inv(PRECISION), rtol=0.08)
    assert found.split_r_hat(np.eye(2)).max() < 1.02
    assert 0.6 < found.acceptance <= 1


def skewed(points: Array) -> tuple[Array, Array]:
    """The log of a Gamma(3) variable: V = e^x - 3 x."""
    return (np.exp(points) - 3 * points)[:, 0], np.exp(points) - 3


def test_moments_of_a_skewed_density() -> None:
    """Its mean is digamma(3) and its variance trigamma(3)."""
    found = run(skewed, np.log([3.0]), np.array([[3**-0.5]]), steps=400)
    mean = np.log(3.0) + 3**-0.5 * found.mean[0]
    error = found.errors(np.array([[3**-0.5]]))[0]
    assert 0 < error < 0.003
    assert abs(mean - 0.9227843350984672) < 4 * error
    assert_allclose(found.covariance[0, 0] / 3, 0.39493406684822644, rtol=0.02)
    draws = np.log(3.0) + 3**-0.5 * found.draws.ravel()
    assert_allclose(draws.var(), 0.39493406684822644, rtol=0.05)


@pytest.mark.parametrize("features", [1, 2])
def test_moments_of_a_logistic_posterior_are_those_of_a_grid(features: int) -> None:
    """Of few rows and a wide prior, so that it is skewed; sums over 241 or 241^2 points."""
    rng = np.random.default_rng(features)
    matrix = rng.normal(size=(12, features))
    labels = (matrix[:, 0] + rng.logistic(size=12) > 0.5).astype(float)

    def ask(points: Array) -> tuple[Array, Array]:
        margins = points @ matrix.T
        values = (np.logaddexp(0, margins) - labels * margins).sum(axis=1)
        slopes = (1 / (1 + np.exp(-margins)) - labels) @ matrix
        return values + 0.15 * (points**2).sum(axis=1), slopes + 0.3 * points

    axis = np.linspace(-12, 12, 241)
    grid = np.stack(np.meshgrid(*[axis] * features, indexing="ij"), axis=-1).reshape(-1, features)
    chances = np.exp(-ask(grid)[0])
    chances /= chances.sum()
    mean = chances @ grid
    covariance = (grid - mean).T @ ((grid - mean) * chances[:, None])
    start, root = np.zeros(features), np.eye(features)
    found = run(ask, start, root, steps=300, warm=50)
    size = np.sqrt(np.diagonal(covariance))
    errors = found.errors(root) / size
    assert errors.max() < 0.02
    assert (np.abs(found.mean - mean) / size < 4 * errors + 1e-3).all()
    assert_allclose(found.covariance, covariance, atol=0.05 * size.max() ** 2)


def test_where_gradients_give_no_covariance_it_is_that_of_the_draws() -> None:
    """Very far from a normal density their products may even be negative."""
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(50, 8, 2)) * [1.0, 3.0] + [0.0, 2.0]
    found = Chains(draws, -draws, 1.0)
    flat = draws.reshape(-1, 2)
    assert_allclose(found.covariance, np.cov(flat, rowvar=False, ddof=0))
    assert_allclose(found.mean, flat.mean(axis=0))
    means = draws.mean(axis=0)
    assert_allclose(found.errors(np.eye(2)), means.std(axis=0, ddof=1) / np.sqrt(8))


def test_chains_that_differ_show_in_r_hat() -> None:
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(20, 8, 2))
    draws[:, :4, 1] += 3
    found = Chains(draws, draws, 1.0)
    alike, apart = found.split_r_hat(np.eye(2))
    assert alike < 1.1
    assert apart > 1.5


def test_a_step_to_where_v_is_no_number_is_refused() -> None:
    def walled(points: Array) -> tuple[Array, Array]:
        values, gradients = normal(points)
        return np.where(points[:, 0] > 1, np.nan, values), gradients

    found = run(walled, np.zeros(2), np.eye(2) / 4, steps=20)
    assert found.draws[..., 0].max() <= 4  # in white coordinates


def test_the_seed_decides() -> None:
    first, again, other = (run(skewed, np.ones(1), np.eye(1), steps=5, seed=s) for s in (3, 3, 4))
    assert_array_equal(first.draws, again.draws)
    assert (first.draws != other.draws).all()


def test_a_query_has_a_point_per_chain() -> None:
    query = next(run_chains(np.zeros(3), np.eye(3), chains=5, warm=1, steps=1, seed=0))
    assert isinstance(query, ManyQuery)
    assert query.points.shape == (5, 3)
