"""Sums over rows: all that a pass computes for each probe.

A probe is a point in the coordinates of the rows, relative to the pass's origin o:

    margin_ik = offset_k + coefficients_k . (x_i - o) + o_i      k = 1..C

for the row's own offset o_i, zero if it has none. The family determines the number of margins C and
the loss of a row. The sums of a probe are

    value     sum_i w_i loss_i
    gradient  sum_i w_i d_ik [x_i - o, 1]                        (C, p + 1)
    hessian   sum_i w_i h_ikl [x_i - o, 1] [x_i - o, 1]'         (C (p + 1), C (p + 1))

A probe may give each label a factor of its weights. Probes are stacked as columns of one matrix, so
that many probes take one wider product. Penalties and scaling do not occur here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sparklr.arrays import Array, Matrix, is_sparse
from sparklr.objective.class_weights import weights_of
from sparklr.objective.families import Family
from sparklr.objective.hessians import (
    CrossProducts,
    cross_products,
    sparse_slices,
    sparse_step,
    summed_sparse,
)
from sparklr.rows.blocks import Block

# A slice of rows should stay in a cache between the two products that read it, and be so long that
# starting the products costs little, since threads wait for each other's Python. Measured for
# 256 KB to 8 MB: a reading takes 10 to 20% less time with 4 MB than with 2 MB, and hardly less
# beyond.
SLICE_BYTES = 4 * 1024 * 1024
# Each slice of sparse rows adds a whole gradient, mostly of features that do not occur in it.
SPARSE_SLICE_BYTES = 8 * 1024 * 1024
# With so few features, one product for all margins takes less time than a call for each.
FEW_FEATURES = 32
# Hessians are matrix-matrix products with blocking of their own, so slices can be longer.
HESSIAN_SLICE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Probe:
    """A point to sum at: coefficients (C, p), offsets (C,), and the number of derivatives.

    The rows of the fold `without`, if it is set, are left out. A `held` probe sums over held-out
    rows, and all others over the other rows. Weights of rows are multiplied by
    the factor of their label, if there are `factors` (K,).
    """

    family: Family
    coefficients: Array
    offsets: Array
    order: Literal[0, 1, 2]
    without: int | None = None
    factors: Array | None = None
    held: bool = False

    def counts(self, block: Block) -> bool:
        """Whether the sums include a block."""
        return self.held == block.held and self.without != block.fold

    @property
    def margins(self) -> int:
        return len(self.offsets)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """The numbers of elements of the value, the gradient and the Hessian."""
        width = self.margins * (self.coefficients.shape[1] + 1)
        return 1, width if self.order > 0 else 0, width**2 if self.order > 1 else 0

    @property
    def length(self) -> int:
        """The number of elements of all sums."""
        return sum(self.lengths)


@dataclass(frozen=True, eq=False)
class Sums:
    """One probe's sums, as views of one flat array; flat arrays merge by addition."""

    flat: Array
    value: Array  # (1,)
    gradient: Array  # (C, p + 1), empty at order 0
    hessian: Array  # (C (p + 1), C (p + 1)), empty below order 2

    @staticmethod
    def of(probe: Probe, flat: Array) -> Sums:
        """Return a flat array of `probe.length` numbers as sums, without a copy."""
        first, second, third = (int(end) for end in np.cumsum(probe.lengths))
        width = probe.lengths[1]
        side = math.isqrt(third - second)
        gradient = flat[first:second].reshape(probe.margins if width else 0, -1 if width else 0)
        return Sums(flat, flat[:first], gradient, flat[second:third].reshape(side, side))


