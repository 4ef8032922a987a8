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
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.certificate import certify
from sparklr.fitting.costs import Conditions
from sparklr.fitting.outcome import Fit, Penalised
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import Report, run_solvers
from sparklr.fitting.spec import Spec
from sparklr.objective.information import Information, Pivoted
from sparklr.objective.leverages import LeverageProbe
from sparklr.objective.sums import Probe
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes
from sparklr.passes.readings import batches
from sparklr.solvers import Query, Solution, Solver, Stop
from sparklr.solvers.firth import FirthSolution, firth
from sparklr.solvers.jeffreys import LeverageQuery, Leverages
from sparklr.spark.errors import InvalidValueError

log = logging.getLogger("sparklr")

Key = TypeVar("Key", bound=Hashable)

# A query with leverages brings a matrix of this many rows to all workers.
MOST_REDUCED = 1_000
# The sample's optimum is sought to this many of its standard errors.
ROUGHLY = 1e-2
# About so many matrices per fit are on the driver between passes, and all fits that run at once may
# have this many times the budget of a pass.
MATRICES, STATE_BUDGETS = 6, 4


def check_bias_reduction(spec: Spec, margins: int | None, features: int | None) -> None:
    """Refuse what does not go with biasReduction="firth"."""
    if spec.biasReduction == "none":
        return
    if spec.family.per_class:
        raise InvalidValueError(
            f"biasReduction='firth' is for two classes and family='binomial', but the family is "
            f"{spec.family}. Use biasReduction='none'."
        )
    if spec.regParam > 0:
        raise InvalidValueError(
            f"biasReduction='firth' does not go with regParam={spec.regParam:g}: it has a penalty "
            "of its own, Jeffreys' prior. Set regParam=0, or use biasReduction='none'."
        )
    if spec.bounds is not None:
        raise InvalidValueError(
            "biasReduction='firth' cannot keep coefficients within bounds. Clear the bounds, or "
            "use biasReduction='none'."
        )
    if spec.solver != "auto":
        raise InvalidValueError(
            f"biasReduction='firth' has a solver of its own, but solver='{spec.solver}' is set. "
            "Use solver='auto'."
        )
    size = (margins or 1) * ((features or 0) + int(spec.fitIntercept))
    if size > MOST_REDUCED:
        raise InvalidValueError(
            f"biasReduction='firth' is for at most {MOST_REDUCED:,} coefficients, but there are "
            f"{size:,}: each reading takes the square of their number per row. With so many, use "
            "a penalty (regParam above 0)."
        )


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

    def null_start(self) -> Array:
        """Return the maximum with zero coefficients, if no column depends on others."""
        point, rank = np.zeros(self.scaling.shape), self.size
        if self.spec.fitIntercept:
            without, with_label = self.class_weights
            point[:, -1] = np.log((with_label + rank / 2) / (without + rank / 2))
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
        solvers = {key: _solver(its, near.get(key)) for key, its in some.items()}
        solutions, count = run_solvers(solvers, some, passes, budget, report)
        readings += count
        for key, solution in solutions.items():
            fits[key] = _fit_of(some[key], solution, passes)
            log.info("firth: %d steps, %s", solution.steps, solution.reason.value)
    return fits, readings


def _solver(problem: FirthProblem, near: Leverages | None) -> Solver:
    spec, weight = problem.spec, problem.weight
    stop = Stop(0.0, spec.tol**2 / (2 * weight), spec.maxIter)
    if spec.initial is not None:
        return _from_initial(problem, stop)
    return firth(problem.null_start(), weight=weight, near=near, stop=stop)


def _from_initial(problem: FirthProblem, stop: Stop) -> Solver:
    """Return a solver that looks at the initial model first; the leverages there are not known."""
    point = problem.start()
    none = Leverages(point, np.zeros((problem.size, 0)), 0.0)
    return firth(problem.null_start(), weight=problem.weight, near=none, stop=stop)


def _near(
    problems: Mapping[Key, FirthProblem], passes: Passes, fits: int, budget: int
) -> dict[Key, Leverages]:
    """Return the sample's optima, where a fit may start, with about the leverages of all rows there.

    All rows have so much more information as they have more weight, and a leverage is a share of it.
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
    solvers = {
        key: firth(its.null_start(), weight=weight, stop=stop) for key, its in posed.items()
    }
    local = LocalPasses((sample,), passes.moments, sample)
    solutions, _ = run_solvers(solvers, posed, local, budget)
    found: dict[Key, Leverages] = {}
    for key, its in solutions.items():
        space = its.space if isinstance(its, FirthSolution) else None
        own = None if space is None or its.last is None else space.leverages(its.point, its.last)
        if own is not None:
            shrunk = own.factor * (weight / problems[key].weight) ** 0.5
            found[key] = replace(own, factor=shrunk)
    return found


def _fit_of(problem: FirthProblem, solution: Solution, passes: Passes) -> Fit:
    coefficients, intercepts = problem.coefficients(solution.point)
    fit = Fit(
        coefficients=coefficients,
        intercepts=intercepts,
        history=solution.history,
        solver="firth",
        reason=solution.reason.value,
        converged=solution.reason.converged,
        loss=solution.last.value if solution.last is not None else np.nan,
        size=problem.size,
    )
    last, first = solution.last, getattr(solution, "first", None)
    if last is None or first is None or not (last.finite and first.finite):
        return fit
    information = problem.information(solution.point, last)
    both = _penalised(problem, information, -problem.weight * last.value, first.second())
    # Constants of the objective, in the user's units.
    shift = -both.log_likelihood / problem.weight - solution.history[-1]
    fit = replace(fit, history=tuple(value + shift for value in solution.history))
    if not problem.spec.inference:
        return fit
    certificate = certify(information, passes.moments)
    # The proof is about the likelihood alone. The penalised one has a maximum for sure, unless
    # columns depend on others, where the coefficients are not unique.
    certificate = replace(certificate, estimateExists=not information.singular)
    return replace(fit, information=information, certificate=certificate, penalised=both)


def _penalised(
    problem: FirthProblem, information: Information, log_likelihood: float, first: Array
) -> Penalised:
    """Return log L* at the estimates, and at its maximum with zero coefficients.

    `first` is the Hessian at the start, where all rows have the same probability p: at another, q,
    it is q (1 - q) / p (1 - p) times as large.
    """
    pivoted = Pivoted.of(information.hessian)
    kept = np.sort(pivoted.pivots[: pivoted.rank])
    units = np.append(problem.scaling.deviation, np.ones(int(problem.spec.fitIntercept)))[kept]

    def log_det(hessian: Array) -> float:
        inner = hessian[np.ix_(kept, kept)] * units * units[:, None]
        scale = 1 / np.sqrt(np.diagonal(inner))
        return float(np.linalg.slogdet(inner * scale * scale[:, None])[1] - 2 * np.log(scale).sum())

    start = problem.null_start()[-1] if problem.spec.fitIntercept else 0.0
    without, with_label = problem.class_weights
    half = len(kept) / 2 if problem.spec.fitIntercept else 0.0
    log_odds = np.log((with_label + half) / (without + half)) if half else 0.0
    curvatures = [-np.logaddexp(0, one) - np.logaddexp(0, -one) for one in (start, log_odds)]
    null = -with_label * np.logaddexp(0, -log_odds) - without * np.logaddexp(0, log_odds)
    null += (log_det(problem.weight * first) + len(kept) * (curvatures[1] - curvatures[0])) / 2
    return Penalised(log_likelihood + log_det(information.hessian) / 2, float(null))
