"""A fit as a problem: its start, what is known there without a pass, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import Query, newton
from tests.problems import Ask, ask_rows, make_rows, run

families = pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
centring = pytest.mark.parametrize("intercept", [True, False])


def pose(spec: Spec, block: Block, classes: int) -> tuple[Problem, Ask]:
    passes = LocalPasses.of([block], block.features)
    problem = Problem.of(spec, passes.moments, classes)
    return problem, ask_rows(problem, passes)


def classes_of(family: Family) -> int:
    return 2 if family is BINOMIAL else 3


def make_block(family: Family, seed: int = 0, *, weighted: bool = True) -> Block:
    """Rows whose features have means and deviations of their own."""
    block = make_rows(seed, 60, 4, classes_of(family), weighted=weighted)
    matrix = block.matrix * [1.0, 0.01, 100.0, 3.0] + [0.0, 1.0, -20.0, 40.0]
    return Block(matrix, block.labels, block.weights)


def plain_objective(spec: Spec, block: Block, coefficients: Array, intercepts: Array) -> float:
    """The objective in the user's own units, penalty and all."""
    weights = np.ones(block.rows) if block.weights is None else block.weights
    margins = block.matrix @ coefficients.T + intercepts
    if margins.shape[1] == 1:
        margins = np.column_stack((np.zeros(block.rows), margins))
    logs = log_softmax(margins, axis=1)[np.arange(block.rows), block.labels.astype(int)]
    total = weights.sum()
    mean = weights @ block.matrix / total
    spread = weights @ (block.matrix - mean) ** 2
    deviation = np.sqrt(spread / (total - weights @ weights / total))
    penalized = coefficients * deviation if spec.standardization else coefficients
    ridge = 0.5 * (1 - spec.elasticNetParam) * (penalized**2).sum()
    lasso = spec.elasticNetParam * np.abs(penalized).sum()
    return float(-(weights @ logs) / total + spec.regParam * (ridge + lasso))


@families
@centring
@pytest.mark.parametrize("standardization", [True, False])
@given(seed=st.integers(0, 2**32 - 1), strength=st.sampled_from([0.0, 0.1, 2.0]))
def test_the_objective_is_the_one_in_the_users_units(
    family: Family, intercept: bool, standardization: bool, seed: int, strength: float
) -> None:
    """Scaling, centring and the penalty's share change how it is written, not what it is."""
    block = make_block(family)
    spec = Spec(
        family,
        regParam=strength,
        elasticNetParam=0.25,
        fitIntercept=intercept,
        standardization=standardization,
    )
    problem, ask = pose(spec, block, classes_of(family))
    matrix = np.random.default_rng(seed).normal(size=problem.scaling.shape)
    if problem.scaling.margins > 1:
        matrix -= matrix.mean(axis=0)  # where the gauge is zero, and where coefficients are centred
    point = matrix.ravel()
    ours = ask(Query(point, 0)).value + float(problem.penalty.l1 @ np.abs(point))
    theirs = plain_objective(spec, block, *problem.coefficients(point))
    assert ours == pytest.approx(theirs, rel=1e-10)


@families
@centring
def test_the_start_is_zero_but_for_the_intercepts(family: Family, intercept: bool) -> None:
    block = make_block(family)
    assert block.weights is not None
    problem, _ = pose(Spec(family, fitIntercept=intercept), block, classes_of(family))
    coefficients, intercepts = problem.coefficients(problem.start())
    assert_array_equal(coefficients, 0)
    shares = np.bincount(block.labels.astype(int), weights=block.weights)
    if not intercept:
        assert_array_equal(intercepts, np.zeros(problem.scaling.margins))
    elif family is BINOMIAL:
        assert_allclose(intercepts, [np.log(shares[1] / shares[0])], rtol=1e-13)
    else:
        logs = np.log1p(shares)
        assert_allclose(intercepts, logs - logs.mean(), rtol=1e-12)


@families
@centring
@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_the_value_at_the_start_needs_no_pass(
    family: Family, intercept: bool, strength: float
) -> None:
    spec = Spec(family, regParam=strength, fitIntercept=intercept)
    problem, ask = pose(spec, make_block(family), classes_of(family))
    value = ask(Query(problem.start(), 0)).value
    assert problem.start_value() == pytest.approx(value, rel=1e-13)


