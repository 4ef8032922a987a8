"""Damped Newton for smooth problems and proximal Newton for l1 problems: one loop, two models.

At x, with gradient g and Hessian H, the step d minimises the local model

    g'd + d'Hd / 2 + sum_j l1_j |x_j + d_j|        (x + d within the box, if there is one)

and is halved until Armijo's condition holds. One query a step unless a step must be shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.protocol import ROUNDING, Answer, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.quadratic import minimise_with_l1, pseudo_gradient, solve_symmetric

# (point, gradient, Hessian) -> the model's minimising step, or None if the model has no minimum
Model: TypeAlias = Callable[[Array, Array, Array], Array | None]

ARMIJO = 1e-4
HALVINGS = 30


def newton(start: Array, *, stop: Stop = Stop()) -> Solver:
    """Minimise a smooth f: the model's minimum is -H^-1 g."""

    def step(_: Array, gradient: Array, hessian: Array) -> Array | None:
        return _newton_step(gradient, hessian)

    return _descend(start, np.zeros_like(start), Box.endless(len(start)), step, stop)


def proximal_newton(
    start: Array, l1: Array, *, box: Box | None = None, stop: Stop = Stop()
) -> Solver:
    """Minimise f + sum_j l1_j |x_j| over the box; zeros and bounds in the solution are exact."""
    within = Box.around(start, box)

    def step(point: Array, gradient: Array, hessian: Array) -> Array | None:
        return minimise_with_l1(point, gradient, hessian, l1, within)

    return _descend(start, l1, within, step, stop)


def _newton_step(gradient: Array, hessian: Array) -> Array | None:
    step = solve_symmetric(hessian, -gradient)
    # A slope that the curvature cannot see (a linear direction) leaves no model to minimise.
    unseen = gradient + hessian @ step
    return None if np.abs(unseen).max(initial=0) > 0.5 * np.abs(gradient).max(initial=0) else step


def _descend(start: Array, l1: Array, box: Box, model: Model, stop: Stop) -> Solver:
    point, here = start, (yield Query(start, order=2))
    history = [here.value + float(l1 @ np.abs(point))]
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    while True:
        gradient, hessian = here.first(), here.second()
        step = model(point, gradient, hessian)
        if step is None:
            return Solution(point, tuple(history), Reason.SINGULAR)
        slope = float(gradient @ step + l1 @ (np.abs(point + step) - np.abs(point)))
        promised = -(slope + 0.5 * float(step @ hessian @ step))
        if promised <= stop.limit(history[-1]):
            solved = _solves_model(point, step, gradient, hessian, l1, box)
            reason = Reason.CONVERGED if solved else Reason.NO_DECREASE
            return Solution(point, tuple(history), reason)
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        accepted = yield from _backtrack(point, history[-1], step, slope, l1, box)
        if accepted is None:
            unseen = promised <= 1e3 * ROUNDING * abs(history[-1])
            return Solution(
                point, tuple(history), Reason.PRECISION if unseen else Reason.NO_DECREASE
            )
        point, here, value = accepted
        history.append(value)


def _solves_model(
    point: Array, step: Array, gradient: Array, hessian: Array, l1: Array, box: Box
) -> bool:
    """Whether the step reaches the model's minimum: else a small promise proves nothing."""
    slope = gradient + hessian @ step
    before = np.abs(pseudo_gradient(point, gradient, l1, box)).max(initial=0)
    after = np.abs(pseudo_gradient(box.land(point, step), slope, l1, box)).max(initial=0)
    scale = np.abs(gradient).max(initial=0) + l1.max(initial=0)
    # A slope this small moves no coordinate by a unit in the last place of its size, or of 1.
    noise = ROUNDING * (np.abs(hessian) @ np.maximum(np.abs(point), 1.0)).max(initial=0)
    return bool(after <= 1e-3 * before + 1e-9 * scale + noise)


def _backtrack(
    point: Array, value: float, step: Array, slope: float, l1: Array, box: Box
) -> Generator[Query, Answer, tuple[Array, Answer, float] | None]:
    """Halve the step until it meets Armijo's condition; None if no halving does.

    Each trial is asked to order 2, so the accepted one (nearly always the first) needs no
    second query.
    """
    for halvings in range(HALVINGS):
        length = 0.5**halvings
        if length * abs(slope) <= ROUNDING * abs(value):
            return None
        trial = box.land(point, length * step)
        there = yield Query(trial, order=2)
        total = there.value + float(l1 @ np.abs(trial))
        if there.finite and total <= value + ARMIJO * length * slope:
            return trial, there, total
    return None
