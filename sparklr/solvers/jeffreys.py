"""Jeffreys' penalty on top of a smooth f, and its gradient by leverages of rows.

For the mean loss f of rows of total weight W, with v_i the rows' curvatures and H = W f'' their
summed Hessian,

    F(x) = f(x) - log det H(x) / (2 W),         H(x) = sum_i v_i(x) x~_i x~_i'
    W F'(x) = W f'(x) - sum_i h_i (1/2 - p_i) x~_i,    h_i = v_i x~_i' H^-1 x~_i

The value takes a query of second order. The gradient takes the leverages h_i, thus H^-1, before the
rows are read. So a `LeverageQuery` brings a point with a factor A A' = H^-1 there, and the reading
computes h_i = v_i |A' x~_i|^2 beside the other sums. If that is the query's own point, the gradient
is exact.

If columns depend on others, H is singular everywhere in the same directions. `Space` leaves these
out: neither the probabilities nor the leverages depend on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh, solve_triangular

from sparklr.arrays import Array, BoolArray
from sparklr.solvers.protocol import Answer, Query, Solution, Solver

# Of a Hessian at unit diagonal, an eigenvalue below this share of the largest is rounding.
NO_EIGENVALUE = 1e-12
# Answers that may be asked for again: a line search returns one of its last trials.
REMEMBERED = 4


@dataclass(frozen=True, eq=False)
class Leverages:
    """Leverages of rows at a point, h_i = v_i(point) |factor' x~_i|^2; factor (n, r)."""

    point: Array
    factor: Array
    log_det: float  # of the summed Hessian within the space


@dataclass(frozen=True, eq=False)
class LeverageQuery(Query):
    """A query whose gradient has the penalty's share, with these leverages; None: without it."""

    leverages: Leverages | None = None


@dataclass(frozen=True, eq=False)
class Space:
    """The directions in which rows can tell points apart: the columns of `basis` (n, r)."""

    basis: Array
    weight: float

    @staticmethod
    def of(hessian: Array, weight: float) -> Space:
        """Return the space that a Hessian (n, n) shows, which is the same at every point."""
        diagonal = np.diagonal(hessian)
        scale = np.zeros_like(diagonal)
        np.divide(1.0, np.sqrt(diagonal, where=diagonal > 0, out=scale), where=scale > 0, out=scale)
        values, vectors = eigh(hessian * scale * scale[:, None])
        kept = values > NO_EIGENVALUE * values[-1]
        return Space(
            np.eye(len(scale)) if kept.all() else scale[:, None] * vectors[:, kept], weight
        )

    @property
    def deficient(self) -> bool:
        """Whether some directions are left out."""
        size, rank = self.basis.shape
        return bool(rank < size)

    def within(self, hessian: Array) -> Array:
        """Return a Hessian (n, n) in the coordinates of the space, (r, r)."""
        return np.asarray(self.basis.T @ hessian @ self.basis)

    def leverages(self, point: Array, answer: Answer) -> Leverages | None:
        """Return the leverages at a point, from its answer of order 2; None if H is singular."""
        if not answer.finite:
            return None
        try:
            lower = np.linalg.cholesky(self.weight * self.within(answer.second()))
        except np.linalg.LinAlgError:
            return None
        factor = solve_triangular(lower, self.basis.T, lower=True).T
        return Leverages(point, factor, 2 * float(np.log(np.diagonal(lower)).sum()))

    def value(self, answer: Answer, leverages: Leverages | None) -> float:
        """Return F from an answer and the leverages at its point."""
        return np.inf if leverages is None else answer.value - leverages.log_det / (2 * self.weight)


def penalised(solver: Solver, space: Space, *, last: bool = False) -> Solver:
    """Answer a solver of first order by F and its exact gradient: two queries for each of its own.

    With `last`, the solution has the answer at its point, with the Hessian of f and the gradient of
    F. Without it, no Hessian is kept.
    """
    known: deque[tuple[Array, Answer]] = deque(maxlen=REMEMBERED if last else 0)
    query = next(solver)
    while True:
        value, answer = yield from _exactly(query.point, space)
        known.append((query.point, answer))
        try:
            query = solver.send(replace(answer, value=value, hessian=None))
        except StopIteration as finished:
            solution: Solution = finished.value
            break
    if not last:
        return solution
    for point, answer in known:
        if np.array_equal(point, solution.point):
            return replace(solution, last=answer)
    _, answer = yield from _exactly(solution.point, space)
    return replace(solution, last=answer)


def _exactly(point: Array, space: Space) -> Generator[Query, Answer, tuple[float, Answer]]:
    """Return F at a point, and an answer with the gradient of F and the Hessian of f."""
    here = yield LeverageQuery(point, order=2)
    own = space.leverages(point, here)
    if own is None:
        return np.inf, here
    there = yield LeverageQuery(point, order=1, leverages=own)
    return space.value(here, own), replace(here, gradient=there.first())


def along(solver: Solver, origin: Array, basis: Array) -> Solver:
    """Let a solver of first order move from a point in some directions, the columns of `basis`."""

    def whole(move: Array) -> Array:
        return np.asarray(origin + basis @ move)

    query = next(solver)
    while True:
        answer = yield Query(whole(query.point), query.order)
        try:
            query = solver.send(Answer(answer.value, basis.T @ answer.first()))
        except StopIteration as finished:
            solution: Solution = finished.value
            return replace(solution, point=whole(solution.point))


def free_basis(hessian: Array, free: BoolArray) -> Array:
    """Return the directions that the free coordinates alone can tell apart, (n, r)."""
    inner = Space.of(hessian[np.ix_(free, free)], 1.0).basis
    basis = np.zeros((len(free), inner.shape[1]))
    basis[free] = inner
    return basis
