"""The solvers' coordinates: features scaled to unit deviation and virtually centred.

    margin_k = intercept_k + sum_j scaled_kj (x_j - centre_j) / deviation_j
             = offset_k   + sum_j coefficients_kj (x_j - origin_j)

over the features with a deviation above zero; the other coefficients are held at zero, or at the
bound nearest to zero. Centring only moves the intercept, so the rows are never changed. There is
no centring without an intercept, nor with a bounded intercept, whose bound would become a bound on
a sum of coordinates. Losses and penalties do not occur here.

For second derivatives, a feature whose mean is within a third of a deviation from zero is not
centred. Centring would gain nothing, and rare levels of a category would lose: where all rows of a
level have certain predictions, its curvature is tiny but exact. After centring it would be the
difference of two large numbers, and the level would look like a copy of the intercept. For first
derivatives, all features are centred: otherwise they all pull at the intercept in one direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array, IntArray
from sparklr.objective.bounds import Bounds
from sparklr.objective.moments import Moments

# A feature is not centred if its mean is within this many deviations from zero.
NEAR = 1 / 3


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map from the solvers' coordinates to those of the rows, and back."""

    features: int
    margins: int
    intercept: bool
    active: IntArray  # features with a deviation above zero
    deviation: Array  # of the active features
    centre: Array  # of all features; zero for a feature that is not centred
    origin: Array  # the pass subtracts it from the features
    held: Array | float = 0.0  # coefficients (C, p) of the features without deviation

    @staticmethod
    def of(
        moments: Moments,
        margins: int,
        *,
        intercept: bool,
        bounds: Bounds | None = None,
        origin: Array | None = None,
        near: float = NEAR,
    ) -> Scaling:
        """Return the scaling for rows with these moments, in passes with this origin.

        Features whose mean is no more than `near` deviations from zero are not centred.
        """
        deviation = np.sqrt(moments.variance)
        active = np.flatnonzero(deviation > 0)
        nowhere = np.zeros(moments.features)
        far = np.abs(moments.mean) > near * deviation
        centred = intercept and not (bounds is not None and bounds.on_intercepts)
        return Scaling(
            features=moments.features,
            margins=margins,
            intercept=intercept,
            active=active,
            deviation=deviation[active],
            centre=np.where(far, moments.mean, 0.0) if centred else nowhere,
            origin=nowhere if origin is None else origin,
            held=0.0 if bounds is None else bounds.nearest_to_zero(),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a point as a matrix: per margin its active features, then its intercept."""
        return self.margins, len(self.active) + self.intercept

    def mean_squares(self, moments: Moments) -> Array:
        """The mean square of each scaled feature, of rows with these moments."""
        away = moments.mean - self.centre
        spread = moments.spread / max(moments.weight, np.finfo(float).tiny)
        return np.asarray((spread + away**2)[self.active] / self.deviation**2)

    def to_rows(self, point: Array) -> tuple[Array, Array]:
        """Return coefficients (C, p) and offsets (C,) for a pass, relative to its origin."""
        coefficients, intercepts = self._unscale(point)
        return coefficients, intercepts - coefficients @ (self.centre - self.origin)

    def to_coefficients(self, point: Array) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) in the user's units."""
        coefficients, intercepts = self._unscale(point)
        return coefficients, intercepts - coefficients @ self.centre

    def largest_move(self, step: Array, moments: Moments) -> float:
        """Return a bound of the most by which a step of the point moves the margin of any row."""
        coefficients, offsets = replace(self, held=0.0).to_rows(step)
        middle = (moments.minimum + moments.maximum) / 2 - self.origin
        half = (moments.maximum - moments.minimum) / 2
        moves = np.abs(offsets + coefficients @ middle) + np.abs(coefficients) @ half
        return float(moves.max(initial=0))

    def to_point(self, coefficients: Array, intercepts: Array) -> Array:
        """Return the flat point of coefficients (C, p) and intercepts (C,).

        The inverse of `to_coefficients`.
        """
        scaled = coefficients[:, self.active] * self.deviation
        if not self.intercept:
            return scaled.ravel()
        return np.column_stack((scaled, intercepts + coefficients @ self.centre)).ravel()

    def to_limits(self, side: Array) -> Array:
        """Return one side of the bounds, (C, p + 1), as a flat point."""
        scaled = side[:, self.active] * self.deviation
        return np.column_stack((scaled, side[:, -1:]))[:, : self.shape[1]].ravel()

    def _unscale(self, point: Array) -> tuple[Array, Array]:
        matrix = point.reshape(self.shape)
        coefficients = np.zeros((self.margins, self.features)) + self.held
        coefficients[:, self.active] = matrix[:, : len(self.active)] / self.deviation
        intercepts = matrix[:, -1].copy() if self.intercept else np.zeros(self.margins)
        return coefficients, intercepts

    def gradient(self, sums: Array) -> Array:
        """Return the flat gradient at a point from the sums' gradient (C, p + 1)."""
        return self._change(sums).ravel()

    def hessian(self, sums: Array) -> Array:
        """Return the Hessian at a point from the sums' Hessian (C (p + 1), C (p + 1))."""
        side, width = self.margins * self.shape[1], self.features + 1
        half = self._change(sums.reshape(-1, self.margins, width)).reshape(-1, side)
        full = self._change(half.T.reshape(side, self.margins, width)).reshape(side, side)
        full = full + full.T
        full /= 2
        return np.asarray(full)

    def margin_hessian(self, sums: Array) -> Array:
        """Return one margin's own block of `hessian`, from its sums (p + 1, p + 1)."""
        return self._change(self._change(sums).T)

    def diagonal(self, sums: Array) -> Array:
        """Return the flat diagonal of the Hessian from `diagonal_sums` (2, C, p + 1)."""
        squares, firsts = sums
        shift, total = (self.centre - self.origin)[self.active], squares[:, -1:]
        its = squares[:, self.active] - 2 * shift * firsts[:, self.active] + shift**2 * total
        its = np.maximum(its, 0.0) / self.deviation**2
        return np.hstack((its, total) if self.intercept else (its,)).ravel()

    def columns_to_coefficients(self, columns: Array) -> Array:
        """Return T F (C (p + 1), r) for columns F (n, r) of differences of points."""
        count, each = len(self.active), columns.reshape(*self.shape, -1)
        result = np.zeros((self.margins, self.features + 1, each.shape[2]))
        result[:, self.active] = each[:, :count] / self.deviation[:, None]
        result[:, -1] = -np.tensordot(result[:, :-1], self.centre, axes=(1, 0))
        if self.intercept:
            result[:, -1] += each[:, count]
        return result.reshape(-1, each.shape[2])

    def _change(self, sums: Array) -> Array:
        """Map sums over [x - origin, 1], last axis, to sums over [(x - centre) / deviation, 1]."""
        count, totals = len(self.active), sums[..., -1:]
        shift = (self.centre - self.origin)[self.active]
        # Without a copy where possible: a Hessian of thousands of coefficients has megabytes.
        chosen = sums[..., :-1] if count == self.features else sums[..., self.active]
        if shift.any():
            chosen = chosen - shift * totals
        changed = np.empty((*sums.shape[:-1], count + self.intercept))
        np.divide(chosen, self.deviation, out=changed[..., :count])
        if self.intercept:
            changed[..., count:] = totals
        return changed
