"""Fits within bounds and from a start of their own, in the user's units and without Spark."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit, softmax

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.fitting.fits import pass_over
from tests.fitting.test_problem import classes_of, make_block, plain_objective
from tests.parity.objective import deviations

INF = np.inf
families = pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)


def margins_of(family: Family) -> int:
    return 1 if family is BINOMIAL else classes_of(family)


def everywhere(family: Family, low: float, high: float, *, intercepts: bool = False) -> Bounds:
    """The same bounds on all four coefficients of every margin, and perhaps on intercepts."""
    shape = margins_of(family), 5
    lower, upper = np.full(shape, low), np.full(shape, high)
    if not intercepts:
        lower[:, -1], upper[:, -1] = -INF, INF
    return Bounds(lower, upper)


def fit_block(spec: Spec, block: Block, *, sample: int | None = None) -> Fit:
    passes = pass_over(block, pieces=3, sample=sample)
    fits, _ = fit_all({0: spec}, passes, classes_of(spec.family))
    return fits[0]


def objective_of(spec: Spec, block: Block, fit: Fit) -> float:
    return plain_objective(spec, block, fit.coefficients, fit.intercepts)


BOUNDS = {
    "not negative": (0.0, INF, False),
    "without zero": (0.05, 0.4, False),
    "intercepts too": (-0.2, 0.3, True),
}


def bounded_problem(
    family: Family, kind: str, strength: float, mixing: float
) -> tuple[Spec, Bounds, Block]:
    """A fit of scaled features within bounds of this kind."""
    block = make_block(family)
    block = Block(block.matrix / block.matrix.std(axis=0), block.labels, block.weights)
    low, high, intercepts = BOUNDS[kind]
    bounds = everywhere(family, low, high, intercepts=intercepts)
    return Spec(family, strength, mixing, bounds=bounds, tol=1e-9, maxIter=2000), bounds, block


def smooth_slope(spec: Spec, block: Block, matrix: Array) -> Array:
    """The slope of the objective without its L1 term; the last column is the intercepts'."""
    weights = np.ones(block.rows) if block.weights is None else block.weights
    rows = np.column_stack((block.matrix, np.ones(block.rows)))
    margins = rows @ matrix.T
    if len(matrix) == 1:
        away = expit(margins) - block.labels[:, None]
    else:
        away = softmax(margins, axis=1) - (block.labels[:, None] == np.arange(len(matrix)))
    ridge = np.append(deviations(block.matrix, weights) ** 2, 0.0) * matrix
    pull = spec.regParam * (1 - spec.elasticNetParam) * ridge
    return (away * (weights / weights.sum())[:, None]).T @ rows + pull


@cache
def least_objective(family: Family, kind: str, strength: float, mixing: float) -> float:
    """The least objective by SLSQP: a coefficient is u - v with u, v >= 0, so that L1 has a slope.

    Not by L-BFGS-B, which needs thousands of steps where features are as far off centre as here.
    """
    spec, bounds, block = bounded_problem(family, kind, strength, mixing)
    assert block.weights is not None
    each = strength * mixing * np.append(deviations(block.matrix, block.weights), 0.0)
    l1 = np.broadcast_to(each, bounds.lower.shape)
    split = l1 > 0  # the others are u alone

    def ask(point: Array) -> tuple[float, Array]:
        up, down = point.reshape(2, *l1.shape)
        matrix = up - down
        value = plain_objective(spec, block, matrix[:, :-1], matrix[:, -1])
        value += 2 * float((l1 * np.minimum(up, down)).sum())  # with |u - v| makes u + v
        slope = smooth_slope(spec, block, matrix)
        return value, np.concatenate((slope + l1, l1 - slope)).ravel()

    def sides(bound: Array, other: Array) -> Array:
        up = np.where(split, np.maximum(bound, 0), bound)
        return np.concatenate((up, np.where(split, np.maximum(-other, 0), 0))).ravel()

    lower, upper = sides(bounds.lower, bounds.upper), sides(bounds.upper, bounds.lower)
    start = np.clip(np.zeros(len(lower)), lower, upper)
    limits, options = list(zip(lower, upper, strict=True)), {"maxiter": 1000, "ftol": 1e-15}
    found = minimize(ask, start, jac=True, bounds=limits, method="SLSQP", options=options)
    return float(found.fun)


@families
@pytest.mark.parametrize("solver", ["proximal-newton", "owl-qn"])
@pytest.mark.parametrize(("strength", "mixing"), [(0.0, 0.0), (0.05, 0.5), (0.02, 1.0)])
@pytest.mark.parametrize("kind", BOUNDS)
def test_a_bounded_fit_is_the_least_within_its_bounds(
    family: Family, solver: SolverName, strength: float, mixing: float, kind: str
) -> None:
    spec, bounds, block = bounded_problem(family, kind, strength, mixing)
    fit = fit_block(replace(spec, solver=solver), block)
    everything = np.column_stack((fit.coefficients, fit.intercepts))
    assert ((bounds.lower <= everything) & (everything <= bounds.upper)).all()
    assert fit.converged
    found = objective_of(spec, block, fit)
    assert_allclose(fit.history[-1], found, rtol=1e-10)
    # Not below it either: else scipy, and not the fit, had gone astray.
    assert_allclose(found, least_objective(family, kind, strength, mixing), rtol=0, atol=1e-8)
    assert (np.diff(fit.history) <= 0).all()


