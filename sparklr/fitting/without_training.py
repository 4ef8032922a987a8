"""Fits that need no solver: only one label occurs, or no feature varies."""

from __future__ import annotations

import logging

import numpy as np

from sparklr.fitting.outcome import NO_SOLVER, Fit
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.moments import Moments

log = logging.getLogger("sparklr")


def constant_label_fit(spec: Spec, moments: Moments, classes: int) -> Fit | None:
    """Return the fit if only one label occurs and an intercept may be infinite; else None."""
    if not spec.fitIntercept or len(moments.labels) != 1:
        return None
    label = int(moments.labels[0])
    intercepts = spec.family.certain_intercepts(label, classes)
    coefficients = np.zeros((len(intercepts), moments.features))
    if spec.bounds is not None:
        coefficients, within = spec.bounds.clip(coefficients, intercepts)
        if np.isfinite(within[np.isinf(intercepts)]).any():
            return None
        intercepts = within
    log.warning("All labels are %d: no solver runs, and the intercept is infinite.", label)
    why = "no training: all labels are equal"
    return Fit(
        coefficients=coefficients,
        intercepts=intercepts,
        history=(0.0,),
        solver=NO_SOLVER,
        reason=why,
        converged=True,
        loss=0.0,
    )


def nothing_to_fit(problem: Problem, value: float) -> Fit:
    """Return the fit for no varying feature and no intercept; `value` is its objective."""
    coefficients, intercepts = problem.coefficients(problem.start())
    why = "no training: no feature varies, and there is no intercept to fit"
    return Fit(
        coefficients=coefficients,
        intercepts=intercepts,
        history=(value,),
        solver=NO_SOLVER,
        reason=why,
        converged=True,
        loss=value,
    )
