"""The models of several fits that are made at once, for callers that ask for one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

M = TypeVar("M")


class FitsInOrder(Generic[M]):
    """An iterator of (index, model) that threads may share; the first call fits all models."""

    def __init__(self, fit: Callable[[], Sequence[M]], count: int) -> None:
        self._fit, self._count, self._next = fit, count, 0
        self._models: Sequence[M] = ()
        self._lock = Lock()

    def __iter__(self) -> FitsInOrder[M]:
        return self

    def __next__(self) -> tuple[int, M]:
        with self._lock:
            if self._next == self._count:
                raise StopIteration
            if not self._models:
                self._models = self._fit()
            at = self._next
            self._next += 1
            return at, self._models[at]
