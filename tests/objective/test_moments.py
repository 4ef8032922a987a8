"""Moments: merged or whole, dense or CSR, near zero or far from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array, Matrix
from sparklr.objective import moments as ours
from sparklr.objective.moments import FAR, OF_OFFSETS, Moments, no_rows
from sparklr.rows.blocks import Block

storage = pytest.mark.parametrize("convert", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])


def moments_of(matrix: Matrix, labels: Array, weights: Array | None) -> Moments:
    first = matrix[:, [0]]
    offsets = np.ravel(first.toarray() if sp.issparse(first) else first)
    return ours.moments_of(Block(matrix, labels, weights, row_offsets=offsets))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Array, Array, Array | None]:
    """Rows with many zeros and repeats, their labels, and weights or None."""
    rows, features = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    values = st.one_of(st.just(0.0), st.just(0.1), st.floats(-1e3, 1e3, width=32))
    matrix = draw(arrays.arrays(np.float64, (rows, features), elements=values))
    labels = draw(arrays.arrays(np.float64, rows, elements=st.sampled_from([0.0, 1.0, 4.0])))
    weights = arrays.arrays(np.float64, rows, elements=st.floats(0.01, 100))
    return matrix, labels, draw(st.none() | weights)


def assert_alike(found: Moments, expected: Moments) -> None:
    """Equal but for rounding; extremes, counts and labels to the bit."""
    for name in ("rows", "nonzeros", "minimum", "maximum", "labels", *OF_OFFSETS[1:]):
        assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for name in ("weight", "weight_squares", "label_weights"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-13, err_msg=name)
    size = max(abs(expected.offset_minimum), abs(expected.offset_maximum), 1e-300)
    assert abs(found.offset_mean - expected.offset_mean) <= 1e-13 * size
    size = np.maximum(np.abs(expected.minimum), np.abs(expected.maximum))
    size = np.where(np.isfinite(size), size, 0.0)
    assert (np.abs(found.mean - expected.mean) <= 1e-13 * size).all()
    assert (np.abs(found.spread - expected.spread) <= 1e-12 * expected.weight * size**2).all()
    constant = expected.minimum == expected.maximum
    assert (found.variance[constant] == 0).all()
    assert (expected.variance[constant] == 0).all()


def merge_all(pieces: Sequence[Moments], features: int) -> Moments:
    total = no_rows(features)
    for piece in pieces:
        total = total.merge(piece)
    return total


@given(table=tables(), data=st.data())
def test_pieces_merge_to_the_whole(
    table: tuple[Array, Array, Array | None], data: st.DataObject
) -> None:
    """Cut anywhere, with empty pieces among them, some dense and some CSR."""
    matrix, labels, weights = table
    cuts = data.draw(st.lists(st.integers(0, len(labels)), max_size=4), label="cuts")
    pieces = []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(labels)], strict=True):
        part = sp.csr_matrix(matrix[begin:end]) if begin % 2 else matrix[begin:end]
        pieces.append(
            moments_of(part, labels[begin:end], None if weights is None else weights[begin:end])
        )
    merged = merge_all(pieces, matrix.shape[1])
    assert_alike(merged, moments_of(matrix, labels, weights))
    backwards = merge_all(pieces[::-1], matrix.shape[1])
    assert_alike(backwards, merged)


@given(table=tables())
def test_csr_has_the_moments_of_dense(table: tuple[Array, Array, Array | None]) -> None:
    matrix, labels, weights = table
    dense = moments_of(matrix, labels, weights)
    assert_alike(moments_of(sp.csr_matrix(matrix), labels, weights), dense)


@given(table=tables())
def test_the_formulas_hold_in_exact_arithmetic(table: tuple[Array, Array, Array | None]) -> None:
    """Weighted unbiased variance: the spread over W - sum of w^2 / W."""
    matrix, labels, weights = table
    moments = moments_of(matrix, labels, weights)
    w = [Fraction(1)] * len(labels) if weights is None else [Fraction(x) for x in weights]
    total, squares = sum(w), sum(x * x for x in w)
    assert moments.weight == pytest.approx(float(total), rel=1e-14)
    assert moments.weight_squares == pytest.approx(float(squares), rel=1e-14)
    for j in range(matrix.shape[1]):
        x = [Fraction(value) for value in matrix[:, j]]
        mean = sum(a * b for a, b in zip(w, x, strict=True)) / total
        spread = sum(a * (b - mean) ** 2 for a, b in zip(w, x, strict=True))
        size = max(abs(float(value)) for value in x)
        assert abs(moments.mean[j] - float(mean)) <= 1e-14 * size
        if len(labels) > 1:
            variance = float(spread / (total - squares / total))
            share = float(spread / total)
            rounding = 1e-14 * size**2 * (variance / share if share else 0)
            assert abs(moments.variance[j] - variance) <= 1e-12 * variance + rounding


@storage
@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e6 + 0.1, 0.0, 1e-200])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_constant_has_no_variance(
    convert: type, value: float, weighted: bool, pieces: int
) -> None:
    """Exactly none, though its mean over the pieces is rounded."""
    rng = np.random.default_rng(0)
    rows = 35
    matrix = np.column_stack((np.full(rows, value), rng.normal(size=rows)))
    weights = rng.uniform(0.1, 3, rows) if weighted else None
    parts = []
    for part in np.array_split(np.arange(rows), pieces):
        each = None if weights is None else weights[part]
        parts.append(moments_of(convert(matrix[part]), np.zeros(len(part)), each))
    moments = merge_all(parts, 2)
    assert moments.variance[0] == 0
    assert moments.variance[1] > 0
    assert moments.mean[0] == pytest.approx(value, rel=1e-14)


def test_rounding_in_the_spread_of_a_constant_is_not_variance() -> None:
    moments = moments_of(np.array([[0.1, 1.0], [0.1, 2.0]]), np.zeros(2), None)
    rounded = replace(moments, spread=np.array([1e-17, 0.5]))
    assert_array_equal(rounded.variance, [0.0, 0.5])


@storage
@pytest.mark.parametrize("weighted", [False, True])
def test_a_far_mean_costs_no_digits(convert: type, weighted: bool) -> None:
    """Mean 1e6 and deviation 1: a sum of squares would keep four digits, not nine."""
    rng = np.random.default_rng(1)
    column = 1e6 + rng.normal(size=400)
    weights = rng.uniform(0.5, 2, 400) if weighted else None
    w = [Fraction(1)] * 400 if weights is None else [Fraction(x) for x in weights]
    x = [Fraction(value) for value in column]
    total = sum(w)
    mean = sum(a * b for a, b in zip(w, x, strict=True)) / total
    spread = sum(a * (b - mean) ** 2 for a, b in zip(w, x, strict=True))
    variance = float(spread / (total - sum(a * a for a in w) / total))
    for pieces in (1, 5):
        parts = [
            moments_of(
                convert(column[part, None]),
                np.zeros(len(part)),
                None if weights is None else weights[part],
            )
            for part in np.array_split(np.arange(400), pieces)
        ]
        moments = merge_all(parts, 1)
        assert moments.variance[0] == pytest.approx(variance, rel=1e-9)
        assert moments.mean[0] == pytest.approx(float(mean), rel=1e-15)


@storage
def test_a_single_row_has_no_variance(convert: type) -> None:
    moments = moments_of(convert(np.array([[3.0, 0.0, -1.0]])), np.array([1.0]), np.array([2.5]))
    assert_array_equal(moments.variance, np.zeros(3))
    assert_array_equal(moments.mean, [3.0, 0.0, -1.0])
    assert moments.rows == 1
    assert moments.weight == 2.5


def test_no_rows_have_neutral_moments() -> None:
    nothing = no_rows(2)
    assert_array_equal(nothing.variance, np.zeros(2))
    assert nothing.origin is None
    some = moments_of(np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([0.0, 1.0]), None)
    for merged in (nothing.merge(some), some.merge(nothing)):
        for item in fields(Moments):
            assert_array_equal(getattr(merged, item.name), getattr(some, item.name))
    assert moments_of(np.zeros((0, 2)), np.zeros(0), None).rows == 0
    assert nothing.merge(nothing).rows == 0


@given(table=tables())
def test_arrays_and_back(table: tuple[Array, Array, Array | None]) -> None:
    moments = moments_of(*table)
    again = Moments.from_arrays(moments.to_arrays())
    for item in fields(Moments):
        before, after = getattr(moments, item.name), getattr(again, item.name)
        assert type(before) is type(after), item.name
        assert_array_equal(before, after)


def test_arrays_hold_no_objects() -> None:
    moments = moments_of(np.ones((3, 2)), np.array([0.0, 1.0, 1.0]), None)
    assert set(moments.to_arrays()) == {item.name for item in fields(Moments)}
    assert all(array.dtype.kind in "if" for array in moments.to_arrays().values())


def test_the_histogram_counts_weight_by_label() -> None:
    labels, weights = np.array([2.0, 0.0, 2.0, 5.0]), np.array([1.0, 0.5, 2.0, 4.0])
    moments = moments_of(np.zeros((4, 1)), labels, weights)
    assert_array_equal(moments.labels, [0.0, 2.0, 5.0])
    assert_array_equal(moments.histogram(7), [0.5, 0.0, 3.0, 0.0, 0.0, 4.0, 0.0])


@storage
def test_stored_values_are_counted_only_if_not_zero(convert: type) -> None:
    matrix = convert(np.array([[1.0, 0.0], [0.0, 0.0], [2.0, -1.0]]))
    if sp.issparse(matrix):
        matrix.data[0] = 0.0  # stored, but a zero all the same
    else:
        matrix[0, 0] = 0.0
    moments = moments_of(matrix, np.zeros(3), None)
    assert moments.nonzeros == 2
    assert_array_equal(moments.minimum, [0.0, -1.0])
    assert_array_equal(moments.maximum, [2.0, 0.0])


@storage
def test_only_far_columns_that_vary_are_counted_from_their_mean(convert: type) -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=50)
    matrix = np.column_stack((noise, 2 * FAR + noise, np.full(50, 1e6), 0.5 * FAR + noise))
    moments = moments_of(convert(matrix), np.zeros(50), None)
    assert moments.origin is not None
    assert_array_equal(moments.origin, [0.0, moments.mean[1], 0.0, 0.0])
    assert moments_of(convert(matrix[:, [0, 2, 3]]), np.zeros(50), None).origin is None


@storage
def test_rows_are_not_written_into(convert: type) -> None:
    matrix = convert(np.arange(6.0).reshape(3, 2))
    arrays_of = [matrix.data] if sp.issparse(matrix) else [matrix]
    labels, weights = np.array([0.0, 1.0, 1.0]), np.ones(3)
    for array in (*arrays_of, labels, weights):
        array.setflags(write=False)
    moments_of(matrix, labels, weights)


def test_moments_alike_are_of_the_same_rows_in_any_order() -> None:
    rng = np.random.default_rng(8)
    matrix, labels = rng.normal(size=(40, 3)), rng.integers(0, 2, 40).astype(float)
    whole = moments_of(matrix, labels, None)
    turned = moments_of(matrix[30:], labels[30:], None).merge(
        moments_of(matrix[:30], labels[:30], None)
    )
    assert whole.alike(turned)
    assert not whole.alike(moments_of(matrix[1:], labels[1:], None))
    matrix[3, 1] = 9.0
    assert not whole.alike(moments_of(matrix, labels, None))