def test_the_value_at_the_start_of_a_class_alone_is_zero() -> None:
    """One class, without an intercept: there is nothing to be told apart."""
    block = Block(np.random.default_rng(0).normal(size=(5, 2)), np.zeros(5), None)
    problem, ask = pose(Spec(MULTINOMIAL, fitIntercept=False), block, 1)
    assert ask(Query(problem.start(), 0)).value == 0
    assert problem.start_value() == 0


def test_a_class_without_rows_has_a_finite_start() -> None:
    block = make_rows(1, 40, 2, 2)
    block = Block(block.matrix, 2 * block.labels, None)
    problem, ask = pose(Spec(MULTINOMIAL), block, 3)
    assert np.isfinite(problem.start()).all()
    assert problem.start_value() == pytest.approx(ask(Query(problem.start(), 0)).value, rel=1e-13)
    assert (problem.start_curvature() > 0).all()


@families
@centring
@pytest.mark.parametrize("strength", [0.0, 0.3])
@pytest.mark.parametrize("standardization", [True, False])
def test_the_curvature_at_the_start_needs_no_pass(
    family: Family, intercept: bool, strength: float, standardization: bool
) -> None:
    """The Hessian's diagonal, to one part in the number of rows.

    The mean square of a scaled feature is (n - 1) / n, and log1p moves the classes' shares.
    """
    spec = Spec(family, regParam=strength, fitIntercept=intercept, standardization=standardization)
    block = make_rows(2, 3000, 3, classes_of(family))
    block = Block(block.matrix * [1.0, 0.1, 20.0] + [0.0, 0.1, 1.0], block.labels, None)
    problem, ask = pose(spec, block, classes_of(family))
    exact = ask(Query(problem.start(), 2)).second().diagonal()
    assert_allclose(problem.start_curvature(), exact, rtol=4 / block.rows)


@centring
@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_multinomial_coefficients_are_centred_as_spark_does(
    intercept: bool, strength: float
) -> None:
    """Coefficients only where nothing is penalised, intercepts wherever they are fitted."""
    spec = Spec(MULTINOMIAL, regParam=strength, fitIntercept=intercept)
    problem, _ = pose(spec, make_block(MULTINOMIAL), 3)
    point = np.random.default_rng(0).normal(size=problem.size)
    coefficients, intercepts = problem.coefficients(point)
    raw_coefficients, raw_intercepts = problem.scaling.to_coefficients(point)
    if strength == 0:
        assert_allclose(coefficients.sum(axis=0), 0, atol=1e-10)
        assert_allclose(np.diff(coefficients, axis=0), np.diff(raw_coefficients, axis=0))
    else:
        assert_array_equal(coefficients, raw_coefficients)
    if intercept:
        assert abs(intercepts.sum()) < 1e-10
        assert_allclose(np.diff(intercepts), np.diff(raw_intercepts), rtol=1e-9)
    else:
        assert_array_equal(intercepts, np.zeros(3))


@families
def test_the_binomial_is_never_centred(family: Family) -> None:
    problem, _ = pose(Spec(family), make_block(family), classes_of(family))
    point = np.random.default_rng(0).normal(size=problem.size)
    centred = problem.coefficients(point)[1].sum() == pytest.approx(0, abs=1e-9)
    assert centred == (family is MULTINOMIAL)


@centring
@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_the_gauge_costs_nothing_at_the_optimum(intercept: bool, strength: float) -> None:
    """The sum over classes, free otherwise, is zero there; the loss is what it is without."""
    spec = Spec(MULTINOMIAL, regParam=strength, fitIntercept=intercept)
    block = make_block(MULTINOMIAL)
    problem, ask = pose(spec, block, 3)
    solution = run(newton(problem.start()), ask)
    assert solution.reason.converged
    drift = solution.point.reshape(problem.scaling.shape).sum(axis=0)
    assert_allclose(drift, 0, atol=1e-5)
    plain = plain_objective(spec, block, *problem.coefficients(solution.point))
    assert solution.value == pytest.approx(plain, rel=1e-10)
    without = replace(problem, gauge=np.zeros_like(problem.gauge))
    passes = LocalPasses.of([block], block.features)
    there = ask_rows(without, passes)(Query(solution.point, 1))
    assert there.value == pytest.approx(solution.value, rel=1e-10)
    assert_allclose(there.first(), 0, atol=1e-5)


@centring
def test_the_gauge_makes_the_unpenalised_hessian_regular(intercept: bool) -> None:
    problem, ask = pose(Spec(MULTINOMIAL, fitIntercept=intercept), make_block(MULTINOMIAL), 3)
    hessian = ask(Query(problem.start(), 2)).second()
    assert np.linalg.eigvalsh(hessian)[0] > 1e-3


