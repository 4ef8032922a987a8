"""Solvers in lockstep over the passes: one reading per round answers all running solvers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.sums import Probe
from sparklr.passes.protocol import Passes, read_round
from sparklr.solvers import Answer, Query, Solution, Solver, Stop, lockstep

Key = TypeVar("Key", bound=Hashable)
Report: TypeAlias = Callable[[int, int, float, float], None]


def stop_of(spec: Spec) -> Stop:
    """Return the stopping rule that `tol` and `maxIter` stand for."""
    return Stop(relative=1e-3 * spec.tol, absolute=1e-4 * spec.tol, max_steps=spec.maxIter)


def run_solvers(
    solvers: Mapping[Key, Solver],
    problems: Mapping[Key, Problem],
    passes: Passes,
    budget: int,
    report: Report | None = None,
) -> tuple[dict[Key, Solution], int]:
    """Run solvers in lockstep over passes; return the solutions and the number of readings.

    After each round `report` is called with the readings so far, the number of running solvers,
    and the objective and KKT residual of the solver with the largest residual.
    """
    readings = 0

    def answer(queries: Mapping[Key, Query]) -> Mapping[Key, Answer]:
        nonlocal readings
        answers, count = answer_round(queries, problems, passes, budget)
        readings += count
        if report is not None:
            each = [problems[key].standing(queries[key], its) for key, its in answers.items()]
            report(readings, len(each), *max(each, key=lambda its: its[1]))
        return answers

    return lockstep(solvers, answer), readings


def answer_round(
    queries: Mapping[Key, Query], problems: Mapping[Key, Problem], passes: Passes, budget: int
) -> tuple[dict[Key, Answer], int]:
    """Return the answers to queries, with the losses of held-out rows, and the readings made."""
    probes: dict[Key, Probe] = {key: problems[key].probe(q) for key, q in queries.items()}
    judges = {key: problems[key].held_probe(q) for key, q in queries.items()}
    held = {key: its for key, its in judges.items() if its is not None}
    sums, count = read_round(passes, [*probes.values(), *held.values()], budget)
    answers = {
        key: problems[key].answer(queries[key], its)
        for key, its in zip(probes, sums[: len(probes)], strict=True)
    }
    for key, its in zip(held, sums[len(probes) :], strict=True):
        answers[key] = problems[key].with_held(answers[key], its)
    return answers, count


def warm_started(
    problem: Problem,
    make: Callable[[Array, Stop], Solver],
    warm: Array,
    first: float | None,
    stop: Stop,
) -> Solver:
    """Run a solver from `warm`, or from the plain start if its objective is not higher.

    The history begins with `first`, the objective at the plain start, as if the first step had
    led from there to `warm`. If it is None, that objective would take a pass over the rows: then
    the solver runs from `warm`, whose objective is the first.
    """
    if first is None:
        return (yield from make(warm, stop))
    solver = make(warm, replace(stop, max_steps=stop.max_steps - 1))
    query = next(solver)
    answer = yield query
    if not answer.value + float(problem.penalty.l1 @ np.abs(warm)) < first:
        solver.close()
        return (yield from make(problem.start(), stop))
    while True:
        try:
            query = solver.send(answer)
        except StopIteration as finished:
            solution: Solution = finished.value
            return Solution(solution.point, (first, *solution.history), solution.reason)
        answer = yield query
