"""Every reason to stop, and what a solver has found by then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query, Reason, Solver, Stop, newton, proximal_newton
from tests.problems import Case, ask_quadratic, run
from tests.solvers.every import (
    LOGISTIC,
    PAIRS,
    SOLVERS,
    TIGHT,
    bowl,
    every_solver,
    plain_case,
    solved,
)

NEVER = Stop(relative=0.0, absolute=0.0, max_steps=1000)


def test_a_linear_function_is_singular_for_newton() -> None:
    linear = ask_quadratic(np.zeros((2, 2)), np.array([1.0, -2.0]))
    assert run(newton(np.zeros(2)), linear).reason is Reason.SINGULAR


def test_a_direction_without_curvature_is_singular_for_newton() -> None:
    ask = ask_quadratic(np.diag([1.0, 0.0]), np.array([1.0, 1.0]))
    assert run(newton(np.zeros(2)), ask).reason is Reason.SINGULAR


@every_solver
def test_a_function_without_a_minimum_does_not_converge(name: str) -> None:
    linear = ask_quadratic(np.zeros((2, 2)), np.array([1.0, -2.0]))
    case = plain_case(linear, np.zeros(2))
    solution = run(SOLVERS[name](case, Stop(max_steps=20)), linear)
    assert not solution.reason.converged


@every_solver
def test_a_gradient_at_odds_with_the_values_is_no_decrease(name: str) -> None:
    """The gradient points uphill, so no step along it lowers the value."""
    quadratic = bowl()

    def ask(query: Query) -> Answer:
        answer = quadratic(query)
        return Answer(answer.value, -answer.first() if query.order else None, answer.hessian)

    solution = run(SOLVERS[name](plain_case(ask, np.ones(3)), Stop()), ask)
    assert solution.reason is Reason.NO_DECREASE
    assert solution.steps == 0
    assert_array_equal(solution.point, np.ones(3))


@every_solver
def test_no_steps_allowed_returns_the_start(name: str) -> None:
    ask, start = bowl(), np.ones(3)
    solution = run(SOLVERS[name](plain_case(ask, start), Stop(max_steps=0)), ask)
    assert solution.reason is Reason.STEP_LIMIT
    assert solution.history == (ask(Query(start, 0)).value,)
    assert_array_equal(solution.point, start)


@every_solver
def test_the_step_limit_is_kept(name: str) -> None:
    case = LOGISTIC
    solution = run(SOLVERS[name](case, Stop(max_steps=2)), case.ask)
    assert solution.reason is Reason.STEP_LIMIT
    assert solution.steps == 2
    assert solution.history == solved(case, name).history[:3]


@every_solver
def test_a_start_at_the_optimum_needs_no_step(name: str) -> None:
    case = LOGISTIC
    solution = run(SOLVERS[name](plain_case(case.ask, case.point), Stop()), case.ask)
    assert solution.reason.converged
    assert solution.steps == 0


@every_solver
@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_start_that_is_not_finite_is_said_so(name: str, what: str, number: float) -> None:
    quadratic = bowl()
    case = plain_case(quadratic, np.ones(3))
    solver = SOLVERS[name](case, Stop())
    answer = quadratic(next(solver))
    if what == "value":
        answer = Answer(number, answer.gradient, answer.hessian)
    else:
        gradient = answer.first().copy()
        gradient[1] = number
        answer = Answer(answer.value, gradient, answer.hessian)
    with pytest.raises(StopIteration) as finished:
        solver.send(answer)
    assert finished.value.value.reason is Reason.NOT_FINITE
    assert finished.value.value.steps == 0


@pytest.mark.parametrize("make", [newton, lambda start: proximal_newton(start, np.ones(2))])
def test_a_hessian_that_is_not_finite_is_said_so(make: Callable[[Array], Solver]) -> None:
    solver = make(np.zeros(2))
    next(solver)
    with pytest.raises(StopIteration) as finished:
        solver.send(Answer(1.0, np.ones(2), np.array([[1.0, np.nan], [np.nan, 1.0]])))
    assert finished.value.value.reason is Reason.NOT_FINITE


@every_solver
@pytest.mark.parametrize("outside", [np.nan, np.inf])
def test_a_trial_that_is_not_finite_is_a_step_too_long(name: str, outside: float) -> None:
    """f(x) = 100 x - log(x) has its minimum near the edge of where it is finite."""

    def ask(query: Query) -> Answer:
        x = float(query.point[0])
        if x <= 0:
            nowhere = np.array([outside])
            return Answer(outside, nowhere, nowhere[:, None])
        return Answer(100 * x - np.log(x), np.array([100 - 1 / x]), np.array([[1 / x**2]]))

    solution = run(SOLVERS[name](plain_case(ask, np.array([1.0])), TIGHT), ask)
    assert solution.reason.converged
    assert_allclose(solution.point, [0.01], rtol=1e-4)
    assert np.isfinite(solution.history).all()


# Not for quadratics: their value is a difference of larger numbers, so its size does not tell
# its rounding. A sum of losses is as exact as it is large.
@pytest.mark.parametrize(
    ("case", "name"), [(c, n) for c, n in PAIRS if not c.name.startswith("quadratic")], ids=str
)
def test_tolerance_zero_ends_at_rounding(case: Case, name: str) -> None:
    solution = run(SOLVERS[name](case, NEVER), case.ask)
    assert solution.reason.converged, solution.reason
    assert solution.value == pytest.approx(case.optimum, rel=1e-11)


@pytest.mark.parametrize("name", ["newton", "lbfgs", "owlqn"])
def test_the_end_of_float64_is_called_precision(name: str) -> None:
    assert run(SOLVERS[name](LOGISTIC, NEVER), LOGISTIC.ask).reason is Reason.PRECISION


def test_reasons_say_whether_they_are_success() -> None:
    assert {reason for reason in Reason if reason.converged} == {
        Reason.CONVERGED,
        Reason.PRECISION,
        Reason.AT_INFINITY,
    }
    assert all(reason.value.startswith("converged") == reason.converged for reason in Reason)


def test_an_answer_refuses_what_was_not_asked() -> None:
    with pytest.raises(LookupError, match="gradient"):
        Answer(1.0).first()
    with pytest.raises(LookupError, match="Hessian"):
        Answer(1.0, np.ones(1)).second()


def test_the_limit_is_the_larger_of_relative_and_absolute() -> None:
    stop = Stop(relative=1e-3, absolute=1e-2)
    assert stop.limit(-100.0) == pytest.approx(0.1)
    assert stop.limit(0.0) == 1e-2
