"""A posterior as numbers, in the user's units: what a model keeps, saves and scores with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparklr.arrays import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class PosteriorNumbers:
    """A distribution of the m = C (p + 1) coefficients: per margin the features, the intercept.

    Coefficients that the rows do not determine, because their feature does not vary, are zero.

    kind : "laplace", "gaussian", "fisher" or "sampled"
    mean : (m,)
    factor : F (m, r), with the covariance F F'
    draws : (S, m), of a sampled posterior only
    prior_deviations : (p,), of the features' coefficients; infinite without penalty
    readings : of the rows, for the posterior alone
    converged, reason : whether and why the search ended
    tolerance : of the means, in their deviations
    shift_from_mode : how far the mean of a coefficient is from the mode, in deviations, at most, as
        the first reading predicts it; None if that is not known
    r_hat, error : of a sampled posterior, the largest of split R-hat and of the Monte-Carlo errors
        of the means, in deviations
    """

    kind: str
    mean: Array
    factor: Array
    draws: Array | None
    prior_deviations: Array
    readings: int
    converged: bool
    reason: str
    tolerance: float
    shift_from_mode: float | None
    r_hat: float | None = None
    error: float | None = None

    @cached_property
    def deviations(self) -> Array:
        """The standard deviation of each coefficient, (m,); NaN if the rows do not determine it."""
        sizes = np.sqrt(np.einsum("ij,ij->i", self.factor, self.factor))
        return np.where(self.factor.any(axis=1), sizes, np.nan)

    @property
    def covariance(self) -> Array:
        """The covariance (m, m); NaN where the rows do not determine a coefficient."""
        square = np.asarray(self.factor @ self.factor.T)
        unknown = ~self.factor.any(axis=1)
        square[unknown] = square[:, unknown] = np.nan
        return square

    def spread(self, count: int, seed: int) -> Array:
        """Return an even number of draws (count, m) that are spread more evenly than random ones.

        Of a sampled posterior, its own in equal intervals; else pairs m + e, m - e.
        """
        if self.draws is not None:
            return np.asarray(self.draws[np.linspace(0, len(self.draws) - 1, count).astype(int)])
        noise = np.random.default_rng(seed % 2**63).standard_normal(
            (count // 2, self.factor.shape[1])
        )
        steps = noise @ self.factor.T
        return np.concatenate((self.mean + steps, self.mean - steps))

    def drawn(self, count: int, seed: int) -> Array:
        """Return draws (count, m): of a sampled posterior, some of its own at random."""
        rng = np.random.default_rng(seed % 2**63)
        if self.draws is not None:
            return np.asarray(self.draws[rng.integers(len(self.draws), size=count)])
        noise = rng.standard_normal((count, self.factor.shape[1]))
        return np.asarray(self.mean + noise @ self.factor.T)
