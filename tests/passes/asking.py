"""The two readings of the package, asked for in one call."""

from __future__ import annotations

from collections.abc import Sequence

from sparklr.arrays import Array
from sparklr.objective.sums import Probe
from sparklr.passes.protocol import Passes
from sparklr.passes.readings import DerivativeSums, HeldOutMargins
from sparklr.rows.blocks import Block


def total(passes: Passes, probes: Sequence[Probe]) -> Array:
    """One reading: the sums of every probe, one after another."""
    return passes.read(DerivativeSums(tuple(probes)))


def held_out(passes: Passes, probes: Sequence[Probe]) -> list[Block]:
    """One reading: each block's labels and weights, with margins instead of features."""
    rows = {fold: moments.rows for fold, moments in passes.folds.items()}
    return passes.read(HeldOutMargins(tuple(probes), rows))
