"""Fits that end with the Hessian at their optimum: how near they end, and what that costs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.fitting.fits import CountedPasses


def rows(count: int, sample: int | None = None) -> LocalPasses:
    """Rows of five features, of which the sample has the first."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(count, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 0, 100, 1]
    margins = (matrix - [0, 5, 0, 100, 1]) @ [1, 0.1, 3, 0.2, -0.5]
    labels = (rng.random(count) < 1 / (1 + np.exp(-margins))).astype(float)
    whole = Block(matrix, labels, None, 0, {})
    passes = LocalPasses.of([whole], 5)
    part = whole if sample is None else whole.take(slice(0, sample))
    return LocalPasses(passes.blocks, passes.moments, part)


@pytest.mark.parametrize(("solver", "more"), [("newton", 1), ("l-bfgs", 2)])
@pytest.mark.parametrize("sample", [None, 500])
def test_the_hessian_takes_few_readings(solver: SolverName, more: int, sample: int | None) -> None:
    counts = []
    for inference in (False, True):
        passes = CountedPasses(rows(4_000, sample))
        spec = Spec(BINOMIAL, solver=solver, inference=inference)
        fit = fit_all({0: spec}, passes, 2)[0][0]
        counts.append(len(passes.readings))
        assert (fit.information is not None) == inference
        assert len(fit.history) <= spec.maxIter + 1
    assert counts[0] <= counts[1] <= counts[0] + more


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
def test_it_is_that_of_the_optimum(solver: SolverName) -> None:
    passes = rows(400)
    fit = fit_all({0: Spec(BINOMIAL, solver=solver, inference=True)}, passes, 2)[0][0]
    assert fit.information is not None
    assert fit.certificate is not None
    assert fit.certificate.newtonDecrement < 1e-6
    matrix = np.column_stack((np.asarray(passes.blocks[0].matrix), np.ones(400)))
    margins = matrix @ np.append(fit.coefficients[0], fit.intercepts[0])
    chances = 1 / (1 + np.exp(-margins))
    inverse = np.linalg.inv((matrix * (chances * (1 - chances))[:, None]).T @ matrix)
    assert_allclose(fit.information.covariance(), inverse, rtol=1e-6)


def test_a_fit_that_is_stopped_has_the_hessian_where_it_stopped() -> None:
    spec = Spec(BINOMIAL, solver="newton", maxIter=2, inference=True)
    fit = fit_all({0: spec}, rows(400), 2)[0][0]
    assert len(fit.history) == 3
    assert not fit.converged
    assert fit.certificate is not None
    assert fit.certificate.newtonDecrement > 1e-3
