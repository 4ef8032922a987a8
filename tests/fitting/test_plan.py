"""From specs to coefficients: which solver, from where, in how many readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.fitting import choose_solver as choice
from sparklr.fitting import plan
from sparklr.fitting.choose_solver import (
    HESSIAN_LIMIT,
    HESSIAN_SIZE,
    SPARSE_HESSIAN_SIZE,
    check_solver,
    choose_solver,
    precondition_for,
)
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import WARM_START_RATIO, fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.fitting.without_training import constant_label_fit
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.sums import Probe
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import read_round
from sparklr.passes.readings import Part, Reading
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import METHODS, SolverName
from tests.passes.asking import total
from tests.problems import make_rows

SMOOTH: list[SolverName] = ["newton", "l-bfgs"]
WITH_L1: list[SolverName] = ["proximal-newton", "owl-qn"]
SPECS: dict[str, Spec] = {
    **{name: Spec(BINOMIAL, regParam=0.02, solver=name) for name in SMOOTH},
    **{name: Spec(BINOMIAL, regParam=0.02, elasticNetParam=0.5, solver=name) for name in WITH_L1},
}
every_spec = pytest.mark.parametrize("name", SPECS)


@dataclass(frozen=True, eq=False)
class CountedPasses:
    """Local passes that remember how many probes each reading had."""

    inner: LocalPasses
    local: bool = False
    readings: list[int] = field(default_factory=list)

    @property
    def moments(self) -> plan.Moments:
        return self.inner.moments

    @property
    def sample(self) -> Block:
        return self.inner.sample

    @property
    def folds(self) -> Mapping[int, plan.Moments]:
        return self.inner.folds

    def read(self, reading: Reading[Part]) -> Part:
        self.readings.append(len(reading.probes))  # type: ignore[attr-defined]
        return self.inner.read(reading)


def pass_over(block: Block, *, pieces: int = 1, sample: int | None = None) -> LocalPasses:
    """Passes over a block in pieces; with a sample of its first rows, or of all of them."""
    parts = [block.take(rows) for rows in np.array_split(np.arange(block.rows), pieces)]
    passes = LocalPasses.of(parts, block.features)
    return replace(passes, sample=block if sample is None else block.take(slice(0, sample)))


def fit_one(spec: Spec, passes: LocalPasses, classes: int = 2) -> Fit:
    fits, _ = fit_all({0: spec}, passes, classes)
    return fits[0]


def problem_of(spec: Spec, size: int, classes: int = 2) -> Problem:
    """A problem that asks for this many numbers."""
    rng = np.random.default_rng(0)
    features = size // (1 if spec.family is BINOMIAL else classes) - spec.fitIntercept
    labels = np.arange(6.0) % classes
    passes = LocalPasses.of([Block(rng.normal(size=(6, features)), labels, None)], features)
    problem = Problem.of(spec, passes.moments, classes)
    assert problem.size == size
    return problem


# As many as make any Hessian beyond HESSIAN_SIZE too much work.
MANY = 100_000


@pytest.mark.parametrize(
    ("size", "mixing", "rows", "expected"),
    [
        (HESSIAN_SIZE, 0.0, MANY, "newton"),
        (HESSIAN_SIZE + 1, 0.0, 10, "l-bfgs"),
        (HESSIAN_SIZE, 0.5, MANY, "proximal-newton"),
        (HESSIAN_SIZE + 1, 0.5, MANY, "owl-qn"),
        (SPARSE_HESSIAN_SIZE, 0.5, 500, "proximal-newton"),
        (SPARSE_HESSIAN_SIZE, 0.5, 501, "owl-qn"),
        (SPARSE_HESSIAN_SIZE + 1, 0.5, 10, "owl-qn"),
    ],
)
def test_auto_goes_by_penalty_size_and_rows(
    size: int, mixing: float, rows: int, expected: str
) -> None:
    spec = Spec(BINOMIAL, regParam=0.1, elasticNetParam=mixing)
    assert choose_solver(problem_of(spec, size), rows).name == expected


def test_bounds_ask_for_a_solver_that_keeps_them() -> None:
    for size, expected in ((HESSIAN_SIZE, "proximal-newton"), (HESSIAN_SIZE + 1, "owl-qn")):
        lower = np.zeros((1, size))
        spec = Spec(BINOMIAL, bounds=Bounds(lower, lower + np.inf))
        assert choose_solver(problem_of(spec, size), 10).name == expected


def test_size_counts_every_class() -> None:
    spec = Spec(MULTINOMIAL, regParam=0.1)
    assert choose_solver(problem_of(spec, HESSIAN_SIZE, classes=5), MANY).name == "newton"
    assert choose_solver(problem_of(spec, HESSIAN_SIZE + 5, classes=5), MANY).name == "l-bfgs"


@pytest.mark.parametrize("name", SMOOTH + WITH_L1)
def test_a_named_solver_is_kept(name: SolverName) -> None:
    for size in (5, HESSIAN_SIZE + 1):
        assert choose_solver(problem_of(Spec(BINOMIAL, solver=name), size), MANY).name == name


def test_an_l1_term_of_weight_zero_is_smooth() -> None:
    spec = Spec(BINOMIAL, regParam=0.0, elasticNetParam=1.0)
    assert choose_solver(problem_of(spec, 5), MANY).name == "newton"
    check_solver(replace(spec, solver="newton"))


@pytest.mark.parametrize("name", ["newton", "proximal-newton"])
def test_a_hessian_too_large_is_refused_with_a_remedy(name: SolverName) -> None:
    problem = problem_of(Spec(BINOMIAL, solver=name), HESSIAN_LIMIT + 1)
    with pytest.raises(ValueError, match="limit") as refused:
        choose_solver(problem, MANY)
    message = str(refused.value)
    for part in (f"solver='{name}'", str(HESSIAN_LIMIT), str(HESSIAN_LIMIT + 1), "solver='auto'"):
        assert part in message


def test_no_hessian_is_summed_where_few_of_many_features_vary() -> None:
    """It would be one of all features, and take terabytes."""
    features = 10**6
    matrix = np.zeros((6, features))
    matrix[:, :2] = np.random.default_rng(0).normal(size=(6, 2))
    block = Block(matrix, np.arange(6.0) % 2, None)
    passes = LocalPasses.of([block], features)
    for mixing, expected in ((0.0, "l-bfgs"), (0.5, "owl-qn")):
        spec = Spec(BINOMIAL, regParam=0.1, elasticNetParam=mixing)
        problem = Problem.of(spec, passes.moments, 2)
        assert problem.size == 3
        assert choose_solver(problem, 6).name == expected
        start = problem.start()
        made = precondition_for(problem, METHODS[expected], block, start, whole=True)
        assert np.isfinite(made(np.ones(3))).all()
        with pytest.raises(ValueError, match=r"a Hessian of 1000001 x 1000001 numbers"):
            choose_solver(replace(problem, spec=replace(spec, solver="newton")), 6)


@pytest.mark.parametrize(("name", "instead"), [("newton", "proximal-newton"), ("l-bfgs", "owl-qn")])
def test_a_smooth_solver_is_refused_an_l1_term(name: SolverName, instead: str) -> None:
    """The message has the Param, the rule, the value and the remedy."""
    spec = Spec(BINOMIAL, regParam=0.125, elasticNetParam=0.25, solver=name)
    with pytest.raises(ValueError, match="smooth penalty") as refused:
        check_solver(spec)
    message = str(refused.value)
    for part in (
        f"solver='{name}'",
        "elasticNetParam=0.25",
        "regParam=0.125",
        f"solver='{instead}'",
        "elasticNetParam=0",
    ):
        assert part in message
    passes = CountedPasses(pass_over(make_rows(0, 20, 2)))
    with pytest.raises(ValueError, match="smooth penalty"):
        fit_all({0: spec}, passes, 2)
    assert passes.readings == []


@pytest.mark.parametrize("name", ["auto", *WITH_L1])
def test_the_other_solvers_take_an_l1_term(name: SolverName) -> None:
    check_solver(Spec(BINOMIAL, regParam=0.1, elasticNetParam=0.5, solver=name))


@every_spec
def test_the_solver_that_ran_is_named(name: str) -> None:
    fit = fit_one(SPECS[name], pass_over(make_rows(1, 60, 3)))
    assert fit.solver == name
    assert fit.converged
    assert fit.reason.startswith("converged")


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


def assert_same_fit(one: Fit, other: Fit, tolerance: float) -> None:
    assert_allclose(one.coefficients, other.coefficients, rtol=tolerance, atol=tolerance)
    assert_allclose(one.intercepts, other.intercepts, rtol=tolerance, atol=tolerance)
    assert_allclose(one.history, other.history, rtol=tolerance)
    assert (one.solver, one.reason, one.converged) == (other.solver, other.reason, other.converged)


def mixed_specs(family: Family) -> dict[str, Spec]:
    """Specs that differ in penalty, scaling, solver, and in how many rounds they take."""
    specs = {name: replace(spec, family=family) for name, spec in SPECS.items()}
    specs |= {
        f"{strength} {mixing}": Spec(family, regParam=strength, elasticNetParam=mixing)
        for strength in (0.0, 0.01, 1.0)
        for mixing in (0.0, 0.7)
    }
    specs["no intercept"] = Spec(family, fitIntercept=False)
    specs["original scale"] = Spec(family, regParam=0.3, standardization=False)
    specs["one step"] = Spec(family, maxIter=1)
    specs["start"] = Spec(family, maxIter=0)
    return specs


@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
def test_fits_in_lockstep_are_those_alone(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of several probes may round otherwise than those of one, and no more than that."""
    monkeypatch.setattr(choice, "MANY_FITS", 1_000)  # with the solvers that they have alone
    classes = 2 if family is BINOMIAL else 3
    passes = CountedPasses(pass_over(make_rows(3, 80, 4, classes, weighted=True), pieces=3))
    specs = mixed_specs(family)
    together, readings = fit_all(specs, passes, classes)
    assert list(together) == list(specs)
    assert readings == len(passes.readings)
    alone = {key: fit_all({key: spec}, passes.inner, classes) for key, spec in specs.items()}
    for key, (fits, _) in alone.items():
        assert_same_fit(together[key], fits[key], 1e-6)
    counts = [count for _, count in alone.values()]
    assert readings <= max(counts) + 1 < sum(counts)


