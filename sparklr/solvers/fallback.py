"""A solver with a fallback: a second solver continues if the first finds no step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparklr.arrays import Array
from sparklr.solvers.protocol import Reason, Solution, Solver, Stop


def with_fallback(first: Solver, then: Callable[[Array, Stop], Solver], stop: Stop) -> Solver:
    """Return the solution of `first`; if it got stuck, continue with `then` from that point.

    Both solvers share the steps that `stop` allows, and one history.
    """
    solution = yield from first
    if solution.reason not in (Reason.SINGULAR, Reason.NO_DECREASE):
        return solution
    left = replace(stop, max_steps=stop.max_steps - solution.steps)
    other = yield from then(solution.point, left)
    return Solution(other.point, (*solution.history, *other.history[1:]), other.reason)
