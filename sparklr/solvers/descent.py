"""Textbook methods of first order for smooth problems: gradient descent, and BFGS with its matrix.

    gd      x <- x - t g(x),     or with momentum, from y = x + b (x - x_before), x <- y - t g(y)
    bfgs    x <- x - t H g(x),   H <- (1 - s y'/s'y) H (1 - y s'/s'y) + s s'/s'y

for the gradient g, the step s and its change of gradient y. The length t of gradient descent is

    fixed          t = rate
    armijo         doubled and halved until f falls by at least t |g|^2 / 3
    bb             s's / s'y (Barzilai and Borwein 1988); f may rise for a while, but not above the
                   highest of its last ten values (Grippo, Lampariello and Lucidi 1986)
    accelerated    as long as the curvature that was seen allows, with Nesterov's momentum, which
                   starts again where it leads uphill (O'Donoghue and Candes 2015)

They need no knowledge of the problem and learn little about it: on correlated features they take
tens of times as many readings as the other solvers. They are here to compare with, and because the
path of gradient descent is a penalty by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator
from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.lbfgs import TRIALS, weak_wolfe
from sparklr.solvers.protocol import ROUNDING, Answer, Query, Reason, Solution, Solver, Stop

StepRule: TypeAlias = Literal["fixed", "armijo", "bb", "accelerated"]
Accepted: TypeAlias = tuple[Array, Answer]
Search: TypeAlias = Generator[Query, Answer, Accepted | None]

ENOUGH = 1 / 3  # of t |g|^2, for Armijo's condition; a quadratic's best t gives 1/2
LITTLE = 1e-4  # the same for lengths of Barzilai and Borwein
REMEMBERED = 10
TINY = float(np.finfo(np.float64).tiny)


def gd(start: Array, *, rule: StepRule = "bb", rate: float = 1.0, stop: Stop = Stop()) -> Solver:
    """Minimise a smooth f by gradient descent; `rate` is the fixed length, or the first one."""
    steps: dict[StepRule, Callable[[float], Lengths]] = {
        "fixed": Fixed,
        "armijo": Armijo,
        "bb": BarzilaiBorwein,
        "accelerated": Accelerated,
    }
    return _descend(start, steps[rule](rate), stop)


def _descend(start: Array, steps: Lengths, stop: Stop) -> Solver:
    point, here = start, (yield Query(start, order=1))
    history, best = [here.value], start
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    reason, promised = None, np.inf
    curved: deque[float] = deque(maxlen=REMEMBERED)  # the curvatures along the last steps
    while reason is None:
        if not here.first().any() or promised <= stop.limit(here.value):
            reason = Reason.CONVERGED
        elif len(history) > stop.max_steps:
            reason = Reason.STEP_LIMIT
        else:
            accepted = yield from steps.step(point, here)
            if accepted is None:
                unseen = promised <= 1e3 * ROUNDING * abs(here.value)
                reason = Reason.PRECISION if unseen else steps.stuck
                break
            if np.array_equal(accepted[0], point):  # the step is lost in rounding
                reason = Reason.PRECISION
                break
            curved.append(_curvature(point, here, *accepted))
            point, here = accepted
            promised = float(here.first() @ here.first()) / (2 * max(min(curved), TINY))
            best = point if here.value < min(history) else best
            history.append(here.value)
    return Solution(best, tuple(history), reason, place=int(np.argmin(history)))


def _curvature(point: Array, here: Answer, trial: Array, there: Answer) -> float:
    """Return the curvature of f along a step.

    What is left to gain is |g|^2 / 2 h for the least such h of the last steps: the directions that
    are left at the end are those that curve least.
    """
    move, change = trial - point, there.first() - here.first()
    return float(move @ change) / float(move @ move)


class Lengths(ABC):
    """How long each step of gradient descent is."""

    stuck = Reason.NO_DECREASE

    def __init__(self, rate: float) -> None:
        self.length = rate

    @abstractmethod
    def step(self, point: Array, here: Answer) -> Search:
        """Return the next iterate with its answer; None if there is none."""


class Fixed(Lengths):
    """One length for all steps."""

    stuck = Reason.DIVERGED

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._most = np.inf  # the objective at the start

    def step(self, point: Array, here: Answer) -> Search:
        self._most = here.value if self._most == np.inf else self._most
        trial = point - self.length * here.first()
        there = yield Query(trial, order=1, at=point)
        return (trial, there) if there.finite and there.value <= self._most else None


class Armijo(Lengths):
    """The last length, doubled if the step before was taken at once, and halved until it serves."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._grows = True

    def step(self, point: Array, here: Answer) -> Search:
        square = float(here.first() @ here.first())
        for trials in range(TRIALS):
            if self.length * square <= ROUNDING * abs(here.value):
                return None
            trial = point - self.length * here.first()
            there = yield Query(trial, order=1, at=point)
            if there.finite and there.value <= here.value - ENOUGH * self.length * square:
                self._grows, grown = trials == 0, self._grows and trials == 0
                self.length *= 2 if grown else 1
                return trial, there
            self.length /= 2
        return None


