"""A Gaussian prior of the coefficients, as a value of its own.

    -log prior(x) = (x - m)' P (x - m) / 2 + a constant

An L2 penalty is the prior with mean zero and a diagonal precision; a precision of zero is flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers import solve_symmetric


@dataclass(frozen=True, eq=False)
class GaussianPrior:
    """A normal distribution of points (n,): its mean (n,) and its precision, (n,) or (n, n)."""

    mean: Array
    precision: Array

    @staticmethod
    def of_pull(pull: Array, precision: Array) -> GaussianPrior:
        """Return the prior whose gradient at zero is -pull (n,): its mean is P^-1 pull."""
        if precision.ndim == 2:
            return GaussianPrior(solve_symmetric(precision, pull), precision)
        return GaussianPrior(pull / precision, precision)

    def times(self, vectors: Array) -> Array:
        """Return P v, for vectors (n,) or (n, k)."""
        if self.precision.ndim == 2:
            return np.asarray(self.precision @ vectors)
        return np.asarray((self.precision * vectors.T).T)

    def value(self, point: Array) -> float:
        """Return -log prior at a point."""
        away = point - self.mean
        return float(0.5 * (away @ self.times(away)))

    def mean_value(self, point: Array, factor: Array) -> float:
        """Return the mean of -log prior over N(point, F F'), for a factor F (n, k)."""
        return self.value(point) + 0.5 * float(np.vdot(factor, self.times(factor)))

    def gradient(self, point: Array) -> Array:
        """Return the gradient of -log prior."""
        return self.times(point - self.mean)

    def add_to(self, hessian: Array) -> None:
        """Add P to a Hessian (n, n)."""
        if self.precision.ndim == 2:
            hessian += self.precision
        else:
            hessian[np.diag_indices_from(hessian)] += self.precision
