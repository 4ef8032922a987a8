"""Minima of quadratics within bounds: checked by their optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import Box, quadratic
from sparklr.solvers.quadratic import minimise_with_l1, pseudo_gradient
from tests.problems import random_matrix
from tests.solvers.bounded import random_box, violation

seeds = st.integers(0, 2**32 - 1)


def gram(rng: np.random.Generator, size: int, rank: int) -> Array:
    """A positive semi-definite matrix of this rank."""
    root = rng.normal(size=(rank, size))
    return np.asarray(root.T @ root)


def check_minimum(start: Array, gradient: Array, hessian: Array, l1: Array, box: Box) -> Array:
    """The model's minimum, after a look at all that must hold there."""
    step = minimise_with_l1(start, gradient, hessian, l1, box)
    assert step is not None
    point = box.land(start, step)
    assert box.contains(point)
    # A zero may be off by rounding once the step is added to the start.
    point = box.clip(np.where(np.abs(point) < 1e-14 * np.abs(start).max(initial=0), 0.0, point))
    size_of = np.abs(gradient).max() + l1.max() + np.abs(hessian @ start).max() + 1e-300
    assert violation(point, gradient + hessian @ step, l1, box) <= 1e-8 * size_of
    change = gradient @ step + 0.5 * step @ hessian @ step + l1 @ (np.abs(point) - np.abs(start))
    assert change <= 1e-13 * size_of
    return point


@given(
    seed=seeds,
    size=st.integers(1, 10),
    missing=st.integers(0, 5),
    scaled=st.booleans(),
    lasso=st.booleans(),
)
def test_the_bounded_step_meets_the_optimality_conditions(
    seed: int, size: int, missing: int, scaled: bool, lasso: bool
) -> None:
    """On any matrix, singular or badly scaled, in any box."""
    rng = np.random.default_rng(seed)
    hessian = gram(rng, size, max(size - missing, 1))
    if scaled:
        scale = 10.0 ** rng.uniform(-2, 2, size)
        hessian *= scale[:, None] * scale
    l1 = rng.exponential(size=size) * (rng.random(size) < 0.7) * lasso
    box = random_box(rng, size)
    start = box.clip(rng.normal(size=size) * (rng.random(size) < 0.6))
    gradient = hessian @ rng.normal(size=size) * 3 + 0.9 * l1 * rng.uniform(-1, 1, size)
    check_minimum(start, gradient, hessian, l1, box)


@given(seed=seeds, size=st.integers(1, 8))
def test_ties_of_all_kinds_are_resolved(seed: int, size: int) -> None:
    """Small integers meet kinks and bounds at once, and leave slopes and multipliers of zero."""
    rng = np.random.default_rng(seed)
    root = rng.integers(-1, 2, size=(rng.integers(1, size + 1), size)).astype(float)
    hessian = root.T @ root
    lower = rng.choice([-1.0, 0.0, 0.0, 1.0, -np.inf], size)
    box = Box(lower, np.maximum(lower, -1) + rng.choice([0.0, 1.0, 2.0, np.inf], size))
    l1 = rng.choice([0.0, 0.0, 1.0, 0.5], size)
    start = box.clip(rng.integers(-2, 3, size).astype(float))
    gradient = hessian @ rng.integers(-3, 4, size) + l1 * rng.choice([-1.0, 0.0, 1.0], size)
    point = check_minimum(start, gradient, hessian, l1, box)
    assert np.abs(point).max() <= 1e3  # no run along what neither rises nor falls


@given(seed=seeds, size=st.integers(1, 8), rank=st.integers(0, 6))
def test_bounds_end_what_no_curvature_does(seed: int, size: int, rank: int) -> None:
    """In a box of finite bounds every quadratic has a minimum, a linear function too."""
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=size)
    box = Box(lower, lower + rng.exponential(size=size))
    start = box.clip(rng.normal(size=size))
    hessian = gram(rng, size, min(rank, size))
    check_minimum(start, rng.normal(size=size), hessian, np.zeros(size), box)


