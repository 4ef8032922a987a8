"""Early stopping of fits: what held-out rows do, and what they never touch."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, getcontext

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.fitting.held_out import check_held_labels
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import METHODS, MethodName
from tests.fitting.fits import fit_one
from tests.problems import make_rows

ROWS = make_rows(1, 60, 12, weighted=True)
JUDGES = replace(make_rows(2, 40, 12, weighted=True), held=True)
SMOOTH = [name for name, its in METHODS.items() if not its.general]


def passes_of(*blocks: Block) -> LocalPasses:
    return LocalPasses.of(blocks, blocks[0].features)


def mean_loss(block: Block, coefficients: Array, intercepts: Array) -> float:
    margins = block.matrix @ coefficients[0] + intercepts[0]
    losses = np.logaddexp(0, margins) - block.labels * margins
    return float(np.average(losses, weights=block.weights))


@pytest.mark.parametrize("solver", METHODS)
def test_the_model_is_the_iterate_with_the_least_held_out_loss(solver: MethodName) -> None:
    fit = fit_one(Spec(BINOMIAL, solver=solver, patience=2), passes_of(ROWS, JUDGES))
    assert fit.chosen == int(np.argmin(fit.held))
    assert len(fit.held) == len(fit.history)
    loss = mean_loss(JUDGES, fit.coefficients, fit.intercepts)
    assert loss == pytest.approx(min(fit.held), rel=1e-10)
    assert fit.loss == pytest.approx(mean_loss(ROWS, fit.coefficients, fit.intercepts), rel=1e-10)
    assert fit.early
    assert fit.reason.startswith("stopped early")


@pytest.mark.parametrize("solver", SMOOTH)
def test_no_held_out_row_enters_the_fit(solver: MethodName) -> None:
    """One that did would show: it is far away, heavy, of the rare label, in another block."""
    matrix = np.full((3, 12), 1e3)
    planted = Block(matrix, np.array([0.0, 1.0, 1.0]), np.full(3, 1e4), held=True)
    plain, spec = passes_of(ROWS, JUDGES), Spec(BINOMIAL, solver=solver, patience=1_000, maxIter=9)
    for judges in (planted, replace(planted, matrix=sp.csr_matrix(matrix))):
        other = passes_of(judges, ROWS, JUDGES)
        assert_array_equal(other.moments.mean, plain.moments.mean)
        one, two = fit_one(spec, plain), fit_one(spec, other)
        assert one.history == two.history
        assert one.held != two.held


def test_no_held_out_row_counts_for_a_class() -> None:
    rows, judges = make_rows(3, 80, 4, 3), replace(make_rows(4, 50, 4, 3), held=True)
    spec = Spec(MULTINOMIAL, class_weights="balanced", patience=3)
    few = replace(judges, labels=np.zeros(50))
    one, two = (fit_one(spec, passes_of(rows, its), 3) for its in (judges, few))
    assert one.history[:4] == two.history[:4]


def test_held_out_rows_have_the_weights_of_their_class() -> None:
    spec = Spec(BINOMIAL, class_weights=(1.0, 4.0), patience=3)
    fit = fit_one(spec, passes_of(ROWS, JUDGES))
    factors = np.where(JUDGES.labels == 1, 4.0, 1.0)
    weighed = replace(JUDGES, weights=np.asarray(JUDGES.weights) * factors)
    loss = mean_loss(weighed, fit.coefficients, fit.intercepts)
    assert loss == pytest.approx(min(fit.held), rel=1e-10)


def test_a_fit_without_a_fold_is_judged_outside_it() -> None:
    blocks = [replace(ROWS, fold=0), replace(make_rows(5, 50, 12), fold=1)]
    judges = [replace(JUDGES, fold=0), replace(make_rows(6, 30, 12), fold=1, held=True)]
    passes = passes_of(*blocks, *judges)
    passes = replace(
        passes,
        folds={its.fold: moments_of(its) for its in blocks},
        held={its.fold: moments_of(its) for its in judges},
    )
    spec = Spec(BINOMIAL, patience=2, solver="l-bfgs")
    member = WithoutFold(1, spec, 2, None)
    fits, _ = fit_without_folds({"": member}, passes)
    alone = fit_one(spec, passes_of(blocks[0], judges[0]))
    assert_allclose(fits[""].held, alone.held, rtol=1e-9)
    assert_allclose(fits[""].coefficients, alone.coefficients, rtol=1e-7)


def test_a_feature_of_held_out_rows_alone_has_no_coefficient() -> None:
    """In memory, features that no row has are left out; these must not be taken for others."""

    def rows(seed: int, first: int) -> Block:
        matrix = np.zeros((60, 2_000))
        matrix[:, first : first + 30] = np.random.default_rng(seed).normal(size=(60, 30))
        labels = (matrix[:, 20] > 0).astype(float)
        return Block(sp.csr_matrix(matrix), labels, None)

    judges = replace(rows(2, 20), held=True)
    fit = fit_one(Spec(BINOMIAL, patience=3), passes_of(rows(1, 0), judges))
    assert not fit.coefficients[:, 30:].any()
    loss = mean_loss(judges, fit.coefficients, fit.intercepts)
    assert loss == pytest.approx(min(fit.held), rel=1e-10)


def test_no_reading_more_is_made() -> None:
    spec = Spec(BINOMIAL, solver="gd", stepRule="fixed", maxIter=7)
    _, plain = fit_all({0: spec}, passes_of(ROWS, JUDGES), 2)
    _, judged = fit_all({0: replace(spec, patience=99)}, passes_of(ROWS, JUDGES), 2)
    assert plain == judged == 8


def test_a_label_of_held_out_rows_alone_is_refused() -> None:
    held = moments_of(replace(JUDGES, labels=JUDGES.labels + 1))
    with pytest.raises(ValueError, match=r"'y': rows that are held out have the label 2, but .* 1"):
        check_held_labels(held, 2, label="y", column="v")
    check_held_labels(held, 3, label="y", column="v")


@pytest.mark.parametrize("penalty", ["0", "0.1", "3"])
@pytest.mark.parametrize("steps", [1, 25, 200])
@pytest.mark.parametrize("x", [("0.5", "-1", "2", "3", "0.25"), ("1e3", "1001", "990", "1e3", "1")])
def test_the_path_of_gradient_descent_is_that_of_exact_arithmetic(
    x: tuple[str, ...], steps: int, penalty: str
) -> None:
    """In 40 digits, from the formulas: scaled and centred features, steps of 1 / L."""
    getcontext().prec = 40
    xs = [Decimal(its) for its in x]
    y, count, ridge = [Decimal(its) for its in (0, 1, 0, 1, 1)], 5, Decimal(penalty)
    mean = sum(xs) / count
    deviation = (sum((its - mean) ** 2 for its in xs) / (count - 1)).sqrt()
    z = [(its - mean) / deviation for its in xs]
    rate = 1 / ((sum(its**2 for its in z) / count + 1) / 4 + ridge)
    b, a = Decimal(0), (Decimal(3) / 2).ln()
    for _ in range(steps):
        errors = [1 / (1 + (-(b * z[i] + a)).exp()) - y[i] for i in range(count)]
        slope = sum(e * its for e, its in zip(errors, z, strict=True)) / count + b * ridge
        b, a = b - rate * slope, a - rate * sum(errors) / count
    block = Block(np.array(xs, dtype=float)[:, None], np.array(y, dtype=float), None)
    spec = Spec(
        BINOMIAL, regParam=float(ridge), solver="gd", stepRule="fixed", maxIter=steps, tol=0.0
    )
    fit = fit_one(spec, passes_of(block))
    assert fit.coefficients[0, 0] == pytest.approx(float(b / deviation), rel=1e-7)
    assert fit.intercepts[0] == pytest.approx(float(a - b * mean / deviation), rel=1e-7)
