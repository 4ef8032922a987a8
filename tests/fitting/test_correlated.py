"""On correlated features the sample's curvature saves most readings, if nothing dilutes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import data
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.fitting.fits import CountedPasses, fit_one, pass_over

ROWS, FEATURES, CONDITION, SAMPLE = 40_000, 40, 1e3, 5_000


@pytest.fixture(scope="module")
def passes() -> LocalPasses:
    """Features with a condition number of 1,000, so a Hessian with one of a million."""
    draw = data.correlated(FEATURES, CONDITION)
    generator = np.random.default_rng(3)
    features = draw(generator, ROWS)
    labels = data.true_model(draw, 1, 0.3).labels(generator, features)
    return pass_over(Block(features, labels, None), sample=SAMPLE)


# Counted: at most 6 and 5. OWL-QN takes 196 at 1e-4: its steps are cut where signs change.
@pytest.mark.parametrize(
    ("solver", "mixing", "most"), [("l-bfgs", 0.0, 8), ("proximal-bfgs", 1.0, 9)]
)
@pytest.mark.parametrize("strength", [0.0, 1e-4, 1e-2])
def test_first_derivatives_need_few_readings(
    passes: LocalPasses, solver: SolverName, mixing: float, most: int, strength: float
) -> None:
    spec = Spec(BINOMIAL, regParam=strength, elasticNetParam=mixing, solver=solver)
    counted = CountedPasses(passes)
    fit = fit_one(spec, counted)  # type: ignore[arg-type]
    exact = fit_one(replace(spec, solver="proximal-newton", tol=1e-10), passes)
    assert fit.converged
    assert fit.history[-1] == pytest.approx(exact.history[-1], rel=1e-8)
    assert len(counted.readings) <= most
