"""The same energies on a grid of one or two dimensions: exact flows and minima, to check particles.

A distribution m is its density (g,) at the points of a regular grid with cells of equal volume; its
network has a neuron at each point. Where V = dF/dm is held fixed for a time h, both flows that
descend the energy by changing the densities in place have a closed form:

  entropy   log m_h = e^(-hs/2) log m + (1 - e^(-hs/2)) (-2V/s) + constant
  Fisher    psi_h = exp(-h/2 (s L + V)) psi, normalised, for L the Laplacian by differences;
            split into V, L, V, each exactly (Strang), which is wrong by h^3 in a step

Neither lets the energy rise while h <= 8/C^2: over a time h the loss exceeds its tangent by at most
C^2/8 ||m_h - m||_1^2, and the tangent with the regulariser falls by at least ||m_h - m||_1^2 / h.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from sparklr.arrays import Array
from sparklr.mean_field.energy import Energy, Measure
from sparklr.objective.losses import binomial_terms

TINY = 1e-300  # a density in the place of zero, whose logarithm does not exist


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid: one axis, or two of equal spacing and any lengths."""

    axes: tuple[Array, ...]

    @staticmethod
    def around_zero(reach: float, count: int, dimensions: int) -> Grid:
        """Return `count` points per axis from -reach to reach."""
        return Grid((np.linspace(-reach, reach, count),) * dimensions)

    @cached_property
    def points(self) -> Array:
        """The points (g, d)."""
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return np.column_stack([each.ravel() for each in mesh])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.axes)

    @property
    def spacings(self) -> tuple[float, ...]:
        return tuple(float(axis[1] - axis[0]) for axis in self.axes)

    @property
    def volume(self) -> float:
        """The volume of a cell."""
        return float(np.prod(self.spacings))

    def normalised(self, density: Array) -> Array:
        """Return the density whose sum over the cells is 1."""
        return np.asarray(density / (density.sum() * self.volume))

    def mean(self, density: Array, values: Array) -> float:
        """Return the mean of values (g,) over a density."""
        return float(density @ values) * self.volume

    def entropy(self, density: Array) -> float:
        """Return int m log m."""
        return self.mean(density, np.log(np.maximum(density, TINY)))

    def fisher(self, density: Array) -> float:
        """Return int |grad log m|^2 m = 4 int |grad psi|^2, with psi = 0 beyond the grid."""
        root = np.sqrt(density).reshape(self.shape)
        total = 0.0
        for axis, spacing in enumerate(self.spacings):
            ends = [(1, 1) if at == axis else (0, 0) for at in range(root.ndim)]
            total += float((np.diff(np.pad(root, ends), axis=axis) ** 2).sum()) / spacing**2
        return float(4 * total * self.volume)

    def diffused(self, root: Array, time: float) -> Array:
        """Return exp(-time L) psi, for L = -Laplace by differences."""
        shaped = root.reshape(self.shape)
        for axis, (count, spacing) in enumerate(zip(self.shape, self.spacings, strict=True)):
            kernel = _heat(count, time / spacing**2)
            shaped = np.moveaxis(np.tensordot(kernel, shaped, (1, axis)), 0, axis)
        return np.asarray(shaped.ravel())


def _modes(count: int) -> tuple[Array, Array]:
    """Return eigenvalues (k,) and eigenvectors (k, k) of -Laplace with zeros beyond its ends."""
    at = np.arange(1, count + 1)
    vectors = np.sqrt(2 / (count + 1)) * np.sin(np.pi * at[:, None] * at / (count + 1))
    return 4 * np.sin(np.pi * at / (2 * (count + 1))) ** 2, vectors


@lru_cache(maxsize=8)  # a flow takes many steps of one length
def _heat(count: int, time: float) -> Array:
    values, vectors = _modes(count)
    return np.asarray((vectors * np.exp(-time * values)) @ vectors.T)


