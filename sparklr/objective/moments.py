"""Weighted moments of rows, which merge: counts, means, spreads, the label histogram.

mean_j = sum_i w_i x_ij / W,  spread_j = sum_i w_i (x_ij - mean_j)^2,  W = sum_i w_i
variance_j = spread_j / (W - sum_i w_i^2 / W)

Pieces merge by Chan's formula, so even a mean of a million standard deviations costs no digits.
Depends on arrays and blocks only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array, IntArray, nonzeros
from sparklr.rows.blocks import Block

# A column whose mean exceeds this many standard deviations is shifted before it is summed.
FAR = 30.0
OF_FEATURES = ("mean", "spread", "minimum", "maximum")
OF_OFFSETS = ("offset_mean", "offset_minimum", "offset_maximum")


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of rows with weight > 0; arrays over features have length p."""

    rows: int
    weight: float
    weight_squares: float
    mean: Array
    spread: Array
    minimum: Array
    maximum: Array
    nonzeros: int
    labels: Array  # distinct labels, ascending
    label_weights: Array  # total weight of each label
    offset_mean: float = 0.0  # of the rows' offsets, which are 0 if they have none
    offset_minimum: float = 0.0
    offset_maximum: float = 0.0

    @property
    def features(self) -> int:
        return len(self.mean)

    @property
    def variance(self) -> Array:
        """Unbiased weighted variance; zero where all values are equal, or for a single row."""
        denominator = self.weight - self.weight_squares / self.weight if self.weight > 0 else 0.0
        if self.rows < 2 or denominator <= 0:
            return np.zeros(self.features)
        return np.where(self.minimum == self.maximum, 0.0, self.spread / denominator)

    @property
    def origin(self) -> Array | None:
        """The features' origin for sums without cancellation; None if zero is good enough."""
        far = np.abs(self.mean) > FAR * np.sqrt(self.variance)
        # A constant column has coefficient zero, so it needs no shift.
        far &= self.minimum != self.maximum
        return np.where(far, self.mean, 0.0) if far.any() else None

    def histogram(self, classes: int) -> Array:
        """Return the weight of each label 0..classes-1."""
        counts = np.zeros(classes)
        counts[self.labels.astype(np.int64)] = self.label_weights
        return counts

    @property
    def has_offsets(self) -> bool:
        """Whether some row has an offset other than zero."""
        return not self.offset_minimum == self.offset_maximum == 0

    def of_features(self, features: IntArray) -> Moments:
        """Return the moments of some features of the same rows; the others are zero everywhere."""
        arrays = {name: getattr(self, name)[features] for name in OF_FEATURES}
        return replace(self, **arrays)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together."""
        if other.rows == 0 or self.rows == 0:
            return self if other.rows == 0 else other
        weight = self.weight + other.weight
        away = other.mean - self.mean
        labels, where = np.unique(np.concatenate((self.labels, other.labels)), return_inverse=True)
        label_weights = _totals(
            where, np.concatenate((self.label_weights, other.label_weights)), len(labels)
        )
        return replace(
            self,
            rows=self.rows + other.rows,
            weight=weight,
            weight_squares=self.weight_squares + other.weight_squares,
            mean=self.mean + away * (other.weight / weight),
            spread=self.spread + other.spread + away**2 * (self.weight * other.weight / weight),
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
            nonzeros=self.nonzeros + other.nonzeros,
            labels=labels,
            label_weights=label_weights,
            offset_mean=self.offset_mean
            + (other.offset_mean - self.offset_mean) * (other.weight / weight),
            offset_minimum=min(self.offset_minimum, other.offset_minimum),
            offset_maximum=max(self.offset_maximum, other.offset_maximum),
        )

    def alike(self, other: Moments) -> bool:
        """Whether both can be moments of the same rows, summed in another order."""
        if (self.rows, self.nonzeros) != (other.rows, other.nonzeros):
            return False
        same = np.array_equal(self.labels, other.labels)
        return same and all(
            np.allclose(getattr(self, name), getattr(other, name), rtol=1e-9, atol=0.0)
            for name in ("weight", "label_weights", "minimum", "maximum", *OF_OFFSETS[1:])
        )

    def to_arrays(self) -> dict[str, Array]:
        """Return plain arrays by field name, for `from_arrays`."""
        return {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}

    @staticmethod
    def from_arrays(arrays: dict[str, Array]) -> Moments:
        """The inverse of `to_arrays`."""
        counts = {name: int(arrays[name]) for name in ("rows", "nonzeros")}
        totals = {name: float(arrays[name]) for name in ("weight", "weight_squares", *OF_OFFSETS)}
        return Moments(**{**arrays, **counts, **totals})  # type: ignore[arg-type]


def merge_all(pieces: Iterable[Moments]) -> Moments:
    """Return the moments of one or more pieces, merged in their order."""
    first, *others = pieces
    for other in others:
        first = first.merge(other)
    return first


def no_rows(features: int) -> Moments:
    """Return the moments of no rows."""
    zeros, none = np.zeros(features), np.zeros(0)
    return Moments(
        rows=0,
        weight=0.0,
        weight_squares=0.0,
        mean=zeros,
        spread=zeros,
        minimum=np.full(features, np.inf),
        maximum=np.full(features, -np.inf),
        nonzeros=0,
        labels=none,
        label_weights=none,
    )


def moments_of(block: Block) -> Moments:
    """Return the moments of a block's rows."""
    if block.rows == 0:
        return no_rows(block.features)
    each = np.ones(block.rows) if block.weights is None else block.weights
    distinct, where = np.unique(block.labels, return_inverse=True)
    spreads = _sparse_spread if block.sparse else _dense_spread
    mean, spread, minimum, maximum, nonzeros = spreads(block.matrix, each)
    offsets = np.zeros(1) if block.row_offsets is None else block.row_offsets
    return Moments(
        rows=block.rows,
        weight=float(each.sum()),
        weight_squares=float(each @ each),
        mean=mean,
        spread=spread,
        minimum=minimum,
        maximum=maximum,
        nonzeros=nonzeros,
        labels=distinct.astype(np.float64),
        label_weights=_totals(where, each, len(distinct)),
        offset_mean=0.0 if block.row_offsets is None else float(each @ offsets / each.sum()),
        offset_minimum=float(offsets.min()),
        offset_maximum=float(offsets.max()),
    )


