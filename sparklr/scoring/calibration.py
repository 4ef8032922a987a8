"""How well a binary score ranks and how true its probabilities are, from weights by score.

With weights as counts, let n1 and n0 be the weights of positive and negative rows, and for each row
the share of the other label's weight that its score beats, ties counted half:

    a positive row    u(s) = the share of negatives below s        A = mean of u = mean of v
    a negative row    v(s) = the share of positives above s        var A = var u / n1 + var v / n0

A is the area under the ROC curve (DeLong et al. 1988), for unbiased variances of u and v.

Calibration compares probabilities p with labels y. The logistic regression of y on log(p / (1 - p))
has the slope 1 and the intercept 0 if they are true. The Brier score is the mean of (y - p)^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from sparklr.arrays import Array
from sparklr.scoring.metrics import ScoreCurve

# Probabilities of 0 and 1 count as this far from them in a logistic regression.
LEAST = 2.0**-52
MOST_STEPS = 100


@dataclass(frozen=True, eq=False)
class Tallies:
    """Weights by score: distinct scores, ascending, with the weights of both labels at each."""

    scores: Array
    positives: Array
    negatives: Array

    @staticmethod
    def of(curve: ScoreCurve) -> Tallies:
        """Return the tallies that a curve sums up."""
        positives = np.diff(curve.true_positives, prepend=0.0)[::-1]
        negatives = np.diff(curve.false_positives, prepend=0.0)[::-1]
        return Tallies(curve.thresholds[::-1], positives, negatives)

    @property
    def weights(self) -> Array:
        """The weight at each score."""
        return self.positives + self.negatives

    def area_interval(self, level: float) -> tuple[float, float]:
        """Return DeLong's interval of the area under the ROC curve, cut at 0 and 1."""
        positive, negative = self.positives.sum(), self.negatives.sum()
        if min(positive, negative) <= 1:
            return np.nan, np.nan
        below = (np.cumsum(self.negatives) - self.negatives / 2) / negative
        above = 1 - (np.cumsum(self.positives) - self.positives / 2) / positive
        area = float(self.positives @ below / positive)
        variance = self.positives @ (below - area) ** 2 / (positive - 1) / positive
        variance += self.negatives @ (above - area) ** 2 / (negative - 1) / negative
        half = float(norm.ppf(0.5 + level / 2) * np.sqrt(variance))
        return max(area - half, 0.0), min(area + half, 1.0)

    @property
    def brier(self) -> float:
        """The mean of (y - p)^2."""
        squares = self.positives * (1 - self.scores) ** 2 + self.negatives * self.scores**2
        return float(squares.sum() / self.weights.sum())

    @property
    def discrimination(self) -> float:
        """The mean score of positives less that of negatives (Tjur 2009); NaN without either."""
        means = [
            float(its @ self.scores / its.sum()) if its.sum() > 0 else np.nan
            for its in (self.positives, self.negatives)
        ]
        return means[0] - means[1]

    def regression(self, *, slope: bool) -> tuple[float, float]:
        """Return intercept and slope of the labels' regression on the log odds, or for slope 1.

        NaN if the scores separate the labels, so that there is none.
        """
        inside = np.clip(self.scores, LEAST, 1 - LEAST)
        odds = np.log(inside) - np.log1p(-inside)
        columns = np.column_stack((np.ones_like(odds), odds))[:, : 1 + slope]
        offset = 0.0 if slope else odds
        point, left = np.array([0.0, 1.0])[: 1 + slope], np.inf
        for _ in range(MOST_STEPS):
            chances = expit(columns @ point + offset)
            gradient = columns.T @ (self.positives - self.weights * chances)
            curvature = self.weights * chances * (1 - chances)
            hessian = (columns * curvature[:, None]).T @ columns
            if not np.linalg.cond(hessian) < 1 / np.finfo(float).eps:
                return np.nan, np.nan
            step = np.linalg.solve(hessian, gradient)
            left, point = float(gradient @ step), point + step
            if left < 1e-20 * self.weights.sum():
                return float(point[0]), float(point[1]) if slope else 1.0
        return np.nan, np.nan

    def groups(self, count: int) -> Groups:
        """Return the weights in up to `count` groups of about equal weight, by ascending score.

        Rows of a score stay together: it is in the group that its last row reaches.
        """
        columns = (self.weights, self.positives, self.weights * self.scores)
        return Groups(*sums_of_groups(self.weights, columns, count))


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of rows by score: their weight, and observed and expected positives."""

    weights: Array
    observed: Array
    expected: Array

    @property
    def hosmer_lemeshow(self) -> float:
        """The sum over groups of (O - E)^2 / (E (1 - E/n))."""
        spread = self.expected * (1 - self.expected / self.weights)
        return float(((self.observed - self.expected) ** 2 / spread).sum())

    def wilson(self, level: float) -> tuple[Array, Array]:
        """Return the limits of each observed share."""
        return wilson(self.observed, self.weights, level)


@dataclass(frozen=True, eq=False)
class PairedTallies:
    """Sums of rows by score, ascending, beside another score of the same rows.

    rows, weights, positives : the number of rows, their weight, and that of positives
    scores, others : the weights times the score, and times the other
    """

    rows: Array
    weights: Array
    positives: Array
    scores: Array
    others: Array

    def grouped(self, count: int) -> list[Array]:
        """Return the five in groups, as `Tallies.groups` makes them."""
        columns = (self.rows, self.weights, self.positives, self.scores, self.others)
        return sums_of_groups(self.weights, columns, count)


def sums_of_groups(weights: Array, columns: Sequence[Array], count: int) -> list[Array]:
    """Return sums of columns over up to `count` neighbouring groups of about equal weight."""
    reached = np.cumsum(weights)
    number = np.ceil(count * reached / reached[-1] * (1 - 1e-12)).astype(np.int64)
    _, place = np.unique(number, return_inverse=True)
    return [np.asarray(np.bincount(place, its), dtype=np.float64) for its in columns]


def wilson(observed: Array, weights: Array, level: float) -> tuple[Array, Array]:
    """Return the limits of the shares observed / weights (Wilson 1927)."""
    square = float(norm.ppf(0.5 + level / 2)) ** 2
    share, total = observed / weights, weights + square
    middle = (observed + square / 2) / total
    half = np.sqrt(square * (weights * share * (1 - share) + square / 4)) / total
    return middle - half, middle + half
