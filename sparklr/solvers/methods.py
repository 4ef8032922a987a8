"""The solvers by name: what each can do, and how it is made.

Whatever must know which solvers there are reads this table: the Param `solver` and its texts, the
check that a solver can do what a penalty asks, the choice of one, and how much it keeps. A new
solver is a file of its own and one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.curvature import Preconditioner, identity
from sparklr.solvers.fallback import with_fallback
from sparklr.solvers.lbfgs import lbfgs
from sparklr.solvers.newton import newton, proximal_newton
from sparklr.solvers.owlqn import owlqn
from sparklr.solvers.protocol import Solver, Stop

MethodName: TypeAlias = Literal["newton", "l-bfgs", "proximal-newton", "owl-qn"]
SolverName: TypeAlias = Literal["auto", "newton", "l-bfgs", "proximal-newton", "owl-qn"]


@dataclass(frozen=True, eq=False)
class Task:
    """What a solver may need to know of a problem, besides the answers to its queries."""

    l1: Array  # weights of the absolute values
    box: Box | None  # bounds
    curvature: Array  # of each coordinate at the plain start, known without a query
    precondition: Preconditioner = identity

    @staticmethod
    def smooth(size: int) -> Task:
        """The plainest task: neither absolute values nor bounds."""
        return Task(np.zeros(size), None, np.ones(size))


class Make(Protocol):
    """Makes a solver that goes from a start towards the optimum of a task."""

    def __call__(self, task: Task, start: Array, stop: Stop) -> Solver: ...


@dataclass(frozen=True)
class Method:
    """A solver by name.

    order : derivatives that it asks for; with 2, it holds Hessians
    general : whether it can do l1 terms and bounds
    preconditioned : whether an approximate inverse Hessian helps it
    counterpart : the method of the same order that is general where this one is not, or smooth
    """

    name: MethodName
    order: Literal[1, 2]
    general: bool
    preconditioned: bool
    counterpart: MethodName
    make: Make


def _newton(task: Task, start: Array, stop: Stop) -> Solver:
    method = newton(start, curvature=task.curvature, stop=stop)
    return with_fallback(method, lambda at, left: _lbfgs(task, at, left), stop)


def _proximal_newton(task: Task, start: Array, stop: Stop) -> Solver:
    method = proximal_newton(start, task.l1, box=task.box, curvature=task.curvature, stop=stop)
    return with_fallback(method, lambda at, left: _owlqn(task, at, left), stop)


def _lbfgs(task: Task, start: Array, stop: Stop) -> Solver:
    return lbfgs(start, precondition=task.precondition, stop=stop)


def _owlqn(task: Task, start: Array, stop: Stop) -> Solver:
    return owlqn(start, task.l1, box=task.box, precondition=task.precondition, stop=stop)


_ALL = (
    Method("newton", 2, False, False, "proximal-newton", _newton),
    Method("l-bfgs", 1, False, True, "owl-qn", _lbfgs),
    Method("proximal-newton", 2, True, False, "newton", _proximal_newton),
    Method("owl-qn", 1, True, True, "l-bfgs", _owlqn),
)
METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
SOLVERS = ("auto", *METHODS)


def method_of(name: str) -> Method:
    """The method of this name; an error that lists all names if there is none."""
    if name not in METHODS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, but got '{name}'.")
    return METHODS[name]


def method_for(order: Literal[1, 2], *, smooth: bool) -> Method:
    """The method that asks for so many derivatives and can do what the penalty asks."""
    return next(its for its in _ALL if its.order == order and its.general != smooth)
