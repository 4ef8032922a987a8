"""Feature columns of Arrow batches, read as matrices without a loop over rows.

A vector column arrives unwrapped, as struct<type, size, indices, values> with type 1 for dense
and 0 for sparse; an array column arrives as list<double>. Where Spark can write arrays as bytes
(`array_bytes`), these four are columns of their own, with the bytes declared as text, and single
columns arrive as two, whole and values, with NaN in the place of null. Depends on Arrow and
matrices only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array, BoolArray, IntArray, Matrix
from sparklr.rows.blocks import csr

SPARSE, DENSE = 0, 1
# The names of the columns in the place of one, for arrays as bytes: of vectors, and of arrays with
# a column that tells whether a row has no null.
OF_VECTORS = ["type", "size", "indices", "values"]
OF_ARRAYS = ["whole", "values"]


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """The rows of one Arrow batch before they are checked.

    `values` are all stored values, row after row, `lengths[i]` of them in row i, at `columns`
    (None: every row stores all its features). Null rows have length 0.
    """

    values: Array
    columns: IntArray | None
    lengths: IntArray
    sizes: IntArray
    null: BoolArray
    null_element: BoolArray
    broken: BoolArray  # damaged vectors, whose values must not be used

    def matrix(self, features: int) -> Matrix:
        """Return all rows as one matrix, dense if every row stores all its features."""
        rows = len(self.lengths)
        if self.columns is None:
            return self.values.reshape(rows, features)
        kept = self.values != 0
        pointers = np.concatenate(([0], np.cumsum(self.lengths)))
        pointers = np.concatenate(([0], np.cumsum(kept)))[pointers]
        columns = self.columns[kept].astype(np.int32)
        return csr(self.values[kept], columns, pointers.astype(np.int32), features)

    def keep(self, rows: BoolArray) -> FeatureRows:
        """Return only the chosen rows."""
        if rows.all():
            return self
        stored = np.repeat(rows, self.lengths)
        return FeatureRows(
            self.values[stored],
            None if self.columns is None else self.columns[stored],
            self.lengths[rows],
            self.sizes[rows],
            self.null[rows],
            self.null_element[rows],
            self.broken[rows],
        )

    def not_finite(self) -> BoolArray:
        """Return which rows hold NaN or an infinite value."""
        result = np.zeros(len(self.lengths), dtype=bool)
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(self.values.sum()):  # such a value would make the sum not finite
                return result
        bad = ~np.isfinite(self.values)
        if bad.any():
            result[np.repeat(np.arange(len(self.lengths)), self.lengths)[bad]] = True
        return result

    def first_not_finite(self) -> str:
        """Describe the first value that is not finite, and its feature."""
        at = int(np.flatnonzero(~np.isfinite(self.values))[0])
        return f"{self.values[at]} at {self._feature(at)}"

    def first_null_element(self) -> str:
        """Describe the feature of the first null element, which is read as NaN."""
        inside = np.repeat(self.null_element, self.lengths) & np.isnan(self.values)
        return f"at {self._feature(int(np.flatnonzero(inside)[0]))}"

    def _feature(self, at: int) -> str:
        """Return the feature of the stored value at this position."""
        start = np.concatenate(([0], np.cumsum(self.lengths)))
        row = int(np.searchsorted(start, at, side="right")) - 1
        feature = at - int(start[row]) if self.columns is None else int(self.columns[at])
        return f"feature {feature}"


def split_features(batch: pa.RecordBatch) -> tuple[FeatureRows, list[pa.Array]]:
    """Return the features of a batch, which come first, and its other columns."""
    columns, names = batch.columns, batch.schema.names
    for known, read in ((OF_VECTORS, _read_parts), (OF_ARRAYS, _read_bytes)):
        if names[: len(known)] == known:
            return read(columns[: len(known)]), columns[len(known) :]
    return read_features(columns[0]), columns[1:]


def read_features(column: pa.Array) -> FeatureRows:
    """Read a feature column, a StructArray of vectors or a list array."""
    if pa.types.is_struct(column.type):
        return _read_vectors(column.flatten(), _nulls(column))
    return _read_arrays(column)


def _read_parts(parts: list[pa.Array]) -> FeatureRows:
    """Read the four columns of vectors."""
    return _read_vectors(parts, np.logical_and.reduce([_nulls(part) for part in parts]))


def _read_bytes(columns: list[pa.Array]) -> FeatureRows:
    """Read the two columns of arrays."""
    whole, values = columns
    flat, lengths = _elements(values, np.dtype(np.float64))
    none = np.zeros(len(whole), dtype=bool)
    null_element = ~np.asarray(whole.to_numpy(zero_copy_only=False), dtype=bool)
    return FeatureRows(flat, None, lengths, lengths, none, null_element, none)


def _read_arrays(column: pa.Array) -> FeatureRows:
    values, lengths, null_values = _flat(column)
    elements = np.zeros(len(column), dtype=bool)
    if null_values is not None:
        elements[np.repeat(np.arange(len(column)), lengths)[null_values]] = True
    none = np.zeros(len(column), dtype=bool)
    return FeatureRows(values, None, lengths, lengths, _nulls(column), elements, none)


def _read_vectors(parts: list[pa.Array], null: BoolArray) -> FeatureRows:
    kinds, sizes, indices, values = parts
    flat, lengths = _elements(values, np.dtype(np.float64))
    none = np.zeros(len(null), dtype=bool)
    dense = _numbers(kinds, np.int64) == DENSE
    width = np.where(dense, lengths, _numbers(sizes, np.int64))
    if (dense | null).all():
        return FeatureRows(flat, None, lengths, width, null, none, none)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(flat)) - np.repeat(starts, lengths)
    stored, counts = _elements(indices, np.dtype(np.int32))
    sparse = ~(dense | null)
    broken = sparse & ((counts != lengths) | (_numbers(kinds, np.int64) != SPARSE))
    for part in parts:
        broken |= sparse & _nulls(part)
    broken |= sparse & (width < 0)
    whole = sparse & ~broken
    if counts[~whole].any():  # indices of rows that are not sparse, or broken
        stored = stored[np.repeat(whole, counts)]
    places[np.repeat(whole, lengths)] = _whole(stored)
    broken |= sparse & ~_rising(places, lengths, starts, width)
    return FeatureRows(flat, places, lengths, width, null, none, broken)


def _rising(places: IntArray, lengths: IntArray, starts: IntArray, width: IntArray) -> BoolArray:
    """Return which rows have strictly increasing indices within [0, width)."""
    if len(places) == 0:
        return np.ones(len(lengths), dtype=bool)
    wrong = np.zeros(len(places), dtype=bool)
    wrong[1:] = places[1:] <= places[:-1]
    wrong[starts[lengths > 0]] = False
    wrong |= (places < 0) | (places >= np.repeat(width, lengths))
    if not wrong.any():
        return np.ones(len(lengths), dtype=bool)
    found = np.ones(len(lengths), dtype=bool)
    found[np.repeat(np.arange(len(lengths)), lengths)[wrong]] = False
    return found


def _elements(column: pa.Array, kind: np.dtype[np.generic]) -> tuple[np.ndarray, IntArray]:
    """Return the elements of a list array, or of text with their bytes, and the rows' lengths."""
    if pa.types.is_list(column.type):
        values, lengths, _ = _flat(column)
        return values, lengths
    wide = pa.types.is_large_string(column.type)
    _, ends, data = column.buffers()
    offsets = np.frombuffer(ends, np.int64 if wide else np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1] // kind.itemsize
    if data is None:  # all rows are empty
        return np.zeros(0, kind), np.zeros(len(column), dtype=np.int64)
    count = int(offsets[-1] - offsets[0])
    values = np.frombuffer(data, kind, count, int(offsets[0]) * kind.itemsize)
    return values, np.diff(offsets).astype(np.int64)


