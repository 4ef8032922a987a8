"""The end of a fit that keeps the Hessian at its optimum, for standard errors.

With gradient g and Hessian H at the solver's solution x, one more step d = -H^-1 g shows what is
left. If d moves the margin of no row by more than delta, then no row's curvature changes by more
than about delta times itself (its logarithm has a slope of at most one), and neither does H. If
delta is larger than wanted, the step is taken, which leaves about its square.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.passes.protocol import Passes
from sparklr.solvers import Answer, Query, Reason, Solution, Solver, solve_symmetric

# The wanted delta: where the rows are in memory another reading takes next to nothing. Elsewhere
# it may take a tenth of the fit, and standard errors are not read to more than three digits.
IN_MEMORY, ELSEWHERE = 1e-7, 1e-3


def with_last_gradient(solver: Solver, problem: Problem) -> Solver:
    """Return the solution of a solver with the answer at its point, if that is still at hand.

    Takes no further query. A solver ends at the lowest point that it has seen or at the last one,
    so of all answers these two are kept.
    """
    l1 = problem.penalty.l1
    lowest, last = np.inf, None
    best: tuple[Array, Answer] | None = None
    query = next(solver)
    while True:
        answer = yield query
        if answer.gradient is not None and answer.finite:
            last = query.point, Answer(answer.value, answer.gradient)
            total = answer.value + float(l1 @ np.abs(query.point))
            if total <= lowest:
                lowest, best = total, last
        try:
            query = solver.send(answer)
        except StopIteration as finished:
            solution: Solution = finished.value
            break
    known = [its for its in (best, last) if its is not None]
    found = next((there for point, there in known if point is solution.point), None)
    return replace(solution, last=found)


def with_last_hessian(solver: Solver, problem: Problem, passes: Passes, most: int) -> Solver:
    """Return the solution of a solver with the answer of order 2 at its point.

    If the solver has asked for it, as Newton's method mostly has, and if it is near enough to the
    optimum, this takes no further query. `most` is the number of steps allowed.
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
    found = next((there for point, there in known if point is solution.point), None)
    if found is None:
        found = yield Query(solution.point, order=2)
    solution = replace(solution, last=found)
    smooth = problem.penalty.smooth and problem.box is None
    if not (smooth and solution.reason.converged and solution.steps < most):
        return solution
    step = solve_symmetric(found.second(), -found.first())
    delta = problem.scaling.largest_move(step, passes.moments)
    # On separated rows no step is smaller than 1, and none would help, but for one in the limit:
    # some of it is along the direction that separates them, and the rest as small as elsewhere.
    most_helpful = np.inf if passes.local and solution.reason is Reason.AT_INFINITY else 1.0
    if not (IN_MEMORY if passes.local else ELSEWHERE) < delta < most_helpful:
        return solution
    there = yield Query(solution.point + step, order=2)
    if not (there.finite and there.value <= found.value):
        return solution
    history = (*solution.history, there.value)
    return Solution(solution.point + step, history, solution.reason, there)
