"""What a sample shows of a problem's curvature, and what stands in for what it cannot show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparklr.fitting.preconditioner import SampleCurvature
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.moments import moments_of
from sparklr.rows.blocks import Block
from sparklr.solvers import BlockInverse
from sparklr.solvers.methods import METHODS


def rows_with_a_rare_level(classes: int) -> tuple[Block, Block]:
    """Rows with an amount and a level that every hundredth has, and a sample without that level."""
    rng = np.random.default_rng(1)
    rare = (np.arange(2_000) % 100 == 0).astype(float)
    matrix = np.column_stack((rng.normal(size=2_000), rare))
    rows = Block(matrix, rng.integers(0, classes, 2_000).astype(float), None)
    return rows, rows.take(np.flatnonzero(rare == 0)[:500])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("family", "classes"), [(BINOMIAL, 2), (MULTINOMIAL, 3)])
def test_a_level_that_the_sample_lacks_has_the_curvature_of_the_start(
    family: Family, classes: int, whole: bool
) -> None:
    rows, sample = rows_with_a_rare_level(classes)
    problem = Problem.of(Spec(family, regParam=1e-6), moments_of(rows), classes)
    inverse = SampleCurvature(sample).precondition(
        problem, METHODS["l-bfgs"], problem.start(), whole=whole
    )
    level = np.zeros(problem.scaling.shape)
    level[0, 1] = 1.0
    step = inverse(level.ravel())[1]
    assert 0.3 < step * problem.start_curvature()[1] < 2


@pytest.mark.parametrize("name", ["newton", "proximal-newton"])
def test_newton_has_a_diagonal_unless_it_begins_with_the_sample(name: str) -> None:
    """The diagonal is for the method of first order that goes on if Newton's finds no step."""
    rows, sample = rows_with_a_rare_level(2)
    problem = Problem.of(Spec(BINOMIAL, regParam=1e-6), moments_of(rows), 2)
    curvature, method, start = SampleCurvature(sample), METHODS[name], problem.start()
    plain = curvature.precondition(problem, method, start, whole=True)
    scaled = plain(np.ones(problem.size)) * problem.start_curvature()
    assert not isinstance(plain, BlockInverse)
    assert 0.05 < scaled.min() <= scaled.max() <= 1.001
    begins = curvature.precondition(problem, method, start, whole=True, begins=True)
    assert isinstance(begins, BlockInverse)


def test_problems_with_one_start_share_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, sample = rows_with_a_rare_level(2)
    summed = []
    read = SampleCurvature._read

    def counted(self: SampleCurvature, reading: Any, rows: Block, problem: Problem) -> Any:
        summed.append(problem.spec.regParam)
        return read(self, reading, rows, problem)

    monkeypatch.setattr(SampleCurvature, "_read", counted)
    curvature = SampleCurvature(sample)
    problems = [Problem.of(Spec(BINOMIAL, its), moments_of(rows), 2) for its in (0.01, 1.0)]
    steps = [
        curvature.precondition(its, METHODS["l-bfgs"], its.start(), whole=False)(np.ones(its.size))
        for its in problems
    ]
    assert summed == [0.01]
    assert steps[0][0] > steps[1][0]
    elsewhere = problems[0].start() + 1.0
    curvature.precondition(problems[0], METHODS["l-bfgs"], elsewhere, whole=False)
    assert len(summed) == 2
