"""The end of a fit whose rows are separated, so that some coefficients have no finite optimum.

Newton's steps then go on for ever. Each moves the log odds of the separated rows by about 1, and so
promises about 1/e of what the step before it promised, where on other rows the promises soon fall
quadratically. So separation is looked for once two steps in a row promise little, but more than a
fifth of the step before, and the last of them does not prove that there is none; or as soon as the
loss shows that all rows are predicted right. If there is none, the fit goes on unchanged. (Ranges
of the features by label would show a flag that separates alone before the first reading, and save
five readings there; but each packing would take longer for it.)

If a direction d separates the rows, and raises the log odds of those that it raises by l or more,
the fit goes on from x to

    x + t d,    t = log(2 L / limit) / l

for the loss L of the raised rows, about what a step promises, and at most about their share of all
rows. The limit is the decrease that is not worth a step here, a tenth of what it is elsewhere:
Newton's steps to the optimum are quadratic again, so that they end far below it. About exp(-t l) L
= limit / 2 is left of L. So what other steps gain is the loss of all other rows, which d leaves
alone: they lead to the optimum of the likelihood in the limit. Farther out the Hessian would lose
digits, since the raised rows' part of it vanishes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.certificate import certify
from sparklr.fitting.existence import all_right, searches_at_once
from sparklr.fitting.problem import Problem
from sparklr.passes.protocol import Passes
from sparklr.separation.complete import complete_along
from sparklr.separation.search import Separation, find_separation
from sparklr.solvers import (
    Answer,
    Query,
    Reason,
    Solution,
    Solver,
    Stop,
    newton,
    solve_symmetric,
)

# A step is slow if it promises more than this share of the step before; so many are waited for.
SLOW, SLOW_STEPS = 0.2, 2
# It must also promise less than this share of the loss: where the sample has all rows, a search
# takes no reading, and elsewhere some that other rows should not pay for.
LITTLE_OF_SAMPLE, LITTLE = 1e-2, 1e-4
# The factor on the tolerance in the limit, and the share of it that the raised rows may leave.
SURE, LEFT = 0.1, 0.5
# If the direction raises some row by less than this share of the most that it may move a row by,
# roundings of the long way would move rows that it should leave alone.
LEAST_RAISE = 1e-6


class SeparationWatch:
    """Watches the answers that a solver gets, and ends the fit if the rows are separated.

    found : what a search found, if there was one
    rank : the number of parameters that the rows identified then; far out it can no longer be seen
    """

    def __init__(self, problem: Problem, passes: Passes) -> None:
        self.found: Separation | None = None
        self.rank = 0
        self._problem, self._passes = problem, passes
        self._promised, self._slow, self._proved = np.inf, 0, False
        whole = passes.sample.rows == passes.moments.rows
        self._little = LITTLE_OF_SAMPLE if whole else LITTLE

    def over(self, make: Callable[[Array, Stop], Solver]) -> Callable[[Array, Stop], Solver]:
        """Return a function that makes the same solvers, watched."""
        return lambda start, stop: self._watched(make(start, stop), stop)

    def _watched(self, solver: Solver, stop: Stop) -> Solver:
        history: list[float] = []
        here: Array | None = None
        query = next(solver)
        while True:
            answer = yield query
            lower = answer.finite and answer.value < min(history, default=np.inf)
            if lower:  # the step is accepted; its Hessian may be asked for later
                history, here = [*history, answer.value], query.point
            if (lower or query.point is here) and len(history) <= stop.max_steps:
                beyond = self._beyond(query, answer, stop.limit(answer.value))
                if beyond is not None:
                    solver.close()
                    return (yield from _in_the_limit(beyond, history, stop))
            try:
                query = solver.send(answer)
            except StopIteration as finished:
                solution: Solution = finished.value
                return solution

    def _beyond(self, query: Query, answer: Answer, limit: float) -> Array | None:
        """Return the point far along a direction that separates the rows, if one is found now."""
        if self.found is not None or self._proved:
            return None
        self.found = self._look(query, answer, limit)
        if self.found is None or self.found.kind in ("none", "unknown"):
            return None
        if query.order == 2:
            self.rank = self._problem.information(query.point, answer).rank
        left = min(answer.value, self.found.rows / self.found.total)
        if self.found.kind != "complete":
            left = min(left, self._promised)
        return self._far_along(self.found, query.point, left / (SURE * limit))

    def _look(self, query: Query, answer: Answer, limit: float) -> Separation | None:
        """Return what there is to be found, if the fit gives reason to look for it."""
        problem, moments = self._problem, self._passes.moments
        family, intercept = problem.spec.family, problem.spec.fitIntercept
        classes, loss = len(problem.class_weights), problem.loss(query.point, answer.value)
        complete = all_right(loss, moments, problem.spec)
        if not searches_at_once(problem.summed_size):
            fitted = np.column_stack(problem.scaling.to_coefficients(query.point))
            return complete_along(fitted, loss, moments, classes) if complete else None
        if complete or (query.order == 2 and self._seems_endless(query.point, answer, limit)):
            return find_separation(self._passes, family, classes, intercept=intercept)
        return None

    def _seems_endless(self, point: Array, answer: Answer, limit: float) -> bool:
        """Whether the last steps promise little, but nearly as much as those before.

        If they promise less than the limit, the fit ends anyway.
        """
        step = solve_symmetric(answer.second(), -answer.first())
        promised, before = -float(answer.first() @ step), self._promised
        self._promised = promised
        self._slow = self._slow + 1 if promised > SLOW * before else 0
        if self._slow < SLOW_STEPS or not 2 * limit < promised < self._little * answer.value:
            return False
        information = self._problem.information(point, answer)
        self._proved = certify(information, self._passes.moments).estimateExists
        return not self._proved

    def _far_along(self, found: Separation, point: Array, left: float) -> Array | None:
        """Return x + t d, or None if that is too far for the digits of the other rows.

        `left` is L / limit.
        """
        step = step_along(found.direction, self._problem)
        largest = self._problem.scaling.largest_move(step, self._passes.moments)
        if found.least < LEAST_RAISE * largest:
            return None
        length = np.log(max(left / LEFT, np.e))
        return np.asarray(point + length / found.least * step)


def step_along(direction: Array, problem: Problem) -> Array:
    """Return a direction (C, p + 1) of the user's units as a change of the point.

    What is the same for all classes changes no probability, and is taken out: the gauge forbids it.
    """
    if len(direction) > 1:
        direction = direction - direction.mean(axis=0)
    return problem.scaling.to_point(direction[:, :-1], direction[:, -1])


def _in_the_limit(start: Array, history: list[float], stop: Stop) -> Solver:
    """Return the optimum of the rows that are not raised, from a point where the others are."""
    sure = Stop(SURE * stop.relative, SURE * stop.absolute, stop.max_steps - len(history))
    solution = yield from newton(start, last=2, stop=sure)
    # Far out the Hessian of the raised rows may vanish, though the steps still follow their slope.
    ended = solution.reason.converged or solution.reason is Reason.SINGULAR
    reason = Reason.AT_INFINITY if ended else solution.reason
    return Solution(solution.point, (*history, *solution.history), reason)