class BarzilaiBorwein(Lengths):
    """The length that fits the curvature along the last step."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._last: deque[float] = deque(maxlen=REMEMBERED)

    def step(self, point: Array, here: Answer) -> Search:
        self._last.append(here.value)
        square = float(here.first() @ here.first())
        for _ in range(TRIALS):
            if self.length * square <= ROUNDING * abs(here.value):
                return None
            trial = point - self.length * here.first()
            there = yield Query(trial, order=1, at=point)
            if there.finite and there.value <= max(self._last) - LITTLE * self.length * square:
                move, change = trial - point, there.first() - here.first()
                curved = float(move @ change)
                self.length = float(move @ move) / curved if curved > 0 else 2 * self.length
                return trial, there
            self.length /= 4
        return None


class Accelerated(Lengths):
    """Nesterov's momentum; the iterates are the points y, so that each takes one reading."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._slow: Array | None = None  # x, before the momentum is added
        self._age = 1.0

    def step(self, point: Array, here: Answer) -> Search:
        gradient = here.first()
        square = float(gradient @ gradient)
        for _ in range(TRIALS):
            if self.length * square <= ROUNDING * abs(here.value):
                return None
            slow = point - self.length * gradient
            moved = np.zeros_like(point) if self._slow is None else slow - self._slow
            if float(gradient @ moved) > 0:  # uphill: begin again, from here
                self._slow, self._age = None, 1.0
                moved = np.zeros_like(point)
            age = (1 + np.sqrt(1 + 4 * self._age**2)) / 2
            trial = slow + (self._age - 1) / age * moved
            there = yield Query(trial, order=1, at=point)
            if there.finite:
                change = there.first() - gradient
                curved = float(change @ (trial - point))
                steepest = float(change @ change) / curved if curved > 0 else 0.0
                fits = self.length * steepest <= 1
                if fits or there.value <= here.value - ENOUGH * self.length * square:
                    self.length = min(2 * self.length, 1 / steepest) if steepest else self.length
                    self._slow, self._age = slow, float(age)
                    return trial, there
            self.length /= 2
            self._slow, self._age = None, 1.0
        return None


def bfgs(start: Array, *, stop: Stop = Stop()) -> Solver:
    """Minimise a smooth f with an estimate (n, n) of the inverse Hessian, from a multiple of 1."""
    point, here = start, (yield Query(start, order=1))
    history, inverse = [here.value], np.eye(len(start))
    if not here.finite:
        return Solution(point, tuple(history), Reason.NOT_FINITE)
    gained, known = np.inf, False
    while True:
        step = -inverse @ here.first()
        slope = float(here.first() @ step)
        limit = stop.limit(here.value)
        if slope == 0 or (-slope / 2 <= limit and gained <= 10 * limit):
            return Solution(point, tuple(history), Reason.CONVERGED)
        if len(history) > stop.max_steps:
            return Solution(point, tuple(history), Reason.STEP_LIMIT)
        first = 1.0 if known else min(1.0, 1.0 / float(np.linalg.norm(step)))
        accepted = yield from weak_wolfe(point, here, step, slope, first)
        if accepted is None:
            unseen = -slope / 2 <= 1e3 * ROUNDING * abs(here.value)
            reason = Reason.PRECISION if unseen else Reason.NO_DECREASE
            return Solution(point, tuple(history), reason)
        trial, there = accepted
        inverse = _updated(inverse, trial - point, there.first() - here.first(), known=known)
        gained, known = here.value - there.value, True
        point, here = trial, there
        history.append(here.value)


def _updated(inverse: Array, step: Array, change: Array, *, known: bool) -> Array:
    """Return the update, or the estimate itself if the step shows no curvature."""
    product = float(step @ change)
    floor = np.finfo(np.float64).eps * float(np.linalg.norm(step) * np.linalg.norm(change))
    if product <= floor:
        return inverse
    if not known:  # in the place of the unit matrix, one of the size that the step shows
        inverse = product / float(change @ change) * inverse
    image = inverse @ change
    outer = np.outer(image, step) / product
    more = (1 + float(change @ image) / product) / product
    return np.asarray(inverse - outer - outer.T + more * np.outer(step, step))
