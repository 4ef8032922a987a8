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

Near the minimum, a step with predicted decrease p leaves p' = c p^2, with c known from two steps.
If this makes a step the last one, only the gradient is queried after it, and the Hessian from
before the step shows that the remaining decrease is below the limit.

With many rows a query with a Hessian takes several times as long as one without, and a sample's
Hessian is at hand, the `guess`. The first step is then taken with the guess, the next with a
Hessian of its own, and this one serves on as long as it leaves little. It leaves p' = 4 p p1 / p0,
if p0 went down to p1 in its first step. Such a search ends far below the limit, where the last step
of Newton's method would have come; with few rows Newton's method gets as far at no cost.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.local_model import Local, Model, Step
from sparklr.solvers.lockstep import lockstep
from sparklr.solvers.owlqn import owlqn
from sparklr.solvers.protocol import ROUNDING, Answer, Order, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.quadratic import minimise_with_l1, pseudo_gradient, solve_symmetric

ARMIJO = 1e-4
# Models of fewer coordinates are minimised exactly, without a rough start; the number of steps for
# a rough start, and where it ends by itself, relative to the model's value.
FEW_COORDINATES, ROUGH_STEPS, ROUGHLY = 40, 100, 1e-6
# The largest share of the KKT residual that a proximal Newton step may leave.
RESIDUAL_LEFT = 1e-3
# No Hessian is queried if the next predicted decrease is expected below this share of the limit,
# and one that serves on shows the end there.
SURE = 0.01
# A Hessian serves on if its next step is expected to leave this share of the predicted decrease,
# and as long as it leaves no more than that other share.
SERVES, SLOW = 1e-2, 5e-2
# A step with a Hessian from before leaves so many times the share that the first step left, which
# had that Hessian at its own start.
LENT = 4.0
# The constant c of p' = c p^2, times the objective, for a first step: 0.6 to 2.1 was seen.
TYPICAL = 5.0
# The first, the smallest and the largest damping; it changes by factors of ten.
FIRST, LEAST, MOST = 1e-2, 1e-4, 1e8
# The share of a refused step's predicted decrease for which damping is worth it.
WORTH = 1e-3
# Ratios of actual to predicted decrease: below POOR the damping grows, above GOOD it shrinks.
POOR, GOOD = 0.25, 0.75


def newton(
    start: Array,
    *,
    curvature: Array | None = None,
    guess: Array | None = None,
    last: Order = 1,
    stop: Stop = Stop(),
) -> Solver:
    """Minimise a smooth f: the model's minimum is -H^-1 g.

    `curvature` is the diagonal of D; by default the Hessian's diagonal at the start. `guess` is
    about the Hessian at the start, if known. `last` is the order of a query that is foreseen to be
    the last: 2 for a caller who needs the Hessian at the minimum.
    """

    def step(_: Array, gradient: Array, hessian: Array) -> Array:
        return solve_symmetric(hessian, -gradient)

    endless = Box.endless(len(start))
    return _descend(start, np.zeros_like(start), endless, step, curvature, guess, last, stop)


def proximal_newton(
    start: Array,
    l1: Array,
    *,
    box: Box | None = None,
    curvature: Array | None = None,
    guess: Array | None = None,
    last: Order = 1,
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

    return _descend(start, l1, within, step, curvature, guess, last, stop)


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
    start: Array,
    l1: Array,
    box: Box,
    model: Model,
    curvature: Array | None,
    guess: Array | None,
    final: Order,
    stop: Stop,
) -> Solver:
    point, here, history = yield from _first_step(start, l1, box, model, guess, stop)
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    scale = np.diagonal(here.second()) if curvature is None else curvature
    damping, last = 0.0, 0.0  # `last`: predicted decrease of the last step, 0 if it tells nothing
    refused: Step | None = None  # the last trial at this point
    while True:
        value, limit = history[-1], stop.limit(history[-1])
        local = Local(point, here.first(), here.second(), l1, box, scale)
        step = _choose(local, model, damping, refused, limit)
        if step.promised <= limit:
            return Solution(point, tuple(history), _verdict(step, refused))
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        serves, foreseen = _outlook(step, last, value, limit, guess is not None)
        order = 1 if serves else final if foreseen else 2
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
        last = step.promised if step.plain else 0.0
        if order == 1:
            lent = replace(local, point=point, gradient=here.first())
            before = step.promised if guess is not None else 0.0
            point, reason = yield from _go_on(lent, model, before, history, final, stop)
            if reason is not None:
                return Solution(point, tuple(history), reason)
            here, last = (yield Query(point, order=2)), 0.0


def _first_step(
    start: Array, l1: Array, box: Box, model: Model, guess: Array | None, stop: Stop
) -> Generator[Query, Answer, tuple[Array, Answer, list[float]]]:
    """Return the point after a step with the guess, with its Hessian, and the history.

    Without a guess, or if that step is none, it is the start.
    """
    here = yield Query(start, order=2 if guess is None else 1)
    history = [here.value + float(l1 @ np.abs(start))]
    if guess is None or not here.finite:
        return start, here, history
    local = Local(start, here.first(), guess, l1, box, np.diagonal(guess))
    step = local.step(model, 0.0)
    if step.sound and step.promised > stop.limit(history[0]) and stop.max_steps > 0:
        accepted = yield from _try(local, step, history[0], 2)
        if accepted is not None:
            point, here, total = accepted
            return point, here, [*history, total]
    return start, (yield Query(start, order=2)), history


def _outlook(
    step: Step, last: float, value: float, limit: float, sparing: bool
) -> tuple[bool, bool]:
    """Return whether the Hessian before a step will serve after it, and whether the end is near."""
    if not step.plain:
        return False, False
    # The share of the predicted decrease that the step leaves, by p' = c p^2.
    if last > 0:
        left = (step.promised / last) ** 2
    elif sparing and value > 0:
        left = TYPICAL * step.promised / value
    else:
        return False, False
    return sparing and LENT * left <= SERVES, step.promised * left <= SURE * limit


def _go_on(
    local: Local, model: Model, last: float, history: list[float], final: Order, stop: Stop
) -> Generator[Query, Answer, tuple[Array, Reason | None]]:
    """Take steps with a borrowed Hessian; return the point, and a reason if the search ends there.

    `last` is the predicted decrease of the step that led here; if zero, the Hessian does not serve
    on. The history is extended.
    """
    share, growth = SURE if last > 0 else 1.0, LENT
    while True:
        value, step = history[-1], local.step(model, 0.0)
        if step.sound and step.promised <= share * stop.limit(value):
            return local.point, Reason.CONVERGED
        if not step.sound or step.promised > SLOW * last:
            return local.point, None
        if len(history) > stop.max_steps:
            return local.point, Reason.STEP_LIMIT
        left = growth * step.promised**2 / last if last > 0 else np.inf
        foreseen = left <= share * stop.limit(value)
        accepted = yield from _try(local, step, value, final if foreseen else 1)
        if accepted is None:
            return local.point, None
        point, here, total = accepted
        history.append(total)
        local, last = replace(local, point=point, gradient=here.first()), step.promised
        growth = 1.0


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
    there = yield Query(trial, order=order, at=local.point)
    total = there.value + float(local.l1 @ np.abs(trial))
    if there.finite and total <= value + ARMIJO * slope:
        return trial, there, total
    return None
