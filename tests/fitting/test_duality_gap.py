"""The certificate of penalised fits: how far a fit that is stopped early is above the minimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from tests.inference.references import data

PENALTIES = {"L2": 0.0, "elastic net": 0.4, "L1": 1.0}


def passes_of(name: str) -> tuple[LocalPasses, int]:
    """Rows of a case, in memory, of which the sample has too few to begin at the optimum."""
    rows = data(name)
    block = Block(rows.matrix, rows.labels, rows.weights, 0, {})
    passes = LocalPasses.of([block], len(rows.names))
    few = block.take(slice(0, 20))
    return LocalPasses(passes.blocks, passes.moments, few), int(rows.labels.max()) + 1


def fit_of(name: str, **given: Any) -> Fit:
    passes, classes = passes_of(name)
    family = MULTINOMIAL if classes > 2 else BINOMIAL
    return fit_all({0: Spec(**{"family": family, **given})}, passes, classes)[0][0]


@pytest.mark.parametrize("name", ["birthwt_weighted", "pima", "anes96"])
@pytest.mark.parametrize("mixing", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("standardization", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_gap_is_above_the_distance_and_vanishes_with_it(
    name: str, mixing: float, standardization: bool, intercept: bool
) -> None:
    first: Any = {
        "regParam": 0.02,
        "elasticNetParam": mixing,
        "standardization": standardization,
        "fitIntercept": intercept,
    }
    best = fit_of(name, **first, tol=1e-13, maxIter=1000)
    least = best.history[-1]
    gaps = []
    for steps in (0, 1, 2, 3, 5, 8):
        fit = fit_of(name, **first, maxIter=steps, tol=1e-13)
        assert fit.certificate is not None
        gap, above = fit.certificate.dualityGap, fit.history[-1] - least
        assert gap is not None
        assert gap >= above - 1e-15
        gaps.append(gap)
    assert best.certificate is not None
    assert best.certificate.dualityGap is not None
    # The bound shrinks like the KKT residual, the distance like its square.
    assert best.certificate.dualityGap < 2e-5 < 1e-3 < gaps[0]


@pytest.mark.parametrize(
    "solver", ["newton", "l-bfgs", "proximal-newton", "proximal-bfgs", "owl-qn"]
)
@pytest.mark.parametrize("most", [1, 100])
def test_every_solver_leaves_its_last_gradient(solver: Any, most: int) -> None:
    mixing = 0.0 if solver in ("newton", "l-bfgs") else 0.5
    first: Any = {"regParam": 0.05, "elasticNetParam": mixing, "solver": solver, "maxIter": most}
    fit = fit_of("birthwt", **first)
    assert fit.information is None
    assert fit.certificate is not None
    whole = fit_of("birthwt", **first, inference=True)
    assert whole.certificate is not None
    assert np.isfinite(whole.certificate.conditionNumber)
    assert np.isnan(fit.certificate.newtonDecrement)
    assert not fit.certificate.estimateExists
    gaps = fit.certificate.dualityGap, whole.certificate.dualityGap
    if most == 1:  # else the fit with a Hessian may take a further step
        assert_allclose(fit.certificate.kktResidual, whole.certificate.kktResidual, rtol=1e-9)
        assert_allclose(*gaps, rtol=1e-9)
    assert max(its for its in gaps if its is not None) < (10 if most == 1 else 1e-3)


def test_the_gap_of_l2_is_the_square_of_the_gradient() -> None:
    """Without an intercept no row has to be moved: the sum of (g + l2 z)^2 / (2 l2), exactly."""
    rows = data("pima")
    fit = fit_of("pima", regParam=0.1, standardization=False, fitIntercept=False, maxIter=1)
    b, matrix = fit.coefficients[0], rows.matrix
    slopes = 1 / (1 + np.exp(-matrix @ b)) - rows.labels
    gradient = matrix.T @ slopes / len(rows.labels) + 0.1 * b
    assert fit.certificate is not None
    assert_allclose(fit.certificate.dualityGap, (gradient**2).sum() / 0.2, rtol=1e-9)


@pytest.mark.parametrize("intercept", [0.1, 3.0, -5.0])
def test_the_bound_holds_far_from_the_best_intercept(intercept: float) -> None:
    """No penalty pulls at it, so the slopes of the rows must be mixed with others.

    With so large a penalty all else is zero, and 0.1 times its gradient is less than the distance.
    """
    first: Any = {"regParam": 100.0, "initial": (np.zeros((1, 7)), np.array([intercept]))}
    fit = fit_of("pima", **first, maxIter=0)
    best = fit_of("pima", regParam=100.0, tol=1e-13)
    assert fit.certificate is not None
    gap, above = fit.certificate.dualityGap, fit.history[-1] - best.history[-1]
    assert gap is not None
    assert gap >= above > 0.05


def test_there_is_none_without_a_penalty_or_with_bounds() -> None:
    fit = fit_of("birthwt")
    assert fit.certificate is not None
    assert fit.certificate.dualityGap is None
    lower = np.append(np.zeros((1, 9)), [[-np.inf]], axis=1)
    bounds = Bounds(lower, np.full((1, 10), np.inf))
    fit = fit_of("birthwt", regParam=0.1, bounds=bounds)
    assert fit.certificate is not None
    assert fit.certificate.dualityGap is None
    assert fit.certificate.kktResidual < 1e-4
