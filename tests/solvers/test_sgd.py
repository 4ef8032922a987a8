"""The choice of a rate and the end of a descent, with answers made by hand: no rows are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.solvers.sgd import Descent, Ended, Epoch, Look, Seen, better_rates, rate_grid, sgd

BEST = 0.5  # the rate that comes nearest to the minimum, at zero


def halve(epoch: Epoch, rate: float) -> float:
    """Steps on x^2 / 2 that leave x (1 - rate / BEST)."""
    del epoch
    return 1 - rate / BEST + 0.01


def run(
    rates: list[float], epochs: int, left: Callable[[Epoch, float], float] = halve, **changes: Any
) -> tuple[Descent, list[Look | Epoch]]:
    """Descend on x^2 / 2 from x = 2; a step at a rate leaves so much of x."""
    options: dict[str, Any] = {"adagrad": False, "tol": 1e-9, **changes}
    asked: list[Look | Epoch] = []
    solver = sgd(np.full((1, 1), 2.0), np.array(rates), epochs, options.pop("tol"), **options)
    question = next(solver)
    while True:
        asked.append(question)
        reply: Seen | Ended
        if isinstance(question, Look):
            x = question.points
            reply = Seen(x[0] ** 2 / 2, x[0] ** 2 / 2, x, np.abs(x[0]))
        else:
            factors = np.array([left(question, float(rate)) for rate in question.rates])
            points = np.tile(question.points, (1, len(factors) // question.points.shape[1]))
            reply = Ended(points * factors, question.squares)
        try:
            question = solver.send(reply)
        except StopIteration as finished:
            return finished.value, asked


def test_the_better_half_of_the_rates_remains_after_each_epoch() -> None:
    rates = [0.01, 0.1, 0.3, 0.5, 0.8, 0.9]
    found, asked = run(rates, 6)
    epochs = [its for its in asked if isinstance(its, Epoch)]
    assert [list(its.rates) for its in epochs[:4]] == [rates, [0.3, 0.5, 0.8], [0.3, 0.5], [0.5]]
    assert found.rate == 0.5
    assert_allclose(found.history, 2 * 0.01 ** (2 * np.arange(len(found.history))), rtol=1e-9)


def test_rows_are_held_out_only_while_rates_are_compared() -> None:
    _, asked = run([0.3, 0.5, 0.7, 0.9], 4)
    assert [its.held_out for its in asked if isinstance(its, Epoch)] == [True, True, False, False]
    # The gradient of all rows is read anew for the first epoch in which all rows take part.
    assert [its.held_out for its in asked if isinstance(its, Look)] == 3 * [True] + 3 * [False]


def test_a_single_rate_takes_two_readings_per_epoch_and_one_at_the_start() -> None:
    found, asked = run([0.3], 3)
    assert len(asked) == 7
    assert not any(its.held_out for its in asked)
    assert not found.converged
    assert found.rate == 0.3


def test_it_ends_where_the_gradient_is_within_the_tolerance() -> None:
    found, _ = run([0.5], 50, tol=1e-3)
    assert found.converged
    assert len(found.history) == 3
    assert abs(found.point[0, 0]) <= 1e-3


def test_the_last_epoch_leaves_one_rate() -> None:
    found, asked = run([0.01, 0.1, 0.5, 0.6, 0.7], 1)
    assert found.rate == 0.5
    assert len(found.history) == 2
    assert isinstance(asked[-1], Look)
    assert not asked[-1].held_out


def test_no_epoch_leaves_the_start() -> None:
    found, asked = run([0.1, 0.5], 0)
    assert found.point == 2.0
    assert found.history == (2.0,)
    assert len(asked) == 1


def test_adagrad_begins_with_a_plain_epoch() -> None:
    for adagrad in (False, True):
        _, asked = run([0.3], 3, adagrad=adagrad)
        corrected = [its.corrected for its in asked if isinstance(its, Epoch)]
        assert corrected == [not adagrad, True, True]


def test_rates_that_diverge_are_dropped_although_their_held_out_loss_is_best() -> None:
    nothing = np.zeros((1, 4))
    values, held = np.array([1.0, 3.0, np.nan, 1.5]), np.array([0.9, 0.1, np.nan, 0.8])
    seen = Seen(values, held, nothing, nothing[0])
    assert list(better_rates(seen, 2.0, last=False)) == [0, 3]
    assert list(better_rates(seen, 2.0, last=True)) == [3]
    assert list(better_rates(seen, 0.5, last=False)) == [0]  # the least, if all have


@pytest.mark.parametrize("factor", [3.0, np.nan, np.inf])
def test_if_all_rates_diverge_the_start_is_the_end(factor: float) -> None:
    found, _ = run([0.1, 1.0], 5, left=lambda *_: factor)
    assert found.point == 2.0
    assert found.diverged
    assert found.seen.values == 2.0
    assert found.history == (2.0,)
    assert found.rate == 0.1
    assert not found.converged


def test_the_best_epoch_by_users_rows_is_the_end_although_the_last_ones_diverge() -> None:
    def left(epoch: Epoch, _: float) -> float:
        return 0.1 if epoch.number == 0 else 100.0

    found, _ = run([1.0], 3, left=left, patience=5)
    assert not found.diverged
    assert not found.converged
    assert (found.place, len(found.history)) == (1, 4)
    assert_allclose(found.point, 0.2)


def test_a_rate_that_rises_at_first_may_recover_if_it_is_the_only_one() -> None:
    def left(epoch: Epoch, _: float) -> float:
        return 2.0 if epoch.number == 0 else 0.1

    found, _ = run([1.0], 4, left=left)
    assert found.history[1] > found.history[0] > found.history[-1]


def test_grids_are_even_by_logarithm() -> None:
    for adagrad in (False, True):
        grid: Array = rate_grid(adagrad)
        assert len(grid) == 16
        assert_allclose(grid[1:] / grid[:-1], grid[1] / grid[0], rtol=1e-12)
    assert len(rate_grid(True, 3)) == 3
