"""Which solver a problem asks for, and what it is made with.

Knows problems and solvers; neither passes nor rows, but for a sample's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sparklr.arrays import Array
from sparklr.fitting.preconditioner import FACTORED_SIZE, HESSIAN_LIMIT
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.rows.blocks import Block
from sparklr.solvers import Preconditioner, Solver, Stop
from sparklr.solvers.methods import Method, Task, method_for, method_of

log = logging.getLogger("sparklr")

# Up to this many numbers a Hessian costs less than the passes it saves: 2 n p^2 flops against
# some ten readings of n p numbers.
HESSIAN_SIZE = 500
# With an L1 term, few coefficients are active at a time and a step is cheap at larger sizes too,
# where OWL-QN knows only a diagonal: so Hessians up to this size, if rows are few enough that
# each takes no more than so many multiplications.
SPARSE_HESSIAN_SIZE = 2_000
HESSIAN_WORK = 4e9
# With so many fits at once first derivatives are cheaper, unless a Hessian is as small as this.
MANY_FITS = 4
TINY_SIZE = 8
# What is left of the tolerance where many fits are why first derivatives are used.
BESIDE_OTHERS = 1e-4


def check_solver(spec: Spec) -> None:
    """Refuse a solver that cannot do what the penalty or the bounds ask."""
    if spec.solver == "auto":
        return
    method = method_of(spec.solver)
    if method.general:
        return
    if spec.regParam * spec.elasticNetParam > 0:
        raise ValueError(
            f"solver='{spec.solver}' needs a smooth penalty, but "
            f"elasticNetParam={spec.elasticNetParam:g} with regParam={spec.regParam:g} adds an "
            f"L1 term. Use solver='{method.counterpart}' or 'auto', or set elasticNetParam=0."
        )
    if spec.bounds is not None:
        raise ValueError(
            f"solver='{spec.solver}' cannot keep coefficients within bounds. Use "
            f"solver='{method.counterpart}' or 'auto', or clear the bounds."
        )


def choose_solver(problem: Problem, rows: int, fits: int = 1) -> Method:
    """The solver a spec names, or the one its penalty, its size and its rows ask for.

    Where many `fits` share a pass, its price is their arithmetic, not the reading: then first
    derivatives, in more passes, cost less than a Hessian for each.
    """
    name = problem.spec.solver
    summed = problem.size if problem.size > HESSIAN_LIMIT else problem.summed_size
    if name != "auto":
        method = method_of(name)
        if method.order == 2 and summed > HESSIAN_LIMIT:
            raise ValueError(
                f"solver='{name}' holds a Hessian of {summed} x {summed} numbers on the "
                f"driver; the limit is {HESSIAN_LIMIT}. Use solver='auto'."
            )
        return method
    smooth = problem.penalty.smooth and problem.box is None
    if (fits >= MANY_FITS and problem.size > TINY_SIZE) or summed > HESSIAN_LIMIT:
        return method_for(1, smooth=smooth)
    most = HESSIAN_SIZE if problem.penalty.smooth else SPARSE_HESSIAN_SIZE
    cheap = problem.size <= HESSIAN_SIZE or 2 * rows * problem.size**2 <= HESSIAN_WORK
    return method_for(2 if problem.size <= most and cheap else 1, smooth=smooth)


def make_solver(
    problem: Problem, method: Method, precondition: Preconditioner
) -> Callable[[Array, Stop], Solver]:
    """A solver of this method for any start."""
    task = Task(problem.penalty.l1, problem.box, problem.start_curvature(), precondition)
    return partial(method.make, task)


def stop_beside_others(
    problem: Problem, method: Method, sample: Block, rows: int, fits: int, stop: Stop
) -> Stop:
    """When a fit may stop that has `fits` - 1 others beside it, and which are why it is `method`'s.

    Alone it would be Newton's, whose last step leaves far less than the tolerance asks for. So that
    a map gives the same model alone and among many, here a fit goes on to a smaller tolerance,
    where a good preconditioner makes that cheap: both then differ by less than the tolerance.
    """
    alone = choose_solver(problem, rows)
    good = worth_whole(problem, sample, rows, fits) or problem.scaling.margins == 1
    if method is alone or not good:
        return stop
    log.info("%s in place of %s, to a smaller tolerance: %d fits", method.name, alone.name, fits)
    return replace(
        stop, relative=BESIDE_OTHERS * stop.relative, absolute=BESIDE_OTHERS * stop.absolute
    )


def state_bytes(problem: Problem, method: Method) -> int:
    """About how much a solver keeps on the driver between passes."""
    size, (margins, width) = problem.size, problem.scaling.shape
    vectors = 52 * size  # twenty pairs of L-BFGS, and what is at hand
    square = size**2 if size <= max(FACTORED_SIZE, HESSIAN_SIZE) else margins * width**2
    if method.order == 2:
        square = 4 * size**2  # the sums, their scaled copy, the factor
    elif width > FACTORED_SIZE:
        square = 0
    return 8 * (vectors + 2 * square)  # the matrix and its factor


def worth_whole(problem: Problem, sample: Block, rows: int, fits: int) -> bool:
    """Whether a Hessian across all margins pays, by the passes over so many rows that it saves.

    It takes sample.rows * size^2 multiplications, which many `fits` cannot share, and saves each
    some fifteen gradients of 4 * rows * size; with an L1 term it saves many more.
    """
    many = fits >= MANY_FITS and problem.penalty.smooth
    return not many or sample.rows * problem.size <= 60 * rows
