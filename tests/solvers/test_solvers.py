"""Every solver on every problem it can do, and every reason to stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import (
    Answer,
    Query,
    Reason,
    Solution,
    Solver,
    Stop,
    lbfgs,
    newton,
    owlqn,
    proximal_newton,
)
from tests.problems import (
    CASES,
    SMOOTH,
    WITH_L1,
    Ask,
    Case,
    ask_quadratic,
    make_rows,
    random_matrix,
    run,
)

TIGHT = Stop(relative=1e-11, absolute=1e-13, max_steps=1000)
NEVER = Stop(relative=0.0, absolute=0.0, max_steps=1000)

Make = Callable[[Case, Stop], Solver]


def _curvature(case: Case) -> Array:
    """The Hessian at the start, and a little more where it is singular."""
    hessian = case.ask(Query(case.start, 2)).second()
    return hessian + np.eye(len(hessian)) * (1e-6 * np.trace(hessian) or 1.0)


def _diagonal(case: Case) -> Callable[[Array], Array]:
    diagonal = _curvature(case).diagonal()
    return lambda vector: vector / diagonal


def _inverse(case: Case) -> Callable[[Array], Array]:
    inverse = np.linalg.inv(_curvature(case))
    return lambda vector: inverse @ vector


SMOOTH_SOLVERS: dict[str, Make] = {
    "newton": lambda case, stop: newton(case.start, stop=stop),
    "lbfgs": lambda case, stop: lbfgs(case.start, stop=stop),
    "lbfgs diagonal": lambda case, stop: lbfgs(case.start, precondition=_diagonal(case), stop=stop),
    "lbfgs inverse": lambda case, stop: lbfgs(case.start, precondition=_inverse(case), stop=stop),
}
L1_SOLVERS: dict[str, Make] = {
    "owlqn": lambda case, stop: owlqn(case.start, case.weights, stop=stop),
    "owlqn diagonal": lambda case, stop: owlqn(
        case.start, case.weights, precondition=_diagonal(case), stop=stop
    ),
    "proximal_newton": lambda case, stop: proximal_newton(case.start, case.weights, stop=stop),
}
SOLVERS = SMOOTH_SOLVERS | L1_SOLVERS
# What solves with an l1 term solves without one too.
PAIRS = [(case, name) for case in SMOOTH for name in SOLVERS]
PAIRS += [(case, name) for case in WITH_L1 for name in L1_SOLVERS]

every_pair = pytest.mark.parametrize(("case", "name"), PAIRS, ids=str)
every_solver = pytest.mark.parametrize("name", SOLVERS)


def plain_case(ask: Ask, start: Array) -> Case:
    """A case whose optimum is not asked for."""
    return Case("plain", ask, start, lambda: start)


def bowl(size: int = 3) -> Ask:
    """A quadratic that no solver but Newton's solves in few steps."""
    return ask_quadratic(random_matrix(3, np.logspace(0, 3, size)), np.ones(size))


@cache
def solved(case: Case, name: str) -> Solution:
    return run(SOLVERS[name](case, TIGHT), case.ask)


@every_pair
def test_the_optimum_is_found(case: Case, name: str) -> None:
    solution = solved(case, name)
    assert solution.value == pytest.approx(case.optimum, rel=1e-7)
    assert solution.value == pytest.approx(case.total(solution.point), rel=1e-14)
    if case.unique:
        assert_allclose(solution.point, case.point, rtol=1e-3, atol=1e-3)


@every_pair
def test_the_optimum_is_called_converged(case: Case, name: str) -> None:
    reason = solved(case, name).reason
    assert reason.converged, reason


@every_pair
def test_the_history_never_rises(case: Case, name: str) -> None:
    solution = solved(case, name)
    assert solution.history[0] == pytest.approx(case.total(case.start), rel=1e-14)
    assert max(np.diff(solution.history), default=0.0) <= 0
    assert solution.steps == len(solution.history) - 1


@pytest.mark.parametrize("name", L1_SOLVERS)
@pytest.mark.parametrize("case", [case for case in WITH_L1 if case.unique], ids=str)
def test_zeros_are_exact(case: Case, name: str) -> None:
    point = solved(case, name).point
    assert_array_equal(point == 0, case.point == 0)
    assert (point == 0).any()


@every_pair
def test_nothing_yielded_or_received_is_written_into(case: Case, name: str) -> None:
    """Points stay as they were asked about, and answers as they were given, to the end."""
    kept: list[tuple[Array, Array]] = [(case.start, case.start.copy())]

    def ask(query: Query) -> Answer:
        answer = case.ask(query)
        arrays = [query.point, answer.gradient, answer.hessian]
        kept.extend((array, array.copy()) for array in arrays if array is not None)
        return answer

    solution = run(SOLVERS[name](case, TIGHT), ask)
    kept.append((solution.point, solution.point.copy()))
    for array, copy in kept:
        assert_array_equal(array, copy)


