"""Choose the solver of a problem and its preconditioner.

Depends on problems, solvers, costs and a sample of the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sparklr.arrays import Array
from sparklr.fitting.costs import (
    ESTIMATED_SIZE,
    Conditions,
    affordable_hessian,
    first_order,
    is_smooth,
    second_order,
)
from sparklr.fitting.preconditioner import FACTORED_SIZE, HESSIAN_LIMIT
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.solvers import Order, Preconditioner, Solver, Stop
from sparklr.solvers.methods import SGD, Method, Task, method_for, method_of

log = logging.getLogger("sparklr")

# Second derivatives may always take so many nanoseconds, and so many times the cost of first ones:
# their methods end nearer to the optimum, and the model is no more exact than this.
LITTLE, NEARLY = 5e8, 1.25
# From this many fits at once, the arithmetic of the sample's Hessian is weighed.
MANY_FITS = 4
# Factor on the tolerance of first derivatives in the place of second ones.
SURE = 1e-2


def check_solver(spec: Spec) -> None:
    """Refuse a solver that cannot handle the penalty or the bounds."""
    if spec.solver == "auto":
        return
    instead = "owl-qn"
    if spec.solver != SGD:
        method = method_of(spec.solver)
        if method.general:
            return
        instead = method.counterpart
    if spec.regParam * spec.elasticNetParam > 0:
        raise ValueError(
            f"solver='{spec.solver}' needs a smooth penalty, but "
            f"elasticNetParam={spec.elasticNetParam:g} with regParam={spec.regParam:g} adds an "
            f"L1 term. Use solver='{instead}' or 'auto', or set elasticNetParam=0."
        )
    if spec.bounds is not None:
        raise ValueError(
            f"solver='{spec.solver}' cannot keep coefficients within bounds. Use "
            f"solver='{instead}' or 'auto', or clear the bounds."
        )


def choose_solver(problem: Problem, conditions: Conditions) -> Method:
    """Return the solver that the spec names, or else the cheapest by the model of `costs`."""
    name = problem.spec.solver
    if name != "auto":
        method = method_of(name)
        if method.square and not affordable_hessian(problem):
            summed = max(problem.size, problem.summed_size)
            raise ValueError(
                f"solver='{name}' needs a Hessian of {summed} x {summed} numbers on the driver, "
                f"but the limit is {HESSIAN_LIMIT} rows. Use solver='auto'."
            )
        return method
    if problem.spec.patience is not None:  # few long steps would leave little to choose among
        return method_for(1, smooth=is_smooth(problem))
    smooth, affordable = is_smooth(problem), affordable_hessian(problem)
    if affordable:
        first = first_order(problem, conditions)
        most = max(NEARLY * first, LITTLE / conditions.fits**2)
        if second_order(problem, conditions) <= most:
            return method_for(2, smooth=smooth)
    square = affordable and problem.size <= ESTIMATED_SIZE
    return method_for(1, smooth=smooth, square=square)


def make_solver(
    problem: Problem, method: Method, precondition: Preconditioner
) -> Callable[[Array, Stop], Solver]:
    """Return a function that makes a solver of this method for a start."""
    last: Order = 2 if problem.spec.inference else 1
    spec, curvature = problem.spec, problem.start_curvature()
    given = spec.steps.learningRate  # in units of 1 / L, for a bound L of the curvature
    rate = (1.0 if given == "auto" else given) / problem.largest_curvature
    task = Task(problem.penalty.l1, problem.box, curvature, precondition, last, spec.stepRule, rate)
    return partial(method.make, task)


def stop_with(problem: Problem, method: Method, conditions: Conditions, stop: Stop) -> Stop:
    """Return a smaller tolerance for first derivatives where second ones could have been used.

    The last step of Newton's method ends far below the tolerance. A model should be as good if
    first derivatives are cheaper, and the same whether a map is fitted alone or among many. With
    the curvature of the sample, a few more steps are enough for that.
    """
    if problem.spec.solver != "auto" or method.order == 2 or problem.spec.by_path:
        return stop
    alone = choose_solver(problem, conditions.alone)
    good = worth_whole(problem, conditions) or problem.scaling.margins == 1
    if not good or not (alone.order == 2 or conditions.tells(problem)):
        return stop
    log.info("%s with a smaller tolerance: %d fits", method.name, conditions.fits)
    return replace(stop, relative=SURE * stop.relative, absolute=SURE * stop.absolute)


def state_bytes(problem: Problem, method: Method) -> int:
    """Estimate how many bytes a solver keeps on the driver between passes."""
    size, (margins, width) = problem.size, problem.scaling.shape
    vectors = 52 * size  # twenty pairs of L-BFGS, and what is at hand
    square = size**2 if size <= FACTORED_SIZE else margins * width**2
    if method.square:
        square = 4 * size**2  # the sums, their scaled copy, the factor
    elif width > FACTORED_SIZE:
        square = 0
    return 8 * (vectors + 2 * square)  # the matrix and its factor


def worth_whole(problem: Problem, conditions: Conditions) -> bool:
    """Whether the sample's Hessian across all margins pays for itself in saved passes.

    It takes sample.rows * size^2 multiplications, which the fits cannot share. It saves each fit
    about fifteen gradients of 4 * rows * size multiplications, and many more with an l1 term.
    """
    many = conditions.fits >= MANY_FITS and problem.penalty.smooth
    return not many or conditions.sample.rows * problem.size <= 60 * conditions.rows
