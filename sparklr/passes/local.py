"""Passes over blocks in this process's memory, or in files that it can map."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sparklr.arrays import Array
from sparklr.blocks import Block
from sparklr.objective.moments import Moments, moments_of, no_rows
from sparklr.objective.sums import Probe, Stack
from sparklr.passes.threads import one_blas_thread

# Stored numbers a thread should have to sum at least, to be worth its start.
NUMBERS_A_THREAD = 500_000


@dataclass(frozen=True, eq=False)
class LocalPasses:
    """Rows at hand; summed block by block in their order, so that a fit repeats to the bit."""

    blocks: Sequence[Block]
    moments: Moments
    sample: Block
    threads: int = 1
    local: bool = True

    @staticmethod
    def of(blocks: Sequence[Block], features: int) -> LocalPasses:
        """Passes over these blocks, with the moments they have."""
        moments = no_rows(features)
        for block in blocks:
            moments = moments.merge(moments_of(block.matrix, block.labels, block.weights))
        return LocalPasses(blocks, moments, blocks[0])

    def total(self, probes: Sequence[Probe]) -> Array:
        """One reading of all blocks: a run of neighbours a thread, added up in their order."""
        worth = min(self.moments.nonzeros // NUMBERS_A_THREAD, len(self.blocks))
        threads = max(1, min(self.threads, worth))
        if threads == 1:
            return self._sum(probes, range(len(self.blocks)))
        ends = np.linspace(0, len(self.blocks), threads + 1).astype(int)
        runs = [range(begin, end) for begin, end in pairwise(ends)]
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            totals = list(pool.map(lambda run: self._sum(probes, run), runs))
        return np.asarray(sum(totals[1:], start=totals[0]))

    def _sum(self, probes: Sequence[Probe], run: range) -> Array:
        stack = Stack(probes, self.moments.features, self.moments.origin)
        for at in run:
            block = self.blocks[at]
            stack.add(block.matrix, block.labels, block.weights)
        return stack.totals()
