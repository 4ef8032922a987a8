"""Where a path of penalties begins: the least penalty that leaves no coefficient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparklr.arrays import MEGABYTE
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.passes.protocol import Passes, read_round
from sparklr.solvers import Query

# An L2 penalty alone leaves all coefficients: glmnet's convention where a largest one is asked for.
LEAST_L1 = 1e-3


def largest_penalty(spec: Spec, passes: Passes, classes: int) -> float:
    """The smallest regParam that leaves no coefficient: one reading, at the intercepts alone.

    There the slope of each coefficient must not exceed its l1 term, regParam times its share.
    """
    unit = replace(
        spec, regParam=1.0, elasticNetParam=max(spec.elasticNetParam, LEAST_L1), initial=None
    )
    problem = Problem.of(unit, passes.moments, classes)
    if problem.box is not None:
        raise ValueError(
            "Bounds on coefficients leave no penalty at which all of them are zero for certain. "
            "Clear the bounds, or name the values of regParam yourself."
        )
    query = Query(problem.null_point(), 1)
    (sums,), _ = read_round(passes, [problem.probe(query)], MEGABYTE)
    slope, l1 = np.abs(problem.answer(query, sums).first()), problem.penalty.l1
    return float((slope[l1 > 0] / l1[l1 > 0]).max(initial=0.0))
