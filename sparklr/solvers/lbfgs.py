"""Limited-memory BFGS with a preconditioner, for smooth problems of any size.

    d = -H g,    x <- x + t d,    t by the weak Wolfe conditions

where H is `Curvature`. Every trial of a t is one query. With a good preconditioner (the inverse
Hessian of a sample) nearly every first trial, t = 1, is accepted.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.curvature import Curvature, Preconditioner, identity
from sparklr.solvers.protocol import ROUNDING, Answer, Query, Reason, Solution, Solver, Stop

ARMIJO = 1e-4
WOLFE = 0.9
TRIALS = 30


def lbfgs(
    start: Array,
    *,
    precondition: Preconditioner = identity,
    memory: int = 20,
    stop: Stop = Stop(),
) -> Solver:
    """Minimise a smooth f with first derivatives."""
    point, here = start, (yield Query(start, order=1))
    history = [here.value]
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    curvature = Curvature(precondition, memory)
    gained = np.inf
    while True:
        step = -curvature.apply(here.first())
        slope = float(here.first() @ step)
        limit = stop.limit(here.value)
        # A fresh memory may predict too little decrease, so the last one must be small too.
        if slope == 0 or (-slope / 2 <= limit and gained <= 10 * limit):
            return Solution(point, tuple(history), Reason.CONVERGED)
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        first = 1.0
        if curvature.empty and not curvature.dense:
            first = min(1.0, 1.0 / float(np.linalg.norm(step)))
        accepted = yield from weak_wolfe(point, here, step, slope, first)
        if accepted is None and not curvature.empty:
            curvature.forget()  # the memory is misleading: try the preconditioner alone
            gained = np.inf
            continue
        if accepted is None:
            unseen = -slope / 2 <= 1e3 * ROUNDING * abs(here.value)
            reason = Reason.PRECISION if unseen else Reason.NO_DECREASE
            return Solution(point, tuple(history), reason)
        trial, there = accepted
        curvature.remember(trial - point, there.first() - here.first())
        gained = here.value - there.value
        point, here = trial, there
        history.append(here.value)


def weak_wolfe(
    point: Array, here: Answer, step: Array, slope: float, length: float
) -> Generator[Query, Answer, tuple[Array, Answer] | None]:
    """Find a length with enough decrease (Armijo) and enough change of slope (Wolfe).

    A length that is too long is followed by the minimum of the parabola through the known values,
    kept inside the bracket; one that is too short is doubled. None if no trial finds a decrease.
    """
    low, high = 0.0, np.inf
    best: tuple[Array, Answer] | None = None
    for _ in range(TRIALS):
        if length * abs(slope) <= ROUNDING * abs(here.value):
            return best
        trial = point + length * step
        there = yield Query(trial, order=1, at=point)
        if not there.finite or there.value > here.value + ARMIJO * length * slope:
            high = length
            rise = there.value - here.value - length * slope
            guess = -slope * length**2 / (2 * rise) if np.isfinite(rise) and rise > 0 else 0.0
            length = float(np.clip(guess, low + 0.1 * (high - low), low + 0.5 * (high - low)))
            continue
        if best is None or there.value < best[1].value:
            best = (trial, there)
        if float(there.first() @ step) >= WOLFE * slope:
            return best
        low = length
        length = 2 * length if high == np.inf else (low + high) / 2
    return best
