"""A network as its particles see it: between scaled coordinates and those of the rows.

Particles have coordinates (a, b) for features z = (x - mean) / deviation, or (a) without a bias. On
the rows, relative to an origin o, the same neuron has weights a / deviation and the bias
b + sum_j a_j (o_j - mean_j) / deviation_j.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

from sparklr.arrays import Array
from sparklr.mean_field.dynamics import Cloud, Descended, Descent, Potential
from sparklr.mean_field.reading import NetworkSums
from sparklr.objective.moments import Moments
from sparklr.passes.protocol import Passes
from sparklr.rows.blocks import Block
from sparklr.solvers.drive import drive

SLICE_ROWS = 1_000


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The features' means and inverses of deviations (p,), and whether there is a bias."""

    mean: Array
    inverse: Array
    bias: bool

    @staticmethod
    def of(moments: Moments, *, bias: bool, standardization: bool) -> Coordinates:
        """Return coordinates for these rows. A constant feature has the weight zero."""
        deviation = np.sqrt(moments.variance)
        known = deviation > 0
        scale = deviation if standardization else np.ones(len(deviation))
        inverse = np.where(known, 1 / np.where(known, scale, 1.0), 0.0)
        centred = bias and standardization
        return Coordinates(moments.mean if centred else np.zeros(len(deviation)), inverse, bias)

    @property
    def dimensions(self) -> int:
        return len(self.mean) + int(self.bias)

    def to_rows(self, points: Array, origin: Array | None = None) -> tuple[Array, Array]:
        """Return weights (M, p) and biases (M,) of points (M, d), relative to an origin."""
        features = len(self.mean)
        weights = points[:, :features] * self.inverse
        away = -self.mean if origin is None else origin - self.mean
        biases = weights @ away
        return weights, biases + points[:, features] if self.bias else biases

    def from_rows(self, gradients: Array, origin: Array | None) -> Array:
        """Return gradients (M, d) at points, from those (M, p + 1) at weights and biases."""
        away = self.mean if origin is None else self.mean - origin
        inner = (gradients[:, :-1] - gradients[:, -1:] * away) * self.inverse
        return np.column_stack((inner, gradients[:, -1])) if self.bias else inner

    def second_moments(self, rows: Block) -> Array:
        """Return S (d, d), the second moments of scaled features and the bias's one."""
        total = np.zeros((self.dimensions, self.dimensions))
        for begin in range(0, rows.rows, SLICE_ROWS):
            part = rows.part(begin, min(begin + SLICE_ROWS, rows.rows)).to_dense()
            scaled = (np.asarray(part.matrix) - self.mean) * self.inverse
            if self.bias:
                scaled = np.column_stack((scaled, np.ones(part.rows)))
            weights = np.ones(part.rows) if part.weights is None else part.weights
            total += (scaled.T * weights) @ scaled
        return np.asarray(total / rows.total_weight)


def ask(passes: Passes, coordinates: Coordinates, scale: float, cloud: Cloud) -> Potential:
    """Answer a query by one reading of the rows."""
    points = cloud.points
    dimensions, beads, particles = points.shape
    # The network's own columns first: the reading takes their mean as the log odds.
    order = np.argsort(np.arange(beads) != beads // 2, kind="stable")
    columns = np.ascontiguousarray(points[:, order].reshape(dimensions, -1).T)
    origin, weight = passes.moments.origin, passes.moments.weight
    weights, biases = coordinates.to_rows(columns, origin)
    reading = NetworkSums(weights, biases, particles, scale)
    loss, potentials, gradients = reading.split(passes.read(reading))
    values, slopes = np.empty((beads, particles)), np.empty(points.shape)
    values[order] = potentials.reshape(beads, particles)
    scaled = coordinates.from_rows(gradients, origin).T.reshape(dimensions, beads, particles)
    slopes[:, order] = scaled
    return Potential(loss / weight, values / weight, slopes / weight)


def run(descent: Descent, answer: Callable[[int, Cloud], Potential]) -> Descended:
    """Run a descent; `answer` is given the number of each query, from 0."""
    numbers = count()
    return drive(descent, lambda cloud: answer(next(numbers), cloud))