@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
def test_many_fits_without_hessians_are_those_alone(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "TINY_SIZE", 0)
    classes = 2 if family is BINOMIAL else 3
    passes = pass_over(make_rows(3, 80, 4, classes, weighted=True), pieces=3)
    specs = {key: spec for key, spec in mixed_specs(family).items() if spec.maxIter > 1}
    together, _ = fit_all(specs, passes, classes)
    for key, spec in specs.items():
        if spec.solver != "auto":
            continue
        assert together[key].solver in ("l-bfgs", "owl-qn")
        alone, _ = fit_all({key: spec}, passes, classes)
        assert_allclose(together[key].coefficients, alone[key].coefficients, rtol=1e-5, atol=1e-5)
        assert together[key].history[-1] <= alone[key].history[-1] * (1 + 1e-10)


def test_a_fit_repeats_to_the_bit() -> None:
    passes = pass_over(make_rows(4, 80, 4), pieces=4)
    specs = mixed_specs(BINOMIAL)
    once, again = fit_all(specs, passes, 2)[0], fit_all(specs, passes, 2)[0]
    for key in specs:
        assert_array_equal(once[key].coefficients, again[key].coefficients)
        assert_array_equal(once[key].intercepts, again[key].intercepts)
        assert once[key].history == again[key].history


