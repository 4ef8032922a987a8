"""Covariances in the user's units, from fits without Spark, against R and forty digits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.fitting.certificate import certify
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.inference import on_rows
from sparklr.inference.estimates import Estimates
from sparklr.inference.layout import Layout
from sparklr.inference.on_rows import RowsOfModel
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.information import Pivoted
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from sparklr.spark.errors import InvalidValueError
from tests.inference.local_fits import PLAIN, fit_of, in_order, spec_of
from tests.inference.references import data, reference
from tests.separation.exact import CountedPasses


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
