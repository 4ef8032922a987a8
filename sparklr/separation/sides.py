"""The reading of a direction: which rows it raises, which it lowers, and which it leaves alone.

A direction d (C, p + 1) changes the margins of a row by u_k = d_k . [x - o, 1]. The comparisons of
the row with label y say how the margin of the label changes beside the others,

    a . d = u   for label 1, -u for label 0        one margin
    a . d = u_y - u_k   for each k other than y    one margin per class

and the row is lowered if one of them is negative, raised if none is and one is positive. A number
of at most 64 k eps sum_j |x_j d_j| may be rounding alone, and counts as zero: k is the number of
coefficients of d that are not zero.

More directions V come along: the span of what the caller holds possible. The reading also returns
the rows which show that it is not: the rows that d lowers, those that d leaves alone and that some
v of V moves, and those that an unseen v moves (one that moves none of the caller's rows). Only the
extreme rows by each direction are returned, which are different rows if the directions are. Rows
that d raises by less than `room` come along: the next direction should keep away from them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, BoolArray, Buffer, IntArray
from sparklr.objective.families import Family
from sparklr.objective.sums import SLICE_BYTES
from sparklr.passes.readings import FLOAT_BYTES, Reading
from sparklr.rows.blocks import Block, stack_blocks

# a . d is zero within so many roundings of each of its terms.
ROUNDINGS = 64
# a . v is zero within this share of the largest terms it may have: V is known less exactly.
SPAN_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Sides:
    """What a direction does to the rows with weight above zero, and rows that speak against it."""

    total: int  # all rows
    lowered: int
    against: int  # rows that speak against d and V
    certain: int  # rows whose comparisons are all positive
    raised: IntArray  # rows of each label that are raised, (K,)
    least: float  # the smallest comparison above zero of a raised row; infinite if none is raised
    rows: Block  # some of those that speak against them, or hardly for them
    lowest: Array  # their least and largest comparisons by d and V, (n, 1 + b)
    highest: Array

    @property
    def counts(self) -> IntArray:
        """All counts, (4 + K,)."""
        counts = (self.total, self.lowered, self.against, self.certain, *self.raised)
        return np.array(counts, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class SidesOfRows(Reading[Sides]):
    """The reading of d and V: directions (1 + b, C, p + 1), relative to the origin of the pass."""

    family: Family
    classes: int
    directions: Array
    unseen: int  # V begins with so many unseen directions
    room: float  # rows are returned too that d raises by less
    most: int  # about so many rows are returned

    @property
    def columns(self) -> int:
        return int(self.directions.shape[0] * self.directions.shape[1])

    @property
    def size(self) -> int:
        directions, _, width = self.directions.shape
        row = width + 1 + 2 * directions  # features, label, weight and comparisons
        return int(max(self.directions.nbytes, 2 * directions * self.each * row * FLOAT_BYTES))

    @property
    def each(self) -> int:
        """The number of rows that are returned by each end of each direction."""
        return max(2, self.most // (2 * len(self.directions)))

    def accumulator(self, features: int, origin: Array | None) -> SideCounts:
        return SideCounts(self, features, origin)

    def merge(self, parts: Iterable[Sides]) -> Sides:
        every = list(parts)
        if len(every) == 1:
            return every[0]
        counts = np.sum([part.counts for part in every], axis=0)
        rows = stack_blocks([part.rows for part in every])
        lowest = np.concatenate([part.lowest for part in every])
        highest = np.concatenate([part.highest for part in every])
        kept = extremes(lowest, highest, self.each)
        least = min(part.least for part in every)
        return sides_of(counts, least, rows.take(kept), lowest[kept], highest[kept])

    def to_bytes(self, part: Sides) -> bytes:
        header = np.array([len(part.counts), *part.lowest.shape], dtype=np.int64)
        arrays = (header, part.counts, np.float64(part.least), part.lowest, part.highest)
        return b"".join([array.tobytes() for array in arrays]) + part.rows.to_bytes()

    def from_bytes(self, buffer: Buffer) -> Sides:
        kinds, rows, columns = (int(it) for it in np.frombuffer(buffer, dtype=np.int64, count=3))
        counts = np.frombuffer(buffer, dtype=np.int64, count=kinds, offset=24)
        start, size = 32 + counts.nbytes, rows * columns
        (least,) = np.frombuffer(buffer, dtype=np.float64, count=1, offset=start - 8)
        ends = np.frombuffer(buffer, dtype=np.float64, count=2 * size, offset=start)
        lowest, highest = ends.reshape(2, rows, columns)
        block = Block.from_buffer(memoryview(buffer)[start + ends.nbytes :])
        return sides_of(counts, float(least), block, lowest, highest)


class SideCounts:
    """The sides of the rows that were added so far."""

    def __init__(self, reading: SidesOfRows, features: int, origin: Array | None) -> None:
        self._reading, self._origin = reading, origin
        beside, margins, _ = reading.directions.shape
        flat = reading.directions.reshape(beside * margins, features + 1)
        self._coefficients, self._offsets = np.ascontiguousarray(flat[:, :-1].T), flat[:, -1]
        # The columns by which |x| is multiplied: |d| per margin, and the largest |v| of all V.
        widest = np.abs(reading.directions[1:]).max(axis=(0, 1), initial=0.0)
        sizes = np.vstack((np.abs(reading.directions[0]), widest))
        self._sizes, self._least_sizes = np.ascontiguousarray(sizes[:, :-1].T), sizes[:, -1]
        terms = np.count_nonzero(reading.directions[0].any(axis=0))
        self._tolerance = ROUNDINGS * terms * float(np.finfo(np.float64).eps)
        none = Block(np.zeros((0, features)), np.zeros(0), None)
        ends = np.zeros((0, beside))
        self._parts = [sides_of(np.zeros(4 + reading.classes, np.int64), np.inf, none, ends, ends)]

    def add(self, block: Block) -> None:
        """Add the rows of a block, slice by slice."""
        if block.weights is not None and not (block.weights > 0).all():
            block = block.take(np.flatnonzero(block.weights > 0))
        widest = max(self._coefficients.shape) + self._sizes.shape[1]
        step = max(SLICE_BYTES // (FLOAT_BYTES * widest), 64)
        for begin in range(0, block.rows, step):
            self._parts.append(self._sides(block.part(begin, begin + step)))
            if len(self._parts) > 16:
                self._parts = [self.part()]

    def part(self) -> Sides:
        """Return the sides of all rows so far."""
        return self._reading.merge(self._parts)

    def _sides(self, rows: Block) -> Sides:
        values, sizes, spans = self._values(rows)
        tolerances = self._tolerance * sizes
        change, reach = values[:, :, 0], values[:, :, 1:]
        negative, positive = change < -tolerances, change > tolerances
        moved = np.abs(reach) > SPAN_TOLERANCE * spans[:, None, None]
        lowered = negative.any(axis=1)
        raised = ~lowered & positive.any(axis=1)
        against = lowered | moved[:, :, : self._reading.unseen].any(axis=(1, 2))
        against |= (moved.any(axis=2) & ~negative & ~positive).any(axis=1)
        labels = rows.labels[raised].astype(np.int64)
        by_label = np.bincount(labels, minlength=self._reading.classes)
        certain = np.sum(positive.all(axis=1))
        counts = [rows.rows, np.sum(lowered), np.sum(against), certain, *by_label]
        near = (positive & (change < self._reading.room)).any(axis=1)
        chosen = np.flatnonzero(against | near)
        least = change[raised][positive[raised]].min(initial=np.inf)
        lowest, highest = values[chosen].min(axis=1), values[chosen].max(axis=1)
        kept = extremes(lowest, highest, self._reading.each)
        some = rows.take(chosen[kept]).detached()
        counted = np.array(counts, np.int64)
        return sides_of(counted, float(least), some, lowest[kept], highest[kept])

    def _values(self, rows: Block) -> tuple[Array, Array, Array]:
        """Return comparisons (n, c, 1 + b), the sizes of those by d (n, c), and of V's (n,)."""
        matrix = rows.matrix
        if self._origin is not None:  # an origin is rare, and without it digits would be lost
            matrix = rows.to_dense().matrix - self._origin
        changes = np.asarray(matrix @ self._coefficients) + self._offsets
        sizes = np.asarray(abs(matrix) @ self._sizes) + self._least_sizes
        directions, margins, _ = self._reading.directions.shape
        changes = changes.reshape(rows.rows, directions, margins).transpose(0, 2, 1)
        if not self._reading.family.per_class:
            signs = np.where(rows.labels > 0, 1.0, -1.0)
            return changes * signs[:, None, None], sizes[:, :1], sizes[:, -1]
        labels = rows.labels.astype(np.int64)
        others = labels[:, None] != np.arange(margins)
        own = changes[np.arange(rows.rows), labels]
        beside = (own[:, None, :] - changes)[others].reshape(rows.rows, margins - 1, directions)
        each = sizes[:, :-1]
        sums = (each[np.arange(rows.rows), labels][:, None] + each)[others]
        return beside, sums.reshape(rows.rows, margins - 1), sizes[:, -1]


def sides_of(counts: IntArray, least: float, rows: Block, lowest: Array, highest: Array) -> Sides:
    """Return sides from all their counts."""
    total, lowered, against, certain = (int(count) for count in counts[:4])
    return Sides(total, lowered, against, certain, counts[4:], least, rows, lowest, highest)


def extremes(lowest: Array, highest: Array, each: int) -> IntArray:
    """Return which rows are among the `each` least or largest by some direction, in their order."""
    kept: BoolArray = np.zeros(len(lowest), dtype=np.bool_)
    if len(kept) <= each:
        return np.arange(len(kept))
    for ends in (lowest, -highest):
        first = np.argsort(ends, axis=0, kind="stable")[:each]
        kept[first.ravel()] = True
    return np.flatnonzero(kept)
