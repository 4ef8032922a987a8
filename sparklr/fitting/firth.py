"""Fits with Firth's method: the likelihood times Jeffreys' prior, the root of det H.

    log L*(b) = log L(b) + log det H(b) / 2,          H(b) the information, for all coefficients

Its maximum has finite coefficients even where the rows are separated (Kosmidis and Firth 2021), and
less bias than that of L. Solvers minimise it by weight, in their own coordinates; the numbers here
are those of the user's units, in which a determinant is that of other coordinates times a constant.

Without features, or with all coefficients zero, all rows have the same probability p, so H is
p (1 - p) times a constant. Then the maximum is known: for W rows, n of them with label 1, and r
coefficients that the rows identify, p = (n + r/2) / (W + r). A fit begins there.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.certificate import certify
from sparklr.fitting.costs import Conditions
from sparklr.fitting.outcome import Fit, Penalised
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import Report, run_solvers
from sparklr.objective.information import Information, Pivoted
from sparklr.objective.leverages import LeverageProbe
from sparklr.objective.sums import Probe
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes
from sparklr.passes.readings import batches
from sparklr.solvers import Answer, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.firth import firth
from sparklr.solvers.jeffreys import LeverageQuery, Leverages, Space

log = logging.getLogger("sparklr")

Key = TypeVar("Key", bound=Hashable)

# The sample's optimum is sought to this many of its standard errors.
ROUGHLY = 1e-2
# About so many matrices per fit are on the driver between passes, and all fits that run at once may
# have this many times the budget of a pass.
MATRICES, STATE_BUDGETS = 6, 4


class FirthProblem(Problem):
    """A problem whose queries may bring leverages."""

    @staticmethod
    def posed(problem: Problem) -> FirthProblem:
        """Return the same problem, for Firth's method."""
        return FirthProblem(**{its.name: getattr(problem, its.name) for its in fields(problem)})

    def probe(self, query: Query) -> Probe:
        """Return the probe whose sums answer the query."""
        plain = super().probe(query)
        if not isinstance(query, LeverageQuery) or query.leverages is None:
            return plain
        at, scaling = query.leverages, self.scaling
        points = np.vstack((at.point, at.factor.T))
        lent = replace(scaling, margins=len(points)).to_rows(points.ravel())
        whole = {its.name: getattr(plain, its.name) for its in fields(plain)}
        return LeverageProbe(**whole, lent_coefficients=lent[0], lent_offsets=lent[1])

    def null_log_odds(self, rank: int) -> float:
        """Return the log odds of the maximum with zero coefficients, if so many are identified."""
        if not self.spec.fitIntercept:
            return 0.0
        without, with_label = self.class_weights + rank / 2
        return float(np.log(with_label / without))

    def null_start(self) -> Array:
        """Return the maximum with zero coefficients, if no column depends on others."""
        point = np.zeros(self.scaling.shape)
        if self.spec.fitIntercept:
            point[:, -1] = self.null_log_odds(self.size)
        return point.ravel()


def fit_firth(
    problems: Mapping[Key, Problem], passes: Passes, budget: int, report: Report | None
) -> tuple[dict[Key, Fit], int]:
    """Fit each problem by Firth's method, in lockstep; return the fits and the number of passes."""
    fits: dict[Key, Fit] = {}
    readings = 0
    posed = {key: FirthProblem.posed(its) for key, its in problems.items()}
    matrices = 8 * MATRICES
    for wave in batches(
        list(posed), STATE_BUDGETS * budget, lambda key: matrices * posed[key].size ** 2
    ):
        some = {key: posed[key] for key in wave}
        near = _near(some, passes, len(problems), budget)
        # The null model's Hessian is read along with the first step.
        keys = {(key, null): its for key, its in some.items() for null in (True, False)}
        solvers: dict[tuple[Key, bool], Solver] = {}
        for key, its in some.items():
            solvers[key, False] = _solver(its, near.get(key))
            solvers[key, True] = _ask_once(its.null_start())
        told = None if report is None else partial(_tell, report, len(some))
        solutions, count = run_solvers(solvers, keys, passes, budget, told)
        readings += count
        for key, its in some.items():
            solution = solutions[key, False]
            fits[key] = _fit_of(its, solution, solutions[key, True], passes)
            log.info("firth: %d steps, %s", solution.steps, solution.reason.value)
    return fits, readings


def _solver(problem: FirthProblem, near: Leverages | None) -> Solver:
    spec, weight = problem.spec, problem.weight
    if spec.initial is not None:  # the leverages there are not known
        near = Leverages(problem.start(), np.zeros((problem.size, 0)), 0.0)
    stop = Stop(0.0, spec.tol**2 / (2 * weight), spec.maxIter)
    return firth(problem.null_start(), weight=weight, near=near, stop=stop)


