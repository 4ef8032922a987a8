"""Which solver a fit takes, and which it is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparklr.fitting import preconditioner
from sparklr.fitting.choose_solver import (
    HESSIAN_SIZE,
    SPARSE_HESSIAN_SIZE,
    check_solver,
    choose_solver,
)
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

# As many as make any Hessian beyond HESSIAN_SIZE too much work.
MANY = 100_000


def problem_of(spec: Spec, size: int, classes: int = 2) -> Problem:
    """A problem that asks for this many numbers."""
    rng = np.random.default_rng(0)
    features = size // (1 if spec.family is BINOMIAL else classes) - spec.fitIntercept
    labels = np.arange(6.0) % classes
    passes = LocalPasses.of([Block(rng.normal(size=(6, features)), labels, None)], features)
    problem = Problem.of(spec, passes.moments, classes)
    assert problem.size == size
    return problem


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
        made = SampleCurvature(block).precondition(problem, METHODS[expected], start, whole=True)
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
