"""Vectors and matrices stored as Spark stores a model's: dense, or sparse where that is smaller."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from pyspark.ml.linalg import (
    DenseMatrix,
    DenseVector,
    Matrix,
    SparseMatrix,
    SparseVector,
    Vector,
)

from sparklr.arrays import Array
from sparklr.arrays import Matrix as ArrayMatrix

ARRAY_HEADER = 12  # bytes the JVM adds to an array, as Spark counts them


def compress_vector(values: Array) -> Vector:
    """Spark's `Vector.compressed`."""
    kept = np.flatnonzero(values)
    if 12 * len(kept) + 2 * ARRAY_HEADER < 8 * len(values) + 8:
        return SparseVector(len(values), kept, values[kept])
    return DenseVector(values)


def compress_matrix(values: Array) -> Matrix:
    """Spark's `Matrix.compressed` of a matrix held row by row."""
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
    """The values as they are stored: an array, or CSR if they are sparse."""
    if not isinstance(matrix, SparseMatrix):
        return dense_matrix(matrix)
    kind = sp.csr_matrix if matrix.isTransposed else sp.csc_matrix
    shape = (matrix.numRows, matrix.numCols)
    return kind((matrix.values, matrix.rowIndices, matrix.colPtrs), shape=shape).tocsr()


def by_row(matrix: Matrix) -> Matrix:
    """The same values, stored row by row."""
    if matrix.isTransposed:
        return matrix
    rows, size = stored_matrix(matrix), (matrix.numRows, matrix.numCols)
    if isinstance(rows, np.ndarray):
        return DenseMatrix(*size, rows.ravel(), isTransposed=True)
    return SparseMatrix(*size, rows.indptr, rows.indices, rows.data, isTransposed=True)


def dense_matrix(matrix: Matrix) -> Array:
    """The values as an array."""
    return np.ascontiguousarray(matrix.toArray(), dtype=np.float64)


def dense_vector(vector: Vector) -> Array:
    """The values as an array."""
    return np.asarray(vector.toArray(), dtype=np.float64)
