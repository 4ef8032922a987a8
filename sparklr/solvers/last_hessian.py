"""A solver whose solution comes with the Hessian there, which shows how well it is determined."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from sparklr.arrays import Array
from sparklr.solvers.protocol import Answer, Query, Solution, Solver


def with_last_hessian(solver: Solver) -> Solver:
    """Return the solution of a solver with the answer of order 2 at its point.

    If the solver has asked for it, as Newton's method mostly has, this takes no further query.
    """
    # The solution is the last point or, if the last step was refused, one before it.
    known: deque[tuple[Array, Answer]] = deque(maxlen=2)
    query = next(solver)
    while True:
        answer = yield query
        if query.order == 2:
            known.append((query.point, answer))
        try:
            query = solver.send(answer)
        except StopIteration as finished:
            solution: Solution = finished.value
            break
    for point, there in known:
        if point is solution.point:
            return replace(solution, last=there)
    return replace(solution, last=(yield Query(solution.point, order=2)))
