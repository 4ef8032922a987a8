"""The normal distribution nearest to a density e^-V, by a damped fixed point.

Of all q = N(m, S), the one with the least divergence from the density minimises

    J(m, S) = E_q[V] - log det S / 2,     so that E_q[grad V] = 0 and S^-1 = E_q[Hess V]

With Fisher's information as the price of a narrow q, in coordinates where the Hessian at the mode
is the identity, it is

    J(m, S) = E_q[V] + tr S^-1 / 2,       so that E_q[grad V] = 0 and S^-2 = E_q[Hess V]

A step of length r goes to (1 - r) S^-1 + r times the wanted precision, and m moves by -r times the
inverse of that times E_q[grad V]. With r = 1 it is the fixed point's own step, which cycles where
rows are separated, so r is halved until J falls enough. The first reading, at the mode with the
curvature there, shows how far the mode is from the mean.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.linalg import solve_triangular

from sparklr.arrays import Array
from sparklr.solvers.protocol import ROUNDING, Answer, Query, Reason

Price: TypeAlias = Literal["entropy", "fisher"]

# A step must lower J by so much of what its slope promises, and be at least so long.
POOR, SHORTEST = 0.1, 1 / 64
# All later moves together are at most about as long as the next, which the last step takes: moves
# shrink by half or more.
LATER = 2.0
# Where the mean has settled, a deviation may still change by so many times the tolerance: the last
# step corrects it, and leaves about the square.
SETTLED = 5.0


@dataclass(frozen=True, eq=False)
class SmoothedQuery(Query):
    """A query of order 2 for the means of V and its derivatives over N(point, F F')."""

    factor: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Gaussian:
    """A normal distribution by its mean (n,) and a factor F (n, n) of its covariance F F'.

    first_move : how far the first step moves the mean of a coefficient, in deviations, at most
    """

    mean: Array
    factor: Array
    reason: Reason
    readings: int
    first_move: float


GaussianSolver: TypeAlias = Generator[SmoothedQuery, Answer, Gaussian]


@dataclass(frozen=True, eq=False)
class _White:
    """Coordinates y around the start, in which the Hessian at the mode is the identity."""

    start: Array
    root: Array
    units: Array  # of the coefficients whose moves count, from y
    price: Price

    def ask(self, mean: Array, precision: Array) -> Generator[SmoothedQuery, Answer, _Place | None]:
        """Ask at a distribution of y; None if the answer is not finite."""
        factor = _factor(precision)
        point, spread = self.start + self.root @ mean, self.root @ factor
        answer = yield SmoothedQuery(point, 2, spread)
        if not answer.finite:
            return None
        hessian = self.root.T @ answer.second() @ self.root
        hessian = (hessian + hessian.T) / 2
        if self.price == "entropy":
            cost, paid, wanted = -float(np.log(np.diagonal(factor)).sum()), precision, hessian
        else:
            values, vectors = np.linalg.eigh(hessian)
            wanted = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
            cost, paid = float(np.trace(precision)) / 2, precision @ precision
        gradient = self.root.T @ answer.first()
        moved, narrowed = factor.T @ gradient, factor.T @ (wanted - precision) @ factor
        slope = moved @ moved + np.vdot(factor.T @ (hessian - paid) @ factor, narrowed) / 2
        return _Place(mean, precision, answer.value + cost, gradient, wanted, float(slope))

    def left(self, here: _Place) -> tuple[float, float]:
        """Return how far a whole step moves a mean, in deviations, and a deviation, by share."""
        mean, precision = here.step(1.0)
        before, after = (
            np.linalg.norm(self.units @ _factor(its), axis=1) for its in (here.precision, precision)
        )
        moves = np.abs(self.units @ (mean - here.mean)) / after
        return float(moves.max(initial=0)), float(np.abs(after / before - 1).max(initial=0))


@dataclass(frozen=True, eq=False)
class _Place:
    """A distribution of y, with the answer there."""

    mean: Array
    precision: Array
    value: float  # J
    gradient: Array
    wanted: Array  # the precision that the fixed point wants
    slope: float  # by how much J falls per length of a short step

    def step(self, length: float) -> tuple[Array, Array]:
        """Return the mean and the precision after a step."""
        precision = (1 - length) * self.precision + length * self.wanted
        return self.mean - length * np.linalg.solve(precision, self.gradient), precision


def best_gaussian(
    start: Array, root: Array, *, price: Price, tolerance: float, most: int, units: Array
) -> GaussianSolver:
    """Minimise J from N(start, R R'), for the root R (n, n) of the inverse Hessian at the mode.

    Ends where whole steps would move the mean of no coefficient by more than `tolerance` of its
    deviations, or after `most` readings. `units` (m, n) make the coefficients of a point.
    """
    varying = units[units.any(axis=1)]
    white = _White(start, root, varying @ root, price)
    size = len(start)
    here = yield from white.ask(np.zeros(size), np.eye(size))
    if here is None:
        return Gaussian(
            mean=start, factor=root, reason=Reason.NOT_FINITE, readings=1, first_move=np.nan
        )
    readings, first = 1, white.left(here)[0]
    while True:
        move, change = white.left(here)
        if LATER * move <= tolerance and change <= SETTLED * tolerance:
            mean, precision, why = *here.step(1.0), Reason.CONVERGED
            break
        mean, precision = here.mean, here.precision
        there, used = yield from _lower(white, here, most - readings)
        readings += used
        if there is None:
            why = Reason.STEP_LIMIT if readings == most else Reason.NO_DECREASE
            break
        here = there
    return Gaussian(
        mean=start + root @ mean,
        factor=root @ _factor(precision),
        reason=why,
        readings=readings,
        first_move=first,
    )


def _lower(
    white: _White, here: _Place, most: int
) -> Generator[SmoothedQuery, Answer, tuple[_Place | None, int]]:
    """Return where a step lowers J, or None, and the number of readings, of `most`."""
    length, unseen = 1.0, ROUNDING * abs(here.value)
    for readings in range(1, most + 1):
        there = yield from white.ask(*here.step(length))
        least = here.value - POOR * length * here.slope + unseen
        if there is not None and there.value <= least:
            return there, readings
        length /= 2
        if length < SHORTEST:
            return None, readings
    return None, most


def _factor(precision: Array) -> Array:
    """Return the upper triangle F with F F' = the inverse of the precision."""
    lower = np.linalg.cholesky(precision)
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)
