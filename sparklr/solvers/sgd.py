"""Stochastic gradient descent on blocks of rows: which epochs to make, and with which rates.

A generator like the other solvers, with questions of its own kind. It yields a `Look`, is sent the
`Seen` there; it yields an `Epoch`, and is sent the points after it. Points and gradients have
columns for K rates of C margins each, (q, K C).

Rates are compared by the loss of rows that are held out. After each epoch the better half of the
rates remains; those by which the objective rose above its start are dropped first. Once a single
rate is left, no row is held out any longer, so that the last epochs see all rows.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sparklr.arrays import Array, IntArray

# The rates that "auto" compares, from the least to the largest, of plain and of Adagrad's steps.
PLAIN, ADAGRAD, RATES = (1e-2, 1e2), (1e-2, 1e1), 16


def rate_grid(adagrad: bool, count: int = RATES) -> Array:
    """Return the rates that are compared, ascending: the same distance apart by logarithm."""
    return np.geomspace(*(ADAGRAD if adagrad else PLAIN), count)


@dataclass(frozen=True, eq=False)
class Look:
    """A question for the objective at some points; `held_out`: whether rows are held out."""

    points: Array
    held_out: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """The answer to a `Look`.

    values : (K,), the objective of all rows
    held : (K,), the mean loss of the rows held out, or of all rows if there are none
    gradient : (q, K C), of the objective of the rows that are not held out
    residuals : (K,), its largest entries in units of standardised features
    """

    values: Array
    held: Array
    gradient: Array
    residuals: Array


@dataclass(frozen=True, eq=False)
class Epoch:
    """A question for where one epoch at these rates (K,) ends.

    points, gradient : where it begins, (q, K C), or (q, C) for all rates
    squares : (q, K C), of Adagrad
    held_out : whether rows are held out
    corrected : whether steps follow the gradient of all rows
    """

    number: int
    rates: Array
    points: Array
    gradient: Array
    squares: Array
    held_out: bool
    corrected: bool


@dataclass(frozen=True, eq=False)
class Ended:
    """The answer to an `Epoch`: points and squares, (q, K C)."""

    points: Array
    squares: Array


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    history : the objective at the start and after each epoch, at the rate that was kept
    rate : that rate
    seen : the answer at the point, of all rows
    converged : whether no entry of the gradient exceeds the tolerance
    diverged : whether the objective rose at every rate, so that the start is the end
    """

    point: Array
    history: tuple[float, ...]
    rate: float
    seen: Seen
    converged: bool
    diverged: bool = False


Descending: TypeAlias = Generator[Look | Epoch, Seen | Ended, Descent]


def sgd(start: Array, rates: Array, epochs: int, tol: float, *, adagrad: bool) -> Descending:
    """Descend from a start (q, C) at the best of some ascending rates, in at most so many epochs.

    If the objective ends above its start at every rate, the start is the end.
    """
    points, squares = start, np.zeros((len(start), start.shape[1] * len(rates)))
    seen = yield from _look(points, len(rates) > 1 and epochs > 0)
    history = np.full((1, len(rates)), seen.values[0])
    for number in range(epochs):
        held_out = len(rates) > 1
        if not held_out and seen.residuals[0] <= tol:
            break
        # Adagrad's first epoch finds how large gradients are, which corrected ones do not tell.
        corrected = number > 0 or not adagrad
        points, squares = yield from _walk(
            Epoch(number, rates, points, seen.gradient, squares, held_out, corrected)
        )
        seen = yield from _look(points, held_out)
        history = np.vstack((history, seen.values))
        if held_out:
            kept = better_rates(seen, history[0, 0], last=number == epochs - 1)
            rates, history = rates[kept], history[:, kept]
            points, squares, seen = _of_rates(kept, start.shape[1], points, squares, seen)
            if len(kept) == 1:
                seen = yield from _look(points, held_out=False)
        if not np.isfinite(seen.values[0]):
            break
    values = tuple(float(value) for value in history[:, 0])
    if not values[-1] <= values[0]:
        seen = yield from _look(start, held_out=False)
        return Descent(start, values[:1], float(rates[0]), seen, False, diverged=True)
    return Descent(points, values, float(rates[0]), seen, bool(seen.residuals[0] <= tol))


def better_rates(seen: Seen, limit: float, *, last: bool) -> IntArray:
    """Return the places of the better half of the rates, ascending; of the best if it is `last`.

    Rates at which the objective is no number, or above `limit`, are dropped. If all are, the least
    rate is left.
    """
    good = np.flatnonzero(seen.values <= limit)
    if not len(good):
        return np.zeros(1, dtype=np.int64)
    most = 1 if last else -(-len(seen.values) // 2)
    return np.sort(good[np.argsort(seen.held[good], kind="stable")[:most]])


def _of_rates(
    kept: IntArray, margins: int, points: Array, squares: Array, seen: Seen
) -> tuple[Array, Array, Seen]:
    """Return the columns of some rates."""
    columns = (kept[:, None] * margins + np.arange(margins)).ravel()
    inner = Seen(
        seen.values[kept], seen.held[kept], seen.gradient[:, columns], seen.residuals[kept]
    )
    return points[:, columns], squares[:, columns], inner


def _look(points: Array, held_out: bool) -> Generator[Look | Epoch, Seen | Ended, Seen]:
    answer = yield Look(points, held_out)
    assert isinstance(answer, Seen)
    return answer


def _walk(epoch: Epoch) -> Generator[Look | Epoch, Seen | Ended, tuple[Array, Array]]:
    answer = yield epoch
    assert isinstance(answer, Ended)
    return answer.points, answer.squares
