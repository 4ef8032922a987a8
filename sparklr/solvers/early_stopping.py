"""Early stopping: a fit ends once its iterates stop to improve on held-out rows.

Each answer to a solver also has the loss of the held-out rows at its point. The solution is the
iterate x_m with the least of these losses h_m, and the fit ends at the iterate

    n = m + patience,    m = argmin_{k <= n} h_k

or where the solver itself ends. Held-out rows are in no sum that the solver sees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.protocol import Answer, Query, Reason, Solution, Solver


class Iterates:
    """The iterates of a solver as far as its queries tell them: objectives and held-out losses."""

    def __init__(self, l1: Array) -> None:
        self.history: list[float] = []
        self.held: list[float] = []
        self._l1 = l1
        self._here: Array | None = None
        self._trials: list[tuple[Array, Answer]] = []  # since the solver came to `_here`
        self._best: Array | None = None

    def add(self, query: Query, answer: Answer) -> None:
        """Add an answer; its point is the next iterate, or may turn out to be."""
        self._trials.append((query.point, answer))
        if query.at is None:
            self.move(query.point)

    def move(self, point: Array) -> None:
        """Note that the solver is at a point that it has asked for."""
        found = next((there for trial, there in self._trials if trial is point), None)
        if point is self._here or found is None or found.held is None:
            return
        if not self.held or found.held < min(self.held):
            self._best = point
        self._here, self._trials = point, []
        self.history.append(self._total(point, found))
        self.held.append(found.held)

    def end(self, history: Sequence[float]) -> None:
        """Note the last step of the solver's history, which no query has told."""
        if len(history) > len(self.history):
            for point, there in self._trials:
                if self._total(point, there) == history[-1]:
                    self.move(point)
                    return

    def _total(self, point: Array, answer: Answer) -> float:
        return answer.value + float(self._l1 @ np.abs(point))

    @property
    def waited(self) -> int:
        """How many iterates have followed the best one."""
        return len(self.held) - 1 - int(np.argmin(self.held)) if self.held else 0

    def solution(self, reason: Reason) -> Solution:
        """Return the best iterate; `reason` is why the solver stopped, if that is the last one."""
        if self._best is None:
            raise LookupError("no answer had the loss of the held-out rows")
        place = int(np.argmin(self.held))
        reason = Reason.HELD_OUT if self.waited else reason
        return Solution(self._best, tuple(self.history), reason, held=tuple(self.held), place=place)


def stopped_early(solver: Solver, l1: Array, patience: int) -> Solver:
    """Return the best iterate on held-out rows; end once `patience` more are no better."""
    iterates = Iterates(l1)
    query = next(solver)
    while True:
        answer = yield query
        iterates.add(query, answer)
        if iterates.waited >= patience:
            break
        try:
            query = solver.send(answer)
        except StopIteration as finished:
            ended: Solution = finished.value
            iterates.end(ended.history)
            return iterates.solution(ended.reason) if iterates.held else ended
        iterates.move(query.point if query.at is None else query.at)
        if iterates.waited >= patience:
            break
    solver.close()
    return iterates.solution(Reason.HELD_OUT)
