"""The distribution of a row's margin if the coefficients have a distribution.

For coefficients N(m, F F') the margin of a row x~ = [x, 1] is N(m . x~, |F'x~|^2), and then

    an interval of the probability    sigmoid(mean -+ z deviation): sigmoid is monotone
    its mean and its deviation        sums over nodes (`normal_margins`)
    a draw of it                      sigmoid(mean + deviation Z)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from sparklr.arrays import Array, Matrix
from sparklr.objective.normal_margins import chance_moments, smoothed_terms


def random_of(seed: int, rows: Array) -> np.random.Generator:
    """Return the random numbers of a batch, by the seed and numbers that stand for its rows."""
    content = zlib.crc32(np.ascontiguousarray(rows).tobytes())
    return np.random.default_rng([seed % 2**32, content])


@dataclass(frozen=True, eq=False)
class MarginPosterior:
    """A normal distribution of a binomial model's coefficients, features first.

    mean : (p + 1,)
    factor : F (p + 1, r)
    level : of intervals
    averaged : whether the probability is its mean
    seed : of draws
    """

    mean: Array
    factor: Array
    level: float
    averaged: bool
    seed: int

    def of_rows(self, matrix: Matrix, offsets: Array | None) -> Margins:
        """Return the margins of rows (n, p), dense or CSR, with offsets (n,)."""
        means = np.asarray(matrix @ self.mean[:-1]) + self.mean[-1]
        means = means if offsets is None else means + offsets
        spread = np.asarray(matrix @ self.factor[:-1]) + self.factor[-1]
        return Margins(self, means, np.sqrt(np.einsum("ij,ij->i", spread, spread)))


@dataclass(frozen=True, eq=False)
class Margins:
    """The means and the deviations of rows' margins, (n,); NaN where a feature is not finite."""

    posterior: MarginPosterior
    means: Array
    deviations: Array

    @property
    def averaged_margins(self) -> Array:
        """The log odds (n, 1) of the mean probability, exact near 0 and 1 too."""
        known = np.isfinite(self.means) & np.isfinite(self.deviations)
        means, deviations = self.means[known], self.deviations[known]
        # The smaller of the two probabilities, which keeps its digits.
        small = np.abs(smoothed_terms(means, deviations, (means > 0).astype(float))[1])
        result = np.full_like(self.means, np.nan)
        with np.errstate(divide="ignore"):
            result[known] = np.sign(means) * (np.log1p(-small) - np.log(small))
        return result[:, None]

    @property
    def interval(self) -> Array:
        """The lower and the upper end (n, 2) of the probability's interval."""
        half = float(norm.ppf(0.5 + self.posterior.level / 2)) * self.deviations
        return np.asarray(expit(np.column_stack((self.means - half, self.means + half))))

    @cached_property
    def chance_deviations(self) -> Array:
        """The standard deviation (n,) of the probability."""
        result = np.full_like(self.means, np.nan)
        known = np.isfinite(self.means) & np.isfinite(self.deviations)
        result[known] = chance_moments(self.means[known], self.deviations[known])[1]
        return result

    @property
    def sampled(self) -> Array:
        """The probability (n,) by one draw for each row.

        By the seed and the rows themselves, so that a batch which is scored again, as Spark may do,
        has the same draws.
        """
        rng = random_of(self.posterior.seed, self.means)
        return np.asarray(
            expit(self.means + self.deviations * rng.standard_normal(len(self.means)))
        )
