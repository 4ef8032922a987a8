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
from dataclasses import dataclass, replace
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
    held : the loss of rows that the user has held out, in the places of `history`, if there are any
    place : that of the point in the history
    """

    point: Array
    history: tuple[float, ...]
    rate: float
    seen: Seen
    converged: bool
    diverged: bool = False
    held: tuple[float, ...] = ()
    place: int = -1


Descending: TypeAlias = Generator[Look | Epoch, Seen | Ended, Descent]


def sgd(
    start: Array,
    rates: Array,
    epochs: int,
    tol: float,
    *,
    adagrad: bool,
    patience: int | None = None,
) -> Descending:
    """Descend from a start (q, C) at the best of some ascending rates, in at most so many epochs.

    If the objective ends above its start at every rate, the start is the end. With `patience` the
    user has held rows out: these judge the rates, and the best of all epochs is the end, even so.
    """
    descending = _descend(start, rates, epochs, tol, adagrad=adagrad)
    if patience is None:
        return (yield from descending)
    return (yield from _stopped_early(descending, start.shape[1], patience))


def _descend(start: Array, rates: Array, epochs: int, tol: float, *, adagrad: bool) -> Descending:
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


@dataclass(frozen=True, eq=False)
class _Path:
    """The objectives and held-out losses of one rate so far, and its best point by the latter."""

    best: Array
    history: tuple[float, ...]
    held: tuple[float, ...]

    @property
    def place(self) -> int:
        return int(np.argmin(np.where(np.isnan(self.held), np.inf, self.held)))

    @property
    def waited(self) -> int:
        """How many epochs have followed the best one."""
        return len(self.held) - 1 - self.place

    def to(self, point: Array, value: float, held: float) -> _Path:
        """Return the path with one more epoch."""
        longer = _Path(point, (*self.history, value), (*self.held, held))
        return longer if longer.waited == 0 else replace(longer, best=self.best)


def _stopped_early(descending: Descending, margins: int, patience: int) -> Descending:
    """Return the best of all epochs by held-out rows; once `patience` more are no better, end.

    It does not end while rates are compared.
    """
    paths: dict[float, _Path] = {}
    epoch: Epoch | None = None
    moved = True  # a second look at the same points is no epoch
    question = next(descending)
    while True:
        answer = yield question
        if isinstance(question, Epoch):
            epoch, moved = question, True
        elif isinstance(answer, Seen) and moved:
            paths, moved = _longer(paths, epoch, question.points, answer, margins), False
            (rate, path), *others = paths.items()
            if not others and path.waited >= patience:
                descending.close()
                return (yield from _best_of(path, rate, converged=False))
        try:
            question = descending.send(answer)
        except StopIteration as finished:
            found: Descent = finished.value
            path = paths[found.rate] if found.rate in paths else paths[0.0]
            if found.diverged and path.place == 0:
                return replace(found, held=(float(found.seen.held[0]),), place=0)
            return (yield from _best_of(path, found.rate, converged=found.converged))


def _longer(
    paths: dict[float, _Path], epoch: Epoch | None, points: Array, seen: Seen, margins: int
) -> dict[float, _Path]:
    """Return the paths by rate after one more look; that of all rates begins at rate 0."""
    if epoch is None:
        return {0.0: _Path(points, (float(seen.values[0]),), (float(seen.held[0]),))}
    longer = {}
    for at, rate in enumerate(map(float, epoch.rates)):
        point = points[:, at * margins : (at + 1) * margins]
        path = paths[0.0] if 0.0 in paths else paths[rate]
        longer[rate] = path.to(point, float(seen.values[at]), float(seen.held[at]))
    return longer


def _best_of(
    path: _Path, rate: float, *, converged: bool
) -> Generator[Look | Epoch, Seen | Ended, Descent]:
    seen = yield from _look(path.best, held_out=False)
    converged = converged and path.waited == 0
    return Descent(path.best, path.history, rate, seen, converged, held=path.held, place=path.place)


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


def columns_of(rates: IntArray, margins: int) -> IntArray:
    """Return the columns (K' C,) of some rates, by their places (K',)."""
    return np.asarray((rates[:, None] * margins + np.arange(margins)).ravel())


def _of_rates(
    kept: IntArray, margins: int, points: Array, squares: Array, seen: Seen
) -> tuple[Array, Array, Seen]:
    """Return the columns of some rates."""
    columns = columns_of(kept, margins)
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
