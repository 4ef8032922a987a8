"""A posterior that goes on from batch to batch, against formulas and fits of all rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.batches.normal import INTERCEPT_PRECISION, NormalState
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.passes.local import LocalPasses
from sparklr.posterior.learning import learn
from sparklr.posterior.of_stream import posterior_of_stream
from sparklr.rows.blocks import Block
from sparklr.solvers import Stop
from tests.problems import make_rows

STOP = Stop(1e-12, 1e-13, 100)


def stream(
    batches: Iterable[Block],
    *,
    family: Family = BINOMIAL,
    classes: int = 2,
    regParam: float = 1e-3,
    discount: float = 1.0,
    standardized: bool = True,
    intercept: bool = True,
) -> NormalState:
    """What is known after all these batches."""
    state = None
    for block in batches:
        passes = LocalPasses.of([block], block.features)
        if state is None:
            state = NormalState.before(
                passes.moments, family=family, classes=classes, names=None,
                intercept=intercept, standardized=standardized,
            )  # fmt: skip
        found = learn(state, passes, regParam=regParam, discount=discount, stop=STOP)
        assert found.converged
        state = found.state
    assert state is not None
    return state


def cut(rows: Block, count: int) -> list[Block]:
    size = rows.rows // count
    return [rows.part(at * size, (at + 1) * size) for at in range(count)]


def whole_fit(rows: Block, classes: int = 2, **params: Any) -> Fit:
    family = BINOMIAL if classes == 2 else MULTINOMIAL
    spec = Spec(family, **{"regParam": 1e-3, "tol": 1e-10, **params})
    return fit_all({0: spec}, LocalPasses.of([rows], rows.features), classes)[0][0]


def drawn(seed: int, rows: int, features: int, condition: float = 1.0) -> Block:
    """Rows of normal features of this condition number, whose margins have deviation 1.5."""
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(features, features)))[0]
    scales = np.logspace(0, -np.log10(condition), features) ** 0.5
    truth = basis @ (np.random.default_rng(6).normal(size=features) / scales) * 1.5
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, features)) @ (basis * scales) @ basis.T
    chances = expit(matrix @ truth / np.sqrt(features) - 0.7)
    return Block(matrix, (random.random(rows) < chances).astype(float), None)


def loss(rows: Block, coefficients: Array, intercepts: Array) -> float:
    margins = np.asarray(rows.matrix) @ coefficients[0] + intercepts[0]
    return float(np.mean(np.logaddexp(0, margins) - rows.labels * margins))


@pytest.mark.parametrize("discount", [1.0, 0.8, 0.0])
def test_a_batch_is_learned_by_the_formula(discount: float) -> None:
    """V' = 0 at the mean, and the precision is V'' there, in plain numpy."""
    first, second = cut(make_rows(3, 240, 3, weighted=True), 2)
    before = stream([first], standardized=False)
    assert_array_equal(before.centre, 0)  # so that the state is in the units of the rows
    after = stream([first, second], standardized=False, discount=discount)
    rows = np.column_stack((second.matrix, np.ones(second.rows)))
    weights, chances = second.weights, expit(rows @ after.mean)
    assert weights is not None
    kept = discount * before.precision
    added = np.diag([1e-3 * weights.sum()] * 3 + [(1 - discount) * INTERCEPT_PRECISION])
    slope = rows.T @ (weights * (chances - second.labels))
    slope += (kept + added) @ after.mean - kept @ before.mean
    assert_allclose(slope, 0, atol=1e-6)
    curvature = (rows.T * (weights * chances * (1 - chances))) @ rows
    assert_allclose(after.precision, kept + added + curvature, rtol=1e-9)
    scored = np.logaddexp(0, rows @ before.mean) - second.labels * (rows @ before.mean)
    assert_allclose(after.last_loss, weights @ scored / weights.sum())
    assert_allclose(after.loss, after.last_loss)
    assert np.isnan(before.loss)
    assert (after.batches, after.rows) == (2, 240)


def test_a_first_batch_is_an_ordinary_fit() -> None:
    rows = make_rows(4, 300, 4)
    state, fit = stream([rows]), whole_fit(rows)
    coefficients, intercepts = state.coefficients()
    assert_allclose(coefficients, fit.coefficients, rtol=1e-3)  # the intercept's weak prior
    assert_allclose(intercepts, fit.intercepts, atol=1e-3)


