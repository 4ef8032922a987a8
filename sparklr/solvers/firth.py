"""Firth's method (1993): the minimum of f with Jeffreys' penalty (`jeffreys`), one query per step.

    x <- x + d,    H(x) d = -W F'(x),    h_i taken at the point before x

The leverages at x itself would take a second reading of the rows for each step. Those of the point
before, with that point's curvatures *and* inverse, differ from them by less at each step, so that
the method converges linearly: with many rows by a factor of a hundred per step and more, with few
by two to ten. (With the curvatures of x and the inverse of the point before, it oscillates.)

F at x is known exactly, since its value takes the Hessian at x only. If a step does not lower it,
or if steps shrink slowly, as with few completely separated rows, then L-BFGS goes on from there,
with the Hessian as its preconditioner and exact gradients, at two readings per step.

Distances are measured in standard errors: square = d' H d.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.curvature import BlockInverse
from sparklr.solvers.jeffreys import LeverageQuery, Leverages, Space, along, penalised
from sparklr.solvers.lbfgs import lbfgs
from sparklr.solvers.protocol import ROUNDING, Answer, Query, Reason, Solution, Solver, Stop

# The share of the last step's square above which steps shrink slowly. Steps of more than a standard
# error need not shrink, but lower F by a share of the decrease that H predicts.
SLOW, POOR, SHORTEST = 0.5, 0.1, 1 / 32
# The last step but one may have been this much longer than the tolerance: the leverages are from
# before it, so a short step after a long one is chance.
TRUSTED = 1e3


@dataclass(frozen=True, eq=False)
class _Place:
    """A point with its answer, the leverages there, and F."""

    point: Array
    here: Answer
    own: Leverages
    value: float
    space: Space


def firth(
    start: Array, *, weight: float, near: Leverages | None = None, stop: Stop = Stop()
) -> Solver:
    """Minimise F for rows of this total weight.

    `near` is a point that may be near the minimum, with about the leverages there. `stop.absolute`
    is the decrease of F that is too small for a step.
    """
    point = start if near is None else near.point
    here = yield LeverageQuery(point, order=2, leverages=near)
    place = _first_place(point, here, weight)
    if near is not None and (place is None or place.space.deficient):
        # Columns may depend on others, or the point is so far out that the rows are certain there.
        point, here = start, (yield LeverageQuery(start, order=2))
        place = _first_place(point, here, weight)
    if place is None:
        why = Reason.SINGULAR if here.finite else Reason.NOT_FINITE
        return Solution(point, (here.value,), why, here)
    space, history = place.space, [place.value]
    place, reason = yield from _quickly(place, history, stop)
    if reason is not None:
        return Solution(place.point, tuple(history), reason, place.here)
    inverse = BlockInverse(space.within(place.here.second())[None])
    left = Stop(0.0, stop.absolute, stop.max_steps - len(history) + 1)
    slow = lbfgs(np.zeros(space.basis.shape[1]), precondition=inverse, stop=left)
    found = yield from penalised(along(slow, place.point, space.basis), space, last=True)
    return replace(found, history=(*history, *found.history[1:]))


def _place(point: Array, here: Answer, space: Space) -> _Place | None:
    """Return a point with its answer, or None if F is not finite there."""
    own = space.leverages(point, here)
    return None if own is None else _Place(point, here, own, space.value(here, own), space)


def _first_place(point: Array, here: Answer, weight: float) -> _Place | None:
    """Return the first point, whose Hessian shows the space."""
    return _place(point, here, Space.of(here.second(), weight)) if here.finite else None


def _quickly(
    place: _Place, history: list[float], stop: Stop
) -> Generator[Query, Answer, tuple[_Place, Reason | None]]:
    """Take steps with the leverages of the point before, as long as they shrink.

    The history is extended. The reason is None if another method should go on.
    """
    before, space = np.inf, place.space
    while True:
        gradient = space.weight * place.here.first()
        move = -(place.own.factor @ (place.own.factor.T @ gradient))
        square = float(-gradient @ move)
        limit = 2 * space.weight * stop.absolute
        if square <= limit and before <= TRUSTED**2 * limit:
            return place, Reason.CONVERGED
        unseen = 2 * space.weight * ROUNDING * abs(place.value)
        if square > SLOW * before and before < 1:
            return place, Reason.PRECISION if before <= unseen else None
        if len(history) > stop.max_steps:
            return place, Reason.STEP_LIMIT
        there = yield from _shorter(place, move, square - unseen)
        if there is None:
            return place, None
        place, before = there, square
        history.append(there.value)


def _shorter(place: _Place, move: Array, square: float) -> Generator[Query, Answer, _Place | None]:
    """Return the point after a step, or after a half, a quarter, .. of it; None if F hardly falls.

    Short steps are not shortened: then the leverages are to blame, not the curvature.
    """
    length = 1.0
    while length >= SHORTEST:
        trial = place.point + length * move
        answer = yield LeverageQuery(trial, order=2, leverages=place.own)
        there = _place(trial, answer, place.space)
        if there is not None:
            gained = 2 * place.space.weight * (place.value - there.value)
            if gained >= POOR * length * square:
                return there
        length = length / 2 if square >= 1 else 0.0
    return None
