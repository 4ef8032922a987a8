"""The number of threads for sums in this process, and one BLAS thread in each of these."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

# Threads hold Python's lock between two products of a slice, so more threads would wait for it.
MOST_THREADS = 8


def useful_threads(slots: int | None) -> int:
    """Return the number of threads for sums in this process; `slots` are Spark's task slots."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(slots or 1, here, MOST_THREADS))


class _Limit:
    """BLAS's limit, which is per process: the first user sets it, and the last user lifts it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._limiter: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._limiter = _pools().limit(limits=1)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limiter.restore_original_limits()


_LIMIT = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the `with`, because sums already run in parallel."""
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()  # searches all loaded libraries: once per process is enough
