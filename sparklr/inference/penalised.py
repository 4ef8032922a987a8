"""Intervals and tests of Firth's method, from the profile of the penalised likelihood.

As in logistf: the penalty is log det H / 2 of *all* coefficients, also where some are held. Each
step of a search takes two readings, the first for the value and H, the second for the gradient with
the leverages by that H. All searches share these readings.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sparklr.arrays import MEGABYTE, Array, BoolArray
from sparklr.fitting.firth import FirthProblem
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import run_solvers
from sparklr.passes.protocol import Passes, read_round
from sparklr.passes.readings import batches
from sparklr.solvers import Answer, BlockInverse, Query, Solution, Solver, Stop, lbfgs
from sparklr.solvers.jeffreys import LeverageQuery, Space, along, free_basis, penalised
from sparklr.solvers.profile import profile_limit
from sparklr.spark.errors import InvalidValueError

BUDGET = 256 * MEGABYTE  # of the sums of one round
# Memory of all searches that run at once, and matrices that one has between readings.
STATE, MATRICES = 4 * BUDGET, 4

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class PenalisedRows:
    """Rows, and a point of the problem that they pose with what is known there.

    value : F, the penalised objective
    last : the answer there, with the gradient of F and the Hessian of the loss
    """

    problem: FirthProblem
    point: Array
    passes: Passes
    space: Space
    value: float
    last: Answer

    @staticmethod
    def of(problem: Problem, point: Array, passes: Passes) -> PenalisedRows:
        """Read the rows twice for what is known at a point."""
        posed = FirthProblem.posed(problem)
        here = _ask(LeverageQuery(point, order=2), posed, passes)
        space = Space.of(here.second(), posed.weight)
        own = space.leverages(point, here)
        if own is None:
            raise InvalidValueError("The information of these rows is singular at the model.")
        there = _ask(LeverageQuery(point, order=1, leverages=own), posed, passes)
        last = replace(here, gradient=there.first())
        return PenalisedRows(posed, point, passes, space, space.value(here, own), last)

    def limits(
        self, directions: Mapping[Key, Array], rise: float
    ) -> dict[tuple[Key, bool], Solution]:
        """Return where the profile of each quantity a'x is so much above F, by side."""
        inverse = BlockInverse(self.space.within(self.last.second())[None])
        origin = np.zeros(self.space.basis.shape[1])
        solvers: dict[tuple[Key, bool], Solver] = {}
        for key, direction in directions.items():
            for upper in (False, True):
                solvers[key, upper] = self._whole(
                    profile_limit(
                        origin,
                        self.value,
                        inverse,
                        self.space.basis.T @ direction,
                        rise=rise,
                        upper=upper,
                    ),
                    self.point,
                    self.space.basis,
                )
        return _run(solvers, self.problem, self.passes)

    def without(self, kept: Mapping[Key, BoolArray]) -> dict[Key, float]:
        """Return by how much the smallest F exceeds that at the point where only some move.

        The other coordinates are zero. A search begins where one Newton step leads.
        """
        hessian = self.last.second()
        stop = Stop(relative=1e-14, absolute=1e-12 / self.problem.weight)
        solvers: dict[Key, Solver] = {}
        for key, free in kept.items():
            inner = hessian[np.ix_(free, free)]
            start = np.zeros(len(free))
            held = hessian[np.ix_(free, ~free)] @ self.point[~free]
            start[free] = self.point[free] + np.linalg.lstsq(inner, held)[0]
            basis = free_basis(hessian, free)
            inverse = BlockInverse((basis.T @ hessian @ basis)[None])
            solver = lbfgs(np.zeros(basis.shape[1]), precondition=inverse, stop=stop)
            solvers[key] = self._whole(solver, start, basis)
        found = _run(solvers, self.problem, self.passes)
        return {key: its.value - self.value for key, its in found.items()}

    def _whole(self, solver: Solver, origin: Array, basis: Array) -> Solver:
        return penalised(along(solver, origin, basis), self.space)


def _run(
    solvers: Mapping[Key, Solver], problem: FirthProblem, passes: Passes
) -> dict[Key, Solution]:
    """Run searches in lockstep; of hundreds of coefficients some at a time: each has matrices."""
    found: dict[Key, Solution] = {}
    for wave in batches(list(solvers), STATE, lambda _: 8 * MATRICES * problem.size**2):
        some = {key: solvers[key] for key in wave}
        found |= run_solvers(some, dict.fromkeys(some, problem), passes, BUDGET)[0]
    return found


def _ask(query: Query, problem: FirthProblem, passes: Passes) -> Answer:
    (sums,), _ = read_round(passes, [problem.probe(query)], BUDGET)
    return problem.answer(query, sums)
