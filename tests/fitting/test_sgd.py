"""Fits by stochastic gradient descent against those of other solvers, on the same objective."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.fitting.course import Answers
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.problem import Problem
from sparklr.fitting.sgd import WalkedProblem
from sparklr.fitting.spec import Spec, Steps
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.sgd import Epoch, Look, sgd
from tests.fitting.fits import CountedPasses, fit_one
from tests.problems import make_rows
from tests.tiers import first_and_deep

ONE_RATE = Steps(learningRate=3.0, epochs=40)


def passes_of(rows: Block, pieces: int = 4) -> LocalPasses:
    ends = np.linspace(0, rows.rows, pieces + 1).astype(int)
    blocks = [rows.part(*ends[at : at + 2]) for at in range(pieces)]
    return LocalPasses.of(blocks, rows.features)


def units(rows: Block) -> Block:
    """The same rows with columns in units of their own, far from zero, and a constant one."""
    random = np.random.default_rng(1)
    matrix = rows.to_dense().matrix * random.uniform(0.01, 100, rows.features)
    matrix = matrix + random.uniform(-50, 50, rows.features)
    matrix[:, -1] = 3.0
    return rows.with_matrix(matrix)


DENSE = units(make_rows(1, 2_000, 6, weighted=True))
SPARSE = make_rows(2, 2_000, 8, sparse=True)
SPARSE = SPARSE.with_matrix(sp.csr_matrix(SPARSE.to_dense().matrix * (np.arange(8) + 1)))
MANY = make_rows(3, 2_000, 5, 3)

CASES: dict[str, tuple[Block, Spec]] = {
    "dense": (DENSE, Spec(BINOMIAL, regParam=0.01)),
    "no penalty": (DENSE, Spec(BINOMIAL)),
    "original scale": (DENSE, Spec(BINOMIAL, regParam=1e-3, standardization=False)),
    "no intercept": (make_rows(1, 2_000, 6), Spec(BINOMIAL, regParam=0.1, fitIntercept=False)),
    "strong penalty": (DENSE, Spec(BINOMIAL, regParam=30.0)),
    "three classes": (MANY, Spec(MULTINOMIAL, regParam=0.01)),
    "three classes, no penalty": (MANY, Spec(MULTINOMIAL)),
    "class weights": (MANY, Spec(MULTINOMIAL, regParam=0.01, class_weights="balanced")),
    "sparse": (SPARSE, Spec(BINOMIAL, regParam=0.01)),
    "offsets": (
        replace(DENSE, row_offsets=np.linspace(-1, 1, 2_000)),
        Spec(BINOMIAL, regParam=0.01),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_optimum_is_that_of_other_solvers(name: str) -> None:
    rows, spec = CASES[name]
    passes, classes = passes_of(rows), int(rows.labels.max()) + 1
    steps = replace(ONE_RATE, adaptive="none")
    found = fit_one(replace(spec, solver="sgd", steps=steps), passes, classes)
    best = fit_one(replace(spec, tol=1e-10), passes, classes)
    assert found.converged
    assert found.solver == "sgd"
    assert_allclose(found.history[-1], best.history[-1], rtol=1e-9)
    if rows.row_offsets is None:  # else the others' history begins elsewhere
        assert_allclose(found.history[0], best.history[0], rtol=1e-9)
    scale = np.abs(best.coefficients).max()
    assert_allclose(found.coefficients, best.coefficients, atol=2e-4 * scale)
    assert_allclose(found.intercepts, best.intercepts, rtol=1e-3, atol=1e-4)
    assert found.certificate is not None
    assert found.certificate.kktResidual <= 1e-6


@pytest.mark.parametrize(
    "steps",
    first_and_deep([
        Steps(epochs=25),
        Steps(epochs=25, momentum=0.8),
        Steps(epochs=25, averaging=True),
        Steps(epochs=25, adaptive="adagrad"),
        Steps(epochs=60, learningRate=10.0, schedule="inverse-sqrt"),
    ]),
    ids=str,
)  # fmt: skip
def test_each_kind_of_step_comes_near_to_it(steps: Steps) -> None:
    rows, spec = CASES["dense"]
    passes = passes_of(rows)
    found = fit_one(replace(spec, solver="sgd", steps=steps), passes)
    best = fit_one(spec, passes)
    assert found.history[-1] - best.history[-1] < 1e-6
    assert found.rates is not None
    assert found.rates.kept in found.rates.tried


@dataclass(frozen=True, eq=False)
class Sorted:
    """Rows in the order of their labels, or shuffled, in eight blocks."""

    by_label: bool
    sparse: bool = False

    def passes(self) -> LocalPasses:
        rows = make_rows(5, 8_000, 20)
        matrix = rows.to_dense().matrix
        if self.sparse:
            random = np.random.default_rng(6)
            matrix = sp.csr_matrix(matrix * (random.random(matrix.shape) < 0.1))
        order = np.argsort(rows.labels, kind="stable") if self.by_label else slice(None)
        return passes_of(rows.with_matrix(matrix).take(order), 8)


def suboptimality(rows: Sorted, *, corrected: bool, rates: list[float], epochs: int = 3) -> float:
    """The least distance from the optimum, by objective, after some epochs at one of the rates."""
    passes, spec = rows.passes(), Spec(BINOMIAL, regParam=1e-3, solver="sgd")
    problem = Problem.of(spec, passes.moments, 2, centred=True)
    best = fit_one(replace(spec, solver="auto"), passes).history[-1]
    return min(_descend(problem, passes, rate, epochs, corrected) for rate in rates) - best


def _descend(
    problem: Problem, passes: LocalPasses, rate: float, epochs: int, corrected: bool
) -> float:
    walked = WalkedProblem.of(problem, passes)
    answers = Answers(walked.course, passes)
    start = walked.to_walk(problem.start())
    solver = sgd(start, np.array([rate]), epochs, 0.0, adagrad=walked.adagrad)
    question: Look | Epoch = next(solver)
    while True:
        if isinstance(question, Epoch) and not corrected:
            question = replace(question, corrected=False)
        reply = answers.look(question) if isinstance(question, Look) else answers.walk(question)
        try:
            question = solver.send(reply)
        except StopIteration as finished:
            return float(finished.value.history[-1])


def test_rows_sorted_by_label_do_no_harm_and_without_the_correction_they_do() -> None:
    rates = [0.5, 2.0, 8.0]
    shuffled = suboptimality(Sorted(False), corrected=True, rates=rates)
    in_order = suboptimality(Sorted(True), corrected=True, rates=rates)
    uncorrected = suboptimality(Sorted(True), corrected=False, rates=rates)
    assert in_order < 3 * shuffled
    assert uncorrected > 40 * in_order


@pytest.mark.deep
def test_sorted_sparse_rows_do_no_harm_after_adagrads_plain_epoch() -> None:
    rates = [0.1, 0.3, 1.0]
    shuffled = suboptimality(Sorted(False, sparse=True), corrected=True, rates=rates, epochs=5)
    in_order = suboptimality(Sorted(True, sparse=True), corrected=True, rates=rates, epochs=5)
    uncorrected = suboptimality(Sorted(True, sparse=True), corrected=False, rates=rates, epochs=5)
    assert in_order < 3 * max(shuffled, 1e-7)
    assert uncorrected > 40 * in_order


def test_the_bits_depend_on_blocks_and_seed_alone() -> None:
    rows, spec = CASES["sparse"]
    passes = passes_of(rows)
    spec = replace(spec, solver="sgd", steps=Steps(epochs=5))

    def bits(passes: LocalPasses, **changes: Any) -> bytes:
        fit = fit_one(replace(spec, steps=replace(spec.steps, **changes)), passes)
        return fit.coefficients.tobytes() + fit.intercepts.tobytes()

    first = bits(passes)
    assert bits(replace(passes, threads=3)) == first
    assert bits(replace(passes, blocks=passes.blocks[::-1])) == first
    assert bits(passes, seed=1) != first


def test_a_fit_takes_two_readings_per_epoch() -> None:
    rows, spec = CASES["dense"]
    passes = _Counted(passes_of(rows))
    steps = Steps(learningRate=0.5, epochs=3)
    _, readings = fit_all({0: replace(spec, solver="sgd", steps=steps)}, passes, 2)  # type: ignore[arg-type]
    assert readings == 7 == len(passes.readings)
    steps = Steps(epochs=6)  # 16, 8, 4, 2, 1, 1: one more reading, when all rows are back
    _, readings = fit_all({0: replace(spec, solver="sgd", steps=steps)}, passes, 2)  # type: ignore[arg-type]
    assert passes.readings[7:] == [1, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1]
    assert readings == 14


class _Counted(CountedPasses):
    def read(self, reading: Any) -> Any:
        self.readings.append(reading.columns)
        return self.inner.read(reading)


def test_max_iter_limits_the_epochs_too() -> None:
    rows, spec = CASES["dense"]
    fit = fit_one(replace(spec, solver="sgd", maxIter=2), passes_of(rows))
    assert len(fit.history) == 3
    assert not fit.converged
    assert "raise maxIter" in fit.reason
    start = fit_one(replace(spec, solver="sgd", maxIter=0), passes_of(rows))
    assert not start.coefficients.any()
    assert start.rates is not None
    assert start.rates.kept is None


def test_a_rate_that_is_too_large_leaves_the_start_and_says_so() -> None:
    rows, spec = CASES["dense"]
    steps = Steps(learningRate=1e5, epochs=3)
    fit = fit_one(replace(spec, solver="sgd", steps=steps), passes_of(rows))
    assert not fit.coefficients.any()
    assert not fit.converged
    assert "no epoch at learningRate=1e+05 or more led to a lower objective" in fit.reason
    assert fit.certificate is not None
    assert fit.certificate.kktResidual > 1e-6


def test_fewer_rates_are_compared_where_memory_is_small() -> None:
    rows, spec = CASES["dense"]
    fits, _ = fit_all({0: replace(spec, solver="sgd")}, passes_of(rows), 2, budget=7 * 32 * 5)
    rates = fits[0].rates
    assert rates is not None
    assert len(rates.tried) == 5


def test_a_warm_start_is_where_it_begins() -> None:
    rows, spec = CASES["three classes"]
    passes = passes_of(rows)
    best = fit_one(spec, passes, 3)
    warm = replace(spec, solver="sgd", initial=(best.coefficients, best.intercepts), tol=1e-3)
    fit = fit_one(warm, passes, 3)
    assert_allclose(fit.history[0], best.history[-1], rtol=1e-9)
    assert len(fit.history) == 1 or fit.history[-1] <= fit.history[0]


def test_inference_has_the_hessian_at_its_end() -> None:
    rows, spec = CASES["no penalty"]
    passes = passes_of(rows)
    wanted = replace(spec, solver="sgd", steps=ONE_RATE, inference=True)
    ours, newton = fit_one(wanted, passes), fit_one(replace(spec, inference=True), passes)
    assert ours.information is not None
    assert newton.information is not None
    one, other = (np.diag(np.linalg.inv(its.information.hessian)) for its in (ours, newton))  # type: ignore[union-attr]
    assert_allclose(one[:5], other[:5], rtol=1e-4)  # intercepts are those of other centres


def test_folds_left_out_have_their_own_fits() -> None:
    rows, spec = CASES["dense"]
    parts = [rows.part(begin, begin + 500) for begin in range(0, 2_000, 500)]
    blocks = [replace(block, fold=at % 2) for at, block in enumerate(parts)]
    passes = LocalPasses.of(blocks, rows.features)
    folds = {fold: LocalPasses.of(blocks[fold::2], rows.features).moments for fold in (0, 1)}
    spec = replace(spec, solver="sgd", steps=ONE_RATE)
    members = {0: WithoutFold(0, spec, 2, None)}
    found, _ = fit_without_folds(members, replace(passes, folds=folds))
    alone = fit_one(replace(spec, solver="newton"), LocalPasses.of(blocks[1::2], rows.features))
    assert_allclose(found[0].history[-1], alone.history[-1], rtol=1e-8)


def test_classes_have_mean_zero_although_adagrad_gives_each_a_rate_of_its_own() -> None:
    rows, spec = CASES["three classes"]
    steps = Steps(epochs=2, learningRate=0.3, adaptive="adagrad")
    fit = fit_one(replace(spec, solver="sgd", steps=steps), passes_of(rows), 3)
    assert_allclose(fit.coefficients.sum(axis=0), 0, atol=1e-12)
