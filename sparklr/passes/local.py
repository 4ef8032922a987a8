"""Passes over blocks in this process's memory, or in files that it can map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.moments import Moments, moments_of, no_rows
from sparklr.objective.sums import Probe
from sparklr.passes.readings import Totals, held_out_margins
from sparklr.passes.threads import one_blas_thread
from sparklr.rows.blocks import Block

# Multiplications a thread should have at least, to be worth its start.
WORK_A_THREAD = 500_000

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class LocalPasses:
    """Rows at hand; summed block by block in their order, so that a fit repeats to the bit."""

    blocks: Sequence[Block]
    moments: Moments
    sample: Block
    threads: int = 1
    folds: Mapping[int, Moments] = field(default_factory=dict)
    local: bool = True

    @staticmethod
    def of(blocks: Sequence[Block], features: int) -> LocalPasses:
        """Passes over these blocks, with the moments they have."""
        moments = no_rows(features)
        for block in blocks:
            moments = moments.merge(moments_of(block))
        return LocalPasses(blocks, moments, blocks[0])

    def total(self, probes: Sequence[Probe]) -> Array:
        """One reading of all blocks: a run of neighbours a thread, added up in their order."""
        totals = self._by_run(probes, lambda run: self._sum(probes, run))
        return np.asarray(sum(totals[1:], start=totals[0]))

    def held_out(self, probes: Sequence[Probe]) -> list[Block]:
        """One reading: every block's labels and weights, with margins instead of features."""
        runs = self._by_run(probes, lambda run: [self._score(probes, at) for at in run])
        return [scored for run in runs for scored in run]

    def _by_run(self, probes: Sequence[Probe], work: Callable[[range], T]) -> list[T]:
        """The work for runs of neighbouring blocks, in as many threads as it is worth."""
        columns = sum(probe.margins for probe in probes)
        worth = self.moments.nonzeros * columns // WORK_A_THREAD
        threads = max(1, min(self.threads, worth, len(self.blocks)))
        if threads == 1:
            with one_blas_thread():  # BLAS's own would spin between the many short products
                return [work(range(len(self.blocks)))]
        ends = np.linspace(0, len(self.blocks), threads + 1).astype(int)
        runs = [range(begin, end) for begin, end in pairwise(ends)]
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, runs))

    def _sum(self, probes: Sequence[Probe], run: range) -> Array:
        totals = Totals(probes, self.moments.features, self.moments.origin)
        for at in run:
            totals.add(self.blocks[at])
        return totals.flat()

    def _score(self, probes: Sequence[Probe], at: int) -> Block:
        block = self.blocks[at]
        margins = held_out_margins(block, probes, self.moments.origin)
        # Copies: nothing of a block may outlive its file.
        weights = None if block.weights is None else block.weights.copy()
        return Block(margins, block.labels.copy(), weights, block.fold)
