"""Every solver, every problem that it can do, and what it finds there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.solvers import Query, Solution, Solver, Stop, lbfgs, newton, owlqn, proximal_newton
from sparklr.solvers.descent import bfgs
from sparklr.solvers.proximal_bfgs import proximal_bfgs
from tests.problems import SMOOTH, WITH_L1, Ask, Case, ask_quadratic, random_matrix, run

TIGHT = Stop(relative=1e-11, absolute=1e-13, max_steps=1000)

Make = Callable[[Case, Stop], Solver]


def _curvature(case: Case) -> Array:
    """The Hessian at the start, and a little more where it is singular."""
    hessian = case.ask(Query(case.start, 2)).second()
    return hessian + np.eye(len(hessian)) * (1e-6 * np.trace(hessian) or 1.0)


def _diagonal(case: Case) -> Callable[[Array], Array]:
    diagonal = _curvature(case).diagonal()
    return lambda vector: vector / diagonal


def _inverse(case: Case) -> Callable[[Array], Array]:
    inverse = np.linalg.inv(_curvature(case))
    return lambda vector: inverse @ vector


SMOOTH_SOLVERS: dict[str, Make] = {
    "newton": lambda case, stop: newton(case.start, stop=stop),
    "newton with a guess": lambda case, stop: newton(case.start, guess=_curvature(case), stop=stop),
    "newton with a guess that leads too far": lambda case, stop: newton(
        case.start, guess=_curvature(case) / 100, stop=stop
    ),
    "lbfgs": lambda case, stop: lbfgs(case.start, stop=stop),
    "lbfgs diagonal": lambda case, stop: lbfgs(case.start, precondition=_diagonal(case), stop=stop),
    "bfgs": lambda case, stop: bfgs(case.start, stop=stop),
    "lbfgs inverse": lambda case, stop: lbfgs(case.start, precondition=_inverse(case), stop=stop),
}
L1_SOLVERS: dict[str, Make] = {
    "owlqn": lambda case, stop: owlqn(case.start, case.weights, stop=stop),
    "owlqn diagonal": lambda case, stop: owlqn(
        case.start, case.weights, precondition=_diagonal(case), stop=stop
    ),
    "proximal_newton": lambda case, stop: proximal_newton(case.start, case.weights, stop=stop),
    "proximal_newton with a guess": lambda case, stop: proximal_newton(
        case.start, case.weights, guess=_curvature(case), stop=stop
    ),
    "proximal_bfgs": lambda case, stop: proximal_bfgs(
        case.start, case.weights, _curvature(case), stop=stop
    ),
    "proximal_bfgs plain": lambda case, stop: proximal_bfgs(
        case.start, case.weights, np.diag(_curvature(case).diagonal()), stop=stop
    ),
}
SOLVERS = SMOOTH_SOLVERS | L1_SOLVERS
# What solves with an l1 term solves without one too.
PAIRS = [(case, name) for case in SMOOTH for name in SOLVERS]
PAIRS += [(case, name) for case in WITH_L1 for name in L1_SOLVERS]

every_pair = pytest.mark.parametrize(("case", "name"), PAIRS, ids=str)
every_solver = pytest.mark.parametrize("name", SOLVERS)

LOGISTIC = next(case for case in SMOOTH if case.name == "multinomial")


def plain_case(ask: Ask, start: Array) -> Case:
    """A case whose optimum is not asked for."""
    return Case("plain", ask, start, lambda: start)


def bowl(size: int = 3) -> Ask:
    """A quadratic that no solver but Newton's solves in few steps."""
    return ask_quadratic(random_matrix(3, np.logspace(0, 3, size)), np.ones(size))


@cache
def solved(case: Case, name: str) -> Solution:
    return run(SOLVERS[name](case, TIGHT), case.ask)
