"""From specs to coefficients: choose a solver for each problem and run all in lockstep.

Knows specs, problems, solvers and the protocol of a pass; not where rows live.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.linalg import LinAlgError

from sparklr.arrays import Array
from sparklr.blocks import Block
from sparklr.objective.moments import Moments
from sparklr.objective.sums import Probe
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import MEGABYTE, Passes, read_round
from sparklr.problem import Problem, SolverName, Spec
from sparklr.solvers import (
    Answer,
    BlockInverse,
    Preconditioner,
    Query,
    Solution,
    Solver,
    Stop,
    lbfgs,
    lockstep,
    newton,
    owlqn,
    proximal_newton,
)

log = logging.getLogger("sparklr")

Key = TypeVar("Key", bound=Hashable)

# Up to this many numbers a Hessian costs less than the passes it saves: 2 n p^2 flops against
# some ten readings of n p numbers.
HESSIAN_SIZE = 500
# With an L1 term, few coefficients are active at a time and a step is cheap at larger sizes too,
# where OWL-QN knows only a diagonal: so Hessians up to this size, if rows are few enough that
# each takes no more than so many multiplications.
SPARSE_HESSIAN_SIZE = 2_000
HESSIAN_WORK = 4e9
# Up to so many coefficients a margin the sample's Hessian is worth its Cholesky factor as a
# preconditioner; it is summed over so many rows that it takes no more multiplications than this.
PRECONDITIONER_SIZE = 3_000
PRECONDITIONER_WORK = 2e10
# Beyond this a Hessian on the driver would take more than half a gigabyte.
HESSIAN_LIMIT = 8_000
# Rows needed for each row of the sample before a start from the sample's optimum pays.
WARM_START_RATIO = 4


@dataclass(frozen=True, eq=False)
class Fit:
    """What came out: coefficients (C, p), intercepts (C,), the history and how it was got."""

    coefficients: Array
    intercepts: Array
    history: tuple[float, ...]
    solver: str
    reason: str
    converged: bool
    loss: float  # at the end, without penalty


def check_solver(spec: Spec) -> None:
    """Refuse a solver that cannot do what the penalty asks."""
    if spec.solver in ("newton", "l-bfgs") and spec.regParam * spec.elasticNetParam > 0:
        other = "proximal-newton" if spec.solver == "newton" else "owl-qn"
        raise ValueError(
            f"solver='{spec.solver}' needs a smooth penalty, but "
            f"elasticNetParam={spec.elasticNetParam:g} with regParam={spec.regParam:g} adds an "
            f"L1 term. Use solver='{other}' or 'auto', or set elasticNetParam=0."
        )
    if spec.solver in ("newton", "l-bfgs") and spec.bounds is not None:
        other = "proximal-newton" if spec.solver == "newton" else "owl-qn"
        raise ValueError(
            f"solver='{spec.solver}' cannot keep coefficients within bounds. Use "
            f"solver='{other}' or 'auto', or clear the bounds."
        )


def choose_solver(problem: Problem, rows: int) -> SolverName:
    """The solver a spec names, or the one its penalty and its size, on so many rows, ask for."""
    name = problem.spec.solver
    if name in ("newton", "proximal-newton") and problem.size > HESSIAN_LIMIT:
        raise ValueError(
            f"solver='{name}' holds a Hessian of {problem.size} x {problem.size} numbers on the "
            f"driver; the limit is {HESSIAN_LIMIT}. Use solver='auto'."
        )
    if name != "auto":
        return name
    if problem.penalty.smooth and problem.box is None:
        return "newton" if problem.size <= HESSIAN_SIZE else "l-bfgs"
    most = HESSIAN_SIZE if problem.penalty.smooth else SPARSE_HESSIAN_SIZE
    cheap = problem.size <= HESSIAN_SIZE or 2 * rows * problem.size**2 <= HESSIAN_WORK
    return "proximal-newton" if problem.size <= most and cheap else "owl-qn"


def constant_label_fit(spec: Spec, moments: Moments, classes: int) -> Fit | None:
    """The fit where only one label occurs and an intercept may run to infinity; else None."""
    if not spec.fitIntercept or len(moments.labels) != 1:
        return None
    label = int(moments.labels[0])
    if spec.family == "binomial":
        intercepts = np.array([np.inf if label == 1 else -np.inf])
    else:
        intercepts = np.where(np.arange(classes) == label, np.inf, 0.0)
    coefficients = np.zeros((len(intercepts), moments.features))
    if spec.bounds is not None:
        coefficients, within = spec.bounds.clip(coefficients, intercepts)
        if np.isfinite(within[np.isinf(intercepts)]).any():
            return None
        intercepts = within
    log.warning("All labels are %d: nothing is trained and the intercept is infinite.", label)
    why = "no training: all labels are equal"
    return Fit(coefficients, intercepts, (0.0,), "none", why, True, 0.0)


def _nothing_to_fit(problem: Problem, value: float) -> Fit:
    coefficients, intercepts = problem.coefficients(problem.start())
    why = "no training: no feature varies, and there is no intercept to fit"
    return Fit(coefficients, intercepts, (value,), "none", why, True, value)


def fit_all(
    specs: Mapping[Key, Spec], passes: Passes, classes: int, *, budget: int = 256 * MEGABYTE
) -> tuple[dict[Key, Fit], int]:
    """Fit every spec on the same rows, in lockstep; also the number of passes that took."""
    fits: dict[Key, Fit] = {}
    problems: dict[Key, Problem] = {}
    names: dict[Key, SolverName] = {}
    for key, spec in specs.items():
        check_solver(spec)
        known = constant_label_fit(spec, passes.moments, classes)
        if known is not None:
            fits[key] = known
            continue
        problem = Problem.of(spec, passes.moments, classes)
        value = problem.start_value()
        if problem.size == 0 and value is not None:
            fits[key] = _nothing_to_fit(problem, value)
            continue
        problems[key] = problem
        names[key] = choose_solver(problem, passes.moments.rows)
    solvers = {key: _begin(problems[key], names[key], passes, budget) for key in problems}
    solutions, readings = _run(solvers, problems, passes, budget)
    for key, solution in solutions.items():
        coefficients, intercepts = problems[key].coefficients(solution.point)
        fits[key] = Fit(
            coefficients,
            intercepts,
            solution.history,
            names[key],
            solution.reason.value,
            solution.reason.converged,
            problems[key].loss(solution.point, solution.history[-1]),
        )
        log.info("%s: %d steps, %s", names[key], solution.steps, solution.reason.value)
    return {key: fits[key] for key in specs}, readings


def _run(
    solvers: Mapping[Key, Solver], problems: Mapping[Key, Problem], passes: Passes, budget: int
) -> tuple[dict[Key, Solution], int]:
    """Run solvers in lockstep over passes; also the number of readings."""
    readings = 0

    def answer(queries: Mapping[Key, Query]) -> Mapping[Key, Answer]:
        nonlocal readings
        probes: dict[Key, Probe] = {key: problems[key].probe(q) for key, q in queries.items()}
        sums, count = read_round(passes, list(probes.values()), budget)
        readings += count
        return {
            key: problems[key].answer(queries[key], its)
            for key, its in zip(probes, sums, strict=True)
        }

    return lockstep(solvers, answer), readings


def _begin(problem: Problem, name: SolverName, passes: Passes, budget: int) -> Solver:
    """The solver of a problem, from the start that promises the fewest passes."""
    spec = problem.spec
    stop = Stop(relative=1e-3 * spec.tol, absolute=1e-4 * spec.tol, max_steps=spec.maxIter)
    start, value = problem.start(), problem.start_value()
    warm = start
    sample = LocalPasses((passes.sample,), passes.moments, passes.sample)
    # A sample with fewer rows than coefficients is fitted by much that does not fit the rest.
    known = max(passes.sample.rows, 1)
    enough = passes.moments.rows >= WARM_START_RATIO * known and known >= problem.size
    if enough and spec.maxIter > 0 and spec.initial is None and value is not None:
        warm = _sample_optimum(problem, name, sample, budget)
    precondition = _precondition(problem, name, passes.sample, warm, whole=True)
    make = _maker(problem, name, precondition)
    if warm is start or value is None:
        return make(start, stop)
    return _warm_started(problem, make, warm, value, stop)


def _maker(
    problem: Problem, name: SolverName, precondition: Preconditioner
) -> Callable[[Array, Stop], Solver]:
    l1, box = problem.penalty.l1, problem.box
    if name == "newton":
        return lambda start, stop: newton(start, stop=stop)
    if name == "proximal-newton":
        return lambda start, stop: proximal_newton(start, l1, box=box, stop=stop)
    if name == "l-bfgs":
        return lambda start, stop: lbfgs(start, precondition=precondition, stop=stop)
    return lambda start, stop: owlqn(start, l1, box=box, precondition=precondition, stop=stop)


def _sample_optimum(problem: Problem, name: SolverName, sample: LocalPasses, budget: int) -> Array:
    """The optimum of the sample alone, to rough accuracy: its error is the sampling error."""
    on_sample = problem.on_weight(sample.blocks[0].total_weight)
    precondition = _precondition(problem, name, sample.sample, problem.start(), whole=False)
    solver = _maker(problem, name, precondition)(problem.start(), Stop(1e-6, 1e-8, 50))
    solutions, _ = _run({0: solver}, {0: on_sample}, sample, budget)
    return solutions[0].point


def _precondition(
    problem: Problem, name: SolverName, sample: Block, point: Array, *, whole: bool
) -> Preconditioner:
    """The inverse of the sample's Hessian, or of its block for each margin, or of a diagonal.

    The whole costs as many times the blocks as there are margins, and saves passes. OWL-QN
    factors it anew in every step, which only passes over all rows are worth.
    """
    diagonal = problem.start_curvature()
    width = problem.scaling.shape[1]
    factored = name == "l-bfgs" or (name == "owl-qn" and whole)
    if factored and width <= PRECONDITIONER_SIZE:
        whole = whole and problem.size <= PRECONDITIONER_SIZE
        work = sample.rows * problem.size * (problem.size if whole else width)
        # The sample's rows lie in the order they came in: every so-many-th is a sample too.
        rows = sample.take(slice(None, None, max(1, round(work / PRECONDITIONER_WORK))))
        try:
            return BlockInverse(problem.curvature_blocks(point, rows, whole=whole))
        except LinAlgError:
            log.info("the sample's curvature is singular: preconditioned by a diagonal")
    return lambda vector: vector / diagonal


def _warm_started(
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
