"""The cone of directions that lower no comparison, and what guards it against rounding."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.inference.cone import UndecidedError, cone_of
from sparklr.inference.frame import spread_rows
from sparklr.rows.blocks import Block
from tests.inference.exact import movable

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
    assert_allclose(sparse.basis, cone.basis, atol=1e-12)


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


def test_small_terms_have_as_many_right_digits_as_large_ones() -> None:
    """Rows that are large in what d does not change, and tight by a millionth of that."""
    matrix, signs = signed(2, 60, 3)
    matrix[:, 2] = -matrix[:, 1] / np.sqrt(2)
    matrix[:, 1:] *= 1e-6
    moved = np.arange(60) < 20
    matrix[moved, 1:] = np.abs(signed(3, 20, 2)[0]) * signs[moved, None]
    compared = matrix * signs[:, None]
    cone = cone_of(compared, np.zeros(3, dtype=bool))
    assert_array_equal(cone.moved, moved)
    sizes = np.abs(compared[~moved]) @ np.abs(cone.direction)
    assert (np.abs(compared[~moved] @ cone.direction) <= 64 * 2 * 2.0**-52 * sizes).all()


def test_rows_are_chosen_of_each_label_at_even_distances() -> None:
    labels = np.repeat([0.0, 1.0], (1_000, 4))
    rows = spread_rows(Block(np.arange(1_004.0)[:, None], labels, None), 200)
    assert_array_equal(rows.labels, np.repeat([0.0, 1.0], (100, 4)))
    assert (rows.matrix[0, 0], rows.matrix[99, 0]) == (0, 999)
