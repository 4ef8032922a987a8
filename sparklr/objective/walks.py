"""Walks: mini-batch steps through the rows of one block, at several learning rates side by side.

Walks have coordinates of their own, in which all features are about as large:

    z_j = (x_j - centre_j) reach_j,  and a last column of ones if there is an intercept
    margins of a row = z' g + its own offset          g (q, K C): K rates, C margins for each

Let F(g) = mean loss + l2 g^2 / 2, and s the point where all walks of an epoch begin, the snapshot.
Then with the slopes r_i(g) of the losses by the margins, a step over the batch B is

    direction     q = sum_{i in B} w_i z_i r_i(g) T / W                                     plain
                  q = sum_{i in B} w_i z_i (r_i(g) - r_i(s)) T / W  +  grad F(s)        corrected
    rate          e = rate,  or with Adagrad  G := G + q^2,  e = rate / sqrt(G)
    momentum      v := mu v + e q
    step          g := g - v
    weight decay  g := g / (1 + e l2)                                                       plain
                  g := s + (g - s) / (1 + e l2)                                         corrected

where the block's rows, of weight W, are dealt to T batches. The mean of the corrected direction's
first term over the batches is the gradient of the block's own loss at g less that at s. So a block
whose rows are unlike the others still walks along the gradient of all rows (as SVRG, Johnson and
Zhang 2013), and at the optimum of all rows no step moves. Weight decay is the implicit step along
l2 g, or along l2 (g - s), since grad F(s) has the rest: no penalty is too large for it.

Of sparse rows a step moves only the columns that occur in its batch. For a column that occurs in n
of the T batches, grad F(s) and l2 are multiplied by T / n: over an epoch they count as much as
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sparklr.arrays import Array, IntArray, Matrix, is_sparse
from sparklr.objective.ground import Ground
from sparklr.rows.blocks import Block, csr
from sparklr.solvers.schedules import factors

# Where the squares of Adagrad begin, so that a direction of zeros makes no step.
LEAST_SQUARE = 1e-30


@dataclass(frozen=True, eq=False)
class Pace:
    """How the steps of one epoch go.

    rates : (K,), each to be multiplied by the factors of the schedule
    schedule, epoch, epochs : as in `solvers.schedules`
    batch : the number of rows of a step
    momentum : mu
    averaged : whether a walk ends at the mean of its points instead of its last one
    """

    rates: Array
    schedule: str
    epoch: int
    epochs: int
    batch: int
    momentum: float
    adagrad: bool
    corrected: bool
    averaged: bool


@dataclass(frozen=True, eq=False)
class Base:
    """Where the walks of an epoch begin, in columns for K rates of C margins each.

    points : s (q, K C), or (q, C) for all rates
    gradient : grad F(s), of the same shape
    squares : G (q, K C), of Adagrad
    l2 : (q,)
    """

    points: Array
    gradient: Array
    squares: Array
    l2: Array

    def take(self, columns: IntArray) -> Base:
        """Return the same for some columns of z."""
        fields = (self.points, self.gradient, self.squares, self.l2)
        return Base(*(field[columns] for field in fields))


@dataclass(frozen=True, eq=False)
class Batch:
    """The rows of a step: z (m, width) and the columns of the block's z that these are.

    often : T / n for each of the columns, (width, 1)
    """

    z: Matrix
    columns: IntArray | slice
    rows: Block
    often: Array | float = 1.0


@dataclass(frozen=True, eq=False)
class Walked:
    """By how much a walk has changed s and G, (width, K C), in some of the columns of z."""

    columns: IntArray | slice
    points: Array
    squares: Array


def walk(block: Block, ground: Ground, pace: Pace, base: Base) -> Walked:
    """Walk through the rows of a block."""
    order = ground.random(block, 1 + pace.epoch).permutation(block.rows)
    steps = -(-block.rows // pace.batch)
    ends = np.linspace(0, block.rows, steps + 1).astype(int)
    parts = [order[begin:end] for begin, end in pairwise(ends)]
    if not (is_sparse(block.matrix) and ground.centre is None):
        dealt = _dense_batches(block, ground, parts)
        return _steps(dealt, slice(None), len(parts), block, ground, pace, base)
    columns, batches = _sparse_batches(block, ground, parts)
    return _steps(batches, columns, len(parts), block, ground, pace, base.take(columns))


def _dense_batches(block: Block, ground: Ground, parts: list[IntArray]) -> Iterator[Batch]:
    for part in parts:
        rows = block.take(part)
        yield Batch(ground.columns_of(rows.matrix), slice(None), rows)


def _sparse_batches(
    block: Block, ground: Ground, parts: list[IntArray]
) -> tuple[IntArray, list[Batch]]:
    """Return the columns that occur in a block, and its batches, numbered among these."""
    matrix = ground.columns_of(block.matrix)
    assert is_sparse(matrix)
    columns, matrix = _renumbered(matrix)
    batches, counts = [], np.zeros(len(columns))
    for part in parts:
        own, z = _renumbered(matrix[part])
        counts[own] += 1
        batches.append(Batch(z, own, block.take(part)))
    often = len(parts) / np.maximum(counts, 1)
    return columns, [
        Batch(its.z, its.columns, its.rows, often[its.columns, None]) for its in batches
    ]


def _renumbered(matrix: Matrix) -> tuple[IntArray, Matrix]:
    """Return the columns that occur in a CSR matrix, and the matrix of these alone."""
    assert is_sparse(matrix)
    columns, places = np.unique(matrix.indices, return_inverse=True)
    return columns, csr(matrix.data, places.astype(np.int32), matrix.indptr, len(columns))


def _steps(
    batches: Iterator[Batch] | list[Batch],
    columns: IntArray | slice,
    count: int,
    block: Block,
    ground: Ground,
    pace: Pace,
    base: Base,
) -> Walked:
    """Take the steps of a walk; `base` has the columns of the block alone."""
    wide = (1, base.squares.shape[1] // base.points.shape[1])  # all rates may begin at one point
    points, gradient = np.tile(base.points, wide), np.tile(base.gradient, wide)
    start, squares = points.copy(), base.squares + LEAST_SQUARE
    speeds = np.zeros_like(points)
    totals, since = np.zeros_like(points), np.zeros((len(points), 1))  # for the mean
    scale, l2 = count / ground.weight_of(block), base.l2[:, None]
    rates = np.repeat(pace.rates, ground.margins)
    for step, factor in enumerate(factors(pace.schedule, pace.epoch, pace.epochs, count)):
        batch = batches[step] if isinstance(batches, list) else next(batches)
        at = batch.columns
        here: Array = points[at]  # of sparse rows a copy; of dense ones a view, changed in place
        slopes = ground.slopes(batch.z, here, batch.rows)
        if pace.corrected:
            slopes -= np.tile(ground.slopes(batch.z, base.points[at], batch.rows), wide)
        slopes *= scale
        direction = np.asarray(batch.z.T @ slopes)
        if pace.corrected:
            direction += batch.often * gradient[at]
        rate: Array = factor * rates
        if pace.adagrad:
            squared = squares[at]
            squared += direction * direction
            squares[at] = squared
            rate = rate / np.sqrt(squared)
        direction *= rate
        if pace.momentum:
            speeds[at] = direction = pace.momentum * speeds[at] + direction
        if pace.averaged:
            totals[at] += here * (step - since[at])
            since[at] = step
        here -= direction
        anchor = start[at] if pace.corrected else 0.0
        here -= anchor
        here /= 1 + rate * (batch.often * l2[at])
        here += anchor
        points[at] = here
    if pace.averaged:
        points = (totals + points * (count - since)) / count
    return Walked(columns, points - start, squares - base.squares)
