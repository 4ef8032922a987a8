"""Damped Newton for smooth problems and proximal Newton for l1 problems: one loop, two models.

At x, with gradient g and Hessian H, the step d minimises the local model

    g'd + d'Hd / 2 + sum_j l1_j |x_j + d_j|        (x + d within the box, if there is one)

and is halved until Armijo's condition holds. One query a step unless a step must be shortened.

Near the minimum, what a step promises shrinks with the square of what the one before did. Where
that makes a step the last, only the gradient is asked for behind it, and the Hessian before it
tells that nothing is left to gain. No step is chosen by a Hessian of another point: such steps
cost a pass less as well, and digits of the solution.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.protocol import ROUNDING, Answer, Order, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.quadratic import minimise_with_l1, pseudo_gradient, solve_symmetric

# (point, gradient, Hessian) -> the model's minimising step, or None if the model has no minimum
Model: TypeAlias = Callable[[Array, Array, Array], Array | None]

ARMIJO = 1e-4
HALVINGS = 30
# Share of the limit under which the next promise must be foretold to ask for no Hessian.
SURE = 0.01


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
    last = 0.0  # what the last step promised
    while True:
        local = Local(point, here.first(), here.second(), l1, box)
        step = model(point, local.gradient, local.hessian)
        if step is None:
            return Solution(point, tuple(history), Reason.SINGULAR)
        promised = local.promise(step)
        if promised <= stop.limit(history[-1]):
            reason = Reason.CONVERGED if local.solved_by(step) else Reason.NO_DECREASE
            return Solution(point, tuple(history), reason)
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        # The factor before the square, as the last two promises show it.
        left = promised * (promised / last) ** 2 if last > 0 else np.inf
        order: Order = 1 if left <= SURE * stop.limit(history[-1]) else 2
        accepted = yield from _backtrack(local, history[-1], step, order)
        if accepted is None:
            unseen = promised <= 1e3 * ROUNDING * abs(history[-1])
            return Solution(
                point, tuple(history), Reason.PRECISION if unseen else Reason.NO_DECREASE
            )
        point, here, value = accepted
        history.append(value)
        last = promised
        if order == 1:
            old = replace(local, point=point, gradient=here.first())
            step = model(point, old.gradient, old.hessian)
            little = step is not None and old.promise(step) <= stop.limit(value)
            if step is not None and little and old.solved_by(step):
                return Solution(point, tuple(history), Reason.CONVERGED)
            here = yield Query(point, order=2)


@dataclass(frozen=True, eq=False)
class Local:
    """The local model at a point: gradient (n,) and Hessian (n, n) of f, the l1 term, the box."""

    point: Array
    gradient: Array
    hessian: Array
    l1: Array
    box: Box

    def slope(self, step: Array) -> float:
        """The change along the step, but for curvature; negative where the step descends."""
        shift = np.abs(self.point + step) - np.abs(self.point)
        return float(self.gradient @ step + self.l1 @ shift)

    def promise(self, step: Array) -> float:
        """How much lower the model is behind the step."""
        return -(self.slope(step) + 0.5 * float(step @ self.hessian @ step))

    def solved_by(self, step: Array) -> bool:
        """Whether the step reaches the model's minimum: else a small promise proves nothing."""
        point, gradient, l1, box = self.point, self.gradient, self.l1, self.box
        slope = gradient + self.hessian @ step
        before = np.abs(pseudo_gradient(point, gradient, l1, box)).max(initial=0)
        after = np.abs(pseudo_gradient(box.land(point, step), slope, l1, box)).max(initial=0)
        scale = np.abs(gradient).max(initial=0) + l1.max(initial=0)
        # A slope this small moves no coordinate by a unit in the last place of its size, or of 1.
        noise = ROUNDING * (np.abs(self.hessian) @ np.maximum(np.abs(point), 1.0)).max(initial=0)
        return bool(after <= 1e-3 * before + 1e-9 * scale + noise)


def _backtrack(
    local: Local, value: float, step: Array, order: Order
) -> Generator[Query, Answer, tuple[Array, Answer, float] | None]:
    """Halve the step until it meets Armijo's condition; None if no halving does.

    Each trial is asked to the order that the next step needs, so the accepted one (nearly
    always the first) needs no second query.
    """
    slope = local.slope(step)
    for halvings in range(HALVINGS):
        length = 0.5**halvings
        if length * abs(slope) <= ROUNDING * abs(value):
            return None
        trial = local.box.land(local.point, length * step)
        there = yield Query(trial, order=order)
        total = there.value + float(local.l1 @ np.abs(trial))
        if there.finite and total <= value + ARMIJO * length * slope:
            return trial, there, total
    return None
