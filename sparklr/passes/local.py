"""Passes over blocks in this process's memory, or in files that it can map into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.moments import Moments, moments_of, no_rows
from sparklr.passes.readings import Reading
from sparklr.passes.threads import one_blas_thread
from sparklr.rows.blocks import Block

# The least number of multiplications per thread that is worth the start of a thread.
WORK_A_THREAD = 500_000

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class LocalPasses:
    """Passes over local blocks, summed in their order, so that a fit is repeatable to the bit."""

    blocks: Sequence[Block]
    moments: Moments
    sample: Block
    threads: int = 1
    folds: Mapping[int, Moments] = field(default_factory=dict)
    held: Mapping[int, Moments] = field(default_factory=dict)
    local: bool = True
    jobs: bool = False

    @property
    def wider_sample(self) -> Block:
        return self.sample

    @property
    def slots(self) -> int:
        return self.threads

    @staticmethod
    def of(blocks: Sequence[Block], features: int) -> LocalPasses:
        """Return passes over these blocks, with their moments; their sample is the first."""
        moments, held = no_rows(features), no_rows(features)
        for block in blocks:
            if block.held:
                held = held.merge(moments_of(block))
            else:
                moments = moments.merge(moments_of(block))
        first = next(block for block in blocks if not block.held)
        return LocalPasses(blocks, moments, first, held={0: held} if held.rows else {})

    def read(self, reading: Reading[Part]) -> Part:
        """Read all blocks."""
        features, origin = self.moments.features, self.moments.origin
        return read_blocks(reading, self.blocks, features, origin, self.threads)


def read_blocks(
    reading: Reading[Part],
    blocks: Sequence[Block],
    features: int,
    origin: Array | None,
    threads: int,
) -> Part:
    """Read blocks: one run of neighbours per thread, merged in their order."""
    # One thread per WORK_A_THREAD multiplications, but no more threads than blocks.
    worth = sum(block.stored for block in blocks) * reading.columns // WORK_A_THREAD
    threads = max(1, min(threads, worth, len(blocks)))
    ends = np.linspace(0, len(blocks), threads + 1).astype(int)
    runs = [range(begin, end) for begin, end in pairwise(ends)]

    def part_of(run: range) -> Part:
        accumulator = reading.accumulator(features, origin)
        for at in run:
            if reading.takes(blocks[at]):
                accumulator.add(blocks[at])
        return accumulator.part()

    with one_blas_thread():  # more BLAS threads would wait for cores, or spin between products
        if threads == 1:
            return part_of(runs[0])
        with ThreadPoolExecutor(threads) as pool:
            return reading.merge(list(pool.map(part_of, runs)))


def in_pieces(rows: Block, pieces: int) -> list[Block]:
    """Return the rows in pieces of about equal size, as views: for a thread each."""
    ends = np.linspace(0, rows.rows, min(pieces, max(rows.rows, 1)) + 1).astype(int)
    return [rows.part(begin, end) for begin, end in pairwise(ends)]
