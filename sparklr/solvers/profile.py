"""The limits of a profile likelihood interval (Venzon and Moolgavkar 1988), with one Hessian.

The upper limit of a quantity a'x is its largest value among points with f(x) <= f(optimum) + rise.
There the gradient is g(x) = s a for a number s, and f(x) = f(optimum) + rise. For the inverse
Hessian V at the optimum, the quadratic model of f at x has its own such point at

    x - V g + s V a,    s^2 a'V a = 2 (f(optimum) + rise - f(x)) + g'V g

and s above zero for the upper, below zero for the lower limit. Steps to it need first derivatives
only, so the limits of all coefficients are found together, in a few readings of all rows.

V is that of the optimum. Where f curves differently, a step overshoots, so it is corrected by the
secant pairs of the steps so far (BFGS).

Where f has no minimum, but sinks to its infimum along a direction d for ever, a quantity that rises
along d has a lower limit all the same. V at a point far along d would tell nothing of it. So the
search goes back along d until f has risen by about `rise`, and takes V there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.curvature import Curvature, Preconditioner
from sparklr.solvers.protocol import Answer, Query, Reason, Solution, Solver

MOST_STEPS = 50
# A limit is found if the next step moves it by less than this share of the interval's half, since
# the step, which is taken, then leaves far less.
NEAR = 1e-5
# No step moves the quantity by more than so many halves: beyond, the model says nothing.
FARTHEST = 4.0
# A search begins where f has risen by `rise`, times or divided by this; a rise of less than that
# share of it may be rounding.
ABOUT, TELLING = 2.0, 1e-6
# The first way back, in units of `back`.
FIRST = 10.0


def profile_limit(
    optimum: Array,
    value: float,
    inverse: Preconditioner,
    direction: Array,
    *,
    rise: float,
    upper: bool,
) -> Solver:
    """Return the point where direction'x is largest, or smallest, with f(x) <= value + rise.

    `inverse` is V. A generalised inverse will do if f is constant along all that it leaves out, and
    so is direction'x.
    """
    curvature = Curvature(inverse, memory=MOST_STEPS)
    along = curvature.apply(direction)
    variance = float(direction @ along)
    half = (2 * rise * variance) ** 0.5  # of the interval, to first order
    side = 1.0 if upper else -1.0
    start = optimum + side * half / variance * along
    return (yield from _to_limit(start, curvature, side * direction, value, rise, half))


def endless_limit(
    far: Array,
    value: float,
    back: Array,
    invert: Callable[[Array], Preconditioner],
    direction: Array,
    *,
    rise: float,
    upper: bool,
) -> Solver:
    """Return the same where f sinks towards `value` along -back for ever, from a point far there.

    The other limit of direction'x is infinite. One `back` raises what is left of f by a factor of
    e or more. `invert` makes V of the Hessian where the search begins.
    """
    point = yield from _risen(far, value, back, rise)
    if point is None:
        return Solution(far, (value,), Reason.STEP_LIMIT)
    here = yield Query(point, order=2)
    side = 1.0 if upper else -1.0
    curvature = Curvature(invert(here.second()), memory=MOST_STEPS)
    half = (2 * rise * float(direction @ curvature.apply(direction))) ** 0.5
    return (yield from _to_limit(point, curvature, side * direction, value, rise, half))


def _risen(
    far: Array, value: float, back: Array, rise: float
) -> Generator[Query, Answer, Array | None]:
    """Return a point far + t back where f is above `value` by about `rise`, or None.

    The logarithm of the difference is about linear in t, until it is well above one.
    """
    low, high, way = 0.0, np.inf, FIRST
    for _ in range(MOST_STEPS):
        point = far + way * back
        here = yield Query(point, order=1)
        over = here.value - value if here.finite else np.inf
        if rise / ABOUT <= over <= rise * ABOUT:
            return point
        low, high = (way, high) if over < rise else (low, way)
        slope = float(here.first() @ back)
        tells = TELLING * rise < over < np.inf and slope > 0
        way = way + np.log(rise / over) * over / slope if tells else np.inf
        if not low < way < high:
            way = 2 * low if np.isinf(high) else (low + high) / 2
    return None


def _to_limit(
    point: Array, curvature: Curvature, direction: Array, value: float, rise: float, half: float
) -> Solver:
    """Return the point where direction'x is largest with f(x) <= value + rise, from one nearby."""
    last: tuple[Array, Array] | None = None
    history: list[float] = []
    for _ in range(MOST_STEPS):
        here = yield Query(point, order=1)
        history.append(here.value)
        if not here.finite:
            return Solution(point, tuple(history), Reason.NOT_FINITE)
        gradient = here.first()
        if last is not None:
            curvature.remember(point - last[0], gradient - last[1])
        last = point, gradient
        down, along = curvature.apply(gradient), curvature.apply(direction)
        square = 2 * (value + rise - here.value) + float(gradient @ down)
        step = np.sqrt(max(square, 0.0) / (direction @ along)) * along - down
        moved = abs(float(direction @ step))
        left = abs(here.value - value - rise)
        if moved <= NEAR * half and left <= NEAR * rise:
            return Solution(point + step, tuple(history), Reason.CONVERGED)
        point = point + step * (1.0 if moved <= FARTHEST * half else FARTHEST * half / moved)
    return Solution(point, tuple(history), Reason.STEP_LIMIT)
