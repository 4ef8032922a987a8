"""Orthant-wise limited-memory quasi-Newton (Andrew and Gao 2007), for l1 problems of any size.

Inside one orthant, f + sum_j l1_j |x_j| is smooth with gradient v, the pseudo-gradient. A
step takes d = -H v, drops the coordinates of d that do not descend, and sets to exactly zero
each coordinate that would leave the orthant.

Bounds are kept in the same way (Bertsekas 1982): a coordinate that is held at its bound is left
out of v, H and d, and a coordinate that would leave the box is put on its bound.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from sparklr.arrays import Array, BoolArray
from sparklr.solvers.box import Box
from sparklr.solvers.curvature import Curvature, Preconditioner, identity
from sparklr.solvers.protocol import ROUNDING, Answer, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.quadratic import pseudo_gradient

ARMIJO = 1e-4
TRIALS = 30
REMOVALS = 10


def owlqn(
    start: Array,
    l1: Array,
    *,
    box: Box | None = None,
    precondition: Preconditioner = identity,
    memory: int = 10,
    stop: Stop = Stop(),
) -> Solver:
    """Minimise f + sum_j l1_j |x_j| over the box, with first derivatives."""
    return _descend(start, l1, Box.around(start, box), precondition, memory, stop)


def _descend(
    start: Array, l1: Array, box: Box, precondition: Preconditioner, memory: int, stop: Stop
) -> Solver:
    point, here = start, (yield Query(start, order=1))
    history = [here.value + float(l1 @ np.abs(point))]
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    curvature = Curvature(precondition, memory)
    gained = np.inf
    while True:
        value = history[-1]
        slope = pseudo_gradient(point, here.first(), l1, box)
        step = _descent_step(point, slope, l1, box, curvature)
        limit = stop.limit(value)
        promised = -float(slope @ step) / 2
        if not slope.any() or (promised <= limit and gained <= 10 * limit):
            return Solution(point, tuple(history), Reason.CONVERGED)
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        first = 1.0
        if curvature.empty and precondition is identity:
            first = min(1.0, 1.0 / float(np.linalg.norm(step)))
        accepted = yield from _search_orthant(point, value, slope, step, l1, box, first)
        if accepted is None and not curvature.empty:
            curvature.forget()
            gained = np.inf
            continue
        if accepted is None:
            unseen = promised <= 1e3 * ROUNDING * abs(value)
            reason = Reason.PRECISION if unseen else Reason.NO_DECREASE
            return Solution(point, tuple(history), reason)
        trial, there, total = accepted
        curvature.remember(trial - point, there.first() - here.first())
        gained = value - total
        point, here = trial, there
        history.append(total)


def _descent_step(point: Array, slope: Array, l1: Array, box: Box, curvature: Curvature) -> Array:
    """Return -H v without the coordinates at zero or a bound that would move to the wrong side.

    The published method drops every coordinate that does not itself descend. On correlated
    features this loses information in the memory, so it is done only if the milder rule does not
    give a clear descent.
    """
    bound = box.touches(point)
    if curvature.dense:
        full = _free_step(point, slope, l1, bound, curvature)
    else:
        held = bound & (slope == 0)
        full = -(curvature.within(~held) if held.any() else curvature).apply(slope)
    astray = ((l1 > 0) | bound) & (full * slope >= 0)
    step = np.where(astray & ((point == 0) | bound), 0.0, full)
    if slope @ step <= -1e-3 * float(np.linalg.norm(slope) * np.linalg.norm(step)):
        return step
    return np.where(astray, 0.0, full)


def _free_step(
    point: Array, slope: Array, l1: Array, bound: BoolArray, curvature: Curvature
) -> Array:
    """Return -H v on the moving coordinates, for a preconditioner that couples them.

    Coordinates that rest at zero or a bound are left out before it is applied. If it would move
    some from there to the wrong side, they are left out too, and it is applied again to the rest.
    """
    free = (point != 0) | (slope != 0)
    for _ in range(REMOVALS):
        step = -curvature.within(free).apply(slope)
        astray = free & (((point == 0) & (l1 > 0)) | bound) & (step * slope >= 0)
        if not astray.any():
            break
        free &= ~astray
    return step


def _search_orthant(
    point: Array, value: float, slope: Array, step: Array, l1: Array, box: Box, length: float
) -> Generator[Query, Answer, tuple[Array, Answer, float] | None]:
    """Halve the step until the projected trial has enough decrease; None if no trial has."""
    orthant = np.where(point == 0, -np.sign(slope), np.sign(point))
    for _ in range(TRIALS):
        trial = point + length * step
        trial[(l1 > 0) & (trial * orthant <= 0)] = 0.0
        trial = box.clip(trial)
        expected = float(slope @ (trial - point))
        if abs(expected) <= ROUNDING * abs(value):
            return None
        there = yield Query(trial, order=1, at=point)
        total = there.value + float(l1 @ np.abs(trial))
        if there.finite and total <= value + ARMIJO * expected:
            return trial, there, total
        length /= 2
    return None
