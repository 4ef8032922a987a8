"""The array types and units that all layers share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
# A two-dimensional Array or scipy's csr_matrix, which has no type annotations.
Matrix: TypeAlias = Any

MEGABYTE = 2**20
