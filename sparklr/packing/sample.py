"""A random sample of rows that are read once: each row has a random key, the smallest are kept.

Samples of parts merge: the smallest keys of all are those of a sample of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparklr.arrays import Array
from sparklr.rows.blocks import Block, stack_blocks


class RandomSample:
    """A sample of the rows seen so far, at most `most_rows` of them in about `most_bytes`."""

    def __init__(self, seed: Sequence[int], most_rows: int, most_bytes: int) -> None:
        self._random = np.random.default_rng(seed)
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._most = most_rows
        self._kept: list[tuple[Array, Block]] = []
        self._bound = np.inf  # enough rows have smaller keys: those with larger ones are left out

    def add(self, block: Block) -> None:
        """Give each row a random key, and keep those that may be in the sample."""
        by_bytes = int(self._most_bytes * block.rows / max(block.matrix_bytes, 1))
        self._most = max(1, min(self._most_rows, by_bytes))
        keys = self._random.random(block.rows)
        if np.isfinite(self._bound):
            chosen = np.flatnonzero(keys < self._bound)
            keys, block = keys[chosen], block.take(chosen)
        self._kept.append(smallest_keys([(keys, block)], self._most))
        if sum(len(keys) for keys, _ in self._kept) > 2 * self._most:
            self._kept = [smallest_keys(self._kept, self._most)]
            self._bound = float(self._kept[0][0].max())

    def rows(self) -> tuple[Array, Block] | None:
        """Return the sample with its keys; None if no row was seen."""
        return smallest_keys(self._kept, self._most) if self._kept else None


def smallest_keys(samples: Sequence[tuple[Array, Block]], most: int) -> tuple[Array, Block]:
    """Return the `most` rows with the smallest keys of all samples: a sample of all rows."""
    keys = np.concatenate([keys for keys, _ in samples])
    whole = stack_blocks([block for _, block in samples])
    if len(keys) <= most:
        return keys, whole
    chosen = np.sort(np.argpartition(keys, most)[:most])
    return keys[chosen], whole.take(chosen)
