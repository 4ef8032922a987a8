"""Run many solvers at once: every round answers the queries of all running solvers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from sparklr.solvers.protocol import Answer, Query, Solution, Solver

Key = TypeVar("Key", bound=Hashable)


def lockstep(
    solvers: Mapping[Key, Solver],
    answer: Callable[[Mapping[Key, Query]], Mapping[Key, Answer]],
) -> dict[Key, Solution]:
    """Advance all solvers together; `answer` is called once per round with all queries."""
    solutions: dict[Key, Solution] = {}
    answers: Mapping[Key, Answer | None] = dict.fromkeys(solvers)  # None starts a generator
    while answers:
        queries: dict[Key, Query] = {}
        for key, reply in answers.items():
            try:
                queries[key] = solvers[key].send(reply)  # type: ignore[arg-type]
            except StopIteration as finished:
                solutions[key] = finished.value
        answers = answer(queries) if queries else {}
    return solutions
