"""The protocol between a solver and its caller.

A solver is a generator: it yields a `Query`, is sent the `Answer`, and returns a `Solution`.
It minimises

    f(x) + sum_j l1_j |x_j|        (x a vector of n numbers)

The caller evaluates the smooth f only. The solver has l1 and, if there is one, the `Box` that x
must lie in.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array

Order: TypeAlias = Literal[0, 1, 2]


@dataclass(frozen=True, eq=False)
class Query:
    """A query for f at `point`, with its first `order` derivatives.

    at : the iterate that a trial starts from, the same object as long as it is the iterate; None if
        `point` is an iterate itself
    """

    point: Array
    order: Order
    at: Array | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Answer:
    """f at the query's point, with gradient (n,) from order 1 and Hessian (n, n) from order 2.

    held : the mean loss of held-out rows there, if there are such rows
    """

    value: float
    gradient: Array | None = None
    hessian: Array | None = None
    held: float | None = None

    def first(self) -> Array:
        """Return the gradient; the query must have order 1 or 2."""
        if self.gradient is None:
            raise LookupError("this answer has no gradient: its query had order 0")
        return self.gradient

    def second(self) -> Array:
        """Return the Hessian; the query must have order 2."""
        if self.hessian is None:
            raise LookupError("this answer has no Hessian: its query had an order below 2")
        return self.hessian

    @property
    def finite(self) -> bool:
        return bool(
            np.isfinite(self.value)
            and (self.gradient is None or np.isfinite(self.gradient).all())
            and (self.hessian is None or np.isfinite(self.hessian).all())
        )


class Reason(Enum):
    """Why a solver stopped; the value is the sentence that a user reads."""

    CONVERGED = "converged: the predicted further decrease is below the tolerance"
    PRECISION = "converged to rounding: no step shows a decrease that float64 can resolve"
    AT_INFINITY = "converged to a limit: some coefficients have no finite optimum"
    HELD_OUT = "stopped early: no other iterate has a lower loss of the held-out rows"
    STEP_LIMIT = "stopped at maxIter before the tolerance was met: raise maxIter, or tol"
    NO_DECREASE = "stopped: no step along the search direction lowers the objective"
    DIVERGED = (
        "stopped: the steps are too long, and the objective rose above that of the start: set a "
        "smaller learningRate"
    )
    SINGULAR = "stopped: the Hessian is singular where the gradient is not zero, so no step exists"
    NOT_FINITE = "stopped: the objective or a derivative is not a finite number at the start"

    @property
    def converged(self) -> bool:
        return self in (Reason.CONVERGED, Reason.PRECISION, Reason.AT_INFINITY)


@dataclass(frozen=True, eq=False)
class Solution:
    """The point where a solver stopped, the reason, and the history.

    history : the objective, l1 included, at the start and after each step
    last : the answer at the point, with a Hessian, if it was asked for
    held : the mean loss of held-out rows, in the places of `history`; empty if there are none
    place : that of the point in the history; not the last if held-out rows chose it
    """

    point: Array
    history: tuple[float, ...]
    reason: Reason
    last: Answer | None = None
    held: tuple[float, ...] = ()
    place: int = -1

    @property
    def value(self) -> float:
        return self.history[self.place]

    @property
    def steps(self) -> int:
        return len(self.history) - 1


@dataclass(frozen=True)
class Stop:
    """The stopping rule: a predicted decrease below `limit`, or `max_steps` steps.

    The decrease is that of the local model, not the last change of the objective: a slow method
    changes little far from the optimum.
    """

    relative: float = 1e-9
    absolute: float = 1e-10
    max_steps: int = 100

    def limit(self, value: float) -> float:
        """Return the predicted decrease that is too small for a step, at objective `value`."""
        return max(self.relative * abs(value), self.absolute)


Solver: TypeAlias = Generator[Query, Answer, Solution]

# A decrease below this share of the objective is lost in the rounding of sums over rows.
ROUNDING = 64 * float(np.finfo(np.float64).eps)