@every_spec
@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
@pytest.mark.parametrize("sample", [None, 10])
def test_no_iterations_return_the_start(name: str, family: Family, sample: int | None) -> None:
    classes = 2 if family is BINOMIAL else 3
    passes = pass_over(make_rows(5, 90, 3, classes), sample=sample)
    spec = replace(SPECS[name], family=family, maxIter=0)
    fit = fit_one(spec, passes, classes)
    problem = Problem.of(spec, passes.moments, classes)
    coefficients, intercepts = problem.coefficients(problem.start())
    assert_array_equal(fit.coefficients, coefficients)
    assert_array_equal(fit.coefficients, 0)
    assert_array_equal(fit.intercepts, intercepts)
    assert_allclose(fit.history, [problem.start_value()], rtol=1e-14)
    assert not fit.converged


@every_spec
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("sample", [None, 60])
def test_no_more_iterations_than_allowed(name: str, steps: int, sample: int | None) -> None:
    passes = pass_over(make_rows(6, 400, 6), sample=sample)
    fit = fit_one(replace(SPECS[name], maxIter=steps, tol=1e-12), passes)
    assert 1 <= len(fit.history) - 1 <= steps


@every_spec
@pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
def test_a_warm_start_ends_where_a_plain_one_does(
    name: str, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its history begins at the plain start and never rises."""
    classes = 2 if family is BINOMIAL else 3
    spec = replace(SPECS[name], family=family, tol=1e-8)
    passes = pass_over(make_rows(7, 3000, 5, classes, weighted=True), pieces=2, sample=500)
    warm_fits, warm_readings = fit_all({0: spec}, passes, classes)
    # The same sample, which is also the preconditioner's, but no start from its optimum.
    monkeypatch.setattr(plan, "WARM_START_RATIO", 1e9)
    plain_fits, plain_readings = fit_all({0: spec}, passes, classes)
    warm, plain = warm_fits[0], plain_fits[0]
    assert warm.converged
    assert warm.history[-1] == pytest.approx(plain.history[-1], rel=1e-8)
    assert_allclose(warm.coefficients, plain.coefficients, atol=1e-3)
    assert_allclose(warm.intercepts, plain.intercepts, atol=1e-3)
    assert_array_equal(warm.coefficients == 0, plain.coefficients == 0)
    problem = Problem.of(spec, passes.moments, classes)
    assert warm.history[0] == problem.start_value()
    assert warm.history[0] == pytest.approx(plain.history[0], rel=1e-13)
    assert max(np.diff(warm.history)) <= 0
    first, near, *_, last = warm.history
    assert first - near > 0.8 * (first - last), "the first reading is already near the optimum"
    if "newton" in name:  # the others also live on the curvature they met on the way
        assert warm_readings <= plain_readings


@every_spec
def test_a_sample_that_misleads_is_not_followed(name: str) -> None:
    """Labels turned round in the sample: its optimum is worse than the plain start."""
    block = make_rows(8, 400, 4)
    passes = pass_over(block)
    sample = block.take(slice(0, 80))
    passes = replace(passes, sample=Block(sample.matrix, 1 - sample.labels, None))
    plain, misled = fit_one(SPECS[name], pass_over(block)), fit_one(SPECS[name], passes)
    assert misled.converged
    assert misled.history[-1] == pytest.approx(plain.history[-1], rel=1e-7)
    assert max(np.diff(misled.history)) <= 0
    assert misled.history[0] == pytest.approx(plain.history[0], rel=1e-13)


@every_spec
def test_a_sample_of_one_class_does_no_harm(name: str) -> None:
    block = make_rows(9, 400, 4)
    ones = block.take(np.flatnonzero(block.labels == 1)[:50])
    passes = replace(pass_over(block), sample=ones)
    plain, warm = fit_one(SPECS[name], pass_over(block)), fit_one(SPECS[name], passes)
    assert warm.converged
    assert warm.history[-1] == pytest.approx(plain.history[-1], rel=1e-7)


def test_a_sample_nearly_as_large_as_the_rows_is_no_warm_start() -> None:
    """It would cost as much as the fit itself."""
    block = make_rows(10, 300, 4)
    rows = block.rows // WARM_START_RATIO
    spec = Spec(BINOMIAL, maxIter=1)
    start_values = []
    for sample in (rows + 1, rows):
        passes = pass_over(block, sample=sample)
        start_values.append(fit_one(spec, passes).history[1])
    cold = fit_one(spec, pass_over(block)).history[1]
    assert start_values[0] == cold
    assert start_values[1] != cold


@pytest.mark.parametrize("budget", [1, 500, 2**30])
def test_a_budget_splits_a_round_and_nothing_else(budget: int) -> None:
    """The same sums in more readings, none of them of several probes over the budget."""
    passes = CountedPasses(pass_over(make_rows(11, 70, 5), pieces=2))
    rng = np.random.default_rng(0)
    probes = [
        Probe(BINOMIAL, rng.normal(size=(1, 5)), rng.normal(size=1), order)
        for order in (0, 2, 1, 2, 1, 0, 2)
    ]
    sums, readings = read_round(passes, probes, budget)
    assert readings == len(passes.readings)
    assert sum(passes.readings) == len(probes) == len(sums)
    sizes = [8 * probe.length for probe in probes]
    for part, count in zip(np.cumsum([0, *passes.readings]), passes.readings, strict=False):
        assert count == 1 or sum(sizes[part : part + count]) <= budget
    if budget == 1:
        assert passes.readings == [1] * len(probes)
        for probe, its in zip(probes, sums, strict=True):
            assert_array_equal(its.flat, total(passes.inner, [probe]))
    assert readings == {1: len(probes), 500: 3, 2**30: 1}[budget]
    (whole, _) = read_round(passes.inner, probes, 2**30)
    for one, other in zip(sums, whole, strict=True):
        assert_allclose(one.flat, other.flat, rtol=1e-12, atol=1e-12)


def test_no_probes_take_no_reading() -> None:
    passes = CountedPasses(pass_over(make_rows(11, 10, 2)))
    assert read_round(passes, [], 100) == ([], 0)
    assert passes.readings == []


def test_a_small_budget_costs_readings_and_changes_no_fit() -> None:
    specs = mixed_specs(BINOMIAL)
    passes = pass_over(make_rows(12, 80, 4))
    (free, few), (tight, many) = (fit_all(specs, passes, 2, budget=budget) for budget in (2**30, 1))
    assert many > few
    for key in specs:
        assert_same_fit(tight[key], free[key], 1e-6)


@pytest.mark.parametrize("name", ["l-bfgs", "owl-qn"])
def test_large_problems_have_a_preconditioner_too(
    name: SolverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the size that a factor is worth, the diagonal serves, and the optimum is the same."""
    spec = replace(SPECS[name], tol=1e-9)
    passes = pass_over(make_rows(13, 90, 5))
    factored = fit_one(spec, passes)
    monkeypatch.setattr(choice, "PRECONDITIONER_SIZE", 2)
    diagonal = fit_one(spec, passes)
    assert diagonal.history[-1] == pytest.approx(factored.history[-1], rel=1e-9)


def test_no_specs_are_no_fits() -> None:
    assert fit_all({}, pass_over(make_rows(0, 10, 2)), 2) == ({}, 0)


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


def test_fits_beyond_the_memory_of_the_driver_go_in_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more at a time than fit; the fits are the same."""
    passes = CountedPasses(pass_over(make_rows(5, 120, 12), pieces=2))
    strengths = np.geomspace(1e-3, 1.0, 12)
    specs = {at: Spec(BINOMIAL, regParam=float(its)) for at, its in enumerate(strengths)}
    at_once, _ = fit_all(specs, passes, 2)
    assert max(passes.readings) == len(specs)
    passes.readings.clear()
    monkeypatch.setattr(plan, "STATE_BUDGETS", 1)
    one = choice.state_bytes(Problem.of(specs[0], passes.moments, 2), METHODS["l-bfgs"])
    in_waves, readings = fit_all(specs, passes, 2, budget=5 * one)
    assert readings == len(passes.readings)
    assert max(passes.readings) == 5
    for at, fit in at_once.items():
        assert_same_fit(in_waves[at], fit, 1e-6)
