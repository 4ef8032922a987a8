"""Newton for smooth problems and proximal Newton for l1 problems: one loop with two models.

At x, with gradient g and Hessian H, the step d minimises the local model

    g'd + d'(H + m D)d / 2 + sum_j l1_j |x_j + d_j|        (x + d within the box, if there is one)

The damping m (Levenberg 1944, Marquardt 1963) is zero as long as the function decreases as the
model predicts. D is a diagonal of typical curvatures of the coordinates. If a step fails Armijo's
condition, m grows until the step is half as long. If steps decrease as predicted, m shrinks again.

Rare levels of a category need the damping. The predictions for all rows of such a level may be so
certain that their curvature vanishes while their slope does not: without damping the model has no
minimum there. Halving the step would be simpler, but one coordinate would shorten all others.

Trying a step takes a query, trying a damping does not. So if a damped step predicts too little
decrease, a smaller damping is tried before the search ends.

Near the minimum, the predicted decrease of a step is proportional to the square of the previous
one. If this makes a step the last one, only the gradient is queried after it, and the Hessian from
before the step shows that the remaining decrease is below the limit. No step is ever chosen with
the Hessian of another point: that would save a pass too, but lose digits of the solution.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.lockstep import lockstep
from sparklr.solvers.owlqn import owlqn
from sparklr.solvers.protocol import ROUNDING, Answer, Order, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.quadratic import minimise_with_l1, pseudo_gradient, solve_symmetric

# (point, gradient, Hessian) -> the step that minimises the model, if the model has a minimum
Model: TypeAlias = Callable[[Array, Array, Array], Array]

ARMIJO = 1e-4
# Models of fewer coordinates are minimised exactly, without a rough start; the number of steps for
# a rough start, and where it ends by itself, relative to the model's value.
FEW_COORDINATES, ROUGH_STEPS, ROUGHLY = 40, 100, 1e-6
# The largest share of the KKT residual that a proximal Newton step may leave.
RESIDUAL_LEFT = 1e-3
# No Hessian is queried if the next predicted decrease is expected below this share of the limit.
SURE = 0.01
# The first, the smallest and the largest damping; it changes by factors of ten.
FIRST, LEAST, MOST = 1e-2, 1e-4, 1e8
# The share of a refused step's predicted decrease for which damping is worth it.
WORTH = 1e-3
# Ratios of actual to predicted decrease: below POOR the damping grows, above GOOD it shrinks.
POOR, GOOD = 0.25, 0.75


def newton(start: Array, *, curvature: Array | None = None, stop: Stop = Stop()) -> Solver:
    """Minimise a smooth f: the model's minimum is -H^-1 g.

    `curvature` is the diagonal of D; by default the Hessian's diagonal at the start.
    """

    def step(_: Array, gradient: Array, hessian: Array) -> Array:
        return solve_symmetric(hessian, -gradient)

    return _descend(start, np.zeros_like(start), Box.endless(len(start)), step, curvature, stop)


def proximal_newton(
    start: Array,
    l1: Array,
    *,
    box: Box | None = None,
    curvature: Array | None = None,
    stop: Stop = Stop(),
) -> Solver:
    """Minimise f + sum_j l1_j |x_j| over the box, with exact zeros and bounds in the solution."""
    within = Box.around(start, box)

    def step(point: Array, gradient: Array, hessian: Array) -> Array:
        if len(point) < FEW_COORDINATES:
            return minimise_with_l1(point, gradient, hessian, l1, within)
        guess = _roughly(point, gradient, hessian, l1, within)
        residual = np.abs(pseudo_gradient(point, gradient, l1, within)).max(initial=0)
        # The nearer the minimum, the more exactly: then a step leaves the square of a residual.
        scale = l1.max(initial=0) + np.abs(gradient).max(initial=0)
        share = min(RESIDUAL_LEFT, residual / scale) if scale > 0 else 0.0
        return minimise_with_l1(point, gradient, hessian, l1, within, guess=guess, share=share)

    return _descend(start, l1, within, step, curvature, stop)


def _roughly(point: Array, gradient: Array, hessian: Array, l1: Array, box: Box) -> Array:
    """Return a point near the minimum of the model, most of whose signs are right.

    OWL-QN takes a product with the Hessian per step, and the exact method a system of equations,
    which in turn it needs few of once the signs are right.
    """
    diagonal = np.maximum(np.diagonal(hessian), ROUNDING * np.diagonal(hessian).max())
    if not diagonal.all():
        return point.copy()
    solver = owlqn(
        point,
        l1,
        box=box,
        precondition=lambda vector: vector / diagonal,
        stop=Stop(ROUGHLY, 0.0, ROUGH_STEPS),
    )

    def answer(queries: Mapping[int, Query]) -> Mapping[int, Answer]:
        move = queries[0].point - point
        product = hessian @ move
        value = float(gradient @ move + 0.5 * move @ product)
        return {0: Answer(value, gradient + product)}

    return lockstep({0: solver}, answer)[0].point


def _descend(
    start: Array, l1: Array, box: Box, model: Model, curvature: Array | None, stop: Stop
) -> Solver:
    point, here = start, (yield Query(start, order=2))
    history = [here.value + float(l1 @ np.abs(point))]
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    scale = np.diagonal(here.second()) if curvature is None else curvature
    damping, last = 0.0, 0.0  # `last`: predicted decrease of the last step, 0 if it was damped
    refused: Step | None = None  # the last trial at this point
    while True:
        value = history[-1]
        local = Local(point, here.first(), here.second(), l1, box, scale)
        step = _choose(local, model, damping, refused, stop.limit(value))
        if step.promised <= stop.limit(value):
            return Solution(point, tuple(history), _verdict(step, refused))
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        # The next predicted decrease, with the factor of the square from the last two.
        left = step.promised * (step.promised / last) ** 2 if last > 0 else np.inf
        sure = step.damping == 0 and left <= SURE * stop.limit(value)
        order: Order = 1 if sure else 2
        accepted = yield from _try(local, step, value, order)
        if accepted is None:
            if step.promised <= 1e3 * ROUNDING * abs(value):
                return Solution(point, tuple(history), Reason.PRECISION)
            if step.damping >= MOST:
                return Solution(point, tuple(history), Reason.NO_DECREASE)
            refused, damping, last = step, max(FIRST, 10 * step.damping), 0.0
            continue
        point, here, total = accepted
        history.append(total)
        refused, damping = None, _next_damping(step, value - total)
        last = step.promised if step.damping == 0 and not step.shortened else 0.0
        if order == 1:
            old = replace(local, point=point, gradient=here.first())
            after = old.step(model, 0.0)
            if after.sound and after.promised <= stop.limit(total):
                return Solution(point, tuple(history), Reason.CONVERGED)
            here = yield Query(point, order=2)


@dataclass(frozen=True, eq=False)
class Step:
    """A step, its damping, its predicted decrease, and whether it minimises the model (`sound`).

    If it does not, a small predicted decrease proves nothing.
    """

    move: Array
    damping: float
    promised: float
    sound: bool
    shortened: bool = False


def _choose(local: Local, model: Model, damping: float, refused: Step | None, limit: float) -> Step:
    """Return the step to try next, with this damping or, if needed, more or less.

    After a refused step the damping grows until half the length is left. If next to nothing of the
    predicted decrease is left with it, then that lies along directions with hardly any curvature,
    which any damping closes, and the refused step itself is shortened. Without a refused step, if
    the predicted decrease is too small, the damping shrinks; to zero only if the undamped model has
    a minimum.
    """
    step = local.step(model, damping)
    if refused is not None:
        while local.length(step) > 0.5 * local.length(refused) and step.damping < MOST:
            step = local.step(model, 10 * step.damping)
        if step.promised < WORTH * refused.promised:
            return local.shorter(refused)
        return step
    least = 0.0
    if not step.sound and damping == 0:
        least, step = LEAST, local.step(model, FIRST)
    while step.promised <= limit and step.damping > least:
        less = local.step(model, step.damping / 10 if step.damping > 1.5 * LEAST else 0.0)
        if not less.sound and less.damping == 0:
            break
        step = less
    return step


def _verdict(step: Step, refused: Step | None) -> Reason:
    """Return why the search ends at a step with too little predicted decrease."""
    if not step.sound:
        return Reason.SINGULAR
    if refused is not None:  # that one predicted more
        return Reason.NO_DECREASE
    # Much damping makes every predicted decrease small, so it proves nothing.
    return Reason.CONVERGED if step.damping <= 1 else Reason.NO_DECREASE


def _next_damping(step: Step, gained: float) -> float:
    """Return less damping after a step with the predicted decrease, more after a poor step."""
    if step.damping == 0 or POOR * step.promised <= gained <= GOOD * step.promised:
        return step.damping
    if gained < POOR * step.promised:
        return 10 * step.damping
    return step.damping / 10 if step.damping > 1.5 * LEAST else 0.0


def _try(
    local: Local, step: Step, value: float, order: Order
) -> Generator[Query, Answer, tuple[Array, Answer, float] | None]:
    """Return the point after the step if it meets Armijo's condition, else None.

    The query has the order that the next step needs, so one query is nearly always enough.
    """
    slope = local.slope(step.move)
    if abs(slope) <= ROUNDING * abs(value):
        return None
    trial = local.box.land(local.point, step.move)
    there = yield Query(trial, order=order)
    total = there.value + float(local.l1 @ np.abs(trial))
    if there.finite and total <= value + ARMIJO * slope:
        return trial, there, total
    return None


@dataclass(frozen=True, eq=False)
class Local:
    """The local model at a point: gradient (n,) and Hessian (n, n) of f, the l1 term, the box.

    `scale` is the diagonal of D.
    """

    point: Array
    gradient: Array
    hessian: Array
    l1: Array
    box: Box
    scale: Array

    def step(self, model: Model, damping: float) -> Step:
        """Return the step that minimises the model with this damping."""
        here = self
        if damping > 0:
            # Where the curvature exceeds D, it takes the place of D.
            scale = np.maximum(self.scale, np.diagonal(self.hessian))
            here = replace(self, hessian=self.hessian + np.diag(damping * scale))
        with np.errstate(over="ignore", invalid="ignore"):  # a curvature may be nearly zero
            move = model(here.point, here.gradient, here.hessian)
        if not np.isfinite(move).all():
            return Step(move, damping, np.inf, False)
        with np.errstate(over="ignore", invalid="ignore"):
            return Step(move, damping, here.promise(move), here.solved_by(move))

    def shorter(self, step: Step) -> Step:
        """Return a quarter of a step."""
        move = step.move / 4
        return replace(step, move=move, promised=self.promise(move), shortened=True)

    def length(self, step: Step) -> float:
        """Return the step's length, each coordinate weighted by its entry of D."""
        return float(np.sqrt(self.scale @ step.move**2))

    def slope(self, step: Array) -> float:
        """Return the change along the step without curvature; negative for a descent."""
        shift = np.abs(self.point + step) - np.abs(self.point)
        return float(self.gradient @ step + self.l1 @ shift)

    def promise(self, step: Array) -> float:
        """Return the predicted decrease: how much lower the model is after the step."""
        return -(self.slope(step) + 0.5 * float(step @ self.hessian @ step))

    def solved_by(self, step: Array) -> bool:
        """Whether the step reaches the model's minimum."""
        point, gradient, l1, box = self.point, self.gradient, self.l1, self.box
        slope = gradient + self.hessian @ step
        before = np.abs(pseudo_gradient(point, gradient, l1, box)).max(initial=0)
        after = np.abs(pseudo_gradient(box.land(point, step), slope, l1, box)).max(initial=0)
        scale = np.abs(gradient).max(initial=0) + l1.max(initial=0)
        # A slope this small moves no coordinate x by a unit in the last place of max(|x|, 1).
        noise = ROUNDING * (np.abs(self.hessian) @ np.maximum(np.abs(point), 1.0)).max(initial=0)
        return bool(after <= 1e-3 * before + 1e-9 * scale + noise)