def test_newton_lands_on_the_minimum_of_a_quadratic_in_one_step() -> None:
    matrix, linear = random_matrix(1, np.linspace(1, 9, 5)), np.arange(5.0)
    solver = newton(np.zeros(5))
    first = next(solver)
    assert first.order == 2
    assert_array_equal(first.point, np.zeros(5))
    second = solver.send(Answer(0.0, -linear, matrix))
    assert_allclose(second.point, np.linalg.solve(matrix, linear), rtol=1e-12)
    with pytest.raises(StopIteration) as finished:
        solver.send(ask_quadratic(matrix, linear)(second))
    assert finished.value.value.reason is Reason.CONVERGED
    assert finished.value.value.steps == 1


def test_proximal_newton_lands_on_the_soft_threshold_in_one_step() -> None:
    linear = np.array([3.0, -0.2, -5.0, 0.5])
    solver = proximal_newton(np.zeros(4), np.full(4, 0.5))
    next(solver)
    query = solver.send(Answer(0.0, -linear, np.diag([1.0, 2.0, 4.0, 8.0])))
    assert_allclose(query.point, [2.5, 0.0, -4.5 / 4, 0.0], rtol=1e-12)


def test_lbfgs_with_the_inverse_hessian_lands_in_one_step() -> None:
    matrix, linear = random_matrix(2, np.logspace(0, 4, 6)), np.ones(6)
    inverse = np.linalg.inv(matrix)
    solution = run(
        lbfgs(np.zeros(6), precondition=lambda v: inverse @ v), ask_quadratic(matrix, linear)
    )
    assert solution.steps == 1
    assert_allclose(solution.point, inverse @ linear, rtol=1e-8)


def test_first_order_solvers_ask_for_no_hessian() -> None:
    orders: list[int] = []
    quadratic = bowl()

    def ask(query: Query) -> Answer:
        orders.append(query.order)
        return quadratic(query)

    run(lbfgs(np.zeros(3)), ask)
    run(owlqn(np.zeros(3), np.ones(3)), ask)
    assert set(orders) == {1}


def _asked(case: Case, name: str, spoil: float = 0.0) -> list[Query]:
    """What a Newton solver asks; gradients asked without a Hessian are changed by `spoil`."""
    asked: list[Query] = []

    def ask(query: Query) -> Answer:
        asked.append(query)
        answer = case.ask(query)
        return Answer(answer.value, answer.first() + spoil) if query.order == 1 else answer

    run(SOLVERS[name](case, Stop()), ask)
    return asked


@pytest.mark.parametrize("name", ["newton", "proximal_newton"])
def test_newton_asks_for_no_hessian_behind_its_last_step(name: str) -> None:
    asked = [query.order for query in _asked(LOGISTIC, name)]
    assert asked == [2] * (len(asked) - 1) + [1]


def test_newton_asks_for_the_hessian_where_it_foretold_too_much() -> None:
    asked = _asked(LOGISTIC, "newton", spoil=1.0)
    first = next(at for at, query in enumerate(asked) if query.order == 1)
    assert asked[first + 1].order == 2
    assert_array_equal(asked[first + 1].point, asked[first].point)


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


LOGISTIC = next(case for case in SMOOTH if case.name == "multinomial")


@every_solver
def test_the_step_limit_is_kept(name: str) -> None:
    case = LOGISTIC
    solution = run(SOLVERS[name](case, Stop(max_steps=2)), case.ask)
    assert solution.reason is Reason.STEP_LIMIT
    assert solution.steps == 2
    assert solution.history == solved(case, name).history[:3]


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


@every_solver
def test_a_start_at_the_optimum_needs_no_step(name: str) -> None:
    case = LOGISTIC
    solution = run(SOLVERS[name](plain_case(case.ask, case.point), Stop()), case.ask)
    assert solution.reason.converged
    assert solution.steps == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_is_a_minimum(case: Case) -> None:
    """No small move lowers the objective at the point the table calls the optimum."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        move = rng.normal(size=len(case.start)) * 1e-3
        assert case.total(case.point + move) >= case.optimum - 1e-12 * abs(case.optimum)


def test_the_table_has_every_kind_of_problem() -> None:
    assert any(not case.unique for case in SMOOTH)
    assert any(not case.unique for case in WITH_L1)
    assert any((case.weights == 0).any() for case in WITH_L1)
    assert make_rows(8, 15, 40).features > 15