def _totals(places: IntArray, values: Array, count: int) -> Array:
    """Return the sum of the values at each place 0..count-1."""
    return np.bincount(places, weights=values, minlength=count).astype(np.float64, copy=False)


def _dense_spread(matrix: Array, weights: Array) -> tuple[Array, Array, Array, Array, int]:
    total = weights.sum()
    # Relative to the first row, a mean far from zero costs no digits and a constant is exact.
    away = matrix - matrix[0]
    shift = (weights @ away) / total
    away -= shift
    spread = weights @ np.square(away, out=away)
    return (
        matrix[0] + shift,
        spread,
        matrix.min(axis=0),
        matrix.max(axis=0),
        nonzeros(matrix),
    )


def _sparse_spread(matrix: sp.csr_matrix, weights: Array) -> tuple[Array, Array, Array, Array, int]:
    """Sum over the stored values; columns that most rows store are summed as dense ones.

    Elsewhere spread = sum_i w_i x_i^2 - (sum_i w_i x_i)^2 / W, which keeps its digits: it is at
    least a half of the first sum, since a half of the weight is on zeros.
    """
    features = matrix.shape[1]
    total = weights.sum()
    columns, data = matrix.indices, matrix.data
    stored = np.bincount(columns, minlength=features)
    on_stored, weighed = stored.astype(np.float64), data
    if not (weights == 1.0).all():
        each = np.repeat(weights, np.diff(matrix.indptr))
        on_stored, weighed = _totals(columns, each, features), each * data
    sums = _totals(columns, weighed, features)
    mean = sums / total
    spread = np.maximum(_totals(columns, weighed * data, features) - sums * mean, 0.0)
    often = np.flatnonzero(on_stored > total / 2)
    if len(often):
        mean[often], spread[often] = _dense_spread(matrix[:, often].toarray(), weights)[:2]
    minimum, maximum = _sparse_extremes(matrix, stored)
    return mean, spread, minimum, maximum, nonzeros(data)


def _sparse_extremes(matrix: sp.csr_matrix, stored: IntArray) -> tuple[Array, Array]:
    """Return each column's least and largest value; zero is one where not all rows store one."""
    rows, columns, data = matrix.shape[0], matrix.indices, matrix.data
    minimum = np.where(stored < rows, 0.0, np.inf)
    maximum = np.where(stored < rows, 0.0, -np.inf)
    # Whatever is not stored is a zero already: of counts, only the largest must be looked for.
    full = bool((stored == rows).any())
    if full or data.min(initial=0.0) < 0:
        np.minimum.at(minimum, columns, data)
    if full or data.max(initial=0.0) > 0:
        np.maximum.at(maximum, columns, data)
    return minimum, maximum
