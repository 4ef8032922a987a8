"""The cone of directions that lower no comparison, and what guards it against rounding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array, Matrix
from sparklr.rows.blocks import Block
from sparklr.separation.cone import UndecidedError, cone_of
from sparklr.separation.frame import spread_rows
from tests.separation.exact import movable

NONE_FREE = np.zeros(2, dtype=bool)


def signed(seed: int, rows: int, features: int) -> tuple[Array, Array]:
    """Features of noise, and signs that they do not explain."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)), np.where(rng.random(rows) < 0.5, 1.0, -1.0)


def test_the_span_is_what_the_tight_comparisons_leave() -> None:
    matrix, signs = signed(0, 200, 6)
    matrix[:, :2] = 0.0
    matrix[:15, 0], matrix[15:30, 1] = signs[:15], signs[15:30]
    matrix[:, 5] = matrix[:, 4]
    compared = matrix * signs[:, None]
    cone = cone_of(compared, np.zeros(6, dtype=bool))
    assert_array_equal(cone.moved, movable(compared))
    assert_array_equal(np.flatnonzero(cone.moved), np.arange(30))
    assert (cone.basis.shape, cone.unseen) == ((6, 3), 1)
    assert_allclose(compared @ cone.basis[:, 0], 0.0, atol=1e-12)
    assert_allclose(compared[30:] @ cone.basis, 0.0, atol=1e-12)
    assert (compared[:30] @ cone.direction >= 1 - 1e-9).all()
    assert_array_equal(cone.direction, [1, 1, 0, 0, 0, 0])
    sparse = cone_of(sp.csr_matrix(compared), np.zeros(6, dtype=bool))
    assert_array_equal(sparse.direction, cone.direction)
    assert_allclose(compared[30:] @ sparse.basis, 0.0, atol=1e-12)
    assert (sparse.basis.shape, sparse.unseen) == ((6, 3), 1)


def test_few_terms_are_found_where_few_suffice() -> None:
    """The least sum of |d_j| has fifteen terms or so here."""
    matrix, _ = signed(1, 200, 30)
    compared = matrix * np.sign(matrix[:, [4]] - 0.5)
    compared = np.column_stack((compared, -np.sign(matrix[:, 4] - 0.5)))
    free = np.arange(31) == 30
    cone = cone_of(compared, free)
    assert cone.moved.all()
    assert_array_equal(np.flatnonzero(cone.direction), [4, 30])


def test_less_than_rounding_is_undecided() -> None:
    """(0, 1) raises the second comparison by 1e-10, which the programme cannot see."""
    with pytest.raises(UndecidedError, match="by less than rounding errors"):
        cone_of(np.array([[1.0, 0.0], [-1.0, 1e-10]]), NONE_FREE)
    assert cone_of(np.array([[1.0, 0.0], [-1.0, 1e-4]]), NONE_FREE).moved.all()


@pytest.mark.parametrize("seed", [1, 8, 9])
def test_tiny_values_beside_large_ones(seed: int) -> None:
    """Fifth powers: HiGHS ignores the least entries, but not in the sums that it is given."""
    matrix, _ = signed(seed, 50, 2)
    powers = matrix**5 / np.std(matrix**5, axis=0)
    compared = np.column_stack((powers, np.ones(50))) * np.sign(matrix.sum(axis=1))[:, None]
    cone = cone_of(compared, np.arange(3) == 2)
    assert_array_equal(cone.moved, movable(compared))


@pytest.mark.parametrize("make", [np.array, sp.csr_matrix])
def test_tiny_values_count_in_the_span(make: Callable[[Array], Matrix]) -> None:
    compared = np.array([[0.5, -0.25, -5e-9, 1.0], [1.0, 0.75, 0.125, -1.0]])
    cone = cone_of(make(compared), np.zeros(4, dtype=bool))
    assert cone.unseen == 2
    assert_allclose(compared @ cone.basis[:, :2], 0.0, atol=1e-14)


@pytest.mark.parametrize("seed", [253, 314])
def test_rows_of_very_different_sizes(seed: int) -> None:
    """From 1e-4 to 1e4: small rows count as much, and are tight up to rounding of their terms."""
    rng = np.random.default_rng(seed)
    lattice = rng.integers(-2, 3, size=(40, 2)).astype(float)
    turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    margins = lattice @ [1.0, -2.0]
    signs = np.where(margins == 0, rng.random(40) < 0.5, margins > 0) * 2.0 - 1
    matrix = np.column_stack((rng.normal(size=40), lattice @ turn)) * signs[:, None]
    matrix *= 10.0 ** rng.uniform(-4, 4, size=40)[:, None]
    compared = matrix / matrix.std(axis=0)
    cone = cone_of(compared, np.zeros(3, dtype=bool))
    assert_array_equal(cone.moved, movable(matrix / np.abs(matrix).max(axis=1)[:, None]))
    tight = compared[~cone.moved]
    sizes = np.abs(tight) @ np.abs(cone.direction)
    assert (np.abs(tight @ cone.direction) <= 64 * 3 * 2.0**-52 * sizes).all()


def test_rows_are_chosen_of_each_label_at_even_distances() -> None:
    labels = np.repeat([0.0, 1.0], (1_000, 4))
    rows = spread_rows(Block(np.arange(1_004.0)[:, None], labels, None), 200)
    assert_array_equal(rows.labels, np.repeat([0.0, 1.0], (100, 4)))
    assert (rows.matrix[0, 0], rows.matrix[99, 0]) == (0, 999)
