"""Which solver a fit takes, and which it is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from sparklr.fitting import preconditioner
from sparklr.fitting.choose_solver import check_solver, choose_solver
from sparklr.fitting.costs import Conditions
from sparklr.fitting.plan import fit_all
from sparklr.fitting.preconditioner import HESSIAN_LIMIT, SampleCurvature
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.bounds import Bounds
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import METHODS, SolverName
from tests.fitting.fits import SMOOTH, SPECS, WITH_L1, CountedPasses, every_spec, fit_one, pass_over
from tests.problems import make_rows

# Rows of a sample without events, and more than it can be a start for.
FEW, MANY = 6, 100_000


def problem_of(spec: Spec, size: int, classes: int = 2) -> Problem:
    """A problem that asks for this many numbers."""
    rng = np.random.default_rng(0)
    features = size // (1 if spec.family is BINOMIAL else classes) - spec.fitIntercept
    labels = np.arange(float(FEW)) % classes
    passes = LocalPasses.of([Block(rng.normal(size=(FEW, features)), labels, None)], features)
    problem = Problem.of(spec, passes.moments, classes)
    assert problem.size == size
    return problem


def conditions_of(problem: Problem, rows: int, sampled: int = FEW, **others: Any) -> Conditions:
    """Rows of which so many are sampled, half of them events."""
    matrix = np.ones((sampled, problem.scaling.features))
    sample = Block(matrix, np.arange(float(sampled)) % 2, None)
    return Conditions(rows, sample, **{"slots": 1, "jobs": False, **others})


def chosen(problem: Problem, rows: int, sampled: int = FEW, **others: Any) -> str:
    return choose_solver(problem, conditions_of(problem, rows, sampled, **others)).name


@pytest.mark.parametrize(
    ("size", "rows", "sampled", "order"),
    [
        (10, 1_000, 1_000, 2),
        (10, 10**6, 10_000, 2),  # a Hessian costs less than the readings that it saves
        (200, 10**6, 10_000, 2),  # of which it needs two
        (700, 10**6, 10_000, 1),  # the sample has the curvature
        (700, 10**6, 1_400, 2),  # it has too few events for that
        (200, 1_000, 1_000, 2),  # the sample is all rows
    ],
)
@pytest.mark.parametrize("mixing", [0.0, 0.5])
def test_auto_goes_by_costs(size: int, rows: int, sampled: int, order: int, mixing: float) -> None:
    problem = problem_of(Spec(BINOMIAL, regParam=0.1, elasticNetParam=mixing), size)
    of_order = {1: ("l-bfgs", "proximal-bfgs"), 2: ("newton", "proximal-newton")}
    assert chosen(problem, rows, sampled) == of_order[order][mixing > 0]


@pytest.mark.parametrize(
    ("size", "mixing", "expected"),
    [
        (2_000, 0.0, "l-bfgs"),
        (2_000, 0.5, "proximal-newton"),  # OWL-QN would take a factor for each of many steps
        (7_000, 0.5, "owl-qn"),  # which here has a diagonal
    ],
)
def test_many_coefficients_on_few_rows(size: int, mixing: float, expected: str) -> None:
    problem = problem_of(Spec(BINOMIAL, regParam=0.1, elasticNetParam=mixing), size)
    assert chosen(problem, 1_000, 1_000) == expected


def test_readings_that_are_jobs_are_saved_by_hessians() -> None:
    problem = problem_of(Spec(BINOMIAL, regParam=0.1), 700)
    assert chosen(problem, 10**6, 10_000, slots=2) == "l-bfgs"
    assert chosen(problem, 10**6, 10_000, slots=2, jobs=True) == "newton"
    assert chosen(problem, 10**6, 10_000, slots=2, jobs=True, fits=30) == "l-bfgs"


def test_rows_that_store_little_have_cheap_hessians() -> None:
    """One-hot rows: ten columns of three levels, two of 335."""
    problem = problem_of(Spec(BINOMIAL, regParam=0.1), 701)
    levels = np.array([3] * 10 + [335] * 2)
    drawn = np.random.default_rng(0).random((10_000, 12)) * levels
    indices = (drawn.astype(int) + levels.cumsum() - levels).ravel()
    shape = 10_000, levels.sum()
    matrix = sp.csr_matrix((np.ones(120_000), indices, np.arange(10_001) * 12), shape=shape)
    sparse = Block(matrix, np.arange(10_000.0) % 2, None)
    dense = sparse.with_matrix(matrix.toarray())
    found = [
        choose_solver(problem, Conditions(10**6, its, slots=2, jobs=False)).name
        for its in (sparse, dense)
    ]
    assert found == ["newton", "l-bfgs"]


def test_bounds_ask_for_a_solver_that_keeps_them() -> None:
    lower = np.zeros((1, 700))
    problem = problem_of(Spec(BINOMIAL, bounds=Bounds(lower, lower + np.inf)), 700)
    assert chosen(problem, 1_000, 1_000) == "proximal-newton"
    assert chosen(problem, 10**6, 10_000) == "proximal-bfgs"


def test_size_counts_every_class() -> None:
    spec = Spec(MULTINOMIAL, regParam=0.1)
    assert chosen(problem_of(spec, 100, classes=5), 1_000, 1_000) == "newton"
    assert chosen(problem_of(spec, 2_000, classes=5), 1_000, 1_000) == "l-bfgs"


@pytest.mark.parametrize("name", SMOOTH + WITH_L1)
def test_a_named_solver_is_kept(name: SolverName) -> None:
    for size in (5, 2_000):
        assert chosen(problem_of(Spec(BINOMIAL, solver=name), size), MANY) == name


def test_an_l1_term_of_weight_zero_is_smooth() -> None:
    spec = Spec(BINOMIAL, regParam=0.0, elasticNetParam=1.0)
    assert chosen(problem_of(spec, 5), MANY) == "newton"
    check_solver(replace(spec, solver="newton"))


@pytest.mark.parametrize("name", ["newton", "proximal-newton", "proximal-bfgs"])
def test_a_hessian_too_large_is_refused_with_a_remedy(name: SolverName) -> None:
    problem = problem_of(Spec(BINOMIAL, solver=name), HESSIAN_LIMIT + 1)
    with pytest.raises(ValueError, match="limit") as refused:
        chosen(problem, MANY)
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
        assert chosen(problem, FEW) == expected
        start = problem.start()
        made = SampleCurvature(block).precondition(problem, METHODS[expected], start, whole=True)
        assert np.isfinite(made(np.ones(3))).all()
        with pytest.raises(ValueError, match=r"a Hessian of 1000001 x 1000001 numbers"):
            chosen(replace(problem, spec=replace(spec, solver="newton")), FEW)


@pytest.mark.parametrize(
    ("name", "instead"),
    [("newton", "proximal-newton"), ("l-bfgs", "owl-qn"), ("sgd", "owl-qn")],
)
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


@pytest.mark.parametrize("name", ["l-bfgs", "owl-qn"])
def test_large_problems_have_a_preconditioner_too(
    name: SolverName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the size that a factor is worth, the diagonal serves, and the optimum is the same."""
    spec = replace(SPECS[name], tol=1e-9)
    passes = pass_over(make_rows(13, 90, 5))
    factored = fit_one(spec, passes)
    monkeypatch.setattr(preconditioner, "FACTORED_SIZE", 2)
    diagonal = fit_one(spec, passes)
    assert diagonal.history[-1] == pytest.approx(factored.history[-1], rel=1e-9)
