"""The limits of a profile likelihood interval (Venzon and Moolgavkar 1988), with one Hessian.

The upper limit of a quantity a'x is its largest value among points with f(x) <= f(optimum) + rise.
There the gradient is g(x) = s a for a number s, and f(x) = f(optimum) + rise. For the inverse
Hessian V at the optimum, the quadratic model of f at x has its own such point at

    x - V g + s V a,    s^2 a'V a = 2 (f(optimum) + rise - f(x)) + g'V g

and s above zero for the upper, below zero for the lower limit. Steps to it need first derivatives
only, so the limits of all coefficients are found together, in a few readings of all rows.

V is that of the optimum. Where f curves differently, a step overshoots, so it is corrected by the
secant pairs of the steps so far (BFGS).
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.curvature import BlockInverse, Curvature
from sparklr.solvers.protocol import Query, Reason, Solution, Solver

MOST_STEPS = 50
# A limit is found if the next step moves it by less than this share of the interval's half, since
# the step, which is taken, then leaves far less.
NEAR = 1e-5
# No step moves the quantity by more than so many halves: beyond, the model says nothing.
FARTHEST = 4.0


def profile_limit(
    optimum: Array, value: float, hessian: Array, direction: Array, *, rise: float, upper: bool
) -> Solver:
    """Return the point where direction'x is largest, or smallest, with f(x) <= value + rise."""
    side = 1.0 if upper else -1.0
    curvature = Curvature(BlockInverse(hessian[None]), memory=MOST_STEPS)
    along = curvature.apply(direction)
    variance = float(direction @ along)
    half = (2 * rise * variance) ** 0.5  # of the interval, to first order
    point = optimum + side * half / variance * along
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
        step = side * np.sqrt(max(square, 0.0) / (direction @ along)) * along - down
        moved = abs(float(direction @ step))
        left = abs(here.value - value - rise)
        if moved <= NEAR * half and left <= NEAR * rise:
            return Solution(point + step, tuple(history), Reason.CONVERGED)
        point = point + step * (1.0 if moved <= FARTHEST * half else FARTHEST * half / moved)
    return Solution(point, tuple(history), Reason.STEP_LIMIT)
