"""The reading of sums that are means over a normal distribution of coefficients.

The sums have the form of `DerivativeSums`, so they split and merge as those do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.smoothed_sums import SmoothedProbe, add_smoothed
from sparklr.objective.sums import Sums
from sparklr.passes.readings import SumsOfRows, batches, probe_bytes, sums_bytes
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class SmoothedSums(SumsOfRows):
    """The reading of every probe's sums, one after another in one array (`split_totals`)."""

    probes: tuple[SmoothedProbe, ...]

    @property
    def has_hessian(self) -> bool:
        return True

    @property
    def columns(self) -> int:
        return sum(1 + len(probe.spread_offsets) for probe in self.probes)

    @property
    def size(self) -> int:
        return sum(map(_bytes, self.probes))

    def accumulator(self, features: int, origin: Array | None) -> SmoothedTotals:
        del features
        return SmoothedTotals(self.probes, origin)

    def pieces(self, limit: int) -> Sequence[SmoothedSums]:
        return [SmoothedSums(tuple(run)) for run in batches(self.probes, limit, _bytes)]

    def assemble(self, parts: Sequence[Array]) -> Array:
        return np.concatenate(parts)


def _bytes(probe: SmoothedProbe) -> int:
    sent = probe.spread_coefficients.nbytes + probe.spread_offsets.nbytes + probe_bytes(probe)
    return max(sums_bytes(probe), sent)


class SmoothedTotals:
    """The sums of probes over the blocks added so far."""

    def __init__(self, probes: Sequence[SmoothedProbe], origin: Array | None) -> None:
        self._probes, self._origin = probes, origin
        self._sums = [Sums.of(probe, np.zeros(probe.length)) for probe in probes]

    def add(self, block: Block) -> None:
        """Add a block to the probes that sum over its rows."""
        for probe, sums in zip(self._probes, self._sums, strict=True):
            if probe.counts(block):
                add_smoothed(sums, probe, block, self._origin)

    def part(self) -> Array:
        """Return every probe's sums, one after another in one array."""
        return np.concatenate([sums.flat for sums in self._sums])