@families
@centring
def test_constant_features_have_no_coordinate(family: Family, intercept: bool) -> None:
    block = make_block(family)
    matrix = np.column_stack((np.full(60, 0.1), block.matrix, np.zeros(60)))
    wide = Block(matrix, block.labels, block.weights)
    spec = Spec(family, regParam=0.1, fitIntercept=intercept)
    problem, ask = pose(spec, wide, classes_of(family))
    narrow, ask_narrow = pose(spec, block, classes_of(family))
    assert problem.size == narrow.size
    point = np.random.default_rng(1).normal(size=problem.size)
    assert_array_equal(problem.coefficients(point)[0][:, [0, -1]], 0)
    assert_allclose(problem.coefficients(point)[0][:, 1:-1], narrow.coefficients(point)[0])
    one, other = ask(Query(point, 2)), ask_narrow(Query(point, 2))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    assert_allclose(one.first(), other.first(), atol=1e-11)
    assert_allclose(one.second(), other.second(), atol=1e-11)


@families
@pytest.mark.parametrize("mean", [1e3, 1e6])
def test_a_far_feature_is_as_good_as_a_centred_one(family: Family, mean: float) -> None:
    """A mean of a million deviations moves the intercept and nothing else."""
    block = make_rows(3, 50, 2, classes_of(family))
    near = Block(np.round(block.matrix * 2**10) / 2**10, block.labels, None)
    far = Block(near.matrix + np.array([mean, 0.0]), block.labels, None)
    spec = Spec(family, regParam=0.01)
    solutions = []
    for rows in (near, far, Block(sp.csr_matrix(far.matrix), far.labels, None)):
        problem, ask = pose(spec, rows, classes_of(family))
        solution = run(newton(problem.start()), ask)
        assert solution.reason.converged
        solutions.append((solution, problem.coefficients(solution.point)))
    (reference, (coefficients, intercepts)), *others = solutions
    for solution, (their_coefficients, their_intercepts) in others:
        assert solution.value == pytest.approx(reference.value, rel=1e-9)
        assert_allclose(their_coefficients, coefficients, rtol=1e-5)
        moved = intercepts - coefficients[:, 0] * mean
        if family is MULTINOMIAL:
            moved -= moved.mean()
        assert_allclose(their_intercepts, moved, rtol=1e-5, atol=1e-5 * mean)


@families
def test_another_total_weight_rescales_the_loss_alone(family: Family) -> None:
    spec = Spec(family, regParam=0.2)
    block = make_block(family)
    passes = LocalPasses.of([block], block.features)
    problem = Problem.of(spec, passes.moments, classes_of(family))
    point = np.random.default_rng(0).normal(size=problem.size)
    penalty = 0.5 * float(problem.penalty.l2 @ point**2)
    if family is MULTINOMIAL:
        drift = point.reshape(problem.scaling.shape).sum(axis=0)
        penalty += float(drift @ drift) / 18  # the gauge: (1 / K) / K drift^2 / 2
    loss = ask_rows(problem, passes)(Query(point, 0)).value - penalty
    half = ask_rows(replace(problem, weight=problem.weight / 2), passes)(Query(point, 0)).value
    assert half == pytest.approx(2 * loss + penalty, rel=1e-12)


@pytest.mark.parametrize(
    ("family", "intercept", "size"),
    [(BINOMIAL, True, 5), (BINOMIAL, False, 4), (MULTINOMIAL, True, 15)],
)
def test_the_size_counts_what_the_solver_looks_for(
    family: Family, intercept: bool, size: int
) -> None:
    problem, _ = pose(Spec(family, fitIntercept=intercept), make_block(family), classes_of(family))
    assert problem.size == size == len(problem.start()) == len(problem.start_curvature())


def test_shifted_intercepts_are_the_same_point() -> None:
    """Those of a softmax are free, and a user's have mean zero where a solver's need not."""
    rng = np.random.default_rng(0)
    block = make_rows(4, 60, 3, 3)
    problem = Problem.of(
        Spec(MULTINOMIAL, regParam=0.1, elasticNetParam=1.0), LocalPasses.of([block], 3).moments, 3
    )
    coefficients, intercepts = rng.normal(size=(3, 3)), rng.normal(size=3)
    point = problem.point_of(coefficients, intercepts)
    assert_allclose(problem.point_of(coefficients, intercepts + 7.0), point, atol=1e-14)
    again = problem.point_of(*problem.coefficients(point))
    assert_allclose(again, point, atol=1e-14)
