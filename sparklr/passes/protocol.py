"""The protocol of a pass: one reading of all rows that serves all running solvers.

Depends neither on where the rows are nor on what a reading is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from sparklr.objective.moments import Moments
from sparklr.objective.sums import Probe, Sums, split_totals
from sparklr.passes.leverage_sums import sums_of
from sparklr.passes.readings import Reading, batches, sums_bytes
from sparklr.rows.blocks import Block

Part = TypeVar("Part")


class Passes(Protocol):
    """Rows that can be read many times."""

    @property
    def moments(self) -> Moments:
        """The moments of all rows with weight above zero, but those held out."""

    @property
    def folds(self) -> Mapping[int, Moments]:
        """The moments of each fold's rows; empty if rows have no folds."""

    @property
    def held(self) -> Mapping[int, Moments]:
        """The moments of each fold's held-out rows, which are in no other moments."""

    @property
    def sample(self) -> Block:
        """A random sample of the rows but those held out, or all of these if they are few."""

    @property
    def wider_sample(self) -> Block:
        """The sample, or one with more rows if a pass is a job: a start may save a pass."""

    @property
    def local(self) -> bool:
        """Whether the rows are in this process, so that a pass costs no Spark job."""

    @property
    def jobs(self) -> bool:
        """Whether a pass is a Spark job."""

    @property
    def slots(self) -> int:
        """The number of threads or tasks that share a pass."""

    def read(self, reading: Reading[Part]) -> Part:
        """Return the part of all blocks, merged in their order."""


def read_round(passes: Passes, probes: Sequence[Probe], budget: int) -> tuple[list[Sums], int]:
    """Return the sums of every probe, and the number of readings.

    One reading is enough unless the sums of one partition would take more than `budget` bytes.
    """
    sums: list[Sums] = []
    readings = 0
    for part in batches(probes, budget, sums_bytes):
        sums += split_totals(part, passes.read(sums_of(part)))
        readings += 1
    return sums, readings