@given(seed=seeds, size=st.integers(2, 8))
def test_the_bounded_step_reaches_as_low_as_a_slow_method(seed: int, size: int) -> None:
    """Gradient steps, thresholded and clipped: both are separable, so one after the other is."""
    rng = np.random.default_rng(seed)
    hessian = random_matrix(seed, rng.uniform(0.5, 3, size))
    l1 = rng.exponential(size=size) * (rng.random(size) < 0.5)
    box, gradient = random_box(rng, size), 2 * rng.normal(size=size)
    start = box.clip(rng.normal(size=size))
    slow = start
    for _ in range(200):
        ahead = slow - (gradient + hessian @ (slow - start)) / 3
        slow = box.clip(np.sign(ahead) * np.maximum(np.abs(ahead) - l1 / 3, 0.0))
    assert_allclose(check_minimum(start, gradient, hessian, l1, box), slow, atol=1e-10)


@pytest.mark.parametrize("l1", [0.0, 0.05])
@pytest.mark.parametrize("condition", [1e1, 1e6])
def test_one_line_finds_many_bounds(
    monkeypatch: pytest.MonkeyPatch, condition: float, l1: float
) -> None:
    """Some thirty of 120 coordinates end at zero, and as many lines suffice."""
    rng, size, lines = np.random.default_rng(1), 120, []
    follow = quadratic._follow

    def count(*args: object) -> Array | None:
        lines.append(1)
        return follow(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(quadratic, "_follow", count)
    hessian = random_matrix(2, np.logspace(-np.log10(condition), 0, size))
    box = Box(np.zeros(size), np.full(size, np.inf))
    start = np.abs(rng.normal(size=size))
    gradient = hessian @ rng.normal(size=size)
    point = check_minimum(start, gradient, hessian, np.full(size, l1), box)
    assert (point == 0).sum() >= 25
    assert len(lines) <= 30, len(lines)


def test_nothing_moves_along_what_neither_rises_nor_falls() -> None:
    """One number added to all three classes is free; the bounds do not make it slide.

    But for rounding of the slope, which a model near to singular multiplies by up to 10^7.
    """
    hessian = np.kron(np.eye(3) - 1 / 3, random_matrix(1, np.ones(2)))
    box = Box(np.full(6, -4.0), np.full(6, 9.0))
    step = minimise_with_l1(np.full(6, 1.0), hessian @ np.arange(6.0), hessian, np.zeros(6), box)
    assert_allclose(step.reshape(3, 2).sum(axis=0), 0.0, atol=1e-9)
    assert_allclose(step, -(np.arange(6.0) - [2, 3] * 3), atol=1e-9)


TIES = [  # root of the Hessian, gradient, start, l1
    (
        [[-1, 0, 1], [1, -1, -1]],
        [13.5, -8.0, -13.0],
        [1.0, 1.0, -2.0],
        [0.5, 1.0, 0.0],
    ),
]


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("tie", range(len(TIES)))
def test_a_line_without_curvature_ends_where_its_slope_does(tie: int, bounded: bool) -> None:
    """Beyond a kink the l1 terms cancel but for rounding: no reason to go on to 1e15."""
    root, gradient, start, l1 = (np.array(part, dtype=float) for part in TIES[tie])
    box = Box(np.full(len(start), -np.inf), np.full(len(start), 1e3 if bounded else np.inf))
    point = check_minimum(start, gradient, root.T @ root, l1, box)
    assert np.abs(point).max() < 100


@given(seed=seeds, size=st.integers(2, 10), bounded=st.booleans())
def test_a_matrix_that_is_nearly_singular_is_no_excuse(seed: int, size: int, bounded: bool) -> None:
    """A step of 1e11 leaves rounding that looks like a slope no curvature sees."""
    rng = np.random.default_rng(seed)
    hessian = random_matrix(seed, np.logspace(-11, 0, size))
    box = random_box(rng, size) if bounded else Box.endless(size)
    start, l1 = box.clip(rng.normal(size=size)), rng.exponential(size=size)
    gradient = hessian @ rng.normal(size=size) * 3 + 0.9 * l1 * rng.uniform(-1, 1, size)
    check_minimum(start, gradient, hessian, l1, box)


def test_the_pseudo_gradient_is_zero_where_a_bound_holds() -> None:
    z = np.array([0.0, 0.0, 1.0, 1.0, 0.0, -2.0, 0.0])
    slope = np.array([3.0, -3.0, -3.0, 3.0, 3.0, 1.0, -0.5])
    l1 = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    box = Box(
        np.array([0.0, 0.0, 0.0, 0.0, -1.0, -2.0, 0.0]),
        np.array([1.0, 1.0, 1.0, 1.0, 0.0, -2.0, 1.0]),
    )
    assert_array_equal(pseudo_gradient(z, slope, l1, box), [0.0, -2.0, 0.0, 3.0, 2.0, 0.0, 0.0])
