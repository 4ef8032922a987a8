"""Solvers in lockstep over the passes: each round is one reading that answers all who ask."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.sums import Probe
from sparklr.passes.protocol import Passes, read_round
from sparklr.passes.threads import one_blas_thread
from sparklr.solvers import Answer, Query, Solution, Solver, Stop, lockstep

Key = TypeVar("Key", bound=Hashable)


def stop_of(spec: Spec) -> Stop:
    """When a fit may stop: what `tol` and `maxIter` mean."""
    return Stop(relative=1e-3 * spec.tol, absolute=1e-4 * spec.tol, max_steps=spec.maxIter)


def run_solvers(
    solvers: Mapping[Key, Solver],
    problems: Mapping[Key, Problem],
    passes: Passes,
    budget: int,
    report: Callable[[int, int, float, float], None] | None = None,
) -> tuple[dict[Key, Solution], int]:
    """Run solvers in lockstep over passes; also the number of readings.

    After each round `report` hears of that number, how many asked, and the objective and KKT
    residual of the one that is furthest from its optimum.
    """
    readings = 0

    def answer(queries: Mapping[Key, Query]) -> Mapping[Key, Answer]:
        nonlocal readings
        probes: dict[Key, Probe] = {key: problems[key].probe(q) for key, q in queries.items()}
        sums, count = read_round(passes, list(probes.values()), budget)
        readings += count
        answers = {
            key: problems[key].answer(queries[key], its)
            for key, its in zip(probes, sums, strict=True)
        }
        if report is not None:
            each = [problems[key].standing(queries[key], its) for key, its in answers.items()]
            report(readings, len(each), *max(each, key=lambda its: its[1]))
        return answers

    # The driver's own algebra is small or runs beside Spark: BLAS threads would wait for a core.
    with one_blas_thread():
        return lockstep(solvers, answer), readings


def warm_started(
    problem: Problem,
    make: Callable[[Array, Stop], Solver],
    warm: Array,
    first: float,
    stop: Stop,
) -> Solver:
    """A solver that begins at `warm`, or at the plain start if that should be the better one.

    The history begins with `first`, the plain start's value, as if it had stepped from there.
    """
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
