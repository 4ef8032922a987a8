"""Rows in a user's memory, as vectors, sequences, arrays or scipy matrices."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from pyspark.ml.linalg import DenseVector, SparseVector

from sparklr.arrays import Matrix


def read_rows(value: object, features: int) -> Matrix:
    """Return a matrix (n, p) of many rows, or of one row given as a vector or sequence."""
    if isinstance(value, SparseVector):
        pointers = [0, len(value.indices)]
        rows = sp.csr_matrix((value.values, value.indices, pointers), shape=(1, value.size))
    elif sp.issparse(value):
        rows = sp.csr_matrix(value, dtype=np.float64)
    else:
        rows = np.asarray(value.toArray() if isinstance(value, DenseVector) else value)
        rows = np.atleast_2d(rows.astype(np.float64))
    if rows.ndim != 2:
        raise ValueError(
            f"Rows must be a matrix of shape (rows, features), but have shape {rows.shape}."
        )
    if rows.shape[1] != features:
        raise ValueError(
            f"The row has {rows.shape[-1]} features, but the model was fitted on {features}."
        )
    return rows


def is_table(value: object) -> bool:
    """Whether the value is a matrix of rows, not one row."""
    if isinstance(value, (DenseVector, SparseVector)):
        return False
    return sp.issparse(value) or np.asarray(value).ndim > 1
