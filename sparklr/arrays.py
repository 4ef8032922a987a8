"""The one array type all layers share. Knows nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from typing import TypeAlias

Array: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
