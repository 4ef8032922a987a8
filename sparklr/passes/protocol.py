"""What a pass is: one reading of all rows that sums for every probe at once.

This file knows neither where rows live nor what the sums are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.moments import Moments
from sparklr.objective.sums import Probe, Sums, split_totals
from sparklr.rows.blocks import Block

T = TypeVar("T")


class Passes(Protocol):
    """Rows that can be read again and again."""

    @property
    def moments(self) -> Moments:
        """Of all rows with weight above zero."""

    @property
    def folds(self) -> Mapping[int, Moments]:
        """Of each fold's rows; empty where rows have no folds."""

    @property
    def sample(self) -> Block:
        """A random sample of the rows, or all of them if they are few."""

    @property
    def local(self) -> bool:
        """Whether the rows are in this process, so that a pass costs no Spark job."""

    def total(self, probes: Sequence[Probe]) -> Array:
        """One reading: the sums of every probe, one after another."""

    def held_out(self, probes: Sequence[Probe]) -> list[Block]:
        """One reading: every block's labels and weights, with margins instead of features.

        The margins (n, columns) are those of the probes that leave the block's fold out.
        """


def read_round(passes: Passes, probes: Sequence[Probe], budget: int) -> tuple[list[Sums], int]:
    """The sums of every probe, and the number of readings that took.

    One reading, unless the sums of one partition would take more than `budget` bytes.
    """
    sums: list[Sums] = []
    readings = 0
    for part in batches(probes, budget, sums_bytes):
        sums += split_totals(part, passes.total(part))
        readings += 1
    return sums, readings


def sums_bytes(probe: Probe) -> int:
    """What a probe's sums take."""
    return probe.length * np.dtype(np.float64).itemsize


def batches(items: Sequence[T], budget: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Runs of neighbours that fit the budget; an item too large by itself goes alone."""
    batch: list[T] = []
    size = 0
    for item in items:
        needed = size_of(item)
        if batch and size + needed > budget:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += needed
    if batch:
        yield batch
