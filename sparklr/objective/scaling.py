"""The solvers' coordinates: features scaled to unit deviation and, virtually, centred.

    margin_k = intercept_k + sum_j scaled_kj (x_j - centre_j) / deviation_j
             = offset_k   + sum_j coefficients_kj (x_j - origin_j)

over the features with a deviation above zero; the others' coefficients are held, at zero or
at the bound nearest to it. Centring only moves the intercept, so the rows are never changed;
without an intercept there is no centre, nor where an intercept has a bound, which would bound
a sum of coordinates. Knows nothing of losses and penalties.

For second derivatives a feature whose mean is within a third of a deviation from zero is not
centred. It gains nothing by that, and rare levels of a category lose: where all rows of a level
are predicted for certain, its curvature is tiny but exact as it is; centred, it is the difference
of two large numbers, and the level looks like a copy of the intercept. First derivatives need
the centring: else all features pull at the intercept, each a little, in the same direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, IntArray
from sparklr.objective.bounds import Bounds
from sparklr.objective.moments import Moments

# Up to so many deviations from zero a feature's mean is left alone.
NEAR = 1 / 3


@dataclass(frozen=True, eq=False)
class Scaling:
    """From the solvers' coordinates to the rows' and back, for so many margins."""

    features: int
    margins: int
    intercept: bool
    active: IntArray  # features with a deviation above zero
    deviation: Array  # of the active features
    centre: Array  # of all features; zero where there is none
    origin: Array  # what the pass counts features from
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
        """The scaling that these moments ask for, in a pass that counts from this origin.

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
        """A point as a matrix: one row a margin, its active features and then its intercept."""
        return self.margins, len(self.active) + self.intercept

    def mean_squares(self, moments: Moments) -> Array:
        """The mean square of each scaled feature, of rows with these moments."""
        away = moments.mean - self.centre
        spread = moments.spread / max(moments.weight, np.finfo(float).tiny)
        return np.asarray((spread + away**2)[self.active] / self.deviation**2)

    def to_rows(self, point: Array) -> tuple[Array, Array]:
        """Coefficients (C, p) and offsets (C,) as the pass counts them, from its origin."""
        coefficients, intercepts = self._unscale(point)
        return coefficients, intercepts - coefficients @ (self.centre - self.origin)

    def to_coefficients(self, point: Array) -> tuple[Array, Array]:
        """Coefficients (C, p) and intercepts (C,) of the rows as the user knows them."""
        coefficients, intercepts = self._unscale(point)
        return coefficients, intercepts - coefficients @ self.centre

    def to_point(self, coefficients: Array, intercepts: Array) -> Array:
        """The point (flat) of coefficients (C, p) and intercepts (C,): undoes `to_coefficients`."""
        scaled = coefficients[:, self.active] * self.deviation
        if not self.intercept:
            return scaled.ravel()
        return np.column_stack((scaled, intercepts + coefficients @ self.centre)).ravel()

    def to_limits(self, side: Array) -> Array:
        """One side of the bounds, (C, p + 1), as a point (flat)."""
        scaled = side[:, self.active] * self.deviation
        return np.column_stack((scaled, side[:, -1:]))[:, : self.shape[1]].ravel()

    def _unscale(self, point: Array) -> tuple[Array, Array]:
        matrix = point.reshape(self.shape)
        coefficients = np.zeros((self.margins, self.features)) + self.held
        coefficients[:, self.active] = matrix[:, : len(self.active)] / self.deviation
        intercepts = matrix[:, -1].copy() if self.intercept else np.zeros(self.margins)
        return coefficients, intercepts

    def gradient(self, sums: Array) -> Array:
        """The gradient at a point (flat) from the sums' gradient (C, p + 1)."""
        return self._change(sums).ravel()

    def hessian(self, sums: Array) -> Array:
        """The Hessian at a point from the sums' Hessian (C (p + 1), C (p + 1))."""
        side, width = self.margins * self.shape[1], self.features + 1
        half = self._change(sums.reshape(-1, self.margins, width)).reshape(-1, side)
        full = self._change(half.T.reshape(side, self.margins, width)).reshape(side, side)
        return np.asarray((full + full.T) / 2)

    def margin_hessian(self, sums: Array) -> Array:
        """One margin's own block of `hessian`, from its sums (p + 1, p + 1)."""
        return self._change(self._change(sums).T)

    def _change(self, sums: Array) -> Array:
        """Sums over [x - origin, 1] on the last axis -> over [(x - centre) / deviation, 1]."""
        totals = sums[..., -1:]
        shift = (self.centre - self.origin)[self.active]
        scaled = (sums[..., self.active] - shift * totals) / self.deviation
        return np.concatenate((scaled, totals), axis=-1) if self.intercept else scaled