def _flat(lists: pa.ListArray) -> tuple[Array, IntArray, BoolArray | None]:
    """Return the elements of a list array in one array, the rows' lengths, and null elements."""
    offsets = lists.offsets.to_numpy()
    elements = lists.values.slice(offsets[0], offsets[-1] - offsets[0])
    null = elements.is_null().to_numpy(zero_copy_only=False) if elements.null_count else None
    lengths = np.diff(offsets).astype(np.int64)
    if lists.null_count:  # Arrow allows elements in a null list; Spark writes no such lists
        lengths[_nulls(lists)] = 0
    return elements.to_numpy(zero_copy_only=False), lengths, null


def _nulls(column: pa.Array) -> BoolArray:
    if column.null_count == 0:
        return np.zeros(len(column), dtype=bool)
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def _numbers(column: pa.Array, kind: type) -> IntArray:
    """Return a column of whole numbers, with 0 for null."""
    filled = column.fill_null(0) if column.null_count else column
    return np.asarray(filled.to_numpy(zero_copy_only=False)).astype(kind)


def _whole(numbers: np.ndarray) -> IntArray:
    """Return indices as integers, with -1 for null; Arrow gives floats if any index is null."""
    if numbers.dtype.kind == "f":
        numbers = np.where(np.isnan(numbers), -1, numbers)
    return np.asarray(numbers.astype(np.int64, copy=False))


def read_numbers(column: pa.Array) -> Array:
    """Return a column of doubles, with NaN for null."""
    numbers = column.to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)
