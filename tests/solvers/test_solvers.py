"""Every solver on every problem it can do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query, Reason, Stop, lbfgs, newton, owlqn, proximal_newton
from tests.problems import (
    CASES,
    SMOOTH,
    WITH_L1,
    Case,
    ask_quadratic,
    make_rows,
    random_matrix,
    run,
)
from tests.solvers.every import L1_SOLVERS, LOGISTIC, SOLVERS, TIGHT, bowl, every_pair, solved


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


def _near(case: Case) -> Case:
    """The case from a start near its optimum, as the optimum of a sample is."""
    return replace(case, start=case.point + 0.05 * np.cos(np.arange(len(case.start))))


@pytest.mark.parametrize("name", ["newton with a guess", "proximal_newton with a guess"])
def test_near_the_optimum_one_hessian_serves_to_the_end(name: str) -> None:
    asked = [query.order for query in _asked(_near(LOGISTIC), name)]
    assert asked[:2] == [1, 2]
    assert set(asked[2:]) == {1}
    solution = run(SOLVERS[name](_near(LOGISTIC), Stop()), LOGISTIC.ask)
    assert solution.value <= LOGISTIC.optimum * (1 + 1e-11)  # a hundredth of the tolerance


def test_a_hessian_that_serves_badly_is_asked_for_anew() -> None:
    """The gradient, which is wrong, tells of a decrease that the step did not bring."""
    asked = [query.order for query in _asked(_near(LOGISTIC), "newton with a guess", spoil=1e-3)]
    assert asked == [1, 2, 1, 2]


def test_a_guess_that_leads_too_far_is_not_followed() -> None:
    case = _near(LOGISTIC)
    asked = _asked(case, "newton with a guess that leads too far")
    assert [query.order for query in asked[:3]] == [1, 2, 2]
    assert_array_equal(asked[2].point, case.start)


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
