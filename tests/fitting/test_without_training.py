"""Fits whose optimum is known without training: of one label, or of features without spread."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.fitting.without_training import constant_label_fit
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.fitting.fits import CountedPasses, fit_one, pass_over
from tests.problems import make_rows


@pytest.mark.parametrize(
    ("family", "label", "classes", "expected"),
    [
        (BINOMIAL, 0.0, 2, [-np.inf]),
        (BINOMIAL, 1.0, 2, [np.inf]),
        (MULTINOMIAL, 2.0, 4, [0, 0, np.inf, 0]),
        (MULTINOMIAL, 0.0, 1, [np.inf]),
    ],
)
def test_one_label_alone_needs_no_training(
    family: Family, label: float, classes: int, expected: list[float]
) -> None:
    block = make_rows(2, 10, 3)
    passes = CountedPasses(pass_over(Block(block.matrix, np.full(10, label), None)))
    fits, readings = fit_all({"only": Spec(family, solver="l-bfgs")}, passes, classes)
    fit = fits["only"]
    assert_array_equal(fit.intercepts, expected)
    assert_array_equal(fit.coefficients, np.zeros((len(expected), 3)))
    assert fit.history == (0.0,)
    assert fit.converged
    assert readings == len(passes.readings) == 0


def test_one_label_without_an_intercept_is_trained() -> None:
    block = make_rows(2, 30, 3)
    passes = pass_over(Block(block.matrix + 2, np.ones(30), None))
    spec = Spec(BINOMIAL, fitIntercept=False, regParam=0.1)
    assert constant_label_fit(spec, passes.moments, 2) is None
    fit = fit_one(spec, passes)
    assert fit.converged
    assert_array_equal(fit.intercepts, [0.0])
    assert fit.coefficients.any()
    assert len(fit.history) > 1


def test_two_labels_are_trained_whatever_they_are() -> None:
    block = make_rows(2, 30, 3)
    moments = pass_over(Block(block.matrix, 2 * block.labels, None)).moments
    assert constant_label_fit(Spec(MULTINOMIAL), moments, 3) is None


@pytest.mark.parametrize("name", ["newton", "proximal-newton", "l-bfgs", "owl-qn"])
@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
def test_features_without_spread_leave_the_intercept(name: SolverName, family: Family) -> None:
    """The start is the optimum then, and every solver sees that."""
    classes = 2 if family is BINOMIAL else 3
    block = make_rows(14, 37, 2, classes, weighted=True)
    passes = pass_over(Block(np.full((37, 2), 0.7), block.labels, block.weights))
    fit = fit_one(Spec(family, solver=name), passes, classes)
    assert_array_equal(fit.coefficients, 0)
    assert fit.converged, fit.reason
