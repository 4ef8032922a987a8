"""Many Markov chains in lockstep whose draws have the density e^-V, by Hamiltonian Monte Carlo.

In white coordinates y = R^-1 (x - m), for a normal distribution N(m, R R') near the density, a step
of all chains draws velocities v and follows, a few times,

    v - e/2 grad V(y),   y + e v,   v - e/2 grad V(y)

The end replaces the start with probability min(1, e^-(rise of V + |v|^2 / 2)), which makes the
density stationary for any e. All chains have a reading of the rows in common. e adapts while the
chains warm up, and varies at random afterwards, so that no orbit closes.

Means have the distribution's own as control variates: E[grad V] = 0 and E[y grad V'] = I, so

    E[y] = E[y - grad V]        E[y y'] = I + E[y (y - grad V)']

and y - grad V is small where the density is nearly normal.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array

# A step travels so far, about a quarter of an orbit around a normal density: from there its draw
# depends least on the one before. It takes so many readings, at least and at most.
TRAVEL, FEWEST, MOST = 1.6, 2, 8
WANTED, GAIN = 0.85, 1.5  # of acceptance, and how fast e adapts to it
FIRST_STEP, MOST_STEP, JITTER = 0.5, 1.0, 0.25


@dataclass(frozen=True, eq=False)
class ManyQuery:
    """A query for V and its gradient at many points (K, n)."""

    points: Array


@dataclass(frozen=True, eq=False)
class ManyAnswer:
    """V (K,) and its gradients (K, n) at the points of a query."""

    values: Array
    gradients: Array


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of K chains in white coordinates, after T steps each.

    draws : (T, K, n)
    residuals : y - grad V of each draw, (T, K, n)
    acceptance : the share of ends that replaced their starts
    """

    draws: Array
    residuals: Array
    acceptance: float

    @property
    def mean(self) -> Array:
        """E[y], (n,)."""
        return np.asarray(self._variates.mean(axis=(0, 1)))

    @cached_property
    def covariance(self) -> Array:
        """The covariance of y, (n, n)."""
        found = self._by_gradients
        return np.cov(self._flat, rowvar=False, ddof=0) if found is None else found

    @property
    def _flat(self) -> Array:
        return self.draws.reshape(-1, self.draws.shape[2])

    @property
    def _variates(self) -> Array:
        """What has the mean of y: y less its gradient or, very far from a Gaussian, y itself."""
        return self.draws if self._by_gradients is None else self.residuals

    @cached_property
    def _by_gradients(self) -> Array | None:
        """The covariance by residuals; None where it is not positive definite."""
        size = self.draws.shape[2]
        residuals = self.residuals.reshape(-1, size)
        mean = residuals.mean(axis=0)
        mixed = (self._flat - mean).T @ (residuals - mean) / len(residuals)
        found = np.eye(size) + (mixed + mixed.T) / 2
        return found if np.linalg.eigvalsh(found)[0] > 0 else None

    def errors(self, change: Array) -> Array:
        """Return the Monte-Carlo errors (m,) of means of C y, by those of the chains."""
        means = self._variates.mean(axis=0) @ change.T
        return np.asarray(means.std(axis=0, ddof=1) / np.sqrt(len(means)))

    def split_r_hat(self, change: Array) -> Array:
        """Return R-hat (m,) of C y between all halves of chains (Gelman et al. 2013)."""
        half = len(self.draws) // 2
        halves = np.concatenate((self.draws[:half], self.draws[-half:]), axis=1) @ change.T
        within = halves.var(axis=0, ddof=1).mean(axis=0)
        between = half * halves.mean(axis=0).var(axis=0, ddof=1)
        return np.asarray(np.sqrt((half - 1) / half + between / within / half))


ChainSolver: TypeAlias = Generator[ManyQuery, ManyAnswer, Chains]


@dataclass(frozen=True, eq=False)
class _State:
    """Chains at points y (K, n), with V there and its gradients by y."""

    points: Array
    values: Array
    gradients: Array


def run_chains(
    start: Array, root: Array, *, chains: int, warm: int, steps: int, seed: int
) -> ChainSolver:
    """Draw from e^-V by `chains` chains that begin with draws of N(start, R R')."""
    rng = np.random.default_rng(seed)
    state = yield from _at(start, root, rng.standard_normal((chains, len(start))))
    length, accepted, draws, residuals = FIRST_STEP, 0.0, [], []
    for at in range(warm + steps):
        jitter = 1 + JITTER * (2 * rng.random() - 1)
        leaps = int(np.clip(round(TRAVEL / length), FEWEST, MOST))
        state, share = yield from _step(start, root, state, length * jitter, leaps, rng)
        if at < warm:
            length *= float(np.exp(GAIN * (share - WANTED) / np.sqrt(at + 1)))
            length = min(length, MOST_STEP)
            continue
        accepted += share / steps
        draws.append(state.points)
        residuals.append(state.points - state.gradients)
    return Chains(np.array(draws), np.array(residuals), accepted)


def _at(start: Array, root: Array, points: Array) -> Generator[ManyQuery, ManyAnswer, _State]:
    answer = yield ManyQuery(start + points @ root.T)
    return _State(points, answer.values, answer.gradients @ root)


def _step(
    start: Array, root: Array, state: _State, length: float, leaps: int, rng: np.random.Generator
) -> Generator[ManyQuery, ManyAnswer, tuple[_State, float]]:
    """Move all chains; return them and the share of those that were accepted."""
    first = rng.standard_normal(state.points.shape)
    there, velocity = state, first
    for _ in range(leaps):
        velocity = velocity - length / 2 * there.gradients
        there = yield from _at(start, root, there.points + length * velocity)
        velocity = velocity - length / 2 * there.gradients
    with np.errstate(invalid="ignore"):
        rise = there.values - state.values + (velocity**2 - first**2).sum(axis=1) / 2
    taken = np.log(rng.random(len(rise))) < -rise  # not where V is not a number
    chosen = [
        np.where(taken if its.ndim == 1 else taken[:, None], its, before)
        for its, before in (
            (there.points, state.points),
            (there.values, state.values),
            (there.gradients, state.gradients),
        )
    ]
    return _State(*chosen), float(taken.mean())
