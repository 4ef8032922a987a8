"""Bounds: every solver that keeps them, on every kind of box."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import (
    Answer,
    Box,
    Query,
    Reason,
    Solution,
    Solver,
    Stop,
    owlqn,
    proximal_newton,
)
from sparklr.solvers.curvature import Curvature
from tests.problems import CASES, Case, ask_quadratic, random_matrix, run
from tests.solvers.bounded import BOUNDED, random_box, violation

TIGHT = Stop(relative=1e-11, absolute=1e-13, max_steps=1000)

Make = Callable[[Case, Stop], Solver]


def _diagonal(case: Case) -> Callable[[Array], Array]:
    diagonal = case.ask(Query(case.start, 2)).second().diagonal() + 1e-6
    return lambda vector: vector / diagonal


SOLVERS: dict[str, Make] = {
    "proximal_newton": lambda case, stop: proximal_newton(
        case.start, case.weights, box=case.box, stop=stop
    ),
    "owlqn": lambda case, stop: owlqn(case.start, case.weights, box=case.box, stop=stop),
    "owlqn diagonal": lambda case, stop: owlqn(
        case.start, case.weights, box=case.box, precondition=_diagonal(case), stop=stop
    ),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)
every_pair = pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case in BOUNDED for name in SOLVERS], ids=str
)


def box_of(case: Case) -> Box:
    assert case.box is not None
    return case.box


@cache
def solved(case: Case, name: str) -> tuple[Solution, list[Array]]:
    """A tight solution, and every point asked about on the way."""
    asked: list[Array] = []

    def ask(query: Query) -> Answer:
        asked.append(query.point)
        return case.ask(query)

    return run(SOLVERS[name](case, TIGHT), ask), asked


@every_pair
def test_the_optimum_is_found_and_called_converged(case: Case, name: str) -> None:
    solution, _ = solved(case, name)
    assert solution.reason.converged, solution.reason
    assert solution.value == pytest.approx(case.optimum, rel=1e-7)
    assert solution.value == pytest.approx(case.total(solution.point), rel=1e-14)
    if case.unique:
        assert_allclose(solution.point, case.point, rtol=1e-3, atol=1e-3)


@every_pair
def test_no_coordinate_can_descend_any_more(case: Case, name: str) -> None:
    """By the optimality conditions alone; scipy has no say."""
    point = solved(case, name)[0].point
    slope = case.ask(Query(point, 1)).first()
    allowed = 1e-5 if name == "proximal_newton" else 1e-4
    assert violation(point, slope, case.weights, box_of(case)) <= allowed


@every_pair
def test_no_point_outside_is_asked_about(case: Case, name: str) -> None:
    solution, asked = solved(case, name)
    assert all(box_of(case).contains(point) for point in [*asked, solution.point])


@every_pair
def test_the_history_never_rises(case: Case, name: str) -> None:
    solution, _ = solved(case, name)
    assert max(np.diff(solution.history), default=0.0) <= 0
    assert solution.steps == len(solution.history) - 1


@every_pair
def test_who_is_pushed_outwards_lies_on_its_bound_to_the_bit(case: Case, name: str) -> None:
    solution, box = solved(case, name)[0].point, box_of(case)
    slope = case.ask(Query(case.point, 1)).first()
    slope = slope + case.weights * np.sign(case.point)
    clearly = case.weights + 1e-3
    low = (case.point <= box.lower) & (slope > clearly)
    high = (case.point >= box.upper) & (slope < -clearly)
    assert_array_equal(solution[low], box.lower[low])
    assert_array_equal(solution[high], box.upper[high])


@pytest.mark.parametrize("case", BOUNDED, ids=str)
def test_newton_needs_few_answers(case: Case) -> None:
    assert len(solved(case, "proximal_newton")[1]) <= 9


@pytest.mark.parametrize("name", ["owlqn", "owlqn diagonal"])
def test_owlqn_needs_tens_of_answers(name: str) -> None:
    answers = [len(solved(case, name)[1]) for case in BOUNDED]
    assert max(answers) <= 120
    assert np.mean(answers) <= 26, np.mean(answers)


@every_solver
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_box_without_bounds_changes_nothing(case: Case, name: str) -> None:
    stop = Stop(max_steps=30)
    endless = Case("", case.ask, case.start, case.find, case.l1, box=Box.endless(len(case.start)))
    without = run(SOLVERS[name](case, stop), case.ask)
    within = run(SOLVERS[name](endless, stop), case.ask)
    assert_array_equal(within.point, without.point)
    assert within.history == without.history


@every_solver
def test_one_point_is_a_box(name: str) -> None:
    """With every coordinate fixed there is nothing to do, and that is done."""
    start = np.array([1.0, -2.0, 0.0])
    ask = ask_quadratic(random_matrix(1, np.ones(3)), np.full(3, 10.0))
    case = Case("point", ask, start, lambda: start, np.full(3, 0.5), box=Box(start, start))
    solution = run(SOLVERS[name](case, Stop()), ask)
    assert solution.reason is Reason.CONVERGED
    assert solution.steps == 0
    assert_array_equal(solution.point, start)


@every_solver
def test_a_linear_function_ends_in_its_corner(name: str) -> None:
    """No curvature at all: bounds alone end the steps."""
    ask = ask_quadratic(np.zeros((3, 3)), np.array([1.0, -2.0, 3.0]))
    box = Box(np.array([-1.0, -1.0, -np.inf]), np.array([1.0, np.inf, 0.3]))
    case = Case("linear", ask, np.zeros(3), lambda: np.zeros(3), box=box)
    solution = run(SOLVERS[name](case, Stop()), ask)
    assert solution.reason.converged
    assert_array_equal(solution.point, [1.0, -1.0, 0.3])


@every_solver
@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_a_descent_without_end_does_not_converge(name: str, l1: float) -> None:
    """The second coordinate is ended by its bound, the third by nothing."""
    ask = ask_quadratic(np.diag([1.0, 0.0, 0.0]), np.array([3.0, -2.0, 1.0]))
    box = Box(np.array([-1.0, -1.0, 0.0]), np.array([1.0, np.inf, np.inf]))
    case = Case("endless", ask, np.zeros(3), lambda: np.zeros(3), np.full(3, l1), box=box)
    solution = run(SOLVERS[name](case, Stop(max_steps=20)), ask)
    assert not solution.reason.converged
    assert solution.point[1] == -1.0


@every_solver
def test_a_gradient_at_odds_with_the_values_is_no_decrease(name: str) -> None:
    quadratic = ask_quadratic(random_matrix(3, np.logspace(0, 3, 3)), np.ones(3))

    def ask(query: Query) -> Answer:
        answer = quadratic(query)
        return Answer(answer.value, -answer.first(), answer.hessian)

    box = Box(np.array([-5.0, 1.0, -5.0]), np.full(3, 5.0))
    case = Case("liar", ask, np.ones(3), lambda: np.ones(3), box=box)
    solution = run(SOLVERS[name](case, Stop()), ask)
    assert not solution.reason.converged
    assert max(np.diff(solution.history), default=0.0) <= 0


@pytest.mark.parametrize("make", [proximal_newton, owlqn])
def test_a_start_outside_is_refused_at_once(make: Callable[..., Solver]) -> None:
    box = Box(np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="outside the box"):
        make(np.array([0.5, 2.0]), np.zeros(2), box=box)
    with pytest.raises(ValueError, match="outside the box"):
        make(np.array([0.5, np.nan]), np.zeros(2), box=box)
    with pytest.raises(ValueError, match="2 coordinates cannot hold 3"):
        make(np.zeros(3), np.zeros(3), box=box)


@pytest.mark.parametrize(
    ("lower", "upper", "words"),
    [
        ([0.0, 1.0], [1.0, 0.5], "coordinate 1: 1.0 and 0.5"),
        ([np.nan, 0.0], [1.0, 1.0], "coordinate 0: nan"),
        ([0.0, np.inf], [1.0, np.inf], "coordinate 1: inf and inf"),
        ([0.0, -np.inf], [1.0, -np.inf], "coordinate 1: -inf and -inf"),
        ([0.0], [1.0, 1.0], r"shapes \(1,\) and \(2,\)"),
    ],
)
def test_a_box_that_holds_nothing_is_refused(
    lower: list[float], upper: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Box(np.array(lower), np.array(upper))


def test_a_box_knows_its_sides() -> None:
    box = Box(np.array([0.0, 0.0, -np.inf, 2.0]), np.array([1.0, 1.0, np.inf, 2.0]))
    point = np.array([0.0, 1.0, 5.0, 2.0])
    assert_array_equal(box.touches(point), [True, True, False, True])
    assert_array_equal(box.holds(point, np.full(4, 1.0)), [True, False, False, True])
    assert_array_equal(box.holds(point, np.full(4, -1.0)), [False, True, False, True])
    assert_array_equal(box.holds(point, np.zeros(4)), [False] * 4)
    assert_array_equal(box.room(point, np.array([0.5, -0.5, 3.0, 0.0])), [2.0, 2.0, np.inf, np.inf])
    assert_array_equal(box.clip(np.array([-1.0, 2.0, -9.0, 0.0])), [0.0, 1.0, -9.0, 2.0])
    assert box.bounded
    assert not Box.endless(3).bounded


@given(seed=st.integers(0, 2**32 - 1))
def test_a_step_to_a_bound_lands_on_it_to_the_bit(seed: int) -> None:
    """As p + (b - p) does not always, in float64."""
    rng = np.random.default_rng(seed)
    bound = rng.normal(size=100) * 10.0 ** rng.integers(-6, 6, 100)
    point = bound + rng.exponential(size=100) * 10.0 ** rng.integers(-6, 6, 100)
    below = Box(bound, np.full(100, np.inf))
    assert_array_equal(below.land(point, bound - point), bound)
    above = Box(np.full(100, -np.inf), -bound)
    assert_array_equal(above.land(-point, point - bound), -bound)
    halved = below.land(point, (bound - point) / 2)
    assert_array_equal(halved, below.clip(point + (bound - point) / 2))


def test_the_memory_of_some_coordinates_is_that_of_the_smaller_problem() -> None:
    rng = np.random.default_rng(0)
    matrix, free = random_matrix(1, np.linspace(1, 9, 6)), np.arange(6) % 3 > 0
    smaller = matrix[np.ix_(free, free)]
    whole, part = Curvature(), Curvature()
    for _ in range(4):
        step = rng.normal(size=6) * free
        whole.remember(step, matrix @ step)
        part.remember(step[free], smaller @ step[free])
    vector = rng.normal(size=6)
    applied = whole.within(free).apply(vector)
    assert_allclose(applied[free], part.apply(vector[free]), rtol=1e-12)
    assert_array_equal(applied[~free], np.zeros(2))


def test_the_table_has_every_kind_of_bound() -> None:
    boxes = [box_of(case) for case in BOUNDED]
    assert any((box.lower == box.upper).any() for box in boxes)
    assert any((box.lower > 0).any() and (box.upper < 0).any() for box in boxes)
    assert any(not box.bounded for box in boxes)
    assert random_box(np.random.default_rng(0), 50).bounded
    for case in BOUNDED:
        assert (
            violation(
                case.point, case.ask(Query(case.point, 1)).first(), case.weights, box_of(case)
            )
            < 1e-6
        ), case
