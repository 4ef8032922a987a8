"""The array types and units that all layers share."""

from __future__ import annotations

from mmap import mmap
from typing import TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Array: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
# Two-dimensional.
Matrix: TypeAlias = Array | sp.csr_matrix
# Bytes that are read in place; also pyarrow's buffers, which have no type annotations.
Buffer: TypeAlias = bytes | memoryview | mmap

MEGABYTE = 2**20


def is_sparse(matrix: Matrix) -> TypeGuard[sp.csr_matrix]:
    """Whether a matrix is CSR."""
    return bool(sp.issparse(matrix))


def nonzeros(values: Array) -> int:
    """Return the number of values that are not zero; numpy counts booleans five times faster."""
    return int(np.count_nonzero(values != 0))
