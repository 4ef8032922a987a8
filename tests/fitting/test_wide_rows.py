"""Wide sparse rows, where only a diagonal preconditions: text and hashed categories."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from sparklr.arrays import Array
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import Query
from tests.problems import ask_rows

ROWS, SAMPLE = 3_000, 200


def zipf(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> Array:
    """Ranks of words or levels, of which few are common."""
    share = 1 / np.arange(1, count + 1) ** 1.1
    return rng.choice(count, size=shape, p=share / share.sum())


@cache
def hashed_categories(classes: int) -> LocalPasses:
    """Ten categories per row in 4,096 buckets."""
    rng, columns = np.random.default_rng(1), []
    margins = np.zeros((ROWS, classes))
    for at, levels in enumerate((7, 10, 50, 100, 300, 500, 1_000, 1_000, 2_000, 2_000)):
        level = zipf(rng, levels, (ROWS,))
        margins += rng.normal(scale=0.7, size=(levels, classes))[level]
        columns.append((level * 2_654_435_761 + at * 97_531) % 4_096)
    return passes_over(np.column_stack(columns), margins, 4_096, rng)


@cache
def texts(classes: int) -> LocalPasses:
    """Forty words per row of a vocabulary of 3,500, some in their text twice."""
    rng = np.random.default_rng(2)
    words = zipf(rng, 3_500, (ROWS, 40))
    margins = rng.normal(scale=0.4, size=(3_500, classes))[words].sum(axis=1)
    return passes_over(words, margins, 3_500, rng)


def passes_over(
    places: Array, margins: Array, features: int, rng: np.random.Generator
) -> LocalPasses:
    pointers = np.arange(0, places.size + 1, places.shape[1])
    matrix = sp.csr_matrix(
        (np.ones(places.size), places.ravel().astype(np.int32), pointers), shape=(ROWS, features)
    )
    matrix.sum_duplicates()
    labels = np.argmax(margins + rng.gumbel(size=margins.shape), axis=1).astype(float)
    block = Block(matrix, labels, None)
    return LocalPasses([block], moments_of(block), block.take(slice(SAMPLE)))


@pytest.mark.parametrize("rows", [hashed_categories, texts])
@pytest.mark.parametrize(("family", "classes"), [(BINOMIAL, 2), (MULTINOMIAL, 3)])
def test_no_higher_than_scipy_after_as_many_readings(
    rows: object, family: Family, classes: int
) -> None:
    passes = rows(classes)  # type: ignore[operator]
    spec = Spec(family, regParam=1e-4, solver="l-bfgs")
    problem = Problem.of(spec, passes.moments, classes)
    ask = ask_rows(problem, passes)
    for steps in (30, 60):
        fits, readings = fit_all({0: replace(spec, maxIter=steps)}, passes, classes)
        values: list[float] = []

        def probe(point: Array, seen: list[float] = values) -> tuple[float, Array]:
            answer = ask(Query(point, 1))
            seen.append(answer.value)
            return answer.value, answer.first()

        options = {"maxcor": 10, "maxiter": readings, "ftol": 0, "gtol": 0}
        start = np.zeros(problem.size)
        minimize(probe, start, jac=True, method="L-BFGS-B", options=options)
        # By rounding alone, scipy's own values differ by 0.4% between processors.
        assert fits[0].history[-1] <= min(values[:readings]) * (1 + 5e-3), steps


@pytest.mark.parametrize("rows", [hashed_categories, texts])
@pytest.mark.parametrize(
    ("family", "classes"),
    [(BINOMIAL, 2), pytest.param(MULTINOMIAL, 3, marks=pytest.mark.deep)],
)
def test_with_l1_no_higher_than_scipy_after_as_many_readings(
    rows: object, family: Family, classes: int
) -> None:
    """Where scipy has u, v >= 0 with coefficients u - v."""
    passes = rows(classes)  # type: ignore[operator]
    spec = Spec(family, regParam=1e-3, elasticNetParam=1.0, solver="owl-qn")
    problem = Problem.of(spec, passes.moments, classes)
    ask, l1, size = ask_rows(problem, passes), problem.penalty.l1, problem.size
    for steps in (30, 60):
        fits, readings = fit_all({0: replace(spec, maxIter=steps)}, passes, classes)
        values: list[float] = []

        def probe(both: Array, seen: list[float] = values) -> tuple[float, Array]:
            point = both[:size] - both[size:]
            answer = ask(Query(point, 1))
            seen.append(answer.value + float(l1 @ np.abs(point)))
            slope = answer.first()
            value = answer.value + float(l1 @ (both[:size] + both[size:]))
            return value, np.concatenate((slope + l1, l1 - slope))

        options = {"maxcor": 10, "maxiter": readings, "ftol": 0, "gtol": 0}
        bounds = [(0.0, None)] * (2 * size)
        minimize(probe, np.zeros(2 * size), jac=True, bounds=bounds, options=options)
        assert fits[0].history[-1] <= min(values[:readings]) * (1 + 5e-3), steps
