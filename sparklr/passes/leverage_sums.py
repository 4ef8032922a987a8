"""The reading of Firth's method: sums of derivatives, some of them with the penalty's share.

The sums have the form of `DerivativeSums`, so that nothing beyond the reading knows of the penalty.
It takes two to three times the arithmetic of a Hessian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.leverages import LeverageProbe, penalty_gradient
from sparklr.objective.sums import Probe, split_totals
from sparklr.passes.readings import (
    DerivativeSums,
    DerivativeTotals,
    batches,
    probe_bytes,
    sums_bytes,
)
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class LeverageSums(DerivativeSums):
    """The reading of every probe's sums, with the penalty's share for a `LeverageProbe`."""

    @property
    def columns(self) -> int:
        return sum(probe.margins + _lent(probe) for probe in self.probes)

    @property
    def size(self) -> int:
        return sum(map(_bytes, self.probes))

    def accumulator(self, features: int, origin: Array | None) -> LeverageTotals:
        return LeverageTotals(self.probes, features, origin)

    def pieces(self, limit: int) -> Sequence[LeverageSums]:
        return [LeverageSums(tuple(run)) for run in batches(self.probes, limit, _bytes)]


def sums_of(probes: Sequence[Probe]) -> DerivativeSums:
    """Return the reading of these probes' sums."""
    lent = any(isinstance(probe, LeverageProbe) for probe in probes)
    return LeverageSums(tuple(probes)) if lent else DerivativeSums(tuple(probes))


def _lent(probe: Probe) -> int:
    return len(probe.lent_offsets) if isinstance(probe, LeverageProbe) else 0


def _bytes(probe: Probe) -> int:
    sent = probe_bytes(probe)
    if isinstance(probe, LeverageProbe):
        sent += int(probe.lent_coefficients.nbytes + probe.lent_offsets.nbytes)
    return max(sums_bytes(probe), sent)


class LeverageTotals(DerivativeTotals):
    """The sums of probes over the blocks added so far."""

    def __init__(self, probes: Sequence[Probe], features: int, origin: Array | None) -> None:
        super().__init__(probes, features, origin)
        self._shares = {
            at: np.zeros(features + 1)
            for at, its in enumerate(probes)
            if isinstance(its, LeverageProbe)
        }

    def add(self, block: Block) -> None:
        """Add a block to the probes that do not leave its fold out."""
        super().add(block)
        for at, share in self._shares.items():
            probe = self._probes[at]
            if isinstance(probe, LeverageProbe) and probe.counts(block):
                share += penalty_gradient(probe, block, self._origin)

    def part(self) -> Array:
        """Return every probe's sums, one after another in one array."""
        flat = super().part()
        for at, share in self._shares.items():
            split_totals(self._probes, flat)[at].gradient[0] += share
        return flat
