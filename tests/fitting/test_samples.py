"""A sample gives a warm start where it helps, and does no harm where it misleads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.fitting import costs
from sparklr.fitting.costs import WARM_START_RATIO
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.rows.blocks import Block, stack_blocks
from tests.fitting.fits import SPECS, CountedPasses, every_spec, fit_one, pass_over
from tests.problems import make_rows


@every_spec
@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
def test_a_warm_start_ends_where_a_plain_one_does(
    name: str, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its history begins at the plain start and never rises."""
    classes = 2 if family is BINOMIAL else 3
    spec = replace(SPECS[name], family=family, tol=1e-8)
    passes = pass_over(make_rows(7, 3000, 5, classes, weighted=True), pieces=2, sample=500)
    warm_fits, warm_readings = fit_all({0: spec}, passes, classes)
    # The same sample, which is also the preconditioner's, but no start from its optimum.
    monkeypatch.setattr(costs, "WARM_START_RATIO", 1e9)
    plain_fits, plain_readings = fit_all({0: spec}, passes, classes)
    warm, plain = warm_fits[0], plain_fits[0]
    assert warm.converged
    assert warm.history[-1] == pytest.approx(plain.history[-1], rel=1e-8)
    assert_allclose(warm.coefficients, plain.coefficients, atol=1e-3)
    assert_allclose(warm.intercepts, plain.intercepts, atol=1e-3)
    assert_array_equal(warm.coefficients == 0, plain.coefficients == 0)
    problem = Problem.of(spec, passes.moments, classes)
    assert warm.history[0] == problem.start_value()
    assert warm.history[0] == pytest.approx(plain.history[0], rel=1e-13)
    assert max(np.diff(warm.history)) <= 0
    first, near, *_, last = warm.history
    assert first - near > 0.8 * (first - last), "the first reading is already near the optimum"
    if "newton" in name:  # the others also live on the curvature they met on the way
        assert warm_readings <= plain_readings


@every_spec
def test_a_sample_that_misleads_is_not_followed(name: str) -> None:
    """Labels turned round in the sample: its optimum is worse than the plain start."""
    block = make_rows(8, 400, 4)
    passes = pass_over(block)
    sample = block.take(slice(0, 80))
    passes = replace(passes, sample=Block(sample.matrix, 1 - sample.labels, None))
    plain, misled = fit_one(SPECS[name], pass_over(block)), fit_one(SPECS[name], passes)
    assert misled.converged
    assert misled.history[-1] == pytest.approx(plain.history[-1], rel=1e-7)
    assert max(np.diff(misled.history)) <= 0
    assert misled.history[0] == pytest.approx(plain.history[0], rel=1e-13)


@every_spec
def test_a_sample_of_one_class_does_no_harm(name: str) -> None:
    block = make_rows(9, 400, 4)
    ones = block.take(np.flatnonzero(block.labels == 1)[:50])
    passes = replace(pass_over(block), sample=ones)
    plain, warm = fit_one(SPECS[name], pass_over(block)), fit_one(SPECS[name], passes)
    assert warm.converged
    assert warm.history[-1] == pytest.approx(plain.history[-1], rel=1e-7)


def test_a_sample_nearly_as_large_as_the_rows_is_no_warm_start() -> None:
    """It would cost as much as the fit itself."""
    block = make_rows(10, 300, 4)
    rows = block.rows // WARM_START_RATIO
    spec = Spec(BINOMIAL, maxIter=1)
    start_values = []
    for sample in (rows + 1, rows):
        passes = pass_over(block, sample=sample)
        start_values.append(fit_one(spec, passes).history[1])
    cold = fit_one(spec, pass_over(block)).history[1]
    assert start_values[0] == cold
    assert start_values[1] != cold


@dataclass(frozen=True, eq=False)
class WithWider(CountedPasses):
    """Passes that are jobs, with a wider sample: the first rows."""

    jobs: bool = True
    rows: int = 0

    @property
    def wider_sample(self) -> Block:
        whole = stack_blocks(list(self.inner.blocks))
        return whole.take(slice(0, self.rows))


def test_a_fit_alone_starts_from_the_wider_sample() -> None:
    """Newton's method then takes a reading less, and ends at the same optimum."""
    block = make_rows(3, 60_000, 20)
    spec = replace(SPECS["newton"], tol=1e-6)
    inner = pass_over(block, pieces=2, sample=1_000)
    plain, wide = WithWider(inner, rows=1_000), WithWider(inner, rows=12_000)
    before, readings = fit_all({0: spec}, plain, 2)
    after, fewer = fit_all({0: spec}, wide, 2)
    assert fewer < readings
    assert after[0].history[-1] == pytest.approx(before[0].history[-1], rel=1e-9)
    # Fits that share readings start from the sample.
    several, shared = WithWider(inner, rows=1_000), WithWider(inner, rows=12_000)
    specs = {0: spec, 1: replace(spec, regParam=0.1)}
    assert fit_all(specs, shared, 2)[1] == fit_all(specs, several, 2)[1]
