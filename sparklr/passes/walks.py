"""The two readings of an epoch of stochastic gradient descent: a survey, and the walks.

    survey   at each of the points (q, K C): mean loss (K,) and its gradient (q, K C) over the rows
             to walk on, mean loss (K,) over those held out
    walks    from each of the points: the mean, by weight, over all blocks of where a walk through
             the block ends

Each block has a walk of its own, which begins where all do. All sums are of numbers that are
rounded to a common grid. Such sums are exact, so they do not depend on how blocks are grouped into
tasks and threads, on their order, or on whether a lost block was read again: a fit has the same
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array, is_sparse
from sparklr.objective.class_weights import weights_of
from sparklr.objective.ground import Ground
from sparklr.objective.walks import Base, Pace, walk
from sparklr.passes.readings import FLOAT_BYTES, SumsOfRows, batches
from sparklr.rows.blocks import Block

# Numbers are rounded to 2^-GRID. A sum is exact up to 2^(52 - GRID); above, it is rounded as usual.
GRID = 42
# Slices of rows are about so many numbers long.
SLICE = 2**17


def on_grid(values: Array) -> Array:
    """Return the multiples of 2^-GRID that are nearest to these numbers."""
    return np.asarray(np.ldexp(np.rint(np.ldexp(values, GRID)), -GRID))


def _of_rates(points: Array, rates: Sequence[int], margins: int) -> Array:
    """Return the columns of some rates, or all if these belong to every rate."""
    if points.shape[1] == margins:
        return points
    return points[:, rates[0] * margins : (rates[-1] + 1) * margins]


@dataclass(frozen=True, eq=False)
class Survey(SumsOfRows):
    """The reading of losses and gradients at some points (q, K C); `weight` is that of all rows."""

    ground: Ground
    points: Array
    weight: float

    @property
    def reads_held(self) -> bool:
        return self.ground.judged

    @property
    def columns(self) -> int:
        return int(self.points.shape[1])

    @property
    def rates(self) -> int:
        """K."""
        return self.columns // self.ground.margins

    @property
    def size(self) -> int:
        return FLOAT_BYTES * (int(self.points.size) + 2 * self.rates + 2)

    def accumulator(self, features: int, origin: Array | None) -> SurveyTotals:
        del features, origin  # rows have coordinates of their own here
        return SurveyTotals(self)

    def pieces(self, limit: int) -> Sequence[Survey]:
        return [
            replace(self, points=_of_rates(self.points, run, self.ground.margins))
            for run in batches(range(self.rates), limit, lambda _: self.size // self.rates)
        ]

    def assemble(self, parts: Sequence[Array]) -> Array:
        rows = self.ground.size
        counts = [(len(part) - 2) // (2 + rows * self.ground.margins) for part in parts]
        losses = [its[2 : 2 + 2 * k].reshape(2, k) for its, k in zip(parts, counts, strict=True)]
        rest = [its[2 + 2 * k :].reshape(rows, -1) for its, k in zip(parts, counts, strict=True)]
        sums = np.concatenate(losses, axis=1).ravel(), np.concatenate(rest, axis=1).ravel()
        return np.concatenate((parts[0][:2], *sums))

    def split(self, sums: Array) -> Surveyed:
        """Return the means of rows from the sums of this reading."""
        walked, held, losses, rest = np.split(sums, [1, 2, 2 + 2 * self.rates])
        losses = losses.reshape(2, self.rates)
        with np.errstate(invalid="ignore"):
            own = losses[0] / walked
            every = (losses[0] + losses[1]) / (walked + held)
            return Surveyed(
                own if self.ground.judged else every,
                losses[1] / held if held > 0 else losses[0] / walked,
                rest.reshape(self.points.shape) / walked,
            )


@dataclass(frozen=True, eq=False)
class Surveyed:
    """What a survey finds.

    losses : (K,), of all rows, but not of those that the user has held out
    held : (K,), of the rows held out, or of all if there are none
    gradient : (q, K C), of the mean loss of the rows that are not held out
    """

    losses: Array
    held: Array
    gradient: Array


class SurveyTotals:
    """The sums of a survey over the blocks added so far."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._head = np.zeros(2 + 2 * survey.rates)
        self._gradient = np.zeros(survey.points.shape)

    def add(self, block: Block) -> None:
        """Add a block."""
        ground, rates = self._survey.ground, self._survey.rates
        if block.fold == ground.without:
            return
        walked, held = ground.split(block)
        self._head[0] += on_grid(np.array(ground.weight_of(walked) / self._survey.weight))
        self._head[1] += on_grid(np.array(ground.weight_of(held) / self._survey.weight))
        self._head[2 : 2 + rates] += self._sums(walked, slopes=True)
        self._head[2 + rates :] += self._sums(held, slopes=False)

    def _sums(self, block: Block, *, slopes: bool) -> Array:
        """Return losses (K,), and add the gradient of a block if it is wanted."""
        survey, ground = self._survey, self._survey.ground
        losses, gradient = np.zeros(survey.rates), np.zeros(0)
        width = survey.columns if is_sparse(block.matrix) else survey.columns + ground.size
        step = max(SLICE // width, 64)
        for begin in range(0, block.rows, step):
            rows = block.part(begin, begin + step)
            z, weights = ground.columns_of(rows.matrix), weights_of(rows, ground.factors)
            with np.errstate(all="ignore"):  # a rate may have gone too far
                terms = ground.terms(z, survey.points, rows)
                losses += terms.loss.sum(axis=0) if weights is None else weights @ terms.loss
                if slopes:
                    each = terms.slopes if weights is None else terms.slopes * weights[:, None]
                    inner = np.asarray(z.T @ each)
                    gradient = inner if not gradient.size else gradient + inner
        if gradient.size:
            self._gradient += on_grid(gradient / survey.weight)
        return on_grid(losses / survey.weight)

    def part(self) -> Array:
        """Return all sums in one array."""
        return np.concatenate((self._head, self._gradient.ravel()))


@dataclass(frozen=True, eq=False)
class Walks(SumsOfRows):
    """The reading of one epoch's walks; `weight` is that of all rows."""

    ground: Ground
    pace: Pace
    base: Base
    weight: float

    @property
    def columns(self) -> int:
        return len(self.pace.rates) * self.ground.margins

    @property
    def size(self) -> int:
        return FLOAT_BYTES * (1 + (1 + self.pace.adagrad) * self.ground.size * self.columns)

    def accumulator(self, features: int, origin: Array | None) -> WalkTotals:
        del features, origin
        return WalkTotals(self)

    def pieces(self, limit: int) -> Sequence[Walks]:
        rates, margins, base = self.pace.rates, self.ground.margins, self.base
        return [
            replace(
                self,
                pace=replace(self.pace, rates=rates[run]),
                base=replace(
                    base,
                    points=_of_rates(base.points, run, margins),
                    gradient=_of_rates(base.gradient, run, margins),
                    squares=_of_rates(base.squares, run, margins),
                ),
            )
            for run in batches(range(len(rates)), limit, lambda _: self.size // len(rates))
        ]

    def assemble(self, parts: Sequence[Array]) -> Array:
        rows = (1 + self.pace.adagrad) * self.ground.size
        moved = np.concatenate([part[1:].reshape(rows, -1) for part in parts], axis=1)
        return np.concatenate((parts[0][:1], moved.ravel()))

    def split(self, sums: Array) -> tuple[Array, Array]:
        """Return the points (q, K C) after the epoch, and their squares if steps are Adagrad's."""
        base, shape = self.base, (-1, self.ground.size, self.columns)
        moved = sums[1:].reshape(shape) / sums[0]
        rates = self.columns // base.points.shape[1]
        points = np.tile(base.points, (1, rates)) + moved[0]
        return points, base.squares + moved[1] if self.pace.adagrad else base.squares


class WalkTotals:
    """The sums over blocks of how far their walks went, times the blocks' weights."""

    def __init__(self, walks: Walks) -> None:
        self._walks = walks
        self._weight = np.zeros(1)
        count = 1 + walks.pace.adagrad
        self._moved = np.zeros((count, walks.ground.size, walks.columns))

    def add(self, block: Block) -> None:
        """Walk through a block."""
        walks = self._walks
        if block.fold == walks.ground.without:
            return
        rows, _ = walks.ground.split(block)
        share = walks.ground.weight_of(rows) / walks.weight
        if share == 0:
            return
        with np.errstate(all="ignore"):  # a rate may go too far
            walked = walk(rows, walks.ground, walks.pace, walks.base)
            self._moved[0, walked.columns] += on_grid(share * walked.points)
            if walks.pace.adagrad:
                self._moved[1, walked.columns] += on_grid(share * walked.squares)
        self._weight += on_grid(np.array([share]))

    def part(self) -> Array:
        """Return all sums in one array."""
        return np.concatenate((self._weight, self._moved.ravel()))
