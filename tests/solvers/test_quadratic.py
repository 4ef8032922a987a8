"""Minima of quadratics: checked by their optimality conditions, not by a second method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import quadratic
from sparklr.solvers.quadratic import minimise_with_l1, pseudo_gradient, solve_symmetric
from tests.problems import random_matrix
from tests.tiers import first_and_deep

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 9)


def gram(rng: np.random.Generator, size: int, rank: int) -> Array:
    """A positive semi-definite matrix of this rank."""
    root = rng.normal(size=(rank, size))
    return np.asarray(root.T @ root)


def violation(point: Array, slope: Array, l1: Array) -> float:
    """How far zero is from the subdifferential of f + sum_j l1_j |x_j|, f having this slope."""
    at_zero = np.maximum(np.abs(slope) - l1, 0.0)
    elsewhere = np.abs(slope + l1 * np.sign(point))
    return float(np.where(point == 0, at_zero, elsewhere).max(initial=0.0))


def total(x: Array, start: Array, gradient: Array, hessian: Array, l1: Array) -> float:
    step = x - start
    return float(gradient @ step + 0.5 * step @ hessian @ step + l1 @ np.abs(x))


def shrink_slowly(
    start: Array, gradient: Array, hessian: Array, l1: Array, sweeps: int = 20_000
) -> Array:
    """The minimum by proximal gradient steps with momentum (Beck and Teboulle's FISTA)."""
    length = 1.0 / np.linalg.eigvalsh(hessian)[-1]
    x, ahead, t = start.copy(), start.copy(), 1.0
    for _ in range(sweeps):
        moved = ahead - length * (gradient + hessian @ (ahead - start))
        new = np.sign(moved) * np.maximum(np.abs(moved) - length * l1, 0.0)
        if (ahead - new) @ (new - x) > 0:  # momentum points uphill: restart it
            t = 1.0
        later = (1 + np.sqrt(1 + 4 * t * t)) / 2
        x, ahead, t = new, new + (t - 1) / later * (new - x), later
    return x


@given(seed=seeds, size=sizes, missing=st.integers(0, 4), scaled=st.booleans())
def test_the_l1_step_meets_the_optimality_conditions(
    seed: int, size: int, missing: int, scaled: bool
) -> None:
    """On any matrix, singular or badly scaled, as long as the model has a minimum."""
    rng = np.random.default_rng(seed)
    hessian = gram(rng, size, max(size - missing, 1))
    if scaled:
        scale = 10.0 ** rng.uniform(-2, 2, size)
        hessian *= scale[:, None] * scale
    l1 = rng.exponential(size=size) * (rng.random(size) < 0.7)
    start = rng.normal(size=size) * (rng.random(size) < 0.6)
    # What the curvature cannot see of the gradient must not outweigh the l1 term.
    gradient = hessian @ rng.normal(size=size) * 3 + 0.9 * l1 * rng.uniform(-1, 1, size)
    step = minimise_with_l1(start, gradient, hessian, l1)
    point = start + step
    size_of = np.abs(gradient).max(initial=0) + l1.max(initial=0) + np.abs(hessian @ start).max()
    # A zero may be off by rounding once the step is added to the start.
    point[np.abs(point) < 1e-14 * np.abs(start).max(initial=0)] = 0.0
    assert violation(point, gradient + hessian @ step, l1) <= 1e-8 * size_of


@given(seed=seeds, size=st.integers(2, 8))
def test_the_l1_step_reaches_as_low_as_a_slow_method(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    hessian = random_matrix(seed, rng.uniform(0.3, 3, size))
    l1 = rng.exponential(size=size) * (rng.random(size) < 0.8)
    start, gradient = rng.normal(size=size), 2 * rng.normal(size=size)
    slow = shrink_slowly(start, gradient, hessian, l1, sweeps=400)
    step = minimise_with_l1(start, gradient, hessian, l1)
    assert_allclose(start + step, slow, atol=1e-8)


def singular_matrix(kind: str, size: int, rng: np.random.Generator) -> Array:
    """Hessians as rows in their hundreds make them: of low rank, nearly singular, or one-hot."""
    if kind == "low rank":
        return gram(rng, size, size // 2) / size
    if kind == "duplicates":
        half = rng.normal(size=(size, size // 2))
        return np.asarray(np.hstack((half, half)).T @ np.hstack((half, half))) / size
    if kind == "nearly singular":
        return random_matrix(int(rng.integers(100)), np.logspace(-15, 0, size))
    # Rare levels that are certain have no curvature: centred, they are copies of the intercept.
    share = 1 / np.arange(1, size) ** 1.5
    levels = rng.choice(size - 1, 5000, p=share / share.sum())
    rows = np.zeros((5000, size))
    rows[np.arange(5000), levels] = 1.0
    rows -= rows.mean(axis=0)
    rows[:, -1] = 1.0
    curvature = np.where(levels > size // 2, 1e-30, 1e-2)
    return np.asarray(rows.T @ (rows * curvature[:, None])) / 5000


@pytest.mark.parametrize("kind", ["low rank", "duplicates", "nearly singular", "one-hot"])
@pytest.mark.parametrize("size", first_and_deep([120, 400]))
def test_the_l1_step_is_exact_for_hundreds_of_coordinates(kind: str, size: int) -> None:
    rng = np.random.default_rng(size)
    hessian = singular_matrix(kind, size, rng)
    l1 = np.full(size, 0.02 * np.sqrt(np.diagonal(hessian)).max())
    l1[-1] = 0.0  # as an intercept has none
    start = rng.normal(size=size) * (rng.random(size) < 0.5)
    gradient = hessian @ rng.normal(size=size) + 0.9 * l1 * rng.uniform(-1, 1, size)
    step = minimise_with_l1(start, gradient, hessian, l1)
    point = start + step
    point[np.abs(point) < 1e-14 * np.abs(start).max()] = 0.0
    before = violation(start, gradient, l1)
    assert violation(point, gradient + hessian @ step, l1) <= 1e-10 * before


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_l1_step_moves_along_what_no_curvature_sees(classes: int) -> None:
    """One number added to all classes is free but for its l1 norm, which their median minimises."""
    rng = np.random.default_rng(classes)
    centring = np.eye(classes) - 1 / classes
    hessian = np.kron(centring, gram(rng, 3, 3))
    start = rng.normal(size=3 * classes) + 5.0
    l1 = np.full(3 * classes, 0.1)
    step = minimise_with_l1(start, hessian @ rng.normal(size=3 * classes), hessian, l1)
    by_class = (start + step).reshape(classes, 3)
    negative, positive = (by_class < 0).sum(axis=0), (by_class > 0).sum(axis=0)
    zero = classes - negative - positive
    assert (np.abs(negative - positive) <= zero).all()


def test_a_diagonal_model_is_soft_thresholded() -> None:
    rng = np.random.default_rng(0)
    diagonal, linear, l1 = rng.uniform(0.1, 5, 30), rng.normal(size=30), rng.exponential(size=30)
    step = minimise_with_l1(np.zeros(30), -linear, np.diag(diagonal), l1)
    expected = np.sign(linear) * np.maximum(np.abs(linear) - l1, 0) / diagonal
    assert_allclose(step, expected, rtol=1e-12)
    assert_array_equal(step == 0, expected == 0)


def test_without_l1_the_step_is_newtons() -> None:
    matrix, gradient = random_matrix(4, np.logspace(-2, 2, 6)), np.arange(6.0) - 2
    step = minimise_with_l1(np.ones(6), gradient, matrix, np.zeros(6))
    assert_allclose(step, -np.linalg.solve(matrix, gradient), rtol=1e-9)


def test_a_minimum_is_left_where_it_is() -> None:
    """Coordinates held at zero by their l1 term stay exactly there."""
    step = minimise_with_l1(np.zeros(5), np.full(5, 0.4), random_matrix(1, np.ones(5)), np.ones(5))
    assert_array_equal(step, np.zeros(5))


def test_the_pseudo_gradient_is_the_subgradient_of_least_norm() -> None:
    z = np.array([0.0, 0.0, 0.0, 2.0, -2.0, 0.0])
    slope = np.array([0.5, -3.0, 3.0, 1.0, 1.0, 0.25])
    l1 = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    assert_array_equal(pseudo_gradient(z, slope, l1), [0.0, -2.0, 2.0, 2.0, 0.0, 0.25])


@given(seed=seeds, size=sizes, extreme=st.integers(0, 8))
def test_equations_are_solved_at_any_scale(seed: int, size: int, extreme: int) -> None:
    """Scaling rows and columns alike by 1e-8 to 1e8 costs no digits of the solution."""
    rng = np.random.default_rng(seed)
    plain = random_matrix(seed, rng.uniform(0.5, 2, size))
    wanted = rng.normal(size=size)
    scale = 10.0 ** rng.uniform(-extreme, extreme, size)
    matrix = plain * scale[:, None] * scale
    found = solve_symmetric(matrix, scale * (plain @ wanted))
    assert_allclose(found * scale, wanted, rtol=1e-11, atol=1e-12)


@given(seed=seeds, size=st.integers(2, 9), data=st.data())
def test_singular_equations_are_solved_by_least_squares(
    seed: int, size: int, data: st.DataObject
) -> None:
    """If any solution exists one is found, and the residual is orthogonal to the range if not."""
    rank = data.draw(st.integers(1, size - 1), label="rank")
    rng = np.random.default_rng(seed)
    matrix = gram(rng, size, rank)
    right = matrix @ rng.normal(size=size)
    assert_allclose(matrix @ solve_symmetric(matrix, right), right, atol=1e-8 * np.abs(right).max())


def test_no_pivot_hides_a_singular_matrix() -> None:
    """Least squares where no solution exists, though Cholesky may end with a small pivot.

    Rounding can leave the last pivot well above zero. In less than one matrix of a hundred it
    does, hence so many: the "solution" then is rounding times 1e15.
    """
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        matrix, right = gram(rng, 8, 7), rng.normal(size=8)
        scale = 1 / np.sqrt(np.diagonal(matrix))
        scaled = matrix * scale[:, None] * scale
        left = scaled @ (solve_symmetric(matrix, right) / scale) - scale * right
        assert np.abs(scaled @ left).max() <= 1e-6 * np.abs(scale * right).max(), seed


@given(seed=seeds, size=st.integers(2, 6))
def test_duplicates_share_the_solution_evenly(seed: int, size: int) -> None:
    """Two features alike get the same coefficient: the solution of least norm."""
    rng = np.random.default_rng(seed)
    once = random_matrix(seed, rng.uniform(0.5, 2, size))
    wanted = rng.normal(size=size)
    copy = np.vstack((np.eye(size), np.eye(size)[:1]))
    found = solve_symmetric(copy @ once @ copy.T, copy @ once @ wanted)
    assert_allclose(found[0], wanted[0] / 2, rtol=1e-8, atol=1e-10)
    assert_allclose(found[-1], wanted[0] / 2, rtol=1e-8, atol=1e-10)
    assert_allclose(found[1:-1], wanted[1:], rtol=1e-8, atol=1e-10)


def test_no_direction_is_invented_where_a_matrix_is_zero() -> None:
    assert_array_equal(solve_symmetric(np.zeros((3, 3)), np.ones(3)), np.zeros(3))
    assert_array_equal(solve_symmetric(np.diag([4.0, 0.0]), np.ones(2)), [0.25, 0.0])


def test_no_equations_have_an_empty_solution() -> None:
    assert solve_symmetric(np.zeros((0, 0)), np.zeros(0)).shape == (0,)
    step = minimise_with_l1(np.zeros(0), np.zeros(0), np.zeros((0, 0)), np.zeros(0))
    assert step.shape == (0,)


def test_a_guess_near_the_minimum_saves_systems_of_equations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(60, 150))
    hessian, gradient = factor.T @ factor / 60, factor.T @ rng.normal(size=60) / 8
    point, l1 = np.zeros(150), np.full(150, 0.3)
    solved: list[int] = []
    solve = quadratic.solve_symmetric

    def counted(matrix: Array, right: Array) -> Array:
        solved.append(len(right))
        return solve(matrix, right)

    monkeypatch.setattr(quadratic, "solve_symmetric", counted)
    exact = minimise_with_l1(point, gradient, hessian, l1)
    far = len(solved)
    again = minimise_with_l1(point, gradient, hessian, l1, guess=0.999 * exact)
    near = len(solved) - far
    assert_allclose(again, exact, atol=1e-9)
    assert near < far / 2
    rough = minimise_with_l1(point, gradient, hessian, l1, share=0.01)
    assert len(solved) - far - near < far
    left = pseudo_gradient(rough, gradient + hessian @ rough, l1)
    before = pseudo_gradient(point, gradient, l1)
    assert np.abs(left).max() <= 0.01 * np.abs(before).max()
