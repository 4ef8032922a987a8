"""Fits of one-hot rows: rare levels of which a sample knows no positive, so that it misleads.

The optimum of such a sample sends their coefficients far out, where all rows are certain: there
the objective has no curvature left, but it has a slope.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import Query
from sparklr.solvers.methods import SolverName
from tests.fitting.one_hot import one_hot_rows, with_sample
from tests.problems import ask_rows, find_smooth, find_with_l1
from tests.tiers import first_and_deep

ROWS, SAMPLE, POSITIVES = 4_000, 800, 0.03
SEEDS = (0, 3)  # of those tried, those on which steps that are only shortened got stuck


@cache
def rows(seed: int) -> LocalPasses:
    return with_sample(one_hot_rows(seed, ROWS, positives=POSITIVES), SAMPLE)


def fit(spec: Spec, passes: LocalPasses, classes: int = 2) -> Fit:
    return fit_all({0: spec}, passes, classes)[0][0]


def optimum(spec: Spec, passes: LocalPasses) -> float:
    """The least objective, found by scipy from the plain start."""
    problem = Problem.of(spec, passes.moments, 2)
    ask, l1 = ask_rows(problem, passes), problem.penalty.l1
    if problem.penalty.smooth:
        best = find_smooth(ask, problem.start())
    else:
        best = find_with_l1(ask, problem.start(), l1)
    return objective(problem, passes, best)


def objective(problem: Problem, passes: LocalPasses, point: Array) -> float:
    value = ask_rows(problem, passes)(Query(point, 0)).value
    return value + float(problem.penalty.l1 @ np.abs(point))


every_seed = pytest.mark.parametrize("seed", first_and_deep(SEEDS))


@pytest.mark.parametrize("mixing", [0.0, 1.0])
@every_seed
def test_a_sample_without_positives_of_a_level_does_not_mislead(seed: int, mixing: float) -> None:
    """From its optimum, where many levels are predicted so surely that they have no curvature."""
    spec = Spec(BINOMIAL, 1e-4, mixing)
    sample = rows(seed).sample
    alone = fit(spec, LocalPasses([sample], moments_of(sample), sample))
    found = fit(replace(spec, initial=(alone.coefficients, alone.intercepts)), rows(seed))
    assert found.converged, found.reason
    assert found.solver in ("newton", "proximal-newton")
    assert found.history[-1] <= optimum(spec, rows(seed)) * (1 + 1e-6)


@every_seed
@pytest.mark.parametrize(
    ("solver", "mixing"), [("l-bfgs", 0.0), ("owl-qn", 1.0), ("proximal-newton", 1.0)]
)
def test_each_solver_finds_the_optimum(seed: int, solver: SolverName, mixing: float) -> None:
    """Levels that the sample lacks have the curvature of the start, else 300 steps do not do."""
    spec = Spec(BINOMIAL, 1e-4, mixing, solver=solver, maxIter=300)
    found = fit(spec, rows(seed))
    assert found.converged, found.reason
    assert found.history[-1] <= optimum(spec, rows(seed)) * (1 + 1e-6)


def test_levels_without_positives_end_the_search_without_a_penalty() -> None:
    """There is no optimum, but a least objective, which first derivatives only come near to."""
    found = fit(Spec(BINOMIAL), rows(SEEDS[0]))
    assert found.converged, found.reason
    slow = fit(Spec(BINOMIAL, solver="l-bfgs", maxIter=200, tol=1e-12), rows(SEEDS[0]))
    assert found.history[-1] <= slow.history[-1] + 1e-8


@pytest.mark.parametrize("solver", first_and_deep(["newton", "proximal-newton"]))
def test_a_far_initial_model_is_left(solver: SolverName) -> None:
    """Every row is certain at the start, and most of them wrongly so."""
    passes = rows(SEEDS[0])
    spec = Spec(BINOMIAL, 1e-3)
    rng, far = np.random.default_rng(1), 1e3
    start = far * rng.normal(size=(1, passes.moments.features)), np.array([far])
    found = fit(Spec(BINOMIAL, 1e-3, solver=solver, initial=start), passes)
    assert found.converged, found.reason
    assert found.history[-1] == pytest.approx(optimum(spec, passes), rel=1e-6)


@pytest.mark.parametrize("mixing", [0.0, 1.0])
def test_rare_levels_of_three_classes(mixing: float) -> None:
    block = one_hot_rows(7, ROWS, positives=POSITIVES, levels=(3, 8, 25))
    labels = np.where(block.labels > 0, 1.0 + (np.arange(ROWS) % 7 == 0), 0.0)
    passes = with_sample(Block(block.matrix, labels, None), SAMPLE)
    family: Family = MULTINOMIAL
    found = fit(Spec(family, 1e-4, mixing), passes, 3)
    assert found.converged, found.reason
    other: SolverName = "owl-qn" if mixing else "l-bfgs"
    slow = fit(Spec(family, 1e-4, mixing, solver=other, maxIter=500), passes, 3)
    assert found.history[-1] == pytest.approx(slow.history[-1], rel=1e-6)