class Stack:
    """Probes to be summed together over the same rows, into `totals` or new arrays."""

    def __init__(
        self,
        probes: Sequence[Probe],
        features: int,
        origin: Array | None,
        totals: Sequence[Sums] | None = None,
    ) -> None:
        # Columns of probes that need gradients come first, so that they form one block.
        self.probes = tuple(probes)
        self.features = features
        self.origin = origin
        ranked = sorted(
            range(len(probes)),
            key=lambda i: (probes[i].order == 0, probes[i].family.name, probes[i].margins),
        )
        self._places: list[slice] = [slice(0, 0)] * len(probes)
        end = 0
        for i in ranked:
            self._places[i] = slice(end, end + probes[i].margins)
            end += probes[i].margins
        self._sloped = sum(probe.margins for probe in probes if probe.order > 0)
        self._coefficients = np.zeros((features, end))
        self._offsets = np.zeros(end)
        for probe, place in zip(self.probes, self._places, strict=True):
            self._coefficients[:, place] = probe.coefficients.T
            self._offsets[place] = probe.offsets
        self._groups = self._group(ranked)
        self._gradient = np.zeros((features + 1, self._sloped))
        self._totals = totals or [Sums.of(probe, np.zeros(probe.length)) for probe in self.probes]
        self._curved = any(probe.order > 1 for probe in probes)

    def _group(self, ranked: Sequence[int]) -> list[list[int]]:
        """Group neighbouring probes of equal family and margins, to be summed in one call."""
        groups: list[list[int]] = []
        for i in ranked:
            probe = self.probes[i]
            last = self.probes[groups[-1][0]] if groups else None
            alike = last is not None and (
                (last.family, last.margins, last.order == 0, id(last.factors))
                == (probe.family, probe.margins, probe.order == 0, id(probe.factors))
            )
            if alike:
                groups[-1].append(i)
            else:
                groups.append([i])
        return groups

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        widest = max(self.features, self._coefficients.shape[1], 1)
        size = SLICE_BYTES
        classes = max((p.margins for p in self.probes if p.order > 1), default=1)
        # For sparse rows the probe is shifted instead; the squares in a Hessian would cancel then.
        dense = self._curved and (self.origin is not None or not summed_sparse(block.matrix))
        if dense:
            widest = (self.features + 1) * classes
            size = HESSIAN_SLICE_BYTES
        elif block.sparse:
            widest, size = max(1, self._coefficients.shape[1]), SPARSE_SLICE_BYTES
        if self._curved and not dense:
            for rows, products in sparse_slices(block):
                self._add_slice(rows, products)
            return
        step = max(size // (8 * widest), 64)
        for begin in range(0, block.rows, step):
            rows = block.part(begin, begin + step)
            self._add_slice(rows.to_dense() if dense else rows)

    def _add_slice(self, rows: Block, products: CrossProducts | None = None) -> None:
        offsets, moved = self._offsets, False
        if self.origin is not None and not rows.sparse:
            rows, moved = rows.with_matrix(rows.matrix - self.origin), True
        elif self.origin is not None:  # sparse rows are not shifted: shift the probes
            offsets = offsets - self.origin @ self._coefficients
        margins = margins_of(rows, self._coefficients, offsets)
        if self._curved and products is None:
            products = cross_products(rows.matrix)
        each = [self._add_losses(group, margins, rows, products) for group in self._groups]
        if self._sloped:  # the groups with slopes come first, in the order of their columns
            slopes = [its for its in each if its is not None]
            multipliers = slopes[0] if len(slopes) == 1 else np.concatenate(slopes, axis=1)
            self._gradient[-1] += (column_sums := multipliers.sum(axis=0))
            self._gradient[:-1] += transposed_times(rows.matrix, multipliers)
            if self.origin is not None and not moved:
                self._gradient[:-1] -= np.outer(self.origin, column_sums)

    def _add_losses(
        self,
        group: Sequence[int],
        margins: Array,
        rows: Block,
        products: CrossProducts | None,
    ) -> Array | None:
        """Add a group's values and Hessians; return its slopes w_i d_ik, one column per margin."""
        first = self.probes[group[0]]
        weights = weights_of(rows, first.factors)
        place = slice(self._places[group[0]].start, self._places[group[-1]].stop)
        each: Array | float = 1.0 if weights is None else weights
        terms = first.family.terms(margins[:, place], rows.labels, len(group))
        values = terms.loss.sum(axis=0) if weights is None else weights @ terms.loss
        for i, value in zip(group, values, strict=True):
            self._totals[i].value[0] += value
        for number, i in enumerate(group):
            if self.probes[i].order > 1 and products is not None:
                terms.add_hessian(self._totals[i].hessian, products, number, each)
        if not first.order:
            return None
        return terms.slopes if weights is None else terms.slopes * weights[:, None]

    def finish(self) -> None:
        """Add the gradients, which are summed side by side, to the totals of their probes."""
        for probe, place, sums in zip(self.probes, self._places, self._totals, strict=True):
            if probe.order > 0:
                sums.gradient[:] += self._gradient[:, place].T
        self._gradient[:] = 0.0

    def totals(self) -> Array:
        """Return every probe's sums so far, one after another in one flat array."""
        self.finish()
        return np.concatenate([sums.flat for sums in self._totals]) if self._totals else np.zeros(0)


def times_columns(matrix: Matrix, coefficients: Array) -> Array:
    """Return X B, (n, C), of dense rows as (B' X')'.

    BLAS makes few columns from a wide matrix in 3/4 of the time in that order, and losses are
    summed faster over margins that lie in memory by columns.
    """
    if is_sparse(matrix):
        return np.asarray(matrix @ coefficients)
    return np.asarray((coefficients.T @ matrix.T).T)


def margins_of(rows: Block, coefficients: Array, offsets: Array) -> Array:
    """Return X B + offsets, and each row's own offset, (n, C), for coefficients B (p, C)."""
    margins = times_columns(rows.matrix, coefficients)
    margins += offsets
    if rows.row_offsets is not None:
        margins += rows.row_offsets[:, None]
    return margins


def transposed_times(matrix: Matrix, multipliers: Array) -> Array:
    """Return X' D, (p, C), for multipliers D (n, C): of dense rows as (D' X)', as above."""
    if is_sparse(matrix):
        return np.asarray(matrix.T @ multipliers)
    return np.asarray((multipliers.T @ matrix).T)


def split_totals(probes: Sequence[Probe], flat: Array) -> list[Sums]:
    """Return each probe's sums, in the order of the probes: the inverse of `Stack.totals`."""
    ends = np.cumsum([probe.length for probe in probes])
    return [
        Sums.of(probe, flat[end - probe.length : end])
        for probe, end in zip(probes, ends, strict=True)
    ]


def margin_hessians(probe: Probe, block: Block, origin: Array | None) -> Array:
    """Return each margin's own block of the Hessian, sum_i w_i h_ikk [x_i - o, 1] [x_i - o, 1]'.

    The shape is (C, p + 1, p + 1): the whole Hessian for one margin, its diagonal blocks for
    several, with 1 / C of the work.
    """
    width = block.features + 1
    hessians = np.zeros((probe.margins, width, width))
    kept_sparse = origin is None and summed_sparse(block.matrix)
    step = max(HESSIAN_SLICE_BYTES // (8 * max(width, probe.margins)), 64)
    if kept_sparse:
        step = sparse_step(block)
    for begin in range(0, block.rows, step):
        rows = block.part(begin, begin + step)
        matrix = rows.matrix if kept_sparse else rows.to_dense().matrix
        matrix = matrix if origin is None else matrix - origin
        margins = margins_of(rows.with_matrix(matrix), probe.coefficients.T, probe.offsets)
        curvatures = probe.family.terms(margins, rows.labels, 1).curvatures(0)
        weights = weights_of(rows, probe.factors)
        if weights is not None:
            curvatures = curvatures * weights[:, None]
        if not kept_sparse and width <= FEW_FEATURES < FEW_FEATURES * probe.margins:
            ones = np.column_stack((matrix, np.ones(len(matrix))))
            squares = (ones[:, :, None] * ones[:, None, :]).reshape(len(ones), -1)
            hessians += (curvatures.T @ squares).reshape(hessians.shape)
            continue
        products = cross_products(matrix)
        for hessian, curvature in zip(hessians, curvatures.T, strict=True):
            products.add_binomial(hessian, curvature)
    return hessians