def ground_state(potential: Array, temperature: float, axis: Array) -> tuple[float, Array]:
    """Return E and m = psi^2 of -s psi'' + V psi = E psi on one axis, for V (g,).

    E is the least value of E_m[V] + (s/4) int (log m)'^2 m over all m, which is that m's.
    """
    values, vectors = _modes(len(axis))
    spacing = float(axis[1] - axis[0])
    kinetic = (vectors * (temperature / spacing**2 * values)) @ vectors.T
    energies, states = np.linalg.eigh(kinetic + np.diag(potential))
    return float(energies[0]), np.asarray(states[:, 0] ** 2 / spacing)


@dataclass(frozen=True, eq=False)
class GridProblem:
    """A measure's energy on a grid, for rows (n, d) and labels (n,); a column of ones is a bias."""

    grid: Grid
    rows: Array
    labels: Array
    measure: Measure

    @cached_property
    def neurons(self) -> Array:
        """C tanh at each point, for each row (g, n)."""
        return np.asarray(self.measure.scale * np.tanh(self.grid.points @ self.rows.T))

    @cached_property
    def confinement(self) -> Array:
        """kappa |theta|^2 / 2 (g,)."""
        return np.asarray(self.measure.kappa / 2 * (self.grid.points**2).sum(axis=1))

    @property
    def start(self) -> Array:
        """The minimum without the loss: a normal density."""
        exponent = -(self.grid.points**2).sum(axis=1) / (2 * self.measure.variance)
        return self.grid.normalised(np.exp(exponent))

    def logits(self, density: Array) -> Array:
        """Return the network's log odds (n,)."""
        return np.asarray(density @ self.neurons) * self.grid.volume

    def energy(self, density: Array) -> Energy:
        """Return the energy of a density."""
        loss, _, _ = binomial_terms(self.logits(density)[:, None], self.labels)
        measure, grid = self.measure, self.grid
        if measure.regularizer == "entropy":
            term = measure.temperature / 2 * grid.entropy(density)
        else:
            term = measure.temperature / 4 * grid.fisher(density)
        return Energy(float(loss.mean()), grid.mean(density, self.confinement), term)

    def potential(self, density: Array) -> Array:
        """Return V (g,)."""
        _, slopes, _ = binomial_terms(self.logits(density)[:, None], self.labels)
        return np.asarray(self.neurons @ slopes[:, 0]) / len(self.labels) + self.confinement

    @property
    def longest(self) -> float:
        """The longest time of a step: for it, the energy is proved not to rise.

        With Fisher information no more than half the relaxation time without the loss, beyond which
        the split step is inexact.
        """
        proved, s = 8 / self.measure.scale**2, self.measure.temperature
        fisher = self.measure.regularizer == "fisher"
        return min(proved, 0.5 / (s * self.measure.omega)) if fisher else proved

    def step(self, density: Array, time: float) -> Array:
        """Return the density after a time, with V as it is now."""
        potential, s = self.potential(density), self.measure.temperature
        potential = potential - potential.min()
        if self.measure.regularizer == "entropy":
            kept = np.exp(-time * s / 2)
            logs = kept * np.log(np.maximum(density, TINY)) - (1 - kept) * 2 / s * potential
            return self.grid.normalised(np.exp(logs - logs.max()))
        half = np.exp(-time / 4 * potential)
        root = half * self.grid.diffused(half * np.sqrt(density), time * s / 2)
        return self.grid.normalised(root**2)

    def flow(self, steps: int, time: float | None = None) -> Iterator[tuple[Array, Energy]]:
        """Yield density and energy at the start and after each step of the longest proved time."""
        density = self.start
        yield density, self.energy(density)
        for _ in range(steps):
            density = self.step(density, self.longest if time is None else time)
            yield density, self.energy(density)

    def minimum(self, tol: float = 1e-12, steps: int = 20_000) -> tuple[Array, Energy]:
        """Return the minimum: steps become longer while the energy falls, and shorter if not."""
        density, time = self.start, self.longest
        most = 4 * time if self.measure.regularizer == "fisher" else np.inf
        energy = self.energy(density)
        for _ in range(steps):
            trial = self.step(density, min(time, most))
            found = self.energy(trial)
            fall = energy.total - found.total
            if fall >= 0:
                density, energy = trial, found
            if fall >= tol:
                time *= 1.3
                continue
            most = time = min(time, most) / 2
            if time < self.longest / 100:
                break
        return density, energy
