"""Gradient descent: its path in exact arithmetic, and where each rule for its steps leads."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias, get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query, Reason, Solution, Stop
from sparklr.solvers.descent import StepRule, gd
from tests.problems import SMOOTH, Case, ask_quadratic, run

Exact: TypeAlias = list[Fraction]

RULES: tuple[StepRule, ...] = get_args(StepRule)
MANY = Stop(relative=1e-11, absolute=1e-13, max_steps=20_000)
# The condition number of these is a million, of which gradient descent takes the root or more.
TAME = [case for case in SMOOTH if "stretched" not in case.name and "ill" not in case.name]

MATRIX = [[Fraction(3), Fraction(1)], [Fraction(1), Fraction(2)]]
LINEAR = [Fraction(1), Fraction(-4)]


def exact_gradient(point: Exact) -> Exact:
    """A x - b."""
    products = [sum(a * x for a, x in zip(row, point, strict=True)) for row in MATRIX]
    return [product - b for product, b in zip(products, LINEAR, strict=True)]


def dot(one: Exact, other: Exact) -> Fraction:
    return Fraction(sum(a * b for a, b in zip(one, other, strict=True)))


def exact_path(rule: StepRule, rate: Fraction, steps: int) -> list[Exact]:
    """The points of gradient descent on x'A x / 2 - b'x from zero, in fractions."""
    path = [[Fraction(0), Fraction(0)]]
    for _ in range(steps):
        gradient = exact_gradient(path[-1])
        path.append([x - rate * g for x, g in zip(path[-1], gradient, strict=True)])
        if rule == "bb":
            move = [-rate * g for g in gradient]
            after = exact_gradient(path[-1])
            change = [b - a for a, b in zip(gradient, after, strict=True)]
            rate = dot(move, move) / dot(move, change)
    return path


def descended(case: Case, rule: StepRule) -> Solution:
    steepest = float(np.linalg.eigvalsh(case.ask(Query(case.start, 2)).second())[-1])
    return run(gd(case.start, rule=rule, rate=0.8 / steepest, stop=MANY), case.ask)


@pytest.mark.parametrize("rule", ["fixed", "bb"])
def test_the_path_is_that_of_exact_arithmetic(rule: StepRule) -> None:
    ask = ask_quadratic(np.array(MATRIX, dtype=float), np.array(LINEAR, dtype=float))
    found: list[Array] = []

    def asked(query: Query) -> Answer:
        found.append(query.point)
        return ask(query)

    stop = Stop(0.0, 0.0, max_steps=6)
    run(gd(np.zeros(2), rule=rule, rate=0.25, stop=stop), asked)
    expected = np.array(exact_path(rule, Fraction(1, 4), 6), dtype=float)
    assert_allclose(np.array(found), expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", TAME, ids=str)
def test_every_rule_finds_the_optimum(case: Case, rule: StepRule) -> None:
    found = descended(case, rule)
    assert found.reason.converged
    assert found.value == pytest.approx(case.optimum, rel=1e-7)
    assert found.value == min(found.history) == pytest.approx(case.total(found.point), rel=1e-14)
    if rule in ("fixed", "armijo"):
        assert max(np.diff(found.history)) <= 0


def test_steps_that_are_too_long_end_with_what_to_do() -> None:
    """A quadratic of curvature 4 diverges from 2 / 4 on."""
    ask = ask_quadratic(np.array([[4.0]]), np.array([1.0]))
    found = run(gd(np.zeros(1), rule="fixed", rate=0.51), ask)
    assert found.reason is Reason.DIVERGED
    assert "smaller learningRate" in found.reason.value
    assert run(gd(np.zeros(1), rule="fixed", rate=0.4), ask).reason.converged


def test_what_is_not_finite_at_the_start_is_told() -> None:
    found = run(gd(np.zeros(1)), lambda _: Answer(np.inf, np.zeros(1)))
    assert found.reason is Reason.NOT_FINITE


def test_a_step_that_is_lost_in_rounding_is_the_end() -> None:
    """A tolerance of zero is never met, and the gradient may stay at its last bit."""

    def ask(_: Query) -> Answer:
        return Answer(1.0, np.array([1e-17]), None)

    found = run(gd(np.ones(1), rule="fixed", stop=Stop(0.0, 0.0, 50)), ask)
    assert found.reason is Reason.PRECISION
    assert found.point == 1.0
