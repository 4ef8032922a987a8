"""Feature columns in every form in which Arrow may bring them, against a reading row by row."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sparklr.arrays import Array
from sparklr.rows.arrow import FeatureRows, read_features, read_numbers

# A row as Arrow carries a vector, or None for null.
Row: TypeAlias = "dict[str, Any] | None"

VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)


def dense_row(*values: float) -> Row:
    """A dense vector as Spark unwraps it."""
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def sparse_row(size: int, stored: dict[int, float]) -> Row:
    """A sparse vector as Spark unwraps it."""
    return {
        "type": 0,
        "size": size,
        "indices": list(stored),
        "values": [float(value) for value in stored.values()],
    }


def vector_column(rows: list[Row]) -> pa.StructArray:
    """Rows as a column of vectors."""
    return pa.array(rows, VECTOR)


def as_bytes(column: pa.StructArray) -> pa.StructArray:
    """The same vectors with their arrays as text that holds the bytes, as a classic session has."""

    def bytes_of(name: str, kind: str) -> pa.Array:
        lists = column.field(name).to_pylist()
        parts = [None if one is None else np.array(one, kind).tobytes() for one in lists]
        return pa.array(parts, pa.binary()).view(pa.string())

    columns = [column.field("type"), column.field("size"), bytes_of("indices", "i4")]
    names = list(column.type.names)
    columns.append(bytes_of("values", "f8"))
    return pa.StructArray.from_arrays(columns, names=names, mask=column.is_null())


FORMS = {"lists": lambda column: column, "bytes": as_bytes}


def row_by_row(row: Row, features: int) -> Array:
    """What a row holds, read slowly."""
    numbers = np.zeros(features)
    assert row is not None
    places = range(features) if row["type"] == 1 else row["indices"]
    for place, value in zip(places, row["values"], strict=True):
        numbers[place] = value
    return numbers


def dense(matrix: Any) -> Array:
    return matrix.toarray() if sp.issparse(matrix) else matrix


def assert_reads_as(column: pa.StructArray, rows: list[Row], features: int) -> FeatureRows:
    """Everything `read_features` tells of a column is what its rows say one by one."""
    for form in FORMS.values():
        read = assert_form_reads_as(form(column), rows, features)
    return read


def assert_form_reads_as(column: pa.StructArray, rows: list[Row], features: int) -> FeatureRows:
    """The same for one form of the column."""
    read = read_features(column)
    null = np.array([row is None for row in rows], dtype=bool)
    assert_array_equal(read.null, null)
    assert not read.null_element.any()
    present = [row for row in rows if row is not None]
    sizes = [len(row["values"]) if row["type"] == 1 else row["size"] for row in present]
    assert_array_equal(read.sizes[~null], sizes)
    expected = np.array([row_by_row(row, features) for row in present]).reshape(-1, features)
    finite = np.isfinite(expected).all(axis=1)
    assert_array_equal(read.not_finite()[~null], ~finite)
    assert not read.not_finite()[null].any()
    matrix = read.keep(~null).matrix(features)
    assert matrix.shape == expected.shape
    assert_array_equal(dense(matrix), expected)
    if not finite.all():
        row, feature = np.argwhere(~np.isfinite(expected))[0]
        assert read.first_not_finite() == f"{expected[row, feature]} at feature {feature}"
    return read


numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf]),
    st.floats(allow_nan=False, width=32),
)


@st.composite
def columns(draw: st.DrawFn) -> tuple[list[Row], int, int, int]:
    """Rows of equal size, of both kinds and null, that size, and a slice of them."""
    features = draw(st.integers(1, 5))
    vectors = st.lists(numbers, min_size=features, max_size=features).map(lambda v: dense_row(*v))
    stored = st.dictionaries(st.integers(0, features - 1), numbers)
    sparse = stored.map(lambda d: sparse_row(features, dict(sorted(d.items()))))
    kinds = draw(
        st.sampled_from(
            [[vectors], [sparse], [vectors, sparse], [vectors, st.none()], [sparse, st.none()],
             [vectors, sparse, st.none()]]
        )
    )  # fmt: skip
    rows = draw(st.lists(st.one_of(*kinds), max_size=8))
    begin = draw(st.integers(0, len(rows)))
    return rows, features, begin, draw(st.integers(begin, len(rows)))


@given(columns(), st.randoms(use_true_random=False))
def test_columns_read_as_their_rows_do(case: tuple[list[Row], int, int, int], chance: Any) -> None:
    rows, features, begin, end = case
    part = rows[begin:end]
    read = assert_reads_as(vector_column(rows).slice(begin, end - begin), part, features)
    kept = np.array([row is not None and chance.random() < 0.5 for row in part], dtype=bool)
    expected = [row_by_row(row, features) for row, keep in zip(part, kept, strict=True) if keep]
    assert_array_equal(
        dense(read.keep(kept).matrix(features)), np.array(expected).reshape(-1, features)
    )


@given(st.lists(st.none() | st.lists(st.none() | numbers, max_size=4), max_size=6), st.data())
def test_arrays_read_as_their_rows_do(
    rows: list[list[float | None] | None], data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, len(rows)))
    part = rows[begin:]
    read = read_features(pa.array(rows, pa.list_(pa.float64())).slice(begin))
    assert_array_equal(read.null, np.array([row is None for row in part], dtype=bool))
    assert_array_equal(
        read.null_element,
        np.array([row is not None and None in row for row in part], dtype=bool),
    )
    assert_array_equal(read.sizes, np.array([len(row or ()) for row in part], dtype=int))
    flat = [np.nan if value is None else value for row in part for value in row or ()]
    assert_array_equal(read.values, np.array(flat, dtype=float))


@pytest.mark.parametrize("begin", [0, 1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_a_slice_reads_as_its_own_rows(begin: int, form: str) -> None:
    rows = [dense_row(1, 2), sparse_row(2, {1: 3.0}), None, dense_row(0, 4), sparse_row(2, {})]
    for end in range(begin, len(rows) + 1):
        column = FORMS[form](vector_column(rows)).slice(begin, end - begin)
        assert_form_reads_as(column, rows[begin:end], 2)


def test_dense_rows_are_read_without_a_copy() -> None:
    column = vector_column([dense_row(1, 2, 3), dense_row(4, 5, 6), dense_row(7, 8, 9)])
    matrix = read_features(column.slice(1)).matrix(3)
    assert_array_equal(matrix, [[4, 5, 6], [7, 8, 9]])
    assert np.shares_memory(matrix, column.field("values").values.to_numpy())
    text = as_bytes(column)
    bytes_there = np.frombuffer(text.field("values").buffers()[2], np.uint8)
    assert np.shares_memory(read_features(text).matrix(3), bytes_there)


def test_rows_are_dense_only_if_all_are() -> None:
    one, other = dense_row(1, 0), sparse_row(2, {0: 1.0})
    assert not sp.issparse(read_features(vector_column([one, one])).matrix(2))
    assert sp.issparse(read_features(vector_column([other, other])).matrix(2))
    assert sp.issparse(read_features(vector_column([one, other])).matrix(2))


def test_explicit_zeros_are_not_stored() -> None:
    rows = [sparse_row(4, {0: 0.0, 2: 5.0}), sparse_row(4, {3: 0.0}), dense_row(0, 1, 0, 0)]
    matrix = assert_reads_as(vector_column(rows), rows, 4).matrix(4)
    assert matrix.nnz == 2
    assert_array_equal(matrix.indptr, [0, 1, 1, 2])
    assert_array_equal(matrix.indices, [2, 1])


def test_an_explicit_nan_is_no_zero() -> None:
    rows = [sparse_row(3, {1: np.nan})]
    matrix = read_features(vector_column(rows)).matrix(3)
    assert_array_equal(matrix.toarray(), [[0, np.nan, 0]])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([dense_row(1, 2, np.nan), dense_row(np.inf, 0, 0)], "nan at feature 2"),
        ([None, dense_row(1, 2, 3), None, dense_row(1, -np.inf, 3)], "-inf at feature 1"),
        ([sparse_row(9, {}), sparse_row(9, {1: 1.0, 7: np.inf})], "inf at feature 7"),
        ([dense_row(1, 2, 3), None, sparse_row(3, {2: np.nan})], "nan at feature 2"),
        ([sparse_row(2, {0: 1.0}), dense_row(1.0, np.nan)], "nan at feature 1"),
    ],
)
def test_the_first_bad_number_is_named_by_its_feature(rows: list[Row], told: str) -> None:
    read = read_features(vector_column(rows))
    assert read.first_not_finite() == told


def test_a_bad_number_in_an_array_is_named_by_its_feature() -> None:
    column = pa.array([None, [1.0, 2.0], [3.0, np.nan]], pa.list_(pa.float64()))
    for begin in (0, 1, 2):
        assert read_features(column.slice(begin)).first_not_finite() == "nan at feature 1"


def test_rows_of_unequal_size_tell_their_sizes() -> None:
    rows = [dense_row(1, 2), sparse_row(7, {0: 1.0}), dense_row(), sparse_row(0, {})]
    assert_array_equal(read_features(vector_column(rows)).sizes, [2, 7, 0, 0])


def test_arrays_tell_nulls_from_null_elements() -> None:
    column = pa.array([[1.0, None], None, [np.nan, 2.0], [3.0, 4.0]], pa.list_(pa.float64()))
    read = read_features(column)
    assert_array_equal(read.null, [False, True, False, False])
    assert_array_equal(read.null_element, [True, False, False, False])
    assert_array_equal(read.keep(np.array([False, False, False, True])).matrix(2), [[3, 4]])


def test_a_column_without_rows_reads_as_none() -> None:
    assert read_features(vector_column([])).matrix(3).shape == (0, 3)
    arrays = read_features(pa.array([], pa.list_(pa.float64())))
    assert arrays.matrix(3).shape == (0, 3)
    assert not arrays.not_finite().any()


def test_null_numbers_read_as_nan() -> None:
    column = pa.array([9.0, 1.0, None, np.inf, np.nan], pa.float64())
    assert_array_equal(read_numbers(column.slice(1)), [1.0, np.nan, np.inf, np.nan])
    assert read_numbers(pa.array([], pa.float64())).shape == (0,)
    assert read_numbers(pa.array([1.0], pa.float64())).dtype == np.float64


def damaged_row(**parts: Any) -> Row:
    """A sparse vector of three features with parts that are not as they should be."""
    whole: dict[str, Any] = {"type": 0, "size": 3, "indices": [0, 2], "values": [1.0, 2.0]}
    return {**whole, **parts}


DAMAGED = {
    "beyond the size": damaged_row(indices=[0, 3]),
    "far beyond": damaged_row(indices=[0, 2**31 - 1]),
    "negative": damaged_row(indices=[-1, 2]),
    "twice": damaged_row(indices=[1, 1]),
    "falling": damaged_row(indices=[2, 0]),
    "null place": damaged_row(indices=[0, None]),
    "places too few": damaged_row(indices=[0]),
    "places too many": damaged_row(indices=[0, 1, 2]),
    "no places": damaged_row(indices=None),
    "no values": damaged_row(values=None),
    "no size": damaged_row(size=None),
    "negative size": damaged_row(size=-3, indices=[], values=[]),
    "neither places nor values": damaged_row(indices=None, values=None),
    "no type": damaged_row(type=None),
    "another type": damaged_row(type=7),
}


# A null among indices has no bytes of its own: the JVM gives 0, to Spark's own vectors too.
@pytest.mark.parametrize(
    ("form", "damage"), [(form, damage) for form in FORMS for damage in DAMAGED]
)
def test_a_damaged_vector_is_told_from_its_neighbours(form: str, damage: str) -> None:
    """Indices are used to read memory: none may be believed unseen."""
    good = [sparse_row(3, {1: 5.0}), dense_row(1.0, 2.0, 3.0), None, sparse_row(3, {})]
    extra = {**(dense_row(1.0, 2.0, 3.0) or {}), "indices": [9, 9]}  # a dense row needs no indices
    rows = [*good, DAMAGED[damage], extra, *good]
    if (form, damage) == ("bytes", "null place"):
        rows[4] = damaged_row(indices=[0, 0])
    read = read_features(FORMS[form](vector_column(rows)))
    assert np.flatnonzero(read.broken).tolist() == [4]
    kept = ~(read.null | read.broken)
    expected = [row_by_row(row, 3) for row, keep in zip(rows, kept, strict=True) if keep]
    assert_array_equal(dense(read.keep(kept).matrix(3)), expected)
