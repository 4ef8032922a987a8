"""What one reading computes of blocks: sums over the folds that count, and margins of the others.

A probe that leaves out a fold is summed over all other blocks, and only that fold's rows tell how
good it is. Knows blocks and probes; not where blocks lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array
from sparklr.objective.sums import Probe, Stack, Sums
from sparklr.rows.blocks import Block


class Totals:
    """The sums of probes over the blocks added so far."""

    def __init__(self, probes: Sequence[Probe], features: int, origin: Array | None) -> None:
        self._probes, self._features, self._origin = tuple(probes), features, origin
        self._sums = [Sums.of(probe, np.zeros(probe.length)) for probe in self._probes]
        self._stacks: dict[tuple[int, ...], Stack] = {}

    def add(self, block: Block) -> None:
        """Add a block to the probes for which it counts."""
        chosen = tuple(i for i, its in enumerate(self._probes) if its.without != block.fold)
        if not chosen:
            return
        if chosen not in self._stacks:
            probes, sums = [self._probes[i] for i in chosen], [self._sums[i] for i in chosen]
            self._stacks[chosen] = Stack(probes, self._features, self._origin, sums)
        self._stacks[chosen].add(block)

    def flat(self) -> Array:
        """Every probe's sums, one after another in one array."""
        for stack in self._stacks.values():
            stack.finish()
        return np.concatenate([sums.flat for sums in self._sums]) if self._sums else np.zeros(0)


def join_columns(blocks: Sequence[Block]) -> Block:
    """One block of the margins that several readings gave for the same rows."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    margins = np.concatenate([block.matrix for block in blocks], axis=1)
    return Block(margins, first.labels, first.weights, first.fold)


def held_out_margins(block: Block, probes: Sequence[Probe], origin: Array | None) -> Array:
    """The margins (n, columns) of the block's rows for all probes that leave its fold out."""
    judged = [probe for probe in probes if probe.without == block.fold]
    if not judged:
        return np.zeros((block.rows, 0))
    coefficients = np.concatenate([probe.coefficients for probe in judged]).T
    offsets = np.concatenate([probe.offsets for probe in judged])
    matrix = block.matrix
    if origin is not None and sp.issparse(matrix):  # sparse rows stay where they are
        offsets = offsets - origin @ coefficients
    elif origin is not None:
        matrix = matrix - origin
    margins: Array = np.asarray(matrix @ coefficients)
    margins += offsets
    return margins