def _tell(report: Report, most: int, readings: int, live: int, value: float, left: float) -> None:
    """Report a round; null models do not count as fits."""
    report(readings, min(live, most), value, left)


def _ask_once(point: Array) -> Solver:
    """Return the answer of order 2 at a point."""
    here = yield Query(point, order=2)
    return Solution(point, (here.value,), Reason.CONVERGED, here)


def _near(
    problems: Mapping[Key, FirthProblem], passes: Passes, fits: int, budget: int
) -> dict[Key, Leverages]:
    """Return the sample's optima where a fit may start, with about the leverages of all rows there.

    The information of all rows is about as much larger as their weight, and a leverage is a share
    of it.
    """
    sample = passes.sample
    weight = sample.total_weight
    conditions = {key: Conditions.of(passes, passes.moments.rows, fits) for key in problems}
    posed = {
        key: replace(its, weight=weight)
        for key, its in problems.items()
        if its.spec.initial is None and its.spec.maxIter > 0 and conditions[key].starts(its)
    }
    stop = Stop(0.0, ROUGHLY**2 / (2 * weight))
    solvers = {key: firth(its.null_start(), weight=weight, stop=stop) for key, its in posed.items()}
    local = LocalPasses((sample,), passes.moments, sample)
    solutions, _ = run_solvers(solvers, posed, local, budget)
    found: dict[Key, Leverages] = {}
    for key, its in solutions.items():
        hessian = None if its.last is None else its.last.hessian
        if its.last is None or hessian is None or not its.last.finite:
            continue
        own = Space.of(hessian, problems[key].weight).leverages(its.point, its.last)
        if own is not None:
            found[key] = own
    return found


def _fit_of(problem: FirthProblem, solution: Solution, null: Solution, passes: Passes) -> Fit:
    coefficients, intercepts = problem.coefficients(solution.point)
    last, weight = solution.last, problem.weight
    fit = Fit(
        coefficients=coefficients,
        intercepts=intercepts,
        history=solution.history,
        solver="firth",
        reason=solution.reason.value,
        converged=solution.reason.converged,
        loss=np.nan if last is None else last.value,
        size=problem.size,
    )
    if last is None or null.last is None or not (last.finite and null.last.finite):
        return fit
    information = problem.information(solution.point, last)
    both = _penalised(problem, information, -weight * last.value, null.last)
    # The objective in the user's units differs by a constant from the solver's.
    shift = -both.log_likelihood / weight - solution.history[-1]
    history = tuple(value + shift for value in solution.history)
    if not problem.spec.inference:
        return replace(fit, history=history)
    certificate = certify(information, passes.moments)
    # The proof is about the likelihood alone. The penalised one has a maximum for sure, unless
    # columns depend on others: then the coefficients are not unique.
    certificate = replace(certificate, estimateExists=not information.singular)
    return replace(
        fit, history=history, information=information, certificate=certificate, penalised=both
    )


def _penalised(
    problem: FirthProblem, information: Information, log_likelihood: float, null: Answer
) -> Penalised:
    """Return log L* at the estimates, and its maximum with zero coefficients.

    `null` is the answer at `null_start`, where all rows have the same probability p. At another, q,
    the Hessian is q (1 - q) / p (1 - p) times as large. They differ if columns depend on others.
    """
    pivoted = Pivoted.of(information.hessian)
    kept = np.sort(pivoted.pivots[: pivoted.rank])
    units = np.append(problem.scaling.deviation, np.ones(int(problem.spec.fitIntercept)))[kept]

    def log_det(hessian: Array) -> float:
        inner = hessian[np.ix_(kept, kept)]
        scale = 1 / np.sqrt(np.diagonal(inner))
        determinant = np.linalg.slogdet(inner * scale * scale[:, None])[1]
        return float(determinant + 2 * np.log(units / scale).sum())

    p, q = problem.null_log_odds(problem.size), problem.null_log_odds(len(kept))
    ratio = _log_curvature(q) - _log_curvature(p)
    determinant = log_det(problem.weight * null.second()) + len(kept) * ratio
    likelihood = float(problem.class_weights @ problem.spec.family.log_chances(np.array([q])))
    return Penalised(
        log_likelihood + log_det(information.hessian) / 2, likelihood + determinant / 2
    )


def _log_curvature(log_odds: float) -> float:
    """Return log p (1 - p)."""
    return -float(np.logaddexp(0, log_odds) + np.logaddexp(0, -log_odds))
