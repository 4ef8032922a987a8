"""Vectors and matrices stored as in Spark's models: dense, or sparse where that is smaller.

The contents of a file are checked here number by number, because Spark's own classes do not check.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pyspark.ml.linalg import (
    DenseMatrix,
    DenseVector,
    Matrix,
    SparseMatrix,
    SparseVector,
    Vector,
)

from sparklr.arrays import Array, IntArray
from sparklr.arrays import Matrix as ArrayMatrix

ARRAY_HEADER = 12  # bytes the JVM adds to an array, as Spark counts them


def compress_vector(values: Array) -> Vector:
    """Return a vector, compressed as by Spark's `Vector.compressed`."""
    kept = np.flatnonzero(values)
    if 12 * len(kept) + 2 * ARRAY_HEADER < 8 * len(values) + 8:
        return SparseVector(len(values), kept, values[kept])
    return DenseVector(values)


def compress_matrix(values: Array) -> Matrix:
    """Return a row-major matrix, compressed as by Spark's `Matrix.compressed`."""
    rows, columns = values.shape
    stored = 12 * int(np.count_nonzero(values)) + 3 * ARRAY_HEADER
    by_column, by_row = stored + 4 * (columns + 1), stored + 4 * (rows + 1)
    if 8 * values.size + ARRAY_HEADER <= min(by_column, by_row):
        return DenseMatrix(rows, columns, values.ravel(), isTransposed=True)
    if by_column <= by_row:
        matrix = sp.csc_matrix(values)
        return SparseMatrix(rows, columns, matrix.indptr, matrix.indices, matrix.data)
    matrix = sp.csr_matrix(values)
    return SparseMatrix(rows, columns, matrix.indptr, matrix.indices, matrix.data, True)


def stored_matrix(matrix: Matrix) -> ArrayMatrix:
    """Return the values as they are stored: an array, or CSR if they are sparse."""
    if not isinstance(matrix, SparseMatrix):
        return dense_matrix(matrix)
    kind = sp.csr_matrix if matrix.isTransposed else sp.csc_matrix
    shape = (matrix.numRows, matrix.numCols)
    return kind((matrix.values, matrix.rowIndices, matrix.colPtrs), shape=shape).tocsr()


def by_row(matrix: Matrix) -> Matrix:
    """Return the same values, stored row by row."""
    if matrix.isTransposed:
        return matrix
    rows, size = stored_matrix(matrix), (matrix.numRows, matrix.numCols)
    if isinstance(rows, np.ndarray):
        return DenseMatrix(*size, rows.ravel(), isTransposed=True)
    return SparseMatrix(*size, rows.indptr, rows.indices, rows.data, isTransposed=True)


def dense_matrix(matrix: Matrix) -> Array:
    """Return the values as an array."""
    return np.ascontiguousarray(matrix.toArray(), dtype=np.float64)


def dense_vector(vector: Vector) -> Array:
    """Return the values as an array."""
    return np.asarray(vector.toArray(), dtype=np.float64)


def read_vector(stored: Any) -> Vector:
    """Return the vector in a saved struct, or raise an error if the struct is damaged."""
    kind, size, places, numbers = stored
    values = _finite_or(numbers, infinite=True)
    if kind == 1:
        return DenseVector(values)
    indices = _whole(places)
    _check_sparse(np.array([0, len(indices)]), indices, values, size)
    return SparseVector(size, indices, values)


def read_matrix(stored: Any) -> Matrix:
    """Return the matrix in a saved struct, or raise an error if the struct is damaged."""
    kind, rows, columns, pointers, places, numbers, by_rows = stored
    values = _finite_or(numbers, infinite=False)
    if min(rows, columns) < 1:
        raise ValueError(f"a matrix of {rows} x {columns}")
    if kind == 1:
        if len(values) != rows * columns:
            raise ValueError(f"{len(values)} values for a matrix of {rows} x {columns}")
        return DenseMatrix(rows, columns, values, bool(by_rows))
    starts, indices = _whole(pointers), _whole(places)
    lines, width = (rows, columns) if by_rows else (columns, rows)
    if len(starts) != lines + 1:
        raise ValueError(f"{len(starts)} pointers for {lines} lines of a sparse matrix")
    _check_sparse(starts, indices, values, width)
    return SparseMatrix(rows, columns, starts, indices, values, bool(by_rows))


def _finite_or(numbers: npt.ArrayLike, *, infinite: bool) -> Array:
    """Return the numbers; refuse NaN, missing numbers and, unless allowed, infinite numbers."""
    values = np.array(numbers, dtype=np.float64)
    bad = values[np.isnan(values) | (np.isinf(values) & (not infinite))]
    if len(bad):
        raise ValueError(f"the number {bad[0]}")
    return values


def _whole(numbers: npt.ArrayLike) -> IntArray:
    return np.array(numbers, dtype=np.int64).reshape(-1)


def _check_sparse(starts: IntArray, indices: IntArray, values: Array, width: int) -> None:
    """Refuse indices that are out of range or repeated."""
    if (
        not starts[0] == 0 <= starts[-1] == len(indices) == len(values)
        or (np.diff(starts) < 0).any()
    ):
        raise ValueError(f"{len(values)} values at {len(indices)} indices of a sparse array")
    if len(indices) == 0:
        return
    first = np.zeros(len(indices), dtype=bool)
    first[starts[:-1][starts[:-1] < len(indices)]] = True
    if (
        indices.min() < 0
        or indices.max() >= width
        or not (first[1:] | (np.diff(indices) > 0)).all()
    ):
        raise ValueError(f"indices of a sparse array that do not rise within 0 to {width - 1}")
