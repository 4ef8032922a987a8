"""What a solver and the world say to each other.

A solver is a generator: it yields a `Query`, is sent the `Answer`, and returns a `Solution`.
It minimises

    f(x) + sum_j l1_j |x_j|        (x a vector of n numbers)

where the world answers for the smooth f only, and l1 is known to the solver, as is the `Box`
that x must lie in, if there is one.
This file knows nothing of rows, classes, penalties' names or Spark.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array

Order: TypeAlias = Literal[0, 1, 2]


@dataclass(frozen=True, eq=False)
class Query:
    """Ask for f at `point`, with its first `order` derivatives."""

    point: Array
    order: Order


@dataclass(frozen=True, eq=False)
class Answer:
    """f at a query's point, its gradient (n,) from order 1 and its Hessian (n, n) from order 2."""

    value: float
    gradient: Array | None = None
    hessian: Array | None = None

    def first(self) -> Array:
        """The gradient, which the query must have asked for."""
        if self.gradient is None:
            raise LookupError("the query behind this answer did not ask for a gradient")
        return self.gradient

    def second(self) -> Array:
        """The Hessian, which the query must have asked for."""
        if self.hessian is None:
            raise LookupError("the query behind this answer did not ask for a Hessian")
        return self.hessian

    @property
    def finite(self) -> bool:
        return bool(
            np.isfinite(self.value)
            and (self.gradient is None or np.isfinite(self.gradient).all())
            and (self.hessian is None or np.isfinite(self.hessian).all())
        )


class Reason(Enum):
    """Why a solver stopped; the value is the sentence a user reads."""

    CONVERGED = "converged: the decrease still promised is below the tolerance"
    PRECISION = "converged to rounding: no step shows a decrease that float64 can resolve"
    STEP_LIMIT = "stopped at maxIter before the tolerance was met: raise maxIter, or tol"
    NO_DECREASE = "stopped: no step along the search direction lowers the objective"
    SINGULAR = "stopped: the curvature vanishes where the slope does not, so no step can be chosen"
    NOT_FINITE = "stopped: the objective or a derivative is not a finite number at the start"

    @property
    def converged(self) -> bool:
        return self in (Reason.CONVERGED, Reason.PRECISION)


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a solver stopped, why, and the objective, l1 included, at the start and each step."""

    point: Array
    history: tuple[float, ...]
    reason: Reason

    @property
    def value(self) -> float:
        return self.history[-1]

    @property
    def steps(self) -> int:
        return len(self.history) - 1


@dataclass(frozen=True)
class Stop:
    """When to stop: a promised decrease below `limit`, or `max_steps` steps.

    Judged by what the local model still promises, not by the last change: a slow method
    changes little far from the optimum.
    """

    relative: float = 1e-9
    absolute: float = 1e-10
    max_steps: int = 100

    def limit(self, value: float) -> float:
        """The promised decrease too small to go for, at an objective of `value`."""
        return max(self.relative * abs(value), self.absolute)


Solver: TypeAlias = Generator[Query, Answer, Solution]

# A decrease smaller than this share of the objective drowns in the rounding of sums over rows.
ROUNDING = 64 * float(np.finfo(np.float64).eps)
