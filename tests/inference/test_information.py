"""Covariances in the user's units, from fits without Spark, against R and forty digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from sparklr.arrays import Array
from sparklr.fitting.certificate import certify
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import run_solvers
from sparklr.fitting.spec import Spec
from sparklr.inference import on_rows
from sparklr.inference.estimates import Estimates
from sparklr.inference.layout import Layout
from sparklr.inference.on_rows import RowsOfModel
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, family_for
from sparklr.objective.information import Information, Pivoted
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import BlockInverse
from sparklr.solvers.methods import SolverName
from sparklr.solvers.profile import profile_limit
from sparklr.spark.errors import InvalidValueError
from tests.inference.references import cases, column, data, of_classes, reference
from tests.separation.exact import CountedPasses

# Those of other rows, or separated, are for other tests.
OTHERS = {"pima_held_out", "endometrial", "sex2", "iris_three"}
PLAIN = [name for name in cases() if name not in OTHERS]


def spec_of(name: str, **rest: Any) -> Spec:
    known, classes = reference(name), int(data(name).labels.max()) + 1
    weights: Any = "balanced" if "class_weights" in known else None
    family, intercept = family_for(classes), known["intercept"]
    return Spec(family, fitIntercept=intercept, class_weights=weights, **rest)


def fit_of(name: str, solver: SolverName = "auto") -> tuple[Fit, Information, LocalPasses]:
    rows, known = data(name), reference(name)
    offsets = column(name, "offset") if known["offset"] else None
    block = Block(rows.matrix, rows.labels, rows.weights, 0, {}, offsets)
    passes, classes = LocalPasses.of([block], len(rows.names)), int(rows.labels.max()) + 1
    spec = spec_of(name, inference=True, solver=solver)
    fit = fit_all({0: spec}, passes, classes)[0][0]
    assert fit.information is not None
    return fit, fit.information, passes


def in_order(fit: Fit, covariance: Array, count: int) -> tuple[Array, Array]:
    """Coefficients and covariance as the references have them, without a base class."""
    values = np.column_stack((fit.coefficients, fit.intercepts))
    if len(values) == 1:
        return values[0][:count], covariance[:count, :count]
    width = values.shape[1]
    return (values - values[0])[1:].ravel(), covariance[width:, width:]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("solver", ["auto", "l-bfgs"])
def test_coefficients_and_errors_are_those_of_r(name: str, solver: SolverName) -> None:
    fit, information, _ = fit_of(name, solver)
    known = reference(name)
    many = len(fit.intercepts) > 1
    covariance = information.covariance(base=0 if many else None)
    values, covariance = in_order(fit, covariance, len(known["standard_errors"]))
    errors = np.array(known["standard_errors"])
    found = Estimates.of(values, covariance)
    assert_allclose(values, np.ravel(known["coefficients"]), rtol=1e-6, atol=0)
    assert_allclose(found.errors, errors, rtol=1e-6)
    assert_allclose(covariance, known["covariance"], atol=1e-6 * errors.max() ** 2)
    assert_allclose(found.z, known["z"], rtol=2e-6, atol=1e-6)
    assert_allclose(found.p, known["p"], rtol=2e-5)
    assert_allclose(found.log10_p, known["log10_p"], rtol=2e-6, atol=1e-6)
    assert_allclose(np.transpose(found.interval), known["wald_limits"], rtol=1e-6, atol=1e-6)
    assert information.rank == len(values)


@pytest.mark.parametrize("name", ["anes96", "alligators"])
def test_centred_coefficients_have_the_errors_of_their_contrasts(name: str) -> None:
    _, information, _ = fit_of(name)
    known = np.array(reference(name)["covariance"])
    classes = int(data(name).labels.max()) + 1
    width = len(known) // (classes - 1)
    whole = np.zeros((classes * width,) * 2)
    whole[width:, width:] = known  # the base's coefficients are zero for sure
    centred = np.kron(np.eye(classes) - 1 / classes, np.eye(width))
    expected = centred @ whole @ centred.T
    largest = np.diagonal(expected).max()
    assert_allclose(information.covariance(), expected, atol=1e-6 * largest)


ROBUST = [(name, key) for name in PLAIN for key in ("hc0", "probability") if key in reference(name)]


@pytest.mark.parametrize(("name", "key"), ROBUST)
def test_robust_covariances_are_those_of_r(name: str, key: str) -> None:
    known = reference(name)[key]
    fit, information, passes = fit_of(name)
    classes = int(data(name).labels.max()) + 1
    problem = Problem.of(spec_of(name), passes.moments, classes)
    point = problem.point_of(fit.coefficients, fit.intercepts)
    counted = CountedPasses(passes)
    read = RowsOfModel(problem, point, counted).read(1 if key == "hc0" else 2)
    assert len(counted.asked) == 1
    assert read.products is not None
    size = 1e-12 * information.hessian.max()
    assert_allclose(read.information.hessian, information.hessian, atol=size)
    assert_allclose(read.loss, fit.loss, rtol=1e-14)
    inner = information.inverse @ read.products @ information.inverse
    many = len(fit.intercepts) > 1
    covariance = information.covariance(inner, 0 if many else None)
    expected = np.array(known if key == "hc0" else known["hc0"])
    _, covariance = in_order(fit, covariance, len(expected))
    assert_allclose(covariance, expected, atol=1e-6 * np.diagonal(expected).max())


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


def test_classes_that_are_not_apart_from_each_other_keep_their_errors() -> None:
    """Setosa is apart; versicolor and virginica are compared as by a fit of these two alone."""
    rows, known = data("iris_three"), reference("iris_two")
    passes = LocalPasses.of([Block(rows.matrix, rows.labels, None)], 4)
    fit = fit_all({0: spec_of("iris_three", inference=True, watched=True)}, passes, 3)[0][0]
    found, information = fit.separation, fit.information
    assert found is not None
    assert information is not None
    assert found.alike is not None
    assert found.alike.tolist() == [[0] * 5, [1] * 5, [1] * 5]
    values = np.column_stack((fit.coefficients, fit.intercepts))
    layout = Layout(values - values[1], rows.names, True, True, 1).separated(found)
    assert layout.endless is not None
    assert layout.endless.tolist() == [[True] * 5, [False] * 5, [False] * 5]
    errors = np.sqrt(np.diagonal(information.covariance(base=1))).reshape(3, 5)
    assert_allclose(layout.values[2], known["coefficients"], rtol=1e-5)
    assert_allclose(errors[2], known["standard_errors"], rtol=1e-5)


def test_too_many_sums_of_marginal_effects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, information, passes = fit_of("alligators")
    problem = Problem.of(spec_of("alligators"), passes.moments, 5)
    counted = CountedPasses(passes)
    rows = RowsOfModel(problem, problem.point_of(fit.coefficients, fit.intercepts), counted)
    values = np.column_stack((fit.coefficients, fit.intercepts))
    layout = Layout(values, data("alligators").names, True, True)
    monkeypatch.setattr(on_rows, "MOST_SUMS", 100)
    with pytest.raises(InvalidValueError, match=r"marginalEffects needs [0-9,]+ sums"):
        rows.marginal_effects(information, layout, 0.95)
    assert counted.asked == []


def test_far_means_and_near_collinearity_cost_no_digits() -> None:
    """Means of 2^20 deviations, columns alike up to 2^-13; numbers that are exact in doubles."""
    rng = np.random.default_rng(4)
    first, second = rng.integers(-512, 512, size=(2, 400)) / 2.0**6
    plain = np.column_stack((first, first + second * 2.0**-13))
    labels = (rng.random(400) < 1 / (1 + np.exp(-first))).astype(float)
    spec = Spec(BINOMIAL, inference=True, tol=1e-14)
    made = []
    for shift in (0.0, 2.0**23):
        passes = LocalPasses.of([Block(plain * 2.0**-27 + shift * 2.0**-27, labels, None)], 2)
        fit = fit_all({0: spec}, passes, 2)[0][0]
        assert fit.information is not None
        made.append(fit.information.covariance()[:2, :2])
    assert_allclose(made[1], made[0], rtol=1e-7)


def made(columns: int = 4, rows: int = 500) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(rows, columns)) * [1, 10, 0.1, 3] + [0, 5, 0, 100]
    margins = (matrix - [0, 5, 0, 100]) @ [1, 0.1, 3, 0.2]
    return matrix, (rng.random(rows) < 1 / (1 + np.exp(-margins))).astype(float)


@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL])
def test_a_dependent_column_has_no_error_and_is_named(family: object) -> None:
    matrix, labels = made()
    matrix = np.column_stack((matrix, 2 * matrix[:, 0] - matrix[:, 1] + 3, np.ones(len(matrix))))
    classes = 2
    if family is MULTINOMIAL:
        labels, classes = labels + (matrix[:, 2] > 0), 3
    passes = LocalPasses.of([Block(matrix, labels, None, 0, {})], 6)
    spec = Spec(BINOMIAL if classes == 2 else MULTINOMIAL, inference=True)
    information = fit_all({0: spec}, passes, classes)[0][0].information
    assert information is not None
    assert information.rank == (classes - 1) * 5
    errors = np.sqrt(np.diagonal(information.covariance())).reshape(-1, 7)
    assert np.isfinite(errors[:, [2, 3]]).all()
    assert np.isnan(errors[:, [0, 1, 4, 5, 6]]).all()
    (dependence,) = information.dependences()
    assert_allclose(dependence / dependence[4], [-2, 1, 0, 0, 1, 0, -3], atol=1e-9)


def test_the_errors_of_what_is_identified_are_those_without_the_rest() -> None:
    matrix, labels = made()
    twice = np.column_stack((matrix, matrix[:, 0]))
    found = []
    for rows in (matrix, twice):
        passes = LocalPasses.of([Block(rows, labels, None, 0, {})], rows.shape[1])
        information = fit_all({0: Spec(BINOMIAL, inference=True)}, passes, 2)[0][0].information
        assert information is not None
        found.append(np.sqrt(np.diagonal(information.covariance())))
    assert_allclose(found[1][[1, 2, 3, 5]], found[0][[1, 2, 3, 4]], rtol=1e-7)


def test_limits_and_tests_of_what_is_identified_are_those_without_the_rest() -> None:
    """A column that depends on others changes neither profile limits nor drop-one tests."""
    matrix, labels = made()
    found = []
    for rows in (matrix, np.column_stack((matrix, matrix[:, 0] + 1))):
        passes = LocalPasses.of([Block(rows, labels, None)], rows.shape[1])
        fit = fit_all({0: Spec(BINOMIAL, inference=True)}, passes, 2)[0][0]
        assert fit.information is not None
        problem = Problem.of(Spec(BINOMIAL), passes.moments, 2)
        of_model = RowsOfModel(problem, problem.point_of(fit.coefficients, fit.intercepts), passes)
        values = np.column_stack((fit.coefficients, fit.intercepts))
        layout = Layout(values, "abcde"[: rows.shape[1]], True, False)
        limits = of_model.profile_limits(fit.information, layout, 0.95)
        groups = {str(j): np.array([j]) for j in range(rows.shape[1])}
        found.append((limits, of_model.without(fit.information, groups), fit.loss))
    (limits, tests, loss), (again, too, _) = found
    assert_allclose(again[[1, 2, 3]], limits[[1, 2, 3]], rtol=1e-5)
    assert np.isnan(again[[0, 4, 5]]).all()
    for term in "123":
        assert_allclose(too[term][0], tests[term][0], rtol=1e-9)
    assert [too[term][1] for term in "01234"] == [0, 1, 1, 1, 0]
    assert_allclose([too[term][0] for term in "04"], loss, rtol=1e-9)


def test_the_last_hessian_is_factored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the certificate, the rank and all covariances."""
    made, of = [], Pivoted.of
    monkeypatch.setattr(Pivoted, "of", staticmethod(lambda matrix: made.append(1) or of(matrix)))
    _, information, passes = fit_of("birthwt")
    information.covariance()
    assert information.rank == 10
    assert certify(information, passes.moments).estimateExists
    assert len(made) == 1
