"""Fits by stochastic gradient descent: a problem in the coordinates of walks, and its readings.

    z_j = (x_j - centre_j) reach_j        margin = z' g
    scaled coefficient_j = reach_j deviation_j g_j        (see `objective.scaling`)

Dense features are centred, if there is an intercept, and divided by the root of their mean square.
Sparse ones are divided by their largest absolute value, and are not centred: so a rare feature
makes no larger steps than a common one, and a step costs as much as the batch has values.

Rates are in units of 1 / L, where L = mean |z|^2 / 4 bounds the curvature of the mean loss; those
of Adagrad, whose steps have no unit, are as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array, IntArray, is_sparse
from sparklr.fitting.course import Answers, Course, rates_within
from sparklr.fitting.of_solution import certified, fit_of
from sparklr.fitting.outcome import Fit, RatesTried
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import Report
from sparklr.objective.ground import Ground
from sparklr.passes.protocol import Passes, read_round
from sparklr.solvers import Answer, Query, Reason, Solution
from sparklr.solvers.sgd import Descent, sgd

log = logging.getLogger("sparklr")

Key = TypeVar("Key", bound=Hashable)

CONVERGED = "converged: no entry of the gradient exceeds tol"
EPOCHS = (
    "stopped after all epochs, before every entry of the gradient was within tol: raise {limit} or "
    "tol, or see how far the optimum is in summary.certificate"
)
DIVERGED = (
    "stopped at the start, because no epoch at learningRate={rate:.3g} or more led to a lower "
    "objective: set a smaller learningRate"
)


@dataclass(frozen=True, eq=False)
class WalkedProblem:
    """A problem in the coordinates of walks.

    unit : (q', 1), the problem's coordinates for g of ones at `places` (q',)
    places : the coordinates of walks that the problem has: it lacks features without spread
    """

    problem: Problem
    ground: Ground
    unit: Array
    places: IntArray

    @staticmethod
    def of(problem: Problem, passes: Passes) -> WalkedProblem:
        """Return the problem on these rows, centred only where these are dense."""
        sparse, moments = is_sparse(passes.sample.matrix), passes.moments
        if sparse:
            scaling = replace(problem.scaling, centre=np.zeros(moments.features))
            problem = replace(problem, scaling=scaling, squares=scaling.mean_squares(moments))
        scaling, spec = problem.scaling, problem.spec
        active, reach = scaling.active, np.zeros(moments.features)
        if sparse:
            reach[active] = 1 / np.maximum(np.abs(moments.minimum), np.abs(moments.maximum))[active]
        else:
            reach[active] = 1 / (scaling.deviation * np.sqrt(problem.squares))
        unit = np.append(reach[active] * scaling.deviation, np.ones(int(spec.fitIntercept)))
        ground = Ground(
            spec.family,
            scaling.margins,
            reach,
            None if sparse else scaling.centre,
            spec.fitIntercept,
            spec.steps.seed,
            problem.without,
            problem.factors,
            judged=spec.patience is not None,
        )
        places = np.append(active, np.arange(moments.features, ground.size))
        return WalkedProblem(problem, ground, unit[:, None], places)

    @property
    def adagrad(self) -> bool:
        """Whether the steps are Adagrad's."""
        wanted = self.problem.spec.steps.adaptive
        return self.ground.centre is None if wanted == "auto" else wanted == "adagrad"

    @property
    def l2(self) -> Array:
        """The penalty's weights, (q,)."""
        weights = self.problem.penalty.l2.reshape(self.problem.scaling.shape)[0]
        return self._spread(weights[:, None] * self.unit**2)[:, 0]

    @property
    def rate_unit(self) -> float:
        """1 / L, or 1 for Adagrad."""
        if self.adagrad:
            return 1.0
        scaled: Array = self.problem.squares * self.unit[: len(self.problem.squares), 0] ** 2
        squares = float(scaled.sum()) + self.ground.intercept
        return 4 / max(squares, np.finfo(float).tiny)

    def to_walk(self, point: Array) -> Array:
        """Return g (q, C) of a point of the problem."""
        return self._spread(point.reshape(self.problem.scaling.shape).T / self.unit)

    def to_problem(self, point: Array) -> Array:
        """Return the problem's point for g (q, C)."""
        return np.asarray((point[self.places] * self.unit).T.ravel())

    def gradient(self, gradient: Array) -> Array:
        """Return the problem's gradient for one by g (q, C)."""
        return np.asarray((gradient[self.places] / self.unit).T.ravel())

    @property
    def course(self) -> Course:
        """The objective of the walks."""
        return Course(
            self.ground,
            self.problem.spec.steps,
            self.problem.weight,
            self.l2,
            self._spread(1 / self.unit)[:, 0],
            self.adagrad,
            self.rate_unit,
            epochs_of(self.problem),
        )

    def _spread(self, values: Array) -> Array:
        spread = np.zeros((self.ground.size, values.shape[1]))
        spread[self.places] = values
        return spread


def epochs_of(problem: Problem) -> int:
    """Return the most epochs of a fit."""
    return min(problem.spec.steps.epochs, problem.spec.maxIter)


def fit_sgd(
    problems: Mapping[Key, Problem], passes: Passes, budget: int, report: Report | None
) -> tuple[dict[Key, Fit], int]:
    """Fit each problem, one after another; return the fits and the number of passes."""
    fits: dict[Key, Fit] = {}
    readings = 0
    for key, problem in problems.items():
        made = readings

        def tell(count: int, live: int, value: float, left: float, made: int = made) -> None:
            if report is not None:
                report(made + count, live, value, left)

        fits[key], count = _fit_one(WalkedProblem.of(problem, passes), passes, budget, tell)
        readings += count
    return fits, readings


def _fit_one(walked: WalkedProblem, passes: Passes, budget: int, report: Report) -> tuple[Fit, int]:
    problem, rates = walked.problem, _rates(walked, budget)
    course = walked.course
    answers = Answers(course, passes, report)
    descending = sgd(
        course.centred(walked.to_walk(problem.start())),
        rates,
        epochs_of(problem),
        problem.spec.tol,
        adagrad=walked.adagrad,
        patience=problem.spec.patience,
    )
    found = answers.run(descending)
    fit, readings = _fit_of(walked, found, passes, budget)
    log.info("sgd: %d epochs, %s", len(found.history) - 1, fit.reason)
    rate = found.rate if len(found.history) > 1 and found.place != 0 else None
    tried = RatesTried(tuple(map(float, rates)), rate, "adagrad" if walked.adagrad else "plain")
    return replace(fit, rates=tried), answers.readings + readings


def _rates(walked: WalkedProblem, budget: int) -> Array:
    """Return the rates to compare; fewer if all of their points would exceed the budget."""
    rate = walked.problem.spec.steps.learningRate
    if rate != "auto":
        return np.array([rate])
    return rates_within(budget, walked.ground.size * walked.ground.margins, walked.adagrad)


def _fit_of(walked: WalkedProblem, found: Descent, passes: Passes, budget: int) -> tuple[Fit, int]:
    """Return the fit of a descent, and the number of readings for its Hessian."""
    problem, readings = walked.problem, 0
    point, gradient = walked.to_problem(found.point), walked.gradient(found.seen.gradient)
    last = Answer(float(found.seen.values[0]), gradient)
    if problem.spec.inference:
        query = Query(point, order=2)
        (sums,), readings = read_round(passes, [problem.probe(query)], budget)
        last = problem.answer(query, sums)
    reason = Reason.CONVERGED if found.converged else Reason.STEP_LIMIT
    if found.held and found.place < len(found.history) - 1:
        reason = Reason.HELD_OUT
    solution = Solution(point, found.history, reason, last, found.held, found.place)
    fit = certified(fit_of(problem, "sgd", solution, None), problem, solution, passes.moments, None)
    steps, most = problem.spec.steps, problem.spec.maxIter
    limit = "epochs" if steps.epochs <= most else "maxIter"
    text = CONVERGED if found.converged else EPOCHS.format(limit=limit)
    if reason is Reason.HELD_OUT:
        text = reason.value
    if found.diverged:
        text = DIVERGED.format(rate=found.rate)
    return replace(fit, reason=text), readings
