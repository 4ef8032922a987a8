"""The memory of a quasi-Newton method: the last pairs (s, y) of step and change of gradient."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve

from sparklr.arrays import Array, BoolArray, IntArray

# Applies an approximate inverse Hessian to a vector; must be linear and positive definite.
Preconditioner: TypeAlias = Callable[[Array], Array]


# More blocks than this are inverted in one call, not factored one by one.
MANY_BLOCKS = 8


def identity(vector: Array) -> Array:
    """The preconditioner that changes nothing."""
    return vector


class BlockInverse:
    """The inverse of a positive definite block diagonal matrix; blocks (C, q, q)."""

    def __init__(self, blocks: Array, free: BoolArray | None = None) -> None:
        self._blocks = blocks
        self._inverses: Array | None = None
        self._parts: list[tuple[IntArray, tuple[Array, bool]]] = []
        count, size, _ = blocks.shape
        if count > MANY_BLOCKS and free is None:
            np.linalg.cholesky(blocks)  # raises an error unless all are positive definite
            inverses = np.linalg.inv(blocks)
            self._inverses = (inverses + inverses.transpose(0, 2, 1)) / 2
            return
        places = np.arange(count * size).reshape(count, size)
        for block, at in zip(blocks, places, strict=True):
            kept = np.arange(size) if free is None else np.flatnonzero(free[at])
            self._parts.append((at[kept], cho_factor(block[np.ix_(kept, kept)], lower=True)))

    @property
    def whole(self) -> bool:
        """Whether it is one block, with no coordinates held apart."""
        return len(self._blocks) == 1

    def __call__(self, vector: Array) -> Array:
        if self._inverses is not None:
            return np.asarray(self._inverses @ vector.reshape(*self._inverses.shape[:2], 1)).ravel()
        result = np.zeros_like(vector)
        for at, factor in self._parts:
            if len(at):
                result[at] = cho_solve(factor, vector[at])
        return result

    def matrix(self) -> Array:
        """Return the matrix itself, (C q, C q)."""
        return np.asarray(block_diag(*self._blocks))

    def within(self, free: BoolArray) -> BlockInverse:
        """Return the inverse of the free coordinates' part, zero for the others."""
        return BlockInverse(self._blocks, free)


class Curvature:
    """An inverse Hessian from the last `memory` pairs, on top of a preconditioner P.

    H = the BFGS updates of gamma * P, with gamma = s'y / y'Py of the newest pair.
    """

    def __init__(self, precondition: Preconditioner = identity, memory: int = 10) -> None:
        self._precondition = precondition
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=memory)
        self._gamma = 1.0

    @property
    def dense(self) -> bool:
        """Whether the preconditioner couples coordinates."""
        return isinstance(self._precondition, BlockInverse)

    @property
    def empty(self) -> bool:
        return not self._pairs

    def remember(self, step: Array, change: Array) -> None:
        """Add a pair, unless its curvature is zero up to rounding."""
        product = float(step @ change)
        floor = np.finfo(np.float64).eps * float(np.linalg.norm(step) * np.linalg.norm(change))
        if product > floor:
            self._pairs.append((step, change, product))
            self._gamma = product / float(change @ self._precondition(change))

    def forget(self) -> None:
        """Drop all pairs, so that only the preconditioner is left."""
        self._pairs.clear()
        self._gamma = 1.0

    def within(self, free: BoolArray) -> Curvature:
        """Return the same memory for the free coordinates, with the others held constant.

        If no step has changed the other coordinates, the pairs are exact for the smaller problem.
        """
        whole = self._precondition
        if isinstance(whole, BlockInverse):
            inner: Preconditioner = whole.within(free)
        else:

            def inner(vector: Array) -> Array:
                return np.where(free, whole(np.where(free, vector, 0.0)), 0.0)

        part = Curvature(inner, self._pairs.maxlen or 0)
        for step, change, _ in self._pairs:
            part.remember(np.where(free, step, 0.0), np.where(free, change, 0.0))
        return part

    def apply(self, vector: Array) -> Array:
        """Return H @ vector by the two-loop recursion (Nocedal 1980)."""
        vector = vector.copy()
        weights = []
        for step, change, product in reversed(self._pairs):
            weight = float(step @ vector) / product
            weights.append(weight)
            vector -= weight * change
        vector = self._gamma * self._precondition(vector)
        for (step, change, product), weight in zip(self._pairs, reversed(weights), strict=True):
            vector = vector + (weight - float(change @ vector) / product) * step
        return vector
