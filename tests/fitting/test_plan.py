"""From specs to coefficients: many fits at once, in how many readings and steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_info

from sparklr.fitting import choose_solver as choice
from sparklr.fitting import members
from sparklr.fitting.plan import fit_all
from sparklr.fitting.preconditioner import SampleCurvature
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.sums import Probe
from sparklr.passes.protocol import read_round
from sparklr.solvers import Preconditioner
from sparklr.solvers.methods import METHODS
from tests.fitting.fits import (
    SPECS,
    CountedPasses,
    assert_same_fit,
    every_spec,
    fit_one,
    mixed_specs,
    pass_over,
)
from tests.passes.asking import total
from tests.problems import make_rows


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
    monkeypatch.setattr(
        choice, "second_order", lambda _, conditions: np.inf if conditions.fits > 1 else 0.0
    )
    classes = 2 if family is BINOMIAL else 3
    passes = pass_over(make_rows(3, 80, 4, classes, weighted=True), pieces=3)
    specs = {key: spec for key, spec in mixed_specs(family).items() if spec.maxIter > 1}
    together, _ = fit_all(specs, passes, classes)
    for key, spec in specs.items():
        if spec.solver != "auto":
            continue
        assert together[key].solver in ("l-bfgs", "proximal-bfgs")
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


def test_no_specs_are_no_fits() -> None:
    assert fit_all({}, pass_over(make_rows(0, 10, 2)), 2) == ({}, 0)


def test_fits_beyond_the_memory_of_the_driver_go_in_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more at a time than fit; the fits are the same."""
    passes = CountedPasses(pass_over(make_rows(5, 120, 12), pieces=2))
    strengths = np.geomspace(1e-3, 1.0, 12)
    specs = {
        at: Spec(BINOMIAL, regParam=float(its), solver="l-bfgs") for at, its in enumerate(strengths)
    }
    at_once, _ = fit_all(specs, passes, 2)
    assert max(passes.readings) == len(specs)
    passes.readings.clear()
    monkeypatch.setattr(members, "STATE_BUDGETS", 1)
    one = choice.state_bytes(Problem.of(specs[0], passes.moments, 2), METHODS["l-bfgs"])
    in_waves, readings = fit_all(specs, passes, 2, budget=5 * one)
    assert readings == len(passes.readings)
    assert max(passes.readings) == 5
    for at, fit in at_once.items():
        assert_same_fit(in_waves[at], fit, 1e-6)


def test_all_of_the_drivers_algebra_has_one_blas_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = SampleCurvature.precondition

    def precondition(*args: Any, **kwargs: Any) -> Preconditioner:
        seen.extend(its["num_threads"] for its in threadpool_info() if its["user_api"] == "blas")
        return plain(*args, **kwargs)

    monkeypatch.setattr(SampleCurvature, "precondition", precondition)
    fit_one(SPECS["l-bfgs"], pass_over(make_rows(1, 60, 3)))
    assert set(seen) == {1}
