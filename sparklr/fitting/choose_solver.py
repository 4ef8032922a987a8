"""Choose the solver of a problem and its preconditioner.

Depends on problems, solvers and a sample of the rows; not on passes.
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

# Up to this many coefficients a Hessian costs less than the passes it saves: 2 n p^2 flops against
# about ten readings of n p numbers.
HESSIAN_SIZE = 500
# With an L1 term, few coefficients are active at a time, so a step is cheap at larger sizes too,
# where OWL-QN has only a diagonal. So Hessians up to this size are used, if the rows are few enough
# that a Hessian takes at most HESSIAN_WORK multiplications.
SPARSE_HESSIAN_SIZE = 2_000
HESSIAN_WORK = 4e9
# With this many fits at once, first derivatives are cheaper unless a Hessian is at most TINY_SIZE.
MANY_FITS = 4
TINY_SIZE = 8
# Factor on the tolerance where first derivatives are used only because there are many fits.
BESIDE_OTHERS = 1e-4


def check_solver(spec: Spec) -> None:
    """Refuse a solver that cannot handle the penalty or the bounds."""
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
    """Return the solver that the spec names, or else the cheapest for its penalty and sizes.

    When many `fits` share a pass, its cost is their arithmetic, not the reading. Then first
    derivatives, in more passes, cost less than one Hessian per fit.
    """
    name = problem.spec.solver
    summed = problem.size if problem.size > HESSIAN_LIMIT else problem.summed_size
    if name != "auto":
        method = method_of(name)
        if method.order == 2 and summed > HESSIAN_LIMIT:
            raise ValueError(
                f"solver='{name}' needs a Hessian of {summed} x {summed} numbers on the driver, "
                f"but the limit is {HESSIAN_LIMIT} rows. Use solver='auto'."
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
    """Return a function that makes a solver of this method for a start."""
    task = Task(problem.penalty.l1, problem.box, problem.start_curvature(), precondition)
    return partial(method.make, task)


def stop_beside_others(
    problem: Problem, method: Method, sample: Block, rows: int, fits: int, stop: Stop
) -> Stop:
    """Return a smaller tolerance for a fit that uses `method` only because there are many fits.

    Alone, the fit would use Newton's method, whose last step ends far below the tolerance. A param
    map should give the same model alone and among many. So the fit goes on to a smaller tolerance
    if a good preconditioner makes that cheap; both models then differ by less than the tolerance.
    """
    alone = choose_solver(problem, rows)
    good = worth_whole(problem, sample, rows, fits) or problem.scaling.margins == 1
    if method is alone or not good:
        return stop
    log.info("%s instead of %s, with a smaller tolerance: %d fits", method.name, alone.name, fits)
    return replace(
        stop, relative=BESIDE_OTHERS * stop.relative, absolute=BESIDE_OTHERS * stop.absolute
    )


def state_bytes(problem: Problem, method: Method) -> int:
    """Estimate how many bytes a solver keeps on the driver between passes."""
    size, (margins, width) = problem.size, problem.scaling.shape
    vectors = 52 * size  # twenty pairs of L-BFGS, and what is at hand
    square = size**2 if size <= max(FACTORED_SIZE, HESSIAN_SIZE) else margins * width**2
    if method.order == 2:
        square = 4 * size**2  # the sums, their scaled copy, the factor
    elif width > FACTORED_SIZE:
        square = 0
    return 8 * (vectors + 2 * square)  # the matrix and its factor


def worth_whole(problem: Problem, sample: Block, rows: int, fits: int) -> bool:
    """Whether the sample's Hessian across all margins pays for itself in saved passes.

    It takes sample.rows * size^2 multiplications, which the `fits` cannot share. It saves each fit
    about fifteen gradients of 4 * rows * size multiplications, and many more with an L1 term.
    """
    many = fits >= MANY_FITS and problem.penalty.smooth
    return not many or sample.rows * problem.size <= 60 * rows
