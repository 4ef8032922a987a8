"""One solver, and another that goes on where the first can choose no step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparklr.arrays import Array
from sparklr.solvers.protocol import Reason, Solution, Solver, Stop


def with_fallback(first: Solver, then: Callable[[Array, Stop], Solver], stop: Stop) -> Solver:
    """The solution of `first`; if it got stuck, that of `then` from the point where it did.

    Both share the steps that `stop` allows, and one history.
    """
    solution = yield from first
    if solution.reason not in (Reason.SINGULAR, Reason.NO_DECREASE):
        return solution
    left = replace(stop, max_steps=stop.max_steps - solution.steps)
    other = yield from then(solution.point, left)
    return Solution(other.point, (*solution.history, *other.history[1:]), other.reason)
