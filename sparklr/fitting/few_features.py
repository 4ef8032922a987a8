"""L1 fits of wide rows in memory: the optimum on few features at a time.

At the optimum most coefficients are zero, and a gradient shows which zeros are wrong:

    J  <-  the features that are not zero, and the zeros whose slope exceeds the l1 weight, the
           steepest first
    x  <-  the optimum on the features in J, with all other coefficients zero

until no such slope is left (the active sets of Friedman et al. 2010). The optima
on few features have Hessians, where OWL-QN on all features has only a diagonal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from sparklr.arrays import MEGABYTE, Array, IntArray
from sparklr.fitting.costs import Conditions, factored, is_smooth
from sparklr.fitting.outcome import Fit
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import stop_of
from sparklr.fitting.spec import Spec
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import read_round
from sparklr.solvers import Query, pseudo_gradient

log = logging.getLogger("sparklr")

# Features that may join in the first round, later a quarter of those there; the most of all.
FIRST_FEATURES, MOST_FEATURES = 600, 3_000
ROUNDS = 30
# The share of the objective that a round leaves undone: at most ROUGHLY, and this share of what
# the zeros promise and of what the round before left.
LEFT, ROUGHLY = 0.01, 1e-4
STEPS = 1_000

# Fits a spec on rows that are in memory.
FitOne: TypeAlias = Callable[[Spec, LocalPasses], Fit]


def pays(problem: Problem, conditions: Conditions) -> bool:
    """Whether the problem has an l1 term, wide rows, and all its rows in the sample."""
    lasso = not is_smooth(problem) and problem.box is None
    return lasso and not factored(problem) and conditions.rows == conditions.sample.rows


def optimum_on_few(problem: Problem, passes: LocalPasses, fit: FitOne) -> Array:
    """Return a point near the optimum, or the best one with at most so many features."""
    point, left = problem.null_point(), 1.0
    for _ in range(ROUNDS):
        coefficients, _ = problem.coefficients(point)
        kept = np.flatnonzero(coefficients.any(axis=0))
        joining, gain = _steepest(problem, passes, point, kept)
        if len(joining) == 0 and left <= 1e-3 * problem.spec.tol:
            log.info("the optimum has %d features of %d", len(kept), problem.scaling.features)
            break
        left = min(LEFT * gain, ROUGHLY, LEFT * left)
        point = _on(problem, passes, point, np.union1d(kept, joining), left, fit)
    return point


def _steepest(
    problem: Problem, passes: LocalPasses, point: Array, kept: IntArray
) -> tuple[IntArray, float]:
    """Return the features that join, and the decrease that all zeros promise, as a share.

    Those join that promise most.
    """
    query = Query(point, order=1)
    (sums,), _ = read_round(passes, [problem.probe(query)], 256 * MEGABYTE)
    answer = problem.answer(query, sums)
    slope = pseudo_gradient(point, answer.first(), problem.penalty.l1)
    promised = (slope**2 / problem.start_curvature() / 2).reshape(problem.scaling.shape)
    active = problem.scaling.active
    each = promised[:, : len(active)].sum(axis=0)
    each[np.isin(active, kept)] = 0.0
    value = answer.value + float(problem.penalty.l1 @ np.abs(point))
    gain = float(each.sum())
    if gain <= stop_of(problem.spec).limit(value):
        return active[:0], 0.0
    most = min(FIRST_FEATURES + len(kept) // 4, MOST_FEATURES - len(kept))
    order = np.argsort(-each)[:most]
    return np.asarray(active[order[each[order] > 0]]), gain / abs(value)


def _on(
    problem: Problem, passes: LocalPasses, point: Array, kept: IntArray, left: float, fit: FitOne
) -> Array:
    """Return the optimum on these features, up to a share `left` of the objective."""
    coefficients, intercepts = problem.coefficients(point)
    blocks = [block.with_matrix(block.matrix[:, kept]).remembering() for block in passes.blocks]
    sample = (
        blocks[0] if len(blocks) == 1 else passes.sample.with_matrix(passes.sample.matrix[:, kept])
    )
    moments = passes.moments.of_features(kept)
    spec = replace(
        problem.spec,
        initial=(coefficients[:, kept], intercepts),
        maxIter=STEPS,
        tol=max(problem.spec.tol, 1e3 * left),  # a share of 1e-3 tol: see `stop_of`
        solver="auto",
    )
    found = fit(spec, LocalPasses(blocks, moments, sample, passes.threads))
    coefficients = np.zeros_like(coefficients)
    coefficients[:, kept] = found.coefficients
    return problem.point_of(coefficients, found.intercepts)
