"""Solvers in plain numpy and scipy, independent of rows and of Spark."""

from sparklr.solvers.box import Box
from sparklr.solvers.curvature import BlockInverse, Preconditioner
from sparklr.solvers.lbfgs import lbfgs
from sparklr.solvers.lockstep import lockstep
from sparklr.solvers.newton import newton, proximal_newton
from sparklr.solvers.owlqn import owlqn
from sparklr.solvers.protocol import Answer, Order, Query, Reason, Solution, Solver, Stop
from sparklr.solvers.quadratic import pseudo_gradient, solve_symmetric

__all__ = [
    "Answer",
    "BlockInverse",
    "Box",
    "Order",
    "Preconditioner",
    "Query",
    "Reason",
    "Solution",
    "Solver",
    "Stop",
    "lbfgs",
    "lockstep",
    "newton",
    "owlqn",
    "proximal_newton",
    "pseudo_gradient",
    "solve_symmetric",
]
