"""Preconditioners that couple coordinates, whole and within those that are free."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import LinAlgError, block_diag

from sparklr.arrays import Array
from sparklr.solvers import BlockInverse, owlqn
from sparklr.solvers.curvature import MANY_BLOCKS, Curvature
from tests.problems import ask_quadratic, random_matrix, run


def blocks(count: int = 2) -> Array:
    return np.array([random_matrix(seed + 1, np.logspace(0, 3, 4)) for seed in range(count)])


each_count = pytest.mark.parametrize("count", [2, MANY_BLOCKS + 1])


@each_count
def test_a_block_inverse_solves_every_block(count: int) -> None:
    vector = np.random.default_rng(0).normal(size=4 * count)
    matrix = block_diag(*blocks(count))
    assert_allclose(matrix @ BlockInverse(blocks(count))(vector), vector, rtol=1e-9)


@pytest.mark.parametrize("free", [[0, 1, 5], [2], [0, 1, 2, 3], []])
def test_within_free_coordinates_it_solves_their_part(free: list[int]) -> None:
    vector = np.random.default_rng(0).normal(size=8)
    mask = np.isin(np.arange(8), free)
    found = BlockInverse(blocks()).within(mask)(vector)
    part = block_diag(*blocks())[np.ix_(free, free)]
    assert_allclose(found[free], np.linalg.solve(part, vector[free]), rtol=1e-9)
    assert_array_equal(found[~mask], 0)


@each_count
def test_a_matrix_that_is_not_definite_is_refused(count: int) -> None:
    given = blocks(count)
    given[-1] = -given[-1]
    with pytest.raises(LinAlgError):
        BlockInverse(given)


def test_the_memory_within_free_coordinates_meets_its_newest_pair() -> None:
    """The secant condition, H y = s, in the smaller problem."""
    rng, free = np.random.default_rng(3), np.arange(8) % 3 > 0
    curvature = Curvature(BlockInverse(blocks()))
    matrix = block_diag(*blocks()) + 0.1 * np.eye(8)
    for _ in range(3):
        step = np.where(free, rng.normal(size=8), 0.0)
        change = matrix @ step
        curvature.remember(step, change)
    found = curvature.within(free).apply(np.where(free, change, 0.0))
    assert_allclose(found, step, rtol=1e-8, atol=1e-10)


def test_a_true_hessian_takes_few_steps_to_the_l1_minimum() -> None:
    size = 40
    matrix = random_matrix(5, np.logspace(0, 4, size))
    linear = 10 * np.random.default_rng(6).normal(size=size)
    ask, l1 = ask_quadratic(matrix, linear), np.full(size, 5.0)
    plain = run(owlqn(np.zeros(size), l1, precondition=lambda v: v / np.diagonal(matrix)), ask)
    coupled = run(owlqn(np.zeros(size), l1, precondition=BlockInverse(matrix[None])), ask)
    assert coupled.reason.converged
    assert coupled.value <= plain.value + 1e-8 * abs(plain.value)
    assert coupled.steps < plain.steps / 2
