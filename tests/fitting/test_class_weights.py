"""Weights by class without Spark: the same as such weights of the rows, with honest errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.spec import Spec
from sparklr.objective.class_weights import class_factors, total_weight, weights_of
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.fitting.fits import SMOOTH, WITH_L1, fit_one, pass_over
from tests.problems import make_rows

SOLVERS: list[SolverName] = [*SMOOTH, *WITH_L1]
TIGHT = Spec(BINOMIAL, tol=1e-14, inference=True)


def weighed(rows: Block, factors: Array) -> Block:
    """The rows with their weights times the factors of their labels."""
    return replace(rows, weights=weights_of(rows, factors))


def assert_same(found: Fit, expected: Fit, tolerance: float = 1e-7) -> None:
    assert_allclose(found.coefficients, expected.coefficients, rtol=tolerance, atol=tolerance)
    assert_allclose(found.intercepts, expected.intercepts, rtol=tolerance, atol=tolerance)
    assert found.loss == pytest.approx(expected.loss, rel=1e-9)
    assert found.history[-1] == pytest.approx(expected.history[-1], rel=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_a_fit_is_that_of_such_weights(solver: SolverName, sparse: bool) -> None:
    rows = make_rows(1, 400, 4, weighted=True, sparse=sparse)
    given = (0.5, 3.0)
    spec = replace(TIGHT, solver=solver)
    found = fit_one(replace(spec, class_weights=given), pass_over(rows, pieces=3))
    assert_same(found, fit_one(spec, pass_over(weighed(rows, np.array(given)))), 2e-7)


@pytest.mark.parametrize("l1", [0.0, 1.0])
def test_a_penalty_weighs_as_much_beside_them(l1: float) -> None:
    """The loss is a mean by these weights. Deviations are those of the rows as they are."""
    rows, given = make_rows(2, 300, 5, weighted=True), (0.2, 5.0)
    spec = replace(TIGHT, regParam=0.05, elasticNetParam=l1, standardization=False)
    found = fit_one(replace(spec, class_weights=given), pass_over(rows))
    assert_same(found, fit_one(spec, pass_over(weighed(rows, np.array(given)))))


def test_classes_have_weights_in_multinomial_fits() -> None:
    rows = make_rows(3, 500, 3, 3, weighted=True)
    spec = replace(TIGHT, family=MULTINOMIAL)
    found = fit_one(replace(spec, class_weights="balanced"), pass_over(rows), 3)
    factors = class_factors("balanced", moments_of(rows).histogram(3))
    assert_same(found, fit_one(spec, pass_over(weighed(rows, factors)), 3))


def test_balanced_classes_weigh_the_same_and_the_total_stays() -> None:
    histogram = np.array([90.0, 0.0, 6.0, 4.0])
    factors = class_factors("balanced", histogram)
    assert_allclose(factors * histogram, [100 / 3, 0, 100 / 3, 100 / 3])
    assert factors[1] == 1.0
    assert_allclose(class_factors((2.0, 3.0), histogram[:2]), [2.0, 3.0])
    assert_allclose(class_factors((2.0, 3.0, 4.0), histogram[:2]), [2.0, 3.0])


def test_the_weight_of_rows() -> None:
    rows = Block(np.zeros((3, 1)), np.array([0.0, 1.0, 1.0]), None)
    assert total_weight(rows, None) == 3.0
    assert total_weight(rows, np.array([2.0, 0.5])) == 3.0
    assert total_weight(replace(rows, weights=np.full(3, 2.0)), np.array([2.0, 0.5])) == 6.0


def fit_sklearn(rows: Block, **params: object) -> tuple[Array, float]:
    linear_model = pytest.importorskip("sklearn.linear_model")
    made = linear_model.LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, **params)
    made.fit(rows.to_dense().matrix, rows.labels, sample_weight=rows.weights)
    return made.coef_[0], float(made.intercept_[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_is_as_in_scikit_learn(weighted: bool) -> None:
    """Which counts weights too."""
    rows = make_rows(4, 600, 3, weighted=weighted)
    rows = rows.take(np.flatnonzero((rows.labels == 0) | (np.arange(600) % 9 == 0)))
    found = fit_one(replace(TIGHT, class_weights="balanced"), pass_over(rows))
    coefficients, intercept = fit_sklearn(rows, class_weight="balanced")
    assert_allclose(found.coefficients[0], coefficients, atol=1e-5)
    assert found.intercepts[0] == pytest.approx(intercept, abs=1e-5)


def test_each_fold_is_balanced_by_the_rows_that_its_fit_sees() -> None:
    """As in scikit-learn, where each fit knows only its training rows."""
    rows = make_rows(5, 300, 3)
    rows = rows.take(np.flatnonzero((rows.labels == 0) | (np.arange(300) < 60)))
    folds = [
        replace(rows.take(slice(0, 60)), fold=0),  # with nearly all of label 1
        replace(rows.take(slice(60, None, 2)), fold=1),
        replace(rows.take(slice(61, None, 2)), fold=2),
    ]
    passes = LocalPasses.of(folds, rows.features)
    moments = {its.fold: moments_of(its) for its in folds}
    passes = replace(passes, sample=rows, folds=moments)
    spec = replace(TIGHT, class_weights="balanced", regParam=0.01, standardization=False)
    whole = fit_one(spec, passes)
    members = {k: WithoutFold(k, spec, 2, whole) for k in range(3)}
    fits, _ = fit_without_folds(members, passes)
    for k, fit in fits.items():
        others = [replace(its, fold=0) for its in folds if its.fold != k]
        assert_same(fit, fit_one(spec, LocalPasses.of(others, rows.features)))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_has_them_too(solver: SolverName) -> None:
    rows = make_rows(6, 6_000, 4, weighted=True)
    passes = replace(pass_over(rows, pieces=2), sample=rows.take(slice(0, 1_000)))
    spec = replace(TIGHT, solver=solver, class_weights=(1.0, 20.0))
    found = fit_one(spec, passes)
    assert_same(found, fit_one(spec, pass_over(rows)), 2e-7)
    first, near, *_, last = found.history
    assert first - near > 0.8 * (first - last), "the sample's optimum is nearly that of all rows"


def test_fits_with_different_weights_share_passes() -> None:
    """Of one packing: the weights stand with the probes, not with the rows."""
    rows = make_rows(7, 300, 3)
    given = (None, "balanced", (1.0, 7.0), (7.0, 1.0))
    specs = {at: replace(TIGHT, class_weights=its) for at, its in enumerate(given)}
    passes = pass_over(rows)
    fits, _ = fit_all(specs, passes, 2)
    for at, fit in fits.items():
        assert_same(fit, fit_one(specs[at], passes))


def rare_events() -> Block:
    """20,000 rows with about 270 events."""
    rng = np.random.default_rng(9)
    matrix = rng.normal(size=(20_000, 2))
    chances = expit(matrix @ [0.8, -0.5] - 4.7)
    return Block(matrix, (rng.random(20_000) < chances).astype(float), None)


def errors_of(fit: Fit, inner: Callable[[Array], Array | None]) -> Array:
    assert fit.information is not None
    inverse = fit.information.inverse
    return np.asarray(np.sqrt(np.diagonal(fit.information.covariance(inner(inverse)))))


def test_the_inverse_information_is_four_times_too_small_with_rare_events() -> None:
    """Why it is refused: the sandwich is what a fit without weights, and the truth, agree with."""
    rows = rare_events()
    assert 250 < rows.labels.sum() < 300
    fit = fit_one(replace(TIGHT, class_weights="balanced"), pass_over(rows))
    plain = fit_one(TIGHT, pass_over(rows))
    assert fit.products is not None
    products = fit.products
    naive = errors_of(fit, lambda _: None)
    robust = errors_of(fit, lambda inverse: inverse @ products @ inverse)
    honest = errors_of(plain, lambda _: None)
    assert (robust[:2] / naive[:2] > 3.5).all()
    assert_allclose(robust[:2], honest[:2], rtol=0.35)
    assert (np.abs(fit.coefficients[0] - [0.8, -0.5]) < 3 * robust[:2]).all()
    mean = float(expit(rows.matrix @ fit.coefficients[0] + fit.intercepts).mean())
    assert mean > 25 * rows.labels.mean(), "and the probabilities are not those of the rows"


@pytest.mark.parametrize("weighted", [False, True])
def test_products_of_scores_have_the_factors_squared_and_count_weights(weighted: bool) -> None:
    """A weight of 2 is two rows; a factor of 2 is no row more."""
    rows, factors = make_rows(8, 300, 3), np.array([0.5, 4.0])
    if weighted:
        rows = replace(rows, weights=np.random.default_rng(1).integers(1, 4, 300).astype(float))
    fit = fit_one(replace(TIGHT, class_weights=tuple(factors)), pass_over(rows, pieces=2))
    assert fit.products is not None
    assert fit.information is not None
    inverse = fit.information.inverse
    found = fit.information.covariance(inverse @ fit.products @ inverse)
    times = np.ones(300, dtype=int) if rows.weights is None else rows.weights.astype(int)
    matrix, labels = np.repeat(rows.matrix, times, axis=0), np.repeat(rows.labels, times)
    design = np.column_stack((matrix, np.ones(len(labels))))
    chances = expit(design @ np.append(fit.coefficients, fit.intercepts))
    each = factors[labels.astype(int)]
    bread = np.linalg.inv((design.T * (each * chances * (1 - chances))) @ design)
    meat = (design.T * (each * (labels - chances)) ** 2) @ design
    assert_allclose(found, bread @ meat @ bread, rtol=1e-6)


def test_they_take_one_reading_more() -> None:
    rows = make_rows(9, 300, 3)
    counts = []
    for given in (None, (1.0, 1.0)):
        fits, readings = fit_all({0: replace(TIGHT, class_weights=given)}, pass_over(rows), 2)
        counts.append(readings)
        assert (fits[0].products is None) == (given is None)
    assert counts[1] == counts[0] + 1


def test_rows_of_one_label() -> None:
    rows = make_rows(10, 40, 2)
    rows = replace(rows, labels=np.zeros(40))
    fit = fit_one(replace(TIGHT, class_weights="balanced"), pass_over(rows), 1)
    assert fit.intercepts[0] == -np.inf
    free = replace(TIGHT, class_weights=(2.0, 3.0), fitIntercept=False, regParam=0.1)
    plain = replace(free, class_weights=None)
    assert_same(fit_one(free, pass_over(rows), 1), fit_one(plain, pass_over(rows), 1))
