"""The entropy of the distribution that particles are drawn from, from distances between them.

By Kozachenko and Leonenko (1987), int m log m is, up to a constant of N and d, minus d times the
mean logarithm of a particle's distance to its k-th neighbour. In many dimensions that is biased,
most of all by the particles' covariance; so they are whitened, and as many normal numbers, whose
entropy is known, are measured in the same way:

    int m log m = -1/2 log det(2 pi e Sigma) - d (mean log distance - that of normal numbers)
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array

NEIGHBOUR = 4
MOST_PARTICLES = 500  # whose distances are taken
# With fewer particles per dimension a covariance is too uncertain to whiten by.
WHITENED_FROM = 4


class EntropyOfParticles:
    """Measures int m log m of N particles in R^d; the same normal numbers serve each call."""

    def __init__(self, particles: int, dimensions: int, random: np.random.Generator) -> None:
        self._count = min(particles, MOST_PARTICLES)
        self._dimensions = dimensions
        self._normal = self._measure(random.normal(size=(self._count, dimensions)))
        self._known = -dimensions / 2 * np.log(2 * np.pi * np.e)

    def __call__(self, points: Array) -> float:
        """Return int m log m for points (N, d)."""
        return float(self._known + self._measure(points[: self._count]) - self._normal)

    def _measure(self, points: Array) -> float:
        """Return int m log m, up to what depends on N and d alone."""
        centred = points - points.mean(axis=0)
        if len(points) >= WHITENED_FROM * self._dimensions:
            lower = np.linalg.cholesky(centred.T @ centred / len(points))
            centred = np.linalg.solve(lower, centred.T).T
            volume = float(np.log(np.diagonal(lower)).sum())
        else:
            deviations = np.sqrt((centred**2).mean(axis=0))
            centred, volume = centred / deviations, float(np.log(deviations).sum())
        squares = (centred**2).sum(axis=1)
        distances = squares[:, None] + squares - 2 * (centred @ centred.T)
        np.fill_diagonal(distances, np.inf)
        nearest = np.partition(distances, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1]
        logs = np.log(np.maximum(nearest, np.finfo(np.float64).tiny)) / 2
        return -volume - self._dimensions * float(logs.mean())
