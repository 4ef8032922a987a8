"""Where a solver gets stuck, another one goes on."""

from __future__ import annotations

import numpy as np

from sparklr.solvers import Reason, Stop, lbfgs, newton
from sparklr.solvers.fallback import with_fallback
from tests.problems import ask_quadratic, run


def test_another_solver_goes_on_from_where_the_first_got_stuck() -> None:
    """Newton finds no curvature in the second coordinate, in which the function falls for ever."""
    ask = ask_quadratic(np.diag([1.0, 0.0]), np.array([1.0, 1.0]))
    stop = Stop(max_steps=7)
    alone = run(newton(np.zeros(2), stop=stop), ask)
    assert alone.reason is Reason.SINGULAR
    both = run(
        with_fallback(newton(np.zeros(2), stop=stop), lambda at, left: lbfgs(at, stop=left), stop),
        ask,
    )
    assert both.reason is Reason.STEP_LIMIT
    assert both.steps == 7
    assert both.history[: len(alone.history)] == alone.history
    assert both.value < alone.value - 1


def test_a_solver_that_has_converged_is_left_alone() -> None:
    ask = ask_quadratic(np.eye(2), np.ones(2))
    stop = Stop()
    alone = run(newton(np.zeros(2), stop=stop), ask)
    both = run(
        with_fallback(newton(np.zeros(2), stop=stop), lambda at, left: lbfgs(at, stop=left), stop),
        ask,
    )
    assert both.history == alone.history
