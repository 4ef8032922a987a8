"""One batch of a stream: its rows are read a few times, until the minimum of V_t is found.

Newton's method starts at the mean of what was learned, so the first reading also scores the rows by
the model that has not seen them. With too many coefficients for a matrix, it is L-BFGS instead, and
one reading of the Hessian's diagonal at the end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparklr.arrays import Array
from sparklr.batches.facts import Learned
from sparklr.batches.normal import NormalState
from sparklr.objective.scaling import Scaling
from sparklr.passes.diagonals import DiagonalSums
from sparklr.passes.protocol import Passes, read_round
from sparklr.passes.threads import one_blas_thread
from sparklr.posterior.log_posterior import LogPosterior
from sparklr.solvers import Answer, Query, Solution, Solver, Stop, lbfgs, newton
from sparklr.solvers.drive import drive

BUDGET = 1 << 62  # of one reading: its sums are those of one probe


@one_blas_thread()
def learn(
    state: NormalState, passes: Passes, *, regParam: float, discount: float, stop: Stop
) -> Learned:
    """Return what is known after the rows of a batch.

    discount : the factor of all that was learned before
    stop : when a solver has found the minimum of V_t / W_t
    """
    moments = passes.moments
    state = state.met(moments)
    penalty, here = regParam * moments.weight, _seen_from(state, passes)
    posterior = LogPosterior(state.family, here, state.prior(discount, penalty))
    reader = _Reader(posterior, passes)
    summed = replace(stop, absolute=stop.absolute * moments.weight)
    if state.full:
        solver = newton(state.mean, last=2, stop=summed)
    else:
        inverse = 1 / (posterior.prior.precision + _curvature(state, here, passes))
        solver = lbfgs(state.mean, precondition=lambda vector: inverse * vector, stop=summed)
    solution = reader.run(solver)
    point, first = solution.point, reader.first_loss
    precision = reader.hessian(point) if state.full else reader.diagonal(point)
    state = state.scored_by(first, moments.weight)
    state = state.learned(point, precision, moments, discount=discount, penalty=penalty)
    why = solution.reason
    return Learned(state, reader.readings, why.converged, why.value)


def _seen_from(state: NormalState, passes: Passes) -> Scaling:
    """Return the scaling for readings, which subtract an origin of their own."""
    origin = passes.moments.origin
    return state.scaling if origin is None else replace(state.scaling, origin=origin)


def _curvature(state: NormalState, scaling: Scaling, passes: Passes) -> Array:
    """Return about the diagonal of the losses' Hessian, (n,): that of rows with equal chances."""
    moments = passes.moments
    shares = moments.histogram(state.classes) / moments.weight
    each = state.family.shared_curvatures(np.clip(shares, 1e-3, 1 - 1e-3))
    squares = np.append(scaling.mean_squares(moments), [1.0] * state.intercept)
    return moments.weight * np.outer(each, squares).ravel()


class _Reader:
    """Readings of the rows that answer a solver, with what they found at the last points."""

    def __init__(self, posterior: LogPosterior, passes: Passes) -> None:
        self._posterior, self._passes = posterior, passes
        self._known: list[tuple[Array, Answer]] = []
        self.readings = 0
        self.first_loss = 0.0

    def ask(self, query: Query) -> Answer:
        """Return the answer to a query, from one reading."""
        (sums,), _ = read_round(self._passes, [self._posterior.plain_probe(query)], BUDGET)
        if self.readings == 0:
            self.first_loss = float(sums.value[0])
        self.readings += 1
        return self._posterior.plain_answer(query, sums)

    def run(self, solver: Solver) -> Solution:
        """Run a solver to its end."""
        return drive(solver, self._answer)

    def _answer(self, query: Query) -> Answer:
        answer = self.ask(query)
        if query.order == 2:  # the solution is at the last point, or at the one before it
            self._known = [*self._known[-1:], (query.point, answer)]
        return answer

    def hessian(self, point: Array) -> Array:
        """Return the Hessian of V at the solution, by another reading if it is not known."""
        found = next((its for there, its in self._known if there is point), None)
        return (found or self.ask(Query(point, 2))).second()

    def diagonal(self, point: Array) -> Array:
        """Return the diagonal of the Hessian of V."""
        posterior = self._posterior
        probe = posterior.plain_probe(Query(point, 1))
        flat = self._passes.read(DiagonalSums(probe))
        self.readings += 1
        sums = flat.reshape(2, probe.margins, -1)
        return np.asarray(posterior.prior.precision + posterior.scaling.diagonal(sums))