@families
def test_infinite_bounds_change_nothing_but_the_centre(family: Family) -> None:
    block = make_block(family)
    spec = Spec(family, 0.01, tol=1e-9)
    free = fit_block(spec, block)
    endless = fit_block(replace(spec, bounds=everywhere(family, -INF, INF)), block)
    assert_allclose(endless.coefficients, free.coefficients, rtol=1e-6, atol=1e-8)
    assert_allclose(endless.history[-1], free.history[-1], rtol=1e-12)


@families
def test_equal_bounds_fix_a_coefficient(family: Family) -> None:
    block, bounds = make_block(family), everywhere(family, -INF, INF)
    bounds.lower[0, 1] = bounds.upper[0, 1] = 0.25
    fit = fit_block(Spec(family, bounds=bounds), block)
    assert fit.coefficients[0, 1] == 0.25


@families
@pytest.mark.parametrize("intercept", [True, False])
def test_a_constant_feature_is_held_at_the_bound_nearest_to_zero(
    family: Family, intercept: bool
) -> None:
    """And the other coefficients make up for it: here an intercept takes back what it adds."""
    block = make_block(family)
    block.matrix[:, 2] = 3.0
    bounds = everywhere(family, -INF, INF)
    bounds.lower[:, 2] = 0.5
    bounds.upper[-1, 2] = 0.75
    spec = Spec(family, fitIntercept=intercept, bounds=bounds, tol=1e-9)
    fit = fit_block(spec, block)
    assert_array_equal(fit.coefficients[:, 2], 0.5)
    assert_allclose(objective_of(spec, block, fit), fit.history[-1], rtol=1e-10)
    if intercept:
        free = fit_block(replace(spec, bounds=None), block)
        assert_allclose(fit.history[-1], free.history[-1], rtol=1e-9)


def test_one_label_alone_trains_only_where_its_intercept_is_bounded() -> None:
    block = make_block(BINOMIAL)
    block = Block(block.matrix, np.ones(block.rows), block.weights)
    above, below = everywhere(BINOMIAL, 0.0, INF), everywhere(BINOMIAL, 0.0, 1.0)
    below.upper[:, -1] = 2.0
    free = fit_block(Spec(BINOMIAL, bounds=above), block)
    assert free.intercepts[0] == INF
    held = fit_block(Spec(BINOMIAL, 0.1, bounds=below), block)
    assert held.intercepts[0] == 2.0
    assert np.isfinite(held.history).all()


@families
@pytest.mark.parametrize("sample", [None, 15])
def test_a_start_of_ones_own_changes_the_way_and_not_the_end(
    family: Family, sample: int | None
) -> None:
    block = make_block(family)
    spec = Spec(family, 0.02, tol=1e-9)
    cold = fit_block(spec, block, sample=sample)
    warm = fit_block(
        replace(spec, initial=(cold.coefficients, cold.intercepts)), block, sample=sample
    )
    assert_allclose(warm.coefficients, cold.coefficients, rtol=1e-6, atol=1e-9)
    assert warm.history[0] == pytest.approx(cold.history[-1], rel=1e-10)
    assert len(warm.history) <= 2 < len(cold.history)


@families
def test_without_iterations_the_start_comes_back(family: Family) -> None:
    block = make_block(family)
    given = fit_block(Spec(family, 0.02, maxIter=3), block)
    initial = given.coefficients, given.intercepts
    fit = fit_block(Spec(family, 0.02, maxIter=0, initial=initial), block)
    assert_allclose(fit.coefficients, given.coefficients, rtol=1e-12)
    assert_allclose(fit.intercepts, given.intercepts, rtol=1e-10)
    bounds = everywhere(family, 0.0, INF)
    clipped = fit_block(Spec(family, maxIter=0, initial=initial, bounds=bounds), block)
    assert_allclose(clipped.coefficients, np.maximum(given.coefficients, 0), rtol=1e-12)


def test_bounds_use_the_sample_too() -> None:
    block = make_block(BINOMIAL)
    spec = Spec(BINOMIAL, 0.02, tol=1e-9, bounds=everywhere(BINOMIAL, 0.0, INF))
    plain, sampled = fit_block(spec, block), fit_block(spec, block, sample=15)
    assert_allclose(sampled.coefficients, plain.coefficients, rtol=1e-5, atol=1e-8)
    assert sampled.history[0] == pytest.approx(plain.history[0], rel=1e-14)
    assert sampled.history[1] != plain.history[1]
