"""Many solvers, one answer a round."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sparklr.solvers import (
    Answer,
    Query,
    Reason,
    Solution,
    Solver,
    lbfgs,
    lockstep,
    newton,
    owlqn,
    proximal_newton,
)
from tests.problems import CASES, Case, run


def make_solvers() -> dict[str, tuple[Case, Solver]]:
    """Fresh solvers of several kinds, for problems of several sizes and lengths."""
    made: dict[str, tuple[Case, Solver]] = {}
    for case in CASES:
        if case.l1 is None:
            made[f"{case} newton"] = case, newton(case.start)
            made[f"{case} lbfgs"] = case, lbfgs(case.start)
        else:
            made[f"{case} proximal_newton"] = case, proximal_newton(case.start, case.l1)
            made[f"{case} owlqn"] = case, owlqn(case.start, case.l1)
    return made


def count_rounds(case: Case, solver: Solver) -> tuple[Solution, int]:
    """A solver's solution and how many answers it took."""
    asked = 0

    def ask(query: Query) -> Answer:
        nonlocal asked
        asked += 1
        return case.ask(query)

    return run(solver, ask), asked


def run_together() -> tuple[dict[str, Solution], list[set[str]]]:
    """All solutions, and who asked in each round."""
    cases = {key: case for key, (case, _) in make_solvers().items()}
    rounds: list[set[str]] = []

    def answer(queries: Mapping[str, Query]) -> Mapping[str, Answer]:
        rounds.append(set(queries))
        return {key: cases[key].ask(query) for key, query in queries.items()}

    solvers = {key: solver for key, (_, solver) in make_solvers().items()}
    return lockstep(solvers, answer), rounds


@pytest.fixture(scope="module")
def together() -> tuple[dict[str, Solution], list[set[str]]]:
    return run_together()


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[Solution, int]]:
    return {key: count_rounds(case, solver) for key, (case, solver) in make_solvers().items()}


def test_solutions_equal_those_alone_to_the_bit(
    together: tuple[dict[str, Solution], list[set[str]]], alone: dict[str, tuple[Solution, int]]
) -> None:
    solutions, _ = together
    assert set(solutions) == set(alone)
    for key, (solution, _) in alone.items():
        assert_array_equal(solutions[key].point, solution.point)
        assert solutions[key].history == solution.history
        assert solutions[key].reason is solution.reason


def test_rounds_are_those_of_the_longest_and_not_the_sum(
    together: tuple[dict[str, Solution], list[set[str]]], alone: dict[str, tuple[Solution, int]]
) -> None:
    _, rounds = together
    counts = [count for _, count in alone.values()]
    assert len(rounds) == max(counts) < sum(counts)


def test_who_has_finished_asks_no_more(
    together: tuple[dict[str, Solution], list[set[str]]], alone: dict[str, tuple[Solution, int]]
) -> None:
    """Each solver asks in the first rounds, as many as it needs, and in no other."""
    _, rounds = together
    for key, (_, count) in alone.items():
        assert [key in askers for askers in rounds] == [i < count for i in range(len(rounds))]


def test_the_answer_is_asked_once_a_round_for_all_who_are_left() -> None:
    calls: list[list[int]] = []

    def countdown(rounds: int) -> Solver:
        for _ in range(rounds):
            yield Query(np.zeros(1), 0)
        return Solution(np.full(1, float(rounds)), (0.0,), Reason.CONVERGED)

    def answer(queries: Mapping[int, Query]) -> Mapping[int, Answer]:
        calls.append(sorted(queries))
        return {key: Answer(0.0) for key in queries}

    solutions = lockstep({n: countdown(n) for n in (3, 1, 0, 2)}, answer)
    assert calls == [[1, 2, 3], [2, 3], [3]]
    assert {n: float(solution.point[0]) for n, solution in solutions.items()} == {
        0: 0.0,
        1: 1.0,
        2: 2.0,
        3: 3.0,
    }


def test_each_solver_gets_its_own_answer() -> None:
    received: dict[str, float] = {}

    def echo(name: str) -> Solver:
        answer = yield Query(np.zeros(1), 0)
        received[name] = answer.value
        return Solution(np.zeros(1), (answer.value,), Reason.CONVERGED)

    values = {"a": 1.0, "b": 2.0, "c": 3.0}
    # The order of the answers is not that of the queries: only keys tell whose they are.
    lockstep(
        {name: echo(name) for name in values},
        lambda queries: {name: Answer(values[name]) for name in sorted(queries, reverse=True)},
    )
    assert received == values


def test_no_solvers_ask_nothing() -> None:
    def refuse(_: Mapping[str, Query]) -> Mapping[str, Answer]:
        raise AssertionError("nobody asked")

    assert lockstep({}, refuse) == {}


def test_an_error_inside_a_solver_is_not_hidden() -> None:
    def broken() -> Solver:
        yield Query(np.zeros(1), 0)
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        lockstep({0: broken()}, lambda queries: {key: Answer(0.0) for key in queries})
