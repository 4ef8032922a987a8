"""Fits with Firth's method, without Spark: against R, and against the method in plain numpy."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.fitting.bias_reduction import MOST_REDUCED, check_bias_reduction
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.spec import Spec
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.spark.errors import InvalidValueError
from tests.fitting.fits import CountedPasses
from tests.inference.firth import estimate, state, with_ones
from tests.inference.references import data, reference
from tests.tiers import first_and_deep

FIRTH = Spec(BINOMIAL, biasReduction="firth", inference=True)
TIGHT = replace(FIRTH, tol=1e-10)


def rows_of(name: str) -> Block:
    rows = data(name)
    return Block(rows.matrix, rows.labels, rows.weights, 0, {})


def cut(rows: Block, length: int) -> list[Block]:
    return [rows.part(at, at + length) for at in range(0, rows.rows, length)]


def fit(rows: Block | list[Block], spec: Spec = TIGHT) -> Fit:
    blocks = rows if isinstance(rows, list) else [rows]
    return fit_all({0: spec}, LocalPasses.of(blocks, blocks[0].features), 2)[0][0]


def values(found: Fit) -> Array:
    return np.append(found.coefficients[0], found.intercepts)


def errors(found: Fit) -> Array:
    assert found.information is not None
    return np.sqrt(np.diagonal(found.information.covariance()))


# As printed by Heinze and Schemper (Statistics in Medicine 21, 2002) and by logistf's manual, the
# intercept last.
PRINTED = {
    "endometrial": (
        [2.9293, -0.03475, -2.6042, 3.7746],
        [1.5508, 0.03958, 0.7760, 1.4887],
        [4, 5, 4, 4],
    ),
    "sex2": (
        [-1.1060, -0.0688, 2.2689, -2.1114, -0.7883, 3.0960, 0.1203],
        [0.4237, 0.4438, 0.5484, 0.5431, 0.4174, 1.6750, 0.4855],
        [4] * 7,
    ),
}


@pytest.mark.parametrize("name", PRINTED)
def test_published_figures(name: str) -> None:
    found = fit(rows_of(name), FIRTH)
    assert found.converged
    for ours, printed in zip((values(found), errors(found)), PRINTED[name], strict=False):
        for one, wanted, places in zip(ours, printed, PRINTED[name][2], strict=True):
            assert round(float(one), places) == wanted


@pytest.mark.parametrize("name", ["endometrial", "sex2", "birthwt", "birthwt_weighted"])
def test_estimates_and_errors_are_those_of_r(name: str) -> None:
    known, found = reference(name)["firth"], fit(rows_of(name), FIRTH)
    away = (values(found) - known["coefficients"]) / known["standard_errors"]
    assert np.abs(away).max() < 3e-6  # the tolerance is in standard errors
    assert_allclose(errors(found), known["standard_errors"], rtol=1e-6)
    weight = rows_of(name).total_weight
    assert_allclose(-found.loss * weight, known["log_likelihood"], rtol=1e-7)
    assert found.penalised is not None
    known_value = known["penalised_log_likelihood"]
    assert_allclose(found.penalised.log_likelihood, known_value, rtol=1e-10)
    assert_allclose(-found.history[-1] * weight, known_value, rtol=1e-10)
    assert np.diff(found.history).max() <= 1e-14
    assert (found.solver, found.converged) == ("firth", True)


def check_fixed_point(
    found: Fit, rows: Block, *, intercept: bool = True, atol: float = 1e-8
) -> None:
    """The adjusted score is zero, at the estimates that plain numpy finds."""
    matrix = np.asarray(rows.to_dense().matrix)
    scale = matrix.std(axis=0)
    centre = matrix.mean(axis=0) if intercept else np.zeros(len(scale))
    design = (matrix - centre) / scale
    design = with_ones(design) if intercept else design
    weights = np.ones(rows.rows) if rows.weights is None else rows.weights
    beta = found.coefficients[0] * scale
    if intercept:
        beta = np.append(beta, found.intercepts + found.coefficients[0] @ centre)
    wanted = estimate(design, rows.labels, weights)
    assert_allclose(beta, wanted, rtol=0, atol=atol)
    here = state(design, rows.labels, weights, beta)
    assert np.abs(here.score).max() < atol * weights.sum()
    assert_allclose(-found.loss * weights.sum(), here.likelihood, rtol=1e-9)


def made(seed: int, count: int, features: int = 5, *, rare: bool = False) -> Block:
    """Rows of which a flag, if there is one, has only rows with label 1."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, features))
    labels = (matrix[:, 0] - 1 + random.logistic(size=count) > 0).astype(float)
    if rare:
        matrix[:, -1] = random.random(count) < 20 / count
        labels[matrix[:, -1] == 1] = 1.0
    return Block(matrix, labels, None, 0, {})


