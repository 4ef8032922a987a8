"""The end of a fit whose rows are separated, so that some coefficients have no finite optimum.

Newton's steps then go on for ever. Each moves the log odds of the separated rows by about 1, so it
promises about 1/e of what the step before it promised, where on other rows the promises fall
quadratically. So separation is looked for once two steps in a row promise more than a fifth of the
step before, unless a step proves that there is none, or as soon as the loss shows that all rows are
predicted right. On other rows the fit goes on, and nothing in it has changed.

If the rows are separated by a direction d that raises log odds by at least l, the fit goes from x to

    x + t d,    t = log(4 s / limit) / l

for rows of share s that are raised, and the limit below which no decrease is worth a step. At most
exp(-t l) s = limit / 4 of the loss is left of these rows, so what other steps still gain is that
of the other rows: their optimum is that of the likelihood in the limit, for d stays as it is on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.certificate import certify
from sparklr.fitting.existence import AT_ONCE
from sparklr.fitting.problem import Problem
from sparklr.passes.protocol import Passes
from sparklr.separation.complete import complete_along, shows_complete
from sparklr.separation.search import Separation, find_separation
from sparklr.solvers import Answer, Query, Reason, Solution, Solver, Stop, newton

# A step is slow if it promises more than this share of the step before; so many are waited for.
SLOW, SLOW_STEPS = 0.2, 2
# The share of the limit that the loss of the separated rows may have.
LEFT = 0.25
# If the direction raises some row by less than this share of the most that it may move a row by,
# roundings of the long way would move rows that it should leave alone.
LEAST_RAISE = 1e-6


class SeparationWatch:
    """Watches the answers that a solver gets, and ends the fit if the rows are separated."""

    def __init__(self, problem: Problem, passes: Passes) -> None:
        self.found: Separation | None = None
        self._problem, self._passes = problem, passes
        self._promised, self._slow, self._proved = 0.0, 0, False

    def over(self, make: Callable[[Array, Stop], Solver]) -> Callable[[Array, Stop], Solver]:
        """Return what makes the same solvers, watched."""
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
            if lower or query.point is here:
                start = self._beyond(query, answer, stop)
                if start is not None:
                    solver.close()
                    return (yield from _in_the_limit(start, history, stop))
            try:
                query = solver.send(answer)
            except StopIteration as finished:
                solution: Solution = finished.value
                return solution

    def _beyond(self, query: Query, answer: Answer, stop: Stop) -> Array | None:
        """Return the point far along a direction that separates the rows, if one is found now."""
        if self.found is not None or self._proved:
            return None
        problem, moments = self._problem, self._passes.moments
        family, classes = problem.spec.family, len(problem.class_weights)
        loss = problem.loss(query.point, answer.value)
        complete = shows_complete(loss, moments)
        if problem.size > AT_ONCE:
            if not complete:
                return None
            fitted = np.column_stack(problem.scaling.to_coefficients(query.point))
            self.found = complete_along(fitted, loss, moments, classes)
        elif complete or (query.order == 2 and self._seems_endless(query.point, answer)):
            intercept = problem.spec.fitIntercept
            self.found = find_separation(self._passes, family, classes, intercept=intercept)
        return None if self.found is None else self._far_along(self.found, query.point, answer, stop)

    def _seems_endless(self, point: Array, answer: Answer) -> bool:
        """Whether the last steps promised nearly as much as those before, without a proof."""
        information = self._problem.information(point, answer)
        step = -information.inverse @ information.gradient
        promised, before = -float(information.gradient @ step), self._promised
        self._promised = promised
        self._slow = self._slow + 1 if promised > SLOW * before > 0 else 0
        self._proved = certify(information, self._passes.moments).estimateExists
        return self._slow >= SLOW_STEPS and not self._proved

    def _far_along(
        self, found: Separation, point: Array, answer: Answer, stop: Stop
    ) -> Array | None:
        """Return the point that is so far along the direction that its rows' loss is as good as 0."""
        if found.kind in ("none", "unknown"):
            return None
        scaling, moments = self._problem.scaling, self._passes.moments
        direction = found.direction
        if len(direction) > 1:  # where the gauge is free
            direction = direction - direction.mean(axis=0)
        step = scaling.to_point(direction[:, :-1], direction[:, -1])
        if found.least < LEAST_RAISE * scaling.largest_move(step, moments):
            return None
        share = found.rows / found.total
        length = np.log(share / (LEFT * stop.limit(answer.value)))
        return np.asarray(point + max(length, 1.0) / found.least * step)


def _in_the_limit(start: Array, history: list[float], stop: Stop) -> Solver:
    """Return the optimum of the rows that are not raised, from a start where the others are."""
    left = replace(stop, max_steps=max(stop.max_steps - len(history), 0))
    solution = yield from newton(start, last=2, stop=left)
    ends = solution.reason.converged or solution.reason is Reason.SINGULAR
    reason = Reason.AT_INFINITY if ends else solution.reason
    return Solution(solution.point, (*history, *solution.history), reason)
