"""The distribution of a row's probabilities of several classes, by draws of the coefficients.

With D draws B_d (C, p + 1) of the coefficients, a row x~ = [x, 1] has the probabilities

    P_d = softmax(B_d x~)

and of these come their mean, deviation and interval for each class. There is no formula for them as
for two classes, where a row has one margin: the error of a mean is about deviation / sqrt(D).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logsumexp

from sparklr.arrays import Array, Matrix
from sparklr.scoring.margin_posterior import random_of

# So many draws are enough: an interval of 90% has then 26 of them outside.
DRAWS = 256
# About so many numbers are in memory at once.
NUMBERS = 2**20


@dataclass(frozen=True, eq=False)
class ClassPosterior:
    """Draws (D, C, p + 1) of the coefficients of a model with a margin per class, features first.

    level : of intervals
    averaged : whether the probability is its mean
    seed : of draws for rows
    """

    draws: Array
    level: float
    averaged: bool
    seed: int

    def of_rows(self, matrix: Matrix, offsets: Array | None) -> ClassMargins:
        """Return the margins of rows (n, p), dense or CSR; there are no offsets."""
        assert offsets is None
        return ClassMargins(self, matrix)

    def log_chances(self, matrix: Matrix, draws: Array) -> Array:
        """Return log P (n, D, C) of rows for these draws."""
        count, classes, width = draws.shape
        flat = draws.reshape(-1, width)
        with np.errstate(invalid="ignore", over="ignore"):  # features may be infinite
            margins = np.asarray(matrix @ flat[:, :-1].T) + flat[:, -1]
            return np.asarray(log_softmax(margins.reshape(-1, count, classes), axis=2))


@dataclass(frozen=True, eq=False)
class ClassMargins:
    """What is made of the draws for n rows; NaN where a feature is not finite."""

    posterior: ClassPosterior
    matrix: Matrix

    @property
    def averaged_margins(self) -> Array:
        """Margins (n, C) of mean zero with the mean probabilities."""

        def of_mean(logs: Array) -> Array:
            means = np.asarray(logsumexp(logs, axis=1))
            return np.asarray(means - means.mean(axis=1, keepdims=True))

        return self._made(of_mean, 1)

    @property
    def interval(self) -> Array:
        """The lower and the upper end for class 0, then for class 1, and so on: (n, 2 C)."""
        tail = (1 - self.posterior.level) / 2

        def ends(logs: Array) -> Array:
            both = np.quantile(np.exp(logs), (tail, 1 - tail), axis=1)
            return np.moveaxis(both, 0, 2).reshape(len(logs), -1)

        return self._made(ends, 2)

    @property
    def chance_deviations(self) -> Array:
        """The standard deviation of each class's probability, (n, C)."""
        return self._made(lambda logs: np.exp(logs).std(axis=1), 1)

    @property
    def sampled(self) -> Array:
        """The probabilities (n, C) by one draw for each row, by the seed and the rows themselves.

        A batch that is scored again, as Spark may do, has the same draws.
        """
        posterior, rows = self.posterior, self.matrix.shape[0]
        first = posterior.log_chances(self.matrix, posterior.draws[:1])
        chosen = random_of(posterior.seed, first).integers(len(posterior.draws), size=rows)
        made = np.empty((rows, posterior.draws.shape[1]))
        for draw in np.unique(chosen):
            those = np.flatnonzero(chosen == draw)
            logs = posterior.log_chances(self.matrix[those], posterior.draws[draw][None])
            made[those] = np.exp(logs[:, 0])
        return made

    def _made(self, make: Callable[[Array], Array], width: int) -> Array:
        """Return what is made of log P (m, D, C) for a few rows at a time: (n, width C)."""
        posterior = self.posterior
        count, classes, _ = posterior.draws.shape
        step = max(1, NUMBERS // (count * classes))
        parts = [
            make(posterior.log_chances(self.matrix[begin : begin + step], posterior.draws))
            for begin in range(0, self.matrix.shape[0], step)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, width * classes))