@pytest.mark.parametrize("name", ["birthwt", "endometrial", "sex2"])
def test_the_score_is_zero_on_data_of_packages(name: str) -> None:
    check_fixed_point(fit(rows_of(name)), rows_of(name))


def test_rare_flags_have_finite_estimates() -> None:
    rows = made(1, 4_000, rare=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit(rows)
    check_fixed_point(found, rows)
    assert found.separation is None


@pytest.mark.parametrize("seed", range(4))
def test_completely_separated_rows_have_finite_estimates(seed: int) -> None:
    """Steps shrink slowly here, so that the second method takes over, until values are rounding."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(24, 6))
    rows = Block(matrix, (matrix[:, 0] > 0).astype(float), None)
    check_fixed_point(fit(rows), rows, atol=5e-7)


def test_rows_without_an_intercept() -> None:
    rows = rows_of("birthwt")
    found = fit(rows, replace(TIGHT, fitIntercept=False))
    check_fixed_point(found, rows, intercept=False)
    assert found.intercepts[0] == 0


def test_weights_count_rows() -> None:
    rows = rows_of("birthwt_weighted")
    assert rows.weights is not None
    again = rows.take(np.repeat(np.arange(rows.rows), rows.weights.astype(int)))
    repeated = Block(again.matrix, again.labels, None)
    assert_allclose(values(fit(repeated)), values(fit(rows)), rtol=0, atol=1e-9)
    check_fixed_point(fit(rows), rows)


def test_pieces_give_the_same() -> None:
    rows = made(2, 900)
    assert_allclose(values(fit(cut(rows, 70))), values(fit(rows)), rtol=0, atol=1e-12)


def test_sparse_rows() -> None:
    rows = made(3, 800, 8)
    matrix = np.where(np.abs(rows.matrix) > 1.2, rows.matrix, 0.0)
    sparse = [
        its.with_matrix(sp.csr_matrix(its.matrix)) for its in cut(rows.with_matrix(matrix), 99)
    ]
    assert_allclose(values(fit(sparse)), values(fit(rows.with_matrix(matrix))), atol=1e-12)
    check_fixed_point(fit(sparse), rows.with_matrix(matrix))


@pytest.mark.parametrize("sparse", [False, True])
def test_far_means_and_bad_scales(sparse: bool) -> None:
    """Shifts and scales that are powers of two leave the estimates as they are, but for units."""
    rows = made(4, 600, 3)
    near = np.round(rows.matrix * 2**10) / 2**10
    moved = (near + np.array([2.0**20, -(2.0**20), 0.0])) * np.array([2.0**-27, 1.0, 2.0**20])
    far = rows.with_matrix(sp.csr_matrix(moved) if sparse else moved)
    found, wanted = fit(far), fit(rows.with_matrix(near))
    scales = np.array([2.0**-27, 1.0, 2.0**20])
    assert_allclose(found.coefficients[0] * scales, wanted.coefficients[0], rtol=0, atol=1e-8)
    assert_allclose(errors(found)[:3] * scales, errors(wanted)[:3], rtol=1e-8)


def test_one_label_alone_has_finite_estimates() -> None:
    rows = made(5, 40, 2)
    ones = replace(rows, labels=np.ones(40))
    check_fixed_point(fit(ones), ones)
    zeros = replace(rows, labels=np.zeros(40))
    found = fit_all({0: TIGHT}, LocalPasses.of([zeros], 2), 1)[0][0]
    check_fixed_point(found, zeros)


def test_an_intercept_alone_has_its_closed_form() -> None:
    rows = Block(np.ones((10, 1)), np.array([1.0] * 3 + [0.0] * 7), None)
    found = fit(rows)
    assert_allclose(found.intercepts[0], np.log(3.5 / 7.5), rtol=1e-9)
    assert found.penalised is not None
    assert_allclose(found.penalised.null, found.penalised.log_likelihood, rtol=1e-12)


def test_columns_that_depend_on_others_end_in_the_same_predictions() -> None:
    rows = made(6, 300, 3)
    extra = np.column_stack((rows.matrix, 2 * rows.matrix[:, 0] - rows.matrix[:, 1] + 3))
    found, wanted = fit(rows.with_matrix(extra)), fit(rows)
    margins = extra @ found.coefficients[0] + found.intercepts
    expected = rows.matrix @ wanted.coefficients[0] + wanted.intercepts
    assert_allclose(margins, expected, atol=1e-8)
    assert_allclose(errors(found)[2], errors(wanted)[2], rtol=1e-7)
    assert np.isnan(errors(found)[[0, 1, 3]]).all()
    assert found.certificate is not None
    assert not found.certificate.estimateExists
    assert found.penalised is not None
    assert wanted.penalised is not None
    ratio = found.penalised.log_likelihood - found.penalised.null
    assert_allclose(ratio, wanted.penalised.log_likelihood - wanted.penalised.null, rtol=1e-9)


def test_an_initial_model_changes_the_steps_only() -> None:
    rows = rows_of("birthwt")
    first = fit(rows)
    again = fit(rows, replace(TIGHT, initial=(first.coefficients, first.intercepts)))
    assert_allclose(values(again), values(first), rtol=0, atol=1e-9)
    assert len(again.history) < len(first.history) / 2
    # Without information at the start, the search begins at its own.
    endless = (np.full((1, rows.features), 1e6), np.zeros(1))
    assert_allclose(values(fit(rows, replace(TIGHT, initial=endless))), values(first), atol=1e-8)


def test_a_stop_before_the_end_is_not_called_convergence() -> None:
    found = fit(rows_of("birthwt"), replace(FIRTH, maxIter=2))
    assert not found.converged
    assert "maxIter" in found.reason
    assert len(found.history) == 3


@pytest.mark.parametrize(("count", "features"), first_and_deep([(20_000, 12), (100_000, 50)]))
def test_many_rows_take_few_readings(count: int, features: int) -> None:
    """From zero and from a sample's optimum: one reading per step."""
    rows = made(7, count, features, rare=True)
    whole = LocalPasses.of([rows], features)
    alone = CountedPasses(replace(whole, sample=rows.part(0, 10)))
    found, readings = fit_all({0: FIRTH}, alone, 2)
    assert readings == len(alone.readings) <= 14
    sampled = replace(whole, sample=rows.part(0, count // 5))
    other, fewer = fit_all({0: FIRTH}, sampled, 2)
    assert fewer <= readings
    assert_allclose(values(other[0]), values(found[0]), rtol=0, atol=1e-6)


def test_fits_share_readings_and_folds_are_left_out() -> None:
    rows = made(8, 400, 3)
    blocks = [replace(its, fold=at % 2) for at, its in enumerate(cut(rows, 100))]
    passes = LocalPasses.of(blocks, 3)
    folds = {at: LocalPasses.of(blocks[at::2], 3).moments for at in (0, 1)}
    passes = replace(passes, folds=folds)
    members = {
        (at, kind): WithoutFold(at, TIGHT if kind else Spec(BINOMIAL), 2, None)
        for at in (0, 1)
        for kind in (True, False)
    }
    found, readings = fit_without_folds(members, passes)
    for at in (0, 1):
        alone = fit(blocks[1 - at :: 2])
        assert_allclose(values(found[at, True]), values(alone), rtol=0, atol=1e-9)
        assert found[at, False].solver != "firth"
    assert readings < 60


@pytest.mark.parametrize(
    ("change", "margins", "words"),
    [
        ({"family": MULTINOMIAL}, 3, ["multinomial", "biasReduction='none'"]),
        ({"regParam": 0.5}, 1, ["regParam=0.5", "regParam=0,"]),
        ({"bounds": Bounds(np.zeros((1, 3)), np.ones((1, 3)))}, 1, ["bounds"]),
        ({"solver": "l-bfgs"}, 1, ["solver='l-bfgs'", "solver='auto'"]),
        ({"class_weights": "balanced"}, 1, ["classWeights"]),
        ({}, 1, [f"{MOST_REDUCED:,}", "2,001"]),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    change: dict[str, Any], margins: int, words: list[str]
) -> None:
    features = 2 if change else 2_000
    with pytest.raises(InvalidValueError) as caught:
        check_bias_reduction(replace(FIRTH, **change), margins, features, offset=None)
    for word in ["biasReduction='firth'", *words]:
        assert word in str(caught.value)
    plain = replace(FIRTH, biasReduction="none", **change)
    check_bias_reduction(plain, margins, features, offset="moved")


def test_offsets_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="does not go with offsetCol"):
        check_bias_reduction(FIRTH, 1, 2, offset="moved")
