"""The start of a regularisation path: the smallest penalty where all coefficients are zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparklr.arrays import MEGABYTE
from sparklr.fitting.null_model import null_models
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.passes.protocol import Passes, read_round
from sparklr.solvers import Query

# A pure L2 penalty never makes coefficients exactly zero. As in glmnet, a small L1 share is used.
LEAST_L1 = 1e-3


def largest_penalty(spec: Spec, passes: Passes, classes: int) -> float:
    """Return the smallest regParam where all coefficients are zero, from one pass without offsets.

    The pass sums the gradient at the model that has intercepts only. There the gradient of each
    coefficient must not exceed its l1 term, regParam times the L1 share.
    """
    unit = replace(
        spec, regParam=1.0, elasticNetParam=max(spec.elasticNetParam, LEAST_L1), initial=None
    )
    problem = Problem.of(unit, passes.moments, classes)
    if problem.box is not None:
        raise ValueError(
            "With bounds on coefficients, no penalty is certain to make all coefficients zero. "
            "Clear the bounds, or set the values of regParam yourself."
        )
    intercepts = None
    if problem.offset_varies and spec.fitIntercept:
        ((intercept, _),), _ = null_models([problem], passes)
        intercepts = np.array([intercept])
    query = Query(problem.null_point(intercepts), 1)
    (sums,), _ = read_round(passes, [problem.probe(query)], MEGABYTE)
    slope, l1 = np.abs(problem.answer(query, sums).first()), problem.penalty.l1
    return float((slope[l1 > 0] / l1[l1 > 0]).max(initial=0.0))
