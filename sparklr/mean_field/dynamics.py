"""Particles that descend an energy of a distribution of neurons, by Langevin dynamics.

Let v be the loss's part of the potential dF/dm. Both minima are marginals of a Gibbs measure
exp(-U) of paths X = (X_1..X_B) of points in R^d,

    U(X) = 1/2 sum_kl Q_kl X_k . X_l + sum_k lambda_k v(X_k)

  entropy   B = 1: Q = 2 kappa/s, lambda = 2/s, and m is the law of the only point.
  Fisher    m = psi^2, for psi the ground state of -s Laplace + V. By the formula of Feynman and
            Kac, psi^2 is the law of the middle of a stationary path of the process that belongs
            to kappa alone, weighted by exp(-1/2 int v). Q is the inverse of its covariance.

So one method serves both. A particle is a path, its neuron is the middle, and v depends on all
neurons. With velocities Y, a fixed matrix M, and friction gamma, particles follow

    dX = Y dt,   dY = -M grad U dt - gamma Y dt + sqrt(2 gamma M) dW,   M = (Q + lambda l S)^-1

for S the second moments of the features, and l = max(C^2/8, C/2). A step is kick, drift,
friction, drift, kick (BAOAB, Leimkuhler and Matthews 2013): one reading. Its stationary law is
wrong by the square of the step. Large friction gives the overdamped dynamics, of time
h = step^2/2.

Bounds on a step, for entropy:

1. M times the Hessian of U, of all particles together, is at most 3.6: neurons change v by at
   most (C^2/4) S <= 2 l S, and the curvature of v is at most 0.77 C S <= 1.6 l S. So steps up to
   1 are stable, whatever C, kappa and the features.
2. The overdamped flow that holds v for a time h <= 1 never lets the energy rise. With u the
   distance of a particle, the loss exceeds its tangent by at most (C^2/8) E u'Su, and the tangent
   with the regulariser falls by at least (s/2) E u'M^-1 u / h >= l E u'Su / h.
3. With little friction the cloud has momentum, and could overshoot, so there is more of it at the
   start. Energies are measured at each step, and where they rise, beyond their noise, velocities
   are drawn anew and steps halved.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.mean_field.energy import Energy, Measure
from sparklr.mean_field.entropy import EntropyOfParticles

WINDOW = 10  # steps whose mean energy is compared with that of earlier ones
# A mean above the least one by less than so many standard deviations of both windows is noise, and
# by less than this share of the descent so far may be: Fisher information is measured well only
# where paths have had the time to follow the potential.
NOISE, SHARE = 3.0, 0.1
# The friction is at least this number divided by the time since velocities were drawn, as in the
# limit of Nesterov's method (Su, Boyd and Candes 2014): the cloud's first fall is its fastest.
EARLY = 3.0
LEAST_SHARE = 1 / 16  # of the first step, below which steps are not halved


@dataclass(frozen=True, eq=False)
class Cloud:
    """A query: the points of all particles, (d, B, N); the middle ones are the network."""

    points: Array

    @property
    def neurons(self) -> Array:
        """The middle points (N, d)."""
        return self.points[:, self.points.shape[1] // 2].T


@dataclass(frozen=True, eq=False)
class Potential:
    """Its answer: the mean loss, and v (B, N) with its gradient (d, B, N) at all points."""

    loss: float
    values: Array
    gradient: Array


@dataclass(frozen=True)
class Schedule:
    """The number of steps, their length and friction, and which clouds to keep.

    The rows that answer may change once, before step `changed`; energies before and after it are
    not compared.
    """

    steps: int
    step: float = 0.7
    friction: float = 0.1
    kept: frozenset[int] = frozenset()
    changed: int = 0


@dataclass(frozen=True, eq=False)
class Descended:
    """The result: the neurons (N, d) of each kept step, the energies, and where they rose."""

    neurons: tuple[Array, ...]
    energies: tuple[Energy, ...]
    rises: tuple[int, ...]  # the steps at whose ends velocities were drawn anew


Descent: TypeAlias = Generator[Cloud, Potential, Descended]


def descend(
    measure: Measure,
    moments: Array,
    particles: int,
    schedule: Schedule,
    random: np.random.Generator,
) -> Descent:
    """Descend from the minimum without the loss; `moments` are S (d, d), `particles` is even.

    The first cloud has each path with its mirror image, so that its network is exactly zero.
    """
    metric = Metric.of(measure, moments)
    entropy = EntropyOfParticles(particles, len(moments), random)
    half = metric.free_paths(random.normal(size=(len(moments), measure.beads, particles // 2)))
    points = np.concatenate((half, -half), axis=2)
    speeds = metric.noise(random.normal(size=points.shape))
    watch, energies, kept, rises = Watch(), [], [], []
    share, time = 1.0, 0.0

    def kick(potential: Potential) -> Array:
        return metric.force(points, potential) * (share * schedule.step / 2)

    potential = yield metric.cloud(points)
    for at in range(schedule.steps + 1):
        energies.append(energy_of(measure, metric.cloud(points), potential, entropy))
        if at in schedule.kept:
            kept.append(metric.cloud(points).neurons.copy())
        if at == schedule.steps:
            break
        if at == schedule.changed:
            watch = Watch()
        if watch.rises(energies[-1].total):
            rises.append(at)
            speeds = metric.noise(random.normal(size=points.shape))
            share, watch, time = max(share / 2, LEAST_SHARE), Watch(), 0.0
        drift = share * schedule.step / 2
        time += 2 * drift
        left = np.exp(-max(schedule.friction, EARLY / time) * 2 * drift)
        speeds = speeds + kick(potential)
        points = points + drift * speeds
        fresh = metric.noise(random.normal(size=points.shape))
        speeds = left * speeds + np.sqrt(1 - left**2) * fresh
        points = points + drift * speeds
        potential = yield metric.cloud(points)
        speeds = speeds + kick(potential)
    return Descended(tuple(kept), tuple(energies), tuple(rises))


@dataclass(frozen=True, eq=False)
class Metric:
    """The matrices of U's quadratic part and of M, in the eigenvectors of S.

    axes : the eigenvectors (d, d), as columns
    inner : Q (B, B)
    mobility, root : M and its Cholesky factor (d, B, B), a matrix for each eigenvector
    free : the Cholesky factor (B, B) of the covariance of paths without the loss
    strengths : lambda (B, 1)
    """

    axes: Array
    inner: Array
    mobility: Array
    root: Array
    free: Array
    strengths: Array

    @staticmethod
    def of(measure: Measure, moments: Array) -> Metric:
        """Return the metric of a measure, for second moments S (d, d)."""
        spreads, axes = np.linalg.eigh(moments)
        inner, strengths = np.linalg.inv(measure.covariance), measure.strengths
        curved = max(measure.scale**2 / 8, measure.scale / 2) * np.diag(strengths)
        mobility = np.linalg.inv(inner + np.maximum(spreads, 0.0)[:, None, None] * curved)
        return Metric(
            np.asarray(axes),
            np.asarray(inner),
            mobility,
            np.asarray(np.linalg.cholesky(mobility)),
            np.asarray(np.linalg.cholesky(measure.covariance)),
            strengths[:, None],
        )

    def free_paths(self, normal: Array) -> Array:
        """Return paths without the loss, from normal numbers (d, B, N)."""
        return np.asarray(self.free @ self._turned(self.axes.T, normal))

    def noise(self, normal: Array) -> Array:
        """Return numbers of covariance M, from normal ones (d, B, N).

        The normal numbers are those of features, not of eigenvectors: the signs of these, and any
        turn of those with equal values, are chance.
        """
        return np.asarray(self.root @ self._turned(self.axes.T, normal))

    def cloud(self, points: Array) -> Cloud:
        """Return points, given in the eigenvectors of S, in the coordinates of the features."""
        return Cloud(self._turned(self.axes, points))

    def force(self, points: Array, potential: Potential) -> Array:
        """Return -M grad U, in the eigenvectors of S."""
        slopes = self.strengths * self._turned(self.axes.T, potential.gradient)
        return -np.asarray(self.mobility @ (self.inner @ points + slopes))

    def _turned(self, matrix: Array, points: Array) -> Array:
        return np.asarray(matrix @ points.reshape(len(points), -1)).reshape(points.shape)


def energy_of(
    measure: Measure, cloud: Cloud, potential: Potential, entropy: EntropyOfParticles
) -> Energy:
    """Return the energy of the neurons' distribution, as far as the particles tell.

    Fisher information needs no density: the ground state's E is the mean of v at the ends of the
    paths, where their law is psi times that of the free process, plus s omega d, the E without v;
    and (s/4) int |grad log m|^2 m = E - E_m[V].
    """
    neurons = cloud.neurons
    penalty = measure.kappa / 2 * float((neurons**2).sum(axis=1).mean())
    if measure.regularizer == "entropy":
        term = measure.temperature / 2 * entropy(neurons)
    else:
        values, middle = potential.values, potential.values.shape[0] // 2
        ends = float(values[0].mean() + values[-1].mean()) / 2
        free = measure.temperature * measure.omega * neurons.shape[1]
        term = free + ends - float(values[middle].mean()) - penalty
    return Energy(potential.loss, penalty, term)


@dataclass
class Watch:
    """Compares the mean energy of each window of steps with the least mean so far."""

    first: float | None = None
    window: list[float] = field(default_factory=list)
    least: tuple[float, float] | None = None  # a mean and its window's standard deviation

    def rises(self, energy: float) -> bool:
        """Add the energy of a step; whether it ends a window that lies above an earlier one."""
        self.first = energy if self.first is None else self.first
        self.window.append(energy)
        if len(self.window) < WINDOW:
            return False
        mean, noise = float(np.mean(self.window)), float(np.std(self.window))
        self.window = []
        if self.least is None or mean < self.least[0]:
            self.least = mean, noise
            return False
        least, before = self.least
        return mean - least > NOISE * (noise + before) + SHARE * max(self.first - least, 0.0)
