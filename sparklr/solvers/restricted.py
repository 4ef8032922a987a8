"""A solver that keeps some coordinates at zero, for tests of whether they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparklr.arrays import Array, BoolArray
from sparklr.solvers.protocol import Answer, Query, Solution, Solver


def restricted(solver: Solver, free: BoolArray) -> Solver:
    """Let a solver of first order move only the free coordinates of a larger problem."""

    def whole(point: Array) -> Array:
        full = np.zeros(len(free))
        full[free] = point
        return full

    query = next(solver)
    while True:
        answer = yield Query(whole(query.point), query.order)
        try:
            query = solver.send(Answer(answer.value, answer.first()[free]))
        except StopIteration as finished:
            solution: Solution = finished.value
            return replace(solution, point=whole(solution.point))
