"""The reading of a Hessian's diagonal, for as many coefficients as there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.diagonals import diagonal_sums
from sparklr.objective.sums import Probe
from sparklr.passes.readings import FLOAT_BYTES, SumsOfRows, probe_bytes
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class DiagonalSums(SumsOfRows):
    """The reading of `diagonal_sums` at a probe, as one flat array of 2 C (p + 1) numbers."""

    probe: Probe

    @property
    def columns(self) -> int:
        return 3 * self.probe.margins

    @property
    def size(self) -> int:
        width = int(self.probe.coefficients.shape[1]) + 1
        return max(2 * FLOAT_BYTES * self.probe.margins * width, probe_bytes(self.probe))

    def accumulator(self, features: int, origin: Array | None) -> DiagonalTotals:
        return DiagonalTotals(self.probe, features, origin)


class DiagonalTotals:
    """The sums over the blocks added so far."""

    def __init__(self, probe: Probe, features: int, origin: Array | None) -> None:
        self._probe, self._origin = probe, origin
        self._total = np.zeros((2, probe.margins, features + 1))

    def add(self, block: Block) -> None:
        """Add a block."""
        self._total += diagonal_sums(self._probe, block, self._origin)

    def part(self) -> Array:
        """Return the sums, (2 C (p + 1),)."""
        return self._total.ravel()
