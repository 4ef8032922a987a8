"""Coefficients with standard errors, z values, p values and intervals.

    z = b / se,    p = 2 P(Z > |z|),    b -+ q se,  P(|Z| <= q) = level

Z is normal or, with few clusters, Student's t. A p value below 1e-308 is zero as a double, so there
is its logarithm too. What is not identified has NaN errors, and a coefficient that is not finite
has no interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from sparklr.arrays import Array

LN_10 = float(np.log(10))


def check_level(level: float) -> None:
    """Refuse what is no probability that an interval holds the true value."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, but got {level:g}.")


@dataclass(frozen=True, eq=False)
class Estimates:
    """Coefficients (m,) and their standard errors.

    degrees : the degrees of freedom of Student's t; infinite for the normal distribution
    limits : (m, 2), of the profile likelihood, in the place of Wald's intervals
    """

    coefficients: Array
    errors: Array
    level: float = 0.95
    degrees: float = np.inf
    limits: Array | None = None

    @staticmethod
    def of(
        coefficients: Array, covariance: Array, level: float = 0.95, degrees: float = np.inf
    ) -> Estimates:
        """Return estimates with this covariance (m, m)."""
        return Estimates(coefficients, np.sqrt(np.diagonal(covariance)), level, degrees)

    @property
    def z(self) -> Array:
        """z, or t."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.coefficients / self.errors)

    @property
    def p(self) -> Array:
        """The probability of so large a |z| where the coefficient is zero."""
        return np.asarray(np.exp(self._log_p))

    @property
    def log10_p(self) -> Array:
        """The decimal logarithm of p."""
        return np.asarray(self._log_p / LN_10)

    @property
    def interval(self) -> tuple[Array, Array]:
        """The lower and the upper limits."""
        if self.limits is not None:
            return self.limits[:, 0], self.limits[:, 1]
        tail = 0.5 + self.level / 2
        quantile = norm.ppf(tail) if np.isinf(self.degrees) else t.ppf(tail, self.degrees)
        half = quantile * self.errors
        return self.coefficients - half, self.coefficients + half

    @property
    def _log_p(self) -> Array:
        size = np.abs(self.z)
        tail = norm.logsf(size) if np.isinf(self.degrees) else t.logsf(size, self.degrees)
        return np.asarray(np.log(2) + tail)
