"""Proximal quasi-Newton (Lee, Sun and Saunders 2014): proximal Newton with an estimated Hessian.

The estimate B begins as the Hessian of a sample of the rows, and every step s, with its change of
gradient y, corrects it along s by the update of BFGS:

    B <- B - B s s'B / s'B s + y y' / s'y

The local model with B is solved as proximal Newton solves its own. The l1 term bends a step where a
coordinate becomes zero, so the step is not B^-1 times a vector: OWL-QN, which takes it for that,
needs many times as many steps on correlated features.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.newton import proximal_newton
from sparklr.solvers.protocol import Answer, Query, Solution, Solver, Stop


def proximal_bfgs(
    start: Array,
    l1: Array,
    hessian: Array,
    *,
    box: Box | None = None,
    curvature: Array | None = None,
    stop: Stop = Stop(),
) -> Solver:
    """Minimise f + sum_j l1_j |x_j| over the box, with first derivatives and an estimate (n, n).

    `curvature` is the diagonal of the damping, as for proximal Newton.
    """
    solver = proximal_newton(start, l1, box=box, curvature=curvature, stop=stop)
    return (yield from _estimating(solver, hessian))


def _estimating(solver: Solver, hessian: Array) -> Solver:
    """Ask for first derivatives where the solver asks for second, and give it the estimate."""
    query = next(solver)
    asked, here = query.point, (yield Query(query.point, order=1))
    last = asked, here  # the last point with finite derivatives
    while True:
        try:
            query = solver.send(Answer(here.value, here.gradient, hessian))
        except StopIteration as finished:
            solution: Solution = finished.value
            return solution
        if query.point is asked:  # it has the gradient there, and asks for the Hessian too
            continue
        asked, here = query.point, (yield replace(query, order=1))
        if here.finite:
            step, change = asked - last[0], here.first() - last[1].first()
            hessian, last = updated(hessian, step, change), (asked, here)


def updated(hessian: Array, step: Array, change: Array) -> Array:
    """Return the update of BFGS, or the estimate itself if the step shows no curvature."""
    product, image = float(step @ change), hessian @ step
    expected = float(step @ image)
    floor = np.finfo(np.float64).eps * float(np.linalg.norm(step) * np.linalg.norm(change))
    if product <= floor or expected <= 0:
        return hessian
    return np.asarray(
        hessian - np.outer(image, image) / expected + np.outer(change, change) / product
    )
