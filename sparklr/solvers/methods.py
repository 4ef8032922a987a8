"""The solvers by name: what each solver can do, and how it is made.

All code that needs the list of solvers reads this table: the Param `solver` and its texts, the
check that a solver can handle a penalty, the choice of a solver, and the estimate of its memory.
A new solver is a new file and one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.solvers.box import Box
from sparklr.solvers.curvature import BlockInverse, Preconditioner, identity
from sparklr.solvers.descent import StepRule, bfgs, gd
from sparklr.solvers.fallback import with_fallback
from sparklr.solvers.lbfgs import lbfgs
from sparklr.solvers.newton import newton, proximal_newton
from sparklr.solvers.owlqn import owlqn
from sparklr.solvers.protocol import Order, Solver, Stop
from sparklr.solvers.proximal_bfgs import proximal_bfgs

MethodName: TypeAlias = Literal[
    "newton", "l-bfgs", "proximal-newton", "proximal-bfgs", "owl-qn", "gd", "bfgs"
]
SolverName: TypeAlias = Literal["auto", "sgd"] | MethodName

# Stochastic gradient descent is no `Method`: its questions are of their own kind (`solvers/sgd`).
SGD: Literal["sgd"] = "sgd"


@dataclass(frozen=True, eq=False)
class Task:
    """The facts about a problem that a solver may need besides the answers to its queries."""

    l1: Array  # weights of the absolute values
    box: Box | None  # bounds
    curvature: Array  # the Hessian's diagonal at the plain start, known without a query
    precondition: Preconditioner = identity
    last: Order = 1  # of a query that is foreseen to be the last
    step_rule: StepRule = "bb"  # of gradient descent
    rate: float = 1.0  # its fixed length of a step, or the first one

    @property
    def hessian(self) -> Array | None:
        """The Hessian of a sample, if the preconditioner is its inverse across all margins."""
        known = self.precondition
        return known.matrix() if isinstance(known, BlockInverse) and known.whole else None

    @staticmethod
    def smooth(size: int) -> Task:
        """Return the simplest task: no l1 term and no bounds."""
        return Task(np.zeros(size), None, np.ones(size))


class Make(Protocol):
    """A function that makes a solver for a task, from a start."""

    def __call__(self, task: Task, start: Array, stop: Stop) -> Solver: ...


@dataclass(frozen=True)
class Method:
    """A solver by name.

    order : the derivatives that it needs
    general : whether it can handle l1 terms and bounds
    square : whether it holds a matrix (n, n): the Hessian, or an estimate of it
    counterpart : the method of the same order with the opposite `general`
    textbook : whether it is there for comparison and for its path: it starts where the user says,
        knows nothing of a sample, and is never chosen by `auto`
    """

    name: MethodName
    order: Literal[1, 2]
    general: bool
    square: bool
    counterpart: MethodName
    make: Make
    textbook: bool = False


def _newton(task: Task, start: Array, stop: Stop) -> Solver:
    method = newton(start, curvature=task.curvature, guess=task.hessian, last=task.last, stop=stop)
    return with_fallback(method, lambda at, left: _lbfgs(task, at, left), stop)


def _proximal_newton(task: Task, start: Array, stop: Stop) -> Solver:
    method = proximal_newton(
        start,
        task.l1,
        box=task.box,
        curvature=task.curvature,
        guess=task.hessian,
        last=task.last,
        stop=stop,
    )
    return with_fallback(method, lambda at, left: _owlqn(task, at, left), stop)


def _proximal_bfgs(task: Task, start: Array, stop: Stop) -> Solver:
    known, curvature = task.precondition, task.curvature
    hessian = known.matrix() if isinstance(known, BlockInverse) else np.diag(curvature)
    method = proximal_bfgs(start, task.l1, hessian, box=task.box, curvature=curvature, stop=stop)
    return with_fallback(method, lambda at, left: _owlqn(task, at, left), stop)


def _lbfgs(task: Task, start: Array, stop: Stop) -> Solver:
    return lbfgs(start, precondition=task.precondition, stop=stop)


def _owlqn(task: Task, start: Array, stop: Stop) -> Solver:
    return owlqn(start, task.l1, box=task.box, precondition=task.precondition, stop=stop)


def _gd(task: Task, start: Array, stop: Stop) -> Solver:
    return gd(start, rule=task.step_rule, rate=task.rate, stop=stop)


def _bfgs(task: Task, start: Array, stop: Stop) -> Solver:
    del task
    return bfgs(start, stop=stop)


_ALL = (
    Method("newton", 2, False, True, "proximal-newton", _newton),
    Method("l-bfgs", 1, False, False, "owl-qn", _lbfgs),
    Method("proximal-newton", 2, True, True, "newton", _proximal_newton),
    Method("proximal-bfgs", 1, True, True, "l-bfgs", _proximal_bfgs),
    Method("owl-qn", 1, True, False, "l-bfgs", _owlqn),
    Method("gd", 1, False, False, "owl-qn", _gd, textbook=True),
    Method("bfgs", 1, False, True, "proximal-bfgs", _bfgs, textbook=True),
)
METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
SOLVERS = ("auto", *METHODS, SGD)


def method_of(name: str) -> Method:
    """Return the method of this name, or raise an error that lists all names."""
    if name not in METHODS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, but got '{name}'.")
    return METHODS[name]


def method_for(order: Literal[1, 2], *, smooth: bool, square: bool = False) -> Method:
    """Return the method of this order for a smooth problem, or for one that is not smooth.

    Of the two of order 1 for problems that are not smooth, `square` is the one with a matrix.
    """
    known = [its for its in _ALL if not its.textbook]
    fitting = [its for its in known if its.order == order and its.general != smooth]
    return next((its for its in fitting if its.square == square), fitting[0])
