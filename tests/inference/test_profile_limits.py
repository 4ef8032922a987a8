"""Profile limits of coefficients, from fits without Spark, against R."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import run_solvers
from sparklr.fitting.spec import Spec
from sparklr.inference.layout import Layout
from sparklr.inference.on_rows import RowsOfModel
from sparklr.objective.families import BINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import BlockInverse
from sparklr.solvers.profile import profile_limit
from tests.inference.local_fits import PLAIN, fit_of, spec_of
from tests.inference.references import data, of_classes, reference
from tests.separation.exact import CountedPasses


@pytest.mark.parametrize("name", [name for name in PLAIN if "profile_limits" in reference(name)])
def test_profile_limits_are_exact_and_take_few_readings(name: str) -> None:
    fit, information, passes = fit_of(name)
    known = reference(name)
    spec = Spec(BINOMIAL, fitIntercept=known["intercept"])
    problem = Problem.of(spec, passes.moments, 2)
    point = problem.point_of(fit.coefficients, fit.intercepts)
    solvers = {
        (j, side): profile_limit(
            point,
            fit.history[-1],
            BlockInverse(information.hessian[None] / problem.weight),
            information.of_margin[j],
            rise=chi2.ppf(0.95, 1) / 2 / problem.weight,
            upper=side == 1,
        )
        for j in range(len(known["coefficients"]))
        for side in (0, 1)
    }
    found, readings = run_solvers(solvers, dict.fromkeys(solvers, problem), passes, 2**28)
    assert readings <= (40 if name == "iris_two" else 8)  # which is nearly separated
    for (j, side), solution in found.items():
        limit = np.append(*problem.coefficients(solution.point))[j]
        error = known["standard_errors"][j]
        assert abs(limit - known["profile_limits"][j][side]) <= 1e-5 * error


@pytest.mark.parametrize("base", [None, 0])
def test_profile_limits_of_classes_are_exact(base: int | None) -> None:
    """Of the coefficients less the mean of all classes, or less those of class 0."""
    name = "alligators"
    fit, information, passes = fit_of(name)
    problem = Problem.of(spec_of(name), passes.moments, len(fit.intercepts))
    point = problem.point_of(fit.coefficients, fit.intercepts)
    counted = CountedPasses(passes)
    values = np.column_stack((fit.coefficients, fit.intercepts))
    layout = Layout(values, data(name).names, True, True, base)
    found = RowsOfModel(problem, point, counted).profile_limits(information, layout, 0.95)
    assert len(counted.asked) <= 8
    expected = np.array(
        of_classes(name)["profile_limits"]["centred" if base is None else "compared"]
    )
    errors = np.sqrt(np.diagonal(information.covariance(base=base)))
    if base is not None:  # its own coefficients are zero, and no estimates
        width = values.shape[1]
        assert np.isnan(found[:width]).all()
        found, expected, errors = found[width:], expected[width:], errors[width:]
    assert np.abs((found - expected) / errors[:, None]).max() <= 1e-5


@pytest.mark.parametrize(("name", "flag"), [("endometrial", "NV"), ("sex2", "dia")])
def test_an_infinite_coefficient_has_a_finite_profile_limit(name: str, flag: str) -> None:
    """Its other limit is infinite; all other coefficients have the limits of the limit."""
    rows, known = data(name), reference(name)
    passes = LocalPasses.of([Block(rows.matrix, rows.labels, None)], len(rows.names))
    fit = fit_all({0: spec_of(name, inference=True, watched=True)}, passes, 2)[0][0]
    assert fit.information is not None
    problem = Problem.of(spec_of(name), passes.moments, 2)
    counted = CountedPasses(passes)
    values = np.column_stack((fit.coefficients, fit.intercepts))
    found = RowsOfModel(
        problem, problem.point_of(fit.coefficients, fit.intercepts), counted
    ).profile_limits(
        fit.information,
        Layout(values, rows.names, True, False).separated(fit.separation),
        0.95,
        fit.separation,
    )
    assert len(counted.asked) <= 10
    at = list(rows.names).index(flag)
    assert_allclose(found[at], [known["infinite_lower_limit"], np.inf], rtol=1e-5)
    rest = np.delete(found, at, axis=0)
    assert_allclose(rest, known["rest_profile_limits"], rtol=1e-5, atol=1e-6)
    # With the labels exchanged, it falls for ever.
    passes = LocalPasses.of([Block(rows.matrix, 1 - rows.labels, None)], len(rows.names))
    fit = fit_all({0: spec_of(name, inference=True, watched=True)}, passes, 2)[0][0]
    assert fit.information is not None
    layout = Layout(-values, rows.names, True, False).separated(fit.separation)
    rows_of = RowsOfModel(problem, problem.point_of(fit.coefficients, fit.intercepts), passes)
    turned = rows_of.profile_limits(fit.information, layout, 0.95, fit.separation)
    assert_allclose(turned, -found[:, ::-1], rtol=1e-4, atol=1e-4)


def test_limits_of_coefficients_that_are_infinite_together() -> None:
    """Ten rows have margins a and ten 2 b - a, all with label 1: both rise for ever.

    The profile of a lets b rise for ever; that of b has a = b.
    """
    drawn = np.random.default_rng(2).normal(size=(2, 60))
    first, second = np.repeat([1.0, -1.0], 10), np.repeat([0.0, 2.0], 10)
    apart, rest = np.column_stack((first, second)), np.zeros((60, 2))
    third = np.append(np.zeros(20), drawn[0])
    matrix = np.column_stack((np.vstack((apart, rest)), third))
    labels = np.append(np.ones(20), drawn.sum(axis=0) > 0)
    passes = LocalPasses.of([Block(matrix, labels, None)], 3)
    spec = Spec(BINOMIAL, inference=True, watched=True, fitIntercept=False)
    fit = fit_all({0: spec}, passes, 2)[0][0]
    assert fit.information is not None
    values = np.column_stack((fit.coefficients, fit.intercepts))
    layout = Layout(values, "abc", False, False).separated(fit.separation)
    problem = Problem.of(spec, passes.moments, 2)
    rows = RowsOfModel(problem, problem.point_of(fit.coefficients, fit.intercepts), passes)
    found = rows.profile_limits(fit.information, layout, 0.95, fit.separation)
    rise = chi2.ppf(0.95, 1) / 2  # = n log(1 + exp(-margin)) for n rows
    lower = [-np.log(np.expm1(rise / n)) for n in (10, 20)]
    assert_allclose(found[:2], np.column_stack((lower, [np.inf, np.inf])), rtol=1e-4)


def test_a_limit_that_does_not_exist_is_not_found() -> None:
    """Setosa is apart along many directions, some of which lower what others raise."""
    rows = data("iris_three")
    passes = LocalPasses.of([Block(rows.matrix, rows.labels, None)], 4)
    spec = spec_of("iris_three", inference=True, watched=True)
    fit = fit_all({0: spec}, passes, 3)[0][0]
    assert fit.information is not None
    values = np.column_stack((fit.coefficients, fit.intercepts))
    layout = Layout(values, rows.names, True, True).separated(fit.separation)
    problem = Problem.of(spec, passes.moments, 3)
    of_model = RowsOfModel(problem, problem.point_of(fit.coefficients, fit.intercepts), passes)
    found = of_model.profile_limits(fit.information, layout, 0.95, fit.separation)
    endless = layout.values.ravel()
    assert not np.isfinite(found).any()
    assert (found[endless == np.inf, 1] == np.inf).all()
    assert (found[endless == -np.inf, 0] == -np.inf).all()
