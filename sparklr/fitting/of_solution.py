"""From a solver's solution to a fit, with all that is known at its end."""

from __future__ import annotations

from dataclasses import replace

from sparklr.fitting.at_infinity import SeparationWatch
from sparklr.fitting.certificate import certificate_of, certify
from sparklr.fitting.outcome import Fit
from sparklr.fitting.problem import Problem
from sparklr.objective.moments import Moments
from sparklr.solvers import Preconditioner, Reason, Solution


def fit_of(problem: Problem, solver: str, solution: Solution, kept: Preconditioner | None) -> Fit:
    """Return the fit of a solution; `kept` is its preconditioner, if other fits may need it."""
    coefficients, intercepts = problem.coefficients(solution.point)
    return Fit(
        coefficients=coefficients,
        intercepts=intercepts,
        history=solution.history,
        solver=solver,
        reason=solution.reason.value,
        converged=solution.reason.converged,
        loss=problem.loss(solution.point, solution.value),
        size=problem.size,
        precondition=kept,
        held=solution.held,
        chosen=solution.place if solution.held else None,
        early=solution.reason is Reason.HELD_OUT,
    )


def certified(
    fit: Fit, problem: Problem, solution: Solution, moments: Moments, watch: SeparationWatch | None
) -> Fit:
    """Return the fit with its certificate and what else is known of it.

    That is the information if the fit has the Hessian, and the separation if one was looked for.
    """
    fit = fit if watch is None else replace(fit, separation=watch.found)
    point, last = solution.point, solution.last
    if last is None or not last.finite:
        return fit
    known = certificate_of(problem, point, last)
    if last.hessian is None:
        return replace(fit, certificate=known)
    information = problem.information(point, last)
    information = replace(information, rank_before=watch.rank if watch else 0)
    certificate = replace(certify(information, moments), dualityGap=known.dualityGap)
    return replace(fit, information=information, certificate=certificate)
