"""Collections of garbage in Spark's Python workers.

A worker that will run another task collects all garbage after each one. With numpy, scipy, pandas
and pyarrow that takes 60 ms, as long as a task of a pass over half a million rows, because each
collection looks at all that was ever imported.
"""

from __future__ import annotations

import gc
import os
from functools import cache

# Spark sets this variable to 1 in Python workers that run several tasks.
REUSED = "SPARK_REUSE_WORKER"


def spare_imports() -> None:
    """Leave what this worker has imported out of later collections; other processes do nothing."""
    if os.environ.get(REUSED) == "1":
        _spare_once()


@cache
def _spare_once() -> None:
    gc.collect()  # what is garbage now would stay
    gc.freeze()
