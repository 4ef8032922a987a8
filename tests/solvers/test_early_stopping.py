"""Early stopping of every solver: the iterates are the solver's own, and the best is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query, Reason, Solver, Stop
from sparklr.solvers.descent import gd
from sparklr.solvers.early_stopping import stopped_early
from sparklr.solvers.proximal_bfgs import proximal_bfgs
from tests.problems import SMOOTH, Ask, Case, run
from tests.solvers.every import SOLVERS

CASE = next(case for case in SMOOTH if case.name == "binomial weighted without intercept")
# Their solvers refuse some trials.
ROUGH = next(case for case in SMOOTH if case.name == "binomial stretched")
WITH_TRIALS = next(case for case in SMOOTH if case.name == "dummies")
STOP = Stop(max_steps=60)
EACH: dict[str, Callable[[Case, Stop], Solver]] = {
    **SOLVERS,
    "proximal_bfgs from too little curvature": lambda case, stop: proximal_bfgs(
        case.start, case.weights, 1e-3 * np.eye(len(case.start)), stop=stop
    ),
    "gd bb": lambda case, stop: gd(case.start, stop=stop),
    "gd armijo": lambda case, stop: gd(case.start, rule="armijo", stop=stop),
    "gd accelerated": lambda case, stop: gd(case.start, rule="accelerated", stop=stop),
    "gd fixed": lambda case, stop: gd(case.start, rule="fixed", rate=0.5, stop=stop),
}
every_solver = pytest.mark.parametrize("name", EACH)


def far(point: Array) -> float:
    """A held-out loss whose least is half way between the start and the optimum."""
    return float(np.sum((point - (CASE.start + CASE.point) / 2) ** 2))


def judged(loss: Callable[[Array], float], case: Case = CASE) -> Ask:
    return lambda query: replace(case.ask(query), held=loss(query.point))


@pytest.mark.parametrize("case", [CASE, ROUGH, WITH_TRIALS], ids=str)
@every_solver
def test_iterates_are_those_of_the_solver(name: str, case: Case) -> None:
    plain = run(EACH[name](case, STOP), case.ask)
    falling = judged(lambda point: float(np.sum((point - plain.point) ** 2)), case)
    l1 = np.zeros(len(case.start))
    found = run(stopped_early(EACH[name](case, STOP), l1, 1_000), falling)
    assert found.history == plain.history
    assert found.held[found.place] == min(found.held) == 0.0
    assert_array_equal(found.point, plain.point)
    # Gradient descent may end above the best of its iterates.
    assert found.reason is (plain.reason if found.place == plain.steps else Reason.HELD_OUT)


@every_solver
def test_the_best_iterate_is_chosen_and_patience_ends_the_fit(name: str) -> None:
    for patience in (1, 3):
        asked: list[Query] = []

        def ask(query: Query, asked: list[Query] = asked) -> Answer:
            asked.append(query)
            return judged(far)(query)

        found = run(stopped_early(EACH[name](CASE, STOP), np.zeros(5), patience), ask)
        assert far(found.point) == min(found.held) == found.held[found.place]
        assert found.value == pytest.approx(CASE.total(found.point), rel=1e-14)
        waited = len(found.held) - 1 - found.place
        assert 0 < waited <= patience
        assert found.reason is Reason.HELD_OUT
        if waited == patience and name.startswith("gd"):
            assert len(asked) <= len(found.held) + 4  # nothing is read once it has ended
    assert len(found.history) == len(found.held)


def test_a_loss_that_never_falls_keeps_the_start() -> None:
    ask = judged(lambda point: 1.0 + float(np.sum((point - CASE.start) ** 2)))
    found = run(stopped_early(gd(CASE.start, stop=STOP), np.zeros(5), 2), ask)
    assert (found.place, len(found.held)) == (0, 3)
    assert found.point is CASE.start


def test_a_fit_that_cannot_start_is_told_as_ever() -> None:
    ask: Ask = lambda _: Answer(np.inf, np.zeros(5), held=1.0)  # noqa: E731
    found = run(stopped_early(gd(CASE.start, stop=STOP), np.zeros(5), 2), ask)
    assert found.reason is Reason.NOT_FINITE
