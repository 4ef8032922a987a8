"""The path of gradient descent from its start, as a family of fits by the time t.

    x <- x - h g(x),    t <- t + h,    with f(x - h g) <= f(x) - h |g|^2 / 2

for a smooth convex f, its gradient g and lengths h of steps that are found by halving. A coordinate
that no penalty would shrink, the intercept, takes no such steps, which would shrink it too: it is
at its optimum all along, so that f is the least over the intercept.

Let r be the ridge solution, the minimum of f(x) + |x|^2 / 2t, where x is counted from the start.
Along the path t (f(x) - f(u)) + |x - u|^2 / 2 never rises, for any u. With u = r, that and the
strong convexity of the ridge objective give

    |x - r| <= |x| / sqrt(2)

for every t, all rows and all convex losses. For least squares the largest ratio is 0.2299.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from sparklr.arrays import Array
from sparklr.solvers.protocol import ROUNDING, Answer, Query

BOUND = 0.5**0.5
# For least squares: the largest 1 - (s / (1 + s)) / (1 - exp(-s)), over all s = curvature * time.
LEAST_SQUARES = 0.2299
# Steps are lengthened by this factor after so many in a row that were long enough at once.
LONGER, IN_A_ROW = 1.5, 5
# The slope along the intercept that counts as none, and the most readings to get there.
LEVEL, MOST_LEVELS = 1e-10, 30
MOST_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class Waypoint:
    """A point of the path, its time, the number of steps to it, and the answer there."""

    time: float
    steps: int
    point: Array
    answer: Answer


Walk = Generator[Query, Answer, list[Waypoint]]


def gradient_flow(start: Array, times: Sequence[float], rate: float, *, intercept: bool) -> Walk:
    """Return the point of the path at each time; times ascend.

    `rate` is the length of the first step. The intercept, if there is one, is the last coordinate.
    """
    found: list[Waypoint] = []
    longest, row, time, steps = rate, 0, 0.0, 0
    point, here = yield from _level(start, intercept)
    while len(found) < len(times) and steps < MOST_STEPS:
        slope = here.first()  # none along the intercept
        left = times[len(found)] - time
        length = min(longest, left)
        trial, there = yield from _level(point - length * slope, intercept)
        most = here.value - length * float(slope @ slope) / 2
        if not there.value <= most + ROUNDING * abs(here.value):
            longest, row = length / 2, 0
            continue
        point, here, time, steps, row = trial, there, time + length, steps + 1, row + 1
        if length == left:
            time = times[len(found)]
            found.append(Waypoint(time, steps, point, here))
        if row == IN_A_ROW:
            longest, row = LONGER * longest, 0
    return found


def _level(point: Array, intercept: bool) -> Generator[Query, Answer, tuple[Array, Answer]]:
    """Return the point with the best intercept, by secant steps, and the answer there."""
    answer = yield Query(point, order=1)
    curvature = 0.25  # of a log odds, at most
    for _ in range(MOST_LEVELS if intercept else 0):
        slope = float(answer.first()[-1])
        if abs(slope) <= LEVEL:
            break
        moved = point.copy()
        moved[-1] -= slope / curvature
        after = yield Query(moved, order=1)
        change = float(after.first()[-1]) - slope
        secant = change / (moved[-1] - point[-1])
        curvature = secant if secant > 0 else curvature
        point, answer = moved, after
    return point, answer