def test_where_losses_are_nearly_quadratic_the_order_of_reading_does_not_matter() -> None:
    """Margins near zero: then Laplace's posterior is exact."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(8000, 3))
    chances = expit(matrix @ [0.1, -0.05, 0.0])
    rows = Block(matrix, (random.random(8000) < chances).astype(float), None)
    once, often = (stream(cut(rows, k), standardized=False) for k in (1, 40))
    deviations = np.sqrt(np.diagonal(np.linalg.inv(once.precision)))
    assert np.abs((often.mean - once.mean) / deviations).max() < 0.05
    assert_allclose(often.precision, once.precision, rtol=0.01, atol=5)


@pytest.mark.parametrize("condition", [1.0, 1000.0])
@pytest.mark.parametrize("penalty", [1e-3, 0.1])
def test_fifty_batches_predict_as_a_fit_of_all_rows(condition: float, penalty: float) -> None:
    rows, test = drawn(1, 20_000, 20, condition), drawn(2, 50_000, 20, condition)
    fit = whole_fit(rows, regParam=penalty)
    state = stream(cut(rows, 50), regParam=penalty)
    best = loss(test, fit.coefficients, fit.intercepts)
    assert abs(loss(test, *state.coefficients()) - best) < 1e-3
    # Scored before they were learned, the rows tell about what new rows will cost.
    assert abs(state.loss - best) < 0.02


def test_three_classes_go_on_too() -> None:
    rows = make_rows(7, 3000, 3, 3, weighted=True)
    fit = whole_fit(rows, classes=3)
    coefficients, intercepts = stream(cut(rows, 10), family=MULTINOMIAL, classes=3).coefficients()
    assert_allclose(coefficients, fit.coefficients, atol=0.03)
    assert_allclose(intercepts, fit.intercepts, atol=0.03)
    assert_allclose(coefficients.sum(axis=0), 0, atol=1e-8)


def test_a_decay_follows_a_truth_that_turns() -> None:
    before, after = drawn(1, 4000, 5), drawn(2, 4000, 5)
    turned = Block(-np.asarray(after.matrix), after.labels, None)
    batches = [*cut(before, 20), *cut(turned, 20)[:5]]
    steady, quick = (stream(batches, discount=d) for d in (1.0, 0.8))
    assert loss(turned, *quick.coefficients()) < 0.6 < loss(turned, *steady.coefficients())
    assert quick.loss < steady.loss
    assert quick.penalty < steady.penalty


def test_a_feature_that_comes_later_is_learned_as_if_it_had_been_there() -> None:
    rows = make_rows(9, 2000, 3)
    matrix = np.array(rows.matrix)
    matrix[:1000, 1] = 0.0
    late = Block(matrix, rows.labels, None)
    state, fit = stream(cut(late, 4)), whole_fit(late)
    assert_allclose(state.coefficients()[0], fit.coefficients, rtol=0.03)
    early = stream(cut(late, 4)[:1])
    assert early.mean[1] == 0
    numbers = posterior_of_stream(early)
    assert numbers is not None
    assert_array_equal(np.isnan(numbers.deviations), [False, True, False, False])
    assert np.isinf(numbers.prior_deviations[1])


def test_a_constant_that_changes_between_batches_is_a_feature_that_varies() -> None:
    rows = make_rows(9, 400, 2)
    matrix = np.array(rows.matrix)
    matrix[:, 1] = np.repeat([3.0, 5.0], 200)
    state = stream(cut(Block(matrix, rows.labels, None), 2))
    assert_array_equal(state.centre[1], 3.0)
    assert_allclose(state.deviation[1], 2.0)
    assert state.mean[1] != 0


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_first_batch_of_one_label_is_no_end(label: float) -> None:
    rows = make_rows(2, 4000, 2)
    first = Block(np.asarray(rows.matrix)[:50], np.full(50, label), None)
    state = stream([first, *cut(rows, 5)])
    coefficients, intercepts = state.coefficients()
    fit = whole_fit(rows)
    assert_allclose(coefficients, fit.coefficients, atol=0.1)
    assert_allclose(intercepts, fit.intercepts, atol=0.2)


def test_weights_count_as_rows_do() -> None:
    rows = make_rows(5, 200, 3)
    weights = np.random.default_rng(1).integers(1, 4, 200)
    each = np.repeat(np.arange(200), weights)
    weighted = Block(rows.matrix, rows.labels, weights.astype(float))
    repeated = Block(np.asarray(rows.matrix)[each], rows.labels[each], None)
    once, many = (stream([its], standardized=False) for its in (weighted, repeated))
    assert_allclose(once.mean, many.mean, rtol=1e-6, atol=1e-9)
    assert_allclose(once.precision, many.precision, rtol=1e-6, atol=1e-9)
    assert (once.weight, once.rows) == (many.weight, 200)


def test_means_of_a_million_deviations_cost_no_digits() -> None:
    rows = make_rows(6, 800, 2)
    far = Block(np.asarray(rows.matrix) + np.array([1e6, -1e6]), rows.labels, None)
    near, away = (stream(cut(its, 4)) for its in (rows, far))
    assert_allclose(away.coefficients()[0], near.coefficients()[0], rtol=1e-3)


class TestDeviationsAlone:
    """More coefficients than a matrix is kept for."""

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sparklr.batches.normal.MOST_FULL", 3)

    @pytest.mark.parametrize("classes", [2, 3])
    @pytest.mark.parametrize("far", [0.0, 3.0, 1e3])
    def test_the_precision_is_the_diagonal(
        self, monkeypatch: pytest.MonkeyPatch, classes: int, far: float
    ) -> None:
        rows = make_rows(8, 150, 4, classes, weighted=True, sparse=True)
        dense = Block(rows.matrix.toarray() + far, rows.labels, rows.weights)
        sparse = Block(sp.csr_matrix(dense.matrix), rows.labels, rows.weights)
        known: dict[str, Any] = {
            "family": BINOMIAL if classes == 2 else MULTINOMIAL,
            "classes": classes,
            "regParam": 0.01,
        }
        of_dense, of_sparse = (stream([its], **known) for its in (dense, sparse))
        assert not of_dense.full
        assert posterior_of_stream(of_dense) is None
        assert_allclose(of_sparse.mean, of_dense.mean, atol=1e-6)
        assert_allclose(of_sparse.precision, of_dense.precision, rtol=1e-6)
        monkeypatch.setattr("sparklr.batches.normal.MOST_FULL", 100)
        full = stream([dense], **known)
        for its, expected in zip(of_dense.coefficients(), full.coefficients(), strict=True):
            assert_allclose(its, expected, rtol=1e-4, atol=1e-4)
        assert_allclose(of_dense.precision, np.diagonal(full.precision), rtol=1e-4)

    def test_it_predicts_about_as_well_where_features_are_not_correlated(self) -> None:
        rows, test = drawn(1, 20_000, 20), drawn(2, 50_000, 20)
        fit, state = whole_fit(rows), stream(cut(rows, 50))
        best = loss(test, fit.coefficients, fit.intercepts)
        assert abs(loss(test, *state.coefficients()) - best) < 1e-3
