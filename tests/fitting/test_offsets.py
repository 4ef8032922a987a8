"""Fits of rows with offsets, without Spark, against Newton's method on dense arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit

from sparklr.arrays import Array
from sparklr.fitting.largest_penalty import largest_penalty
from sparklr.fitting.null_model import null_models
from sparklr.fitting.plan import WithoutFold, fit_without_folds
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL
from sparklr.objective.moments import merge_all, moments_of
from sparklr.objective.sums import Probe
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import held_out_margins
from sparklr.rows.blocks import Block
from sparklr.separation.search import find_separation
from sparklr.solvers.methods import SolverName
from tests.fitting.fits import SMOOTH, WITH_L1, CountedPasses, fit_one, pass_over
from tests.problems import make_rows

SOLVERS: list[SolverName] = [*SMOOTH, *WITH_L1]
# With inference a fit ends with a Newton step from where its objective changes no more.
TIGHT = Spec(BINOMIAL, tol=1e-14, inference=True)
# First derivatives end where one more step would move no margin by 1e-7.
EXACT = {name: 1e-8 if "newton" in name else 2e-7 for name in SOLVERS}
every_solver = pytest.mark.parametrize("solver", SOLVERS)


def with_offsets(block: Block, spread: float = 1.5) -> Block:
    """Offsets that change the labels too, as the log of an exposure does."""
    rng = np.random.default_rng(block.rows)
    offsets = rng.normal(0.7, spread, block.rows)
    moved = rng.random(block.rows) < np.abs(expit(offsets) - 0.5)
    labels = np.where(moved, (offsets > 0).astype(float), block.labels)
    return replace(block, labels=labels, row_offsets=offsets)


def dense_newton(rows: Block, *, l2: float = 0.0, intercept: bool = True) -> tuple[Array, float]:
    """Coefficients (p,) and the intercept: min (1/W) sum w loss + l2 |s b|^2 / 2."""
    matrix = np.asarray(rows.to_dense().matrix)
    weights = np.ones(rows.rows) if rows.weights is None else rows.weights
    moves = np.zeros(rows.rows) if rows.row_offsets is None else rows.row_offsets
    design = np.column_stack((matrix, np.ones(rows.rows))) if intercept else matrix
    penalty = np.zeros(design.shape[1])
    penalty[: rows.features] = weights.sum() * l2 * moments_of(rows).variance
    point = np.zeros(design.shape[1])
    for _ in range(50):
        chances = expit(design @ point + moves)
        gradient = design.T @ (weights * (chances - rows.labels)) + penalty * point
        curvature = (design.T * (weights * chances * (1 - chances))) @ design + np.diag(penalty)
        point = point - np.linalg.solve(curvature, gradient)
    assert np.abs(gradient).max() < 1e-9 * weights.sum()
    return (point[:-1], float(point[-1])) if intercept else (point, 0.0)


def assert_is(fit: object, expected: tuple[Array, float], tolerance: float = 1e-8) -> None:
    found = getattr(fit, "coefficients")[0], getattr(fit, "intercepts")[0]  # noqa: B009
    assert_allclose(found[0], expected[0], rtol=tolerance, atol=tolerance)
    assert found[1] == pytest.approx(expected[1], rel=tolerance, abs=tolerance)


@every_solver
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("l2", [0.0, 0.03])
def test_the_optimum_is_that_of_dense_newton(solver: SolverName, sparse: bool, l2: float) -> None:
    rows = with_offsets(make_rows(1, 500, 4, weighted=True, sparse=sparse))
    fit = fit_one(replace(TIGHT, solver=solver, regParam=l2), pass_over(rows, pieces=3))
    assert_is(fit, dense_newton(rows, l2=l2), EXACT[solver])
    assert max(np.diff(fit.history)) <= 0


@every_solver
def test_without_an_intercept(solver: SolverName) -> None:
    rows = with_offsets(make_rows(2, 400, 4))
    fit = fit_one(replace(TIGHT, solver=solver, fitIntercept=False), pass_over(rows))
    assert_is(fit, dense_newton(rows, intercept=False), EXACT[solver])


@every_solver
def test_a_constant_offset_shifts_the_intercept_and_nothing_else(solver: SolverName) -> None:
    """To the bit of the history: the start is shifted too, and its objective needs no reading."""
    rows = make_rows(3, 300, 3, weighted=True)
    moved = replace(rows, row_offsets=np.full(300, 2.0))
    spec = replace(TIGHT, solver=solver, regParam=0.01, tol=1e-10)
    plain, shifted = fit_one(spec, pass_over(rows)), fit_one(spec, pass_over(moved))
    assert_allclose(shifted.coefficients, plain.coefficients, rtol=1e-12)
    assert shifted.intercepts[0] == pytest.approx(plain.intercepts[0] - 2.0, rel=1e-12)
    assert_allclose(shifted.history, plain.history, rtol=1e-12)
    problem = Problem.of(spec, pass_over(moved).moments, 2)
    assert problem.start_value() == pytest.approx(plain.history[0], rel=1e-13)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_starts_at_the_optimum_of_a_sample(solver: SolverName) -> None:
    """Whose offsets count: with more than 60,000 rows one reading then takes most of the way."""
    rows = with_offsets(make_rows(4, 60_100, 4))
    passes = replace(pass_over(rows, pieces=4), sample=rows.take(slice(0, 10_000)))
    fit = fit_one(replace(TIGHT, solver=solver, tol=1e-10), passes)
    assert_is(fit, dense_newton(rows), 1e-6)
    start = Problem.of(TIGHT, passes.moments, 2)
    assert start.starts_at_zero
    assert start.start_value() is None
    assert fit.history[0] - fit.history[-1] < 1e-3, "the sample's optimum is the first point"


def test_the_history_is_that_of_the_objective() -> None:
    rows = with_offsets(make_rows(5, 200, 3, weighted=True))
    fit = fit_one(replace(TIGHT, regParam=0.1), pass_over(rows))
    coefficients, intercept = dense_newton(rows, l2=0.1)
    assert rows.row_offsets is not None
    margins = rows.matrix @ coefficients + intercept + rows.row_offsets
    loss = np.logaddexp(0, margins) - rows.labels * margins
    expected = float(np.average(loss, weights=rows.weights))
    assert fit.loss == pytest.approx(expected, rel=1e-10)
    penalty = 0.05 * float(coefficients**2 @ moments_of(rows).variance)
    assert fit.history[-1] == pytest.approx(expected + penalty, rel=1e-10)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_rows_of_one_label(label: float) -> None:
    rows = with_offsets(make_rows(6, 50, 2))
    rows = replace(rows, labels=np.full(50, label))
    fit = fit_one(TIGHT, pass_over(rows))
    assert fit.intercepts[0] == (np.inf if label else -np.inf)
    assert not fit.coefficients.any()
    problem = Problem.of(TIGHT, pass_over(rows).moments, 2)
    ((_, loss),), _ = null_models([problem], pass_over(rows))
    assert loss < 1e-12
    bound = fit_one(replace(TIGHT, regParam=0.1, fitIntercept=False), pass_over(rows))
    assert_is(bound, dense_newton(rows, l2=0.1, intercept=False))


def test_rows_whose_features_do_not_vary() -> None:
    """The intercept alone is fitted; without one there is nothing to seek."""
    rows = with_offsets(Block(np.ones((80, 2)), (np.arange(80) % 3 == 0) * 1.0, None))
    fit = fit_one(TIGHT, pass_over(rows))
    empty = replace(rows, matrix=np.zeros((80, 0)))
    assert_is(fit, (np.zeros(2), dense_newton(empty)[1]))
    still = fit_one(replace(TIGHT, fitIntercept=False), pass_over(rows))
    assert not still.coefficients.any()
    assert rows.row_offsets is not None
    losses = np.logaddexp(0, rows.row_offsets) - rows.labels * rows.row_offsets
    assert still.loss == pytest.approx(losses.mean(), rel=1e-12)


@pytest.mark.parametrize("spread", [0.5, 30.0])
@pytest.mark.parametrize("sample", [None, 400])
def test_the_model_without_features(spread: float, sample: int | None) -> None:
    """As the best intercept beside the offsets, from a few readings."""
    rows = with_offsets(make_rows(7, 4_000, 3, weighted=True), spread)
    empty = replace(rows, matrix=np.zeros((rows.rows, 0)))
    passes = CountedNulls(pass_over(rows, pieces=3, sample=sample))
    problems = [
        Problem.of(spec, passes.moments, 2) for spec in (TIGHT, replace(TIGHT, fitIntercept=False))
    ]
    found, readings = null_models(problems, passes)
    assert passes.readings == [2] * readings, "an intercept of each problem"
    assert readings <= (4 if sample and spread < 1 else 12)
    assert rows.row_offsets is not None
    intercept = dense_newton(empty)[1] if spread < 1 else found[0][0]
    assert found[0][0] == pytest.approx(intercept, rel=1e-10)
    for at, (value, loss) in zip((intercept, 0.0), found, strict=True):
        margins = at + rows.row_offsets
        losses = np.logaddexp(0, margins) - rows.labels * margins
        assert loss == pytest.approx(float(np.average(losses, weights=rows.weights)), rel=1e-13)
        assert value == at or at != 0
    slope = np.average(expit(found[0][0] + rows.row_offsets) - rows.labels, weights=rows.weights)
    assert abs(slope) < 1e-9


class CountedNulls(CountedPasses):
    """Passes that count the intercepts of each reading."""

    def read(self, reading: object) -> object:  # type: ignore[override]
        self.readings.append(len(getattr(reading, "intercepts")))  # noqa: B009
        return self.inner.read(reading)  # type: ignore[arg-type]


def folded(rows: Block) -> tuple[LocalPasses, Mapping[int, Block]]:
    """Passes over rows in three folds, and the rows of each."""
    folds = {k: replace(rows.take(slice(k, None, 3)), fold=k) for k in range(3)}
    passes = LocalPasses.of(list(folds.values()), rows.features)
    moments = {k: moments_of(its) for k, its in folds.items()}
    return replace(passes, sample=rows, folds=moments), folds


@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_a_fit_without_a_fold_is_a_fit_of_the_others(l1: float) -> None:
    rows = with_offsets(make_rows(8, 600, 4, weighted=True))
    passes, folds = folded(rows)
    spec = replace(TIGHT, regParam=0.02, elasticNetParam=l1)
    whole = fit_one(spec, passes)
    members = {k: WithoutFold(k, spec, 2, whole) for k in folds}
    fits, _ = fit_without_folds(members, passes)
    for k, fit in fits.items():
        others = [replace(its, fold=0) for other, its in folds.items() if other != k]
        alone = fit_one(spec, LocalPasses.of(others, rows.features))
        assert_is(fit, (alone.coefficients[0], float(alone.intercepts[0])), 1e-7)
        problem = Problem.of(spec, merge_all([moments_of(its) for its in others]), 2)
        assert problem.offset == pytest.approx(merge_all(map(moments_of, others)).offset_mean)


@pytest.mark.parametrize("origin", [None, np.arange(4.0)])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_held_out_margins_have_the_offsets(origin: Array | None, sparse: bool) -> None:
    rows = with_offsets(make_rows(9, 40, 4, sparse=sparse))
    probe = Probe(BINOMIAL, np.ones((1, 4)), np.array([0.25]), 0, without=0)
    margins = held_out_margins(rows, [probe], origin)
    start = 0.0 if origin is None else origin
    dense = np.asarray(rows.to_dense().matrix)
    assert rows.row_offsets is not None
    expected = (dense - start).sum(axis=1) + 0.25 + rows.row_offsets
    assert_allclose(margins[:, 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_largest_penalty_of_a_path(intercept: bool) -> None:
    rows = with_offsets(make_rows(10, 500, 5))
    spec = replace(TIGHT, elasticNetParam=1.0, fitIntercept=intercept)
    passes = pass_over(rows)
    largest = largest_penalty(spec, passes, 2)
    at, below = (
        fit_one(replace(spec, regParam=share * largest), passes) for share in (1 + 1e-7, 0.99)
    )
    assert np.count_nonzero(at.coefficients) == 0
    assert np.count_nonzero(below.coefficients) == 1


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_offsets_separate_no_rows_and_join_none(scale: float) -> None:
    """A direction changes a margin whatever the margin is."""
    apart = make_rows(11, 200, 3)
    apart = replace(apart, labels=(apart.matrix[:, 1] > 0.3).astype(float))
    mixed = make_rows(12, 200, 3)
    for rows, kind in ((apart, "complete"), (mixed, "none")):
        moved = with_offsets(rows, scale)
        moved = replace(moved, labels=rows.labels)
        found = find_separation(pass_over(moved), BINOMIAL, 2, intercept=True)
        plain = find_separation(pass_over(rows), BINOMIAL, 2, intercept=True)
        assert found.kind == plain.kind == kind
        assert_allclose(found.direction, plain.direction)
        fit = fit_one(TIGHT, pass_over(moved))
        assert fit.certificate is not None
        assert fit.certificate.estimateExists == (kind == "none")


def test_a_start_gives_the_share_of_labels_at_the_mean_offset() -> None:
    rows = with_offsets(make_rows(13, 100, 2, weighted=True))
    moments = moments_of(rows)
    start = Problem.of(TIGHT, moments, 2).start()
    share = np.average(rows.labels, weights=rows.weights)
    assert start[-1] == pytest.approx(float(logit(share)) - moments.offset_mean, rel=1e-12)
