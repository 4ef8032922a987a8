"""Passes over blocks in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparklr.arrays import Array
from sparklr.blocks import Block
from sparklr.objective.moments import Moments, moments_of, no_rows
from sparklr.objective.sums import Probe, Stack


@dataclass(frozen=True, eq=False)
class LocalPasses:
    """Rows held here; summed block by block in their order, so that a fit repeats to the bit."""

    blocks: Sequence[Block]
    moments: Moments
    sample: Block
    local: bool = True

    @staticmethod
    def of(blocks: Sequence[Block], features: int) -> LocalPasses:
        """Passes over these blocks, with the moments they have."""
        moments = no_rows(features)
        for block in blocks:
            moments = moments.merge(moments_of(block.matrix, block.labels, block.weights))
        return LocalPasses(blocks, moments, blocks[0])

    def total(self, probes: Sequence[Probe]) -> Array:
        """One reading of all blocks."""
        stack = Stack(probes, self.moments.features, self.moments.origin)
        for block in self.blocks:
            stack.add(block.matrix, block.labels, block.weights)
        return stack.totals()
