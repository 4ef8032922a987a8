"""Which solver a problem asks for, and what it is made with.

Knows problems and solvers; neither passes nor rows, but for a sample's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from scipy.linalg import LinAlgError

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.rows.blocks import Block
from sparklr.solvers import BlockInverse, Preconditioner, Solver, Stop
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
# Up to so many coefficients a margin the sample's Hessian is worth its Cholesky factor as a
# preconditioner; it is summed over so many rows that it takes no more multiplications than this.
PRECONDITIONER_SIZE = 3_000
PRECONDITIONER_WORK = 2e10
# Beyond this a Hessian on the driver would take more than half a gigabyte.
HESSIAN_LIMIT = 8_000
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
    vectors = 32 * size  # ten pairs of L-BFGS, and what is at hand
    square = size**2 if size <= max(PRECONDITIONER_SIZE, HESSIAN_SIZE) else margins * width**2
    if method.order == 2:
        square = 4 * size**2  # the sums, their scaled copy, the factor
    elif width > PRECONDITIONER_SIZE:
        square = 0
    return 8 * (vectors + 2 * square)  # the matrix and its factor


def worth_whole(problem: Problem, sample: Block, rows: int, fits: int) -> bool:
    """Whether a Hessian across all margins pays, by the passes over so many rows that it saves.

    It takes sample.rows * size^2 multiplications, which many `fits` cannot share, and saves each
    some fifteen gradients of 4 * rows * size; with an L1 term it saves many more.
    """
    many = fits >= MANY_FITS and problem.penalty.smooth
    return not many or sample.rows * problem.size <= 60 * rows


def precondition_for(
    problem: Problem,
    method: Method,
    sample: Block,
    point: Array,
    *,
    whole: bool,
    known: dict[bytes, Array] | None = None,
) -> Preconditioner:
    """The inverse of the sample's Hessian, or of its block for each margin, or of a diagonal.

    The whole costs as many times the blocks as there are margins, and saves passes. OWL-QN
    factors it anew in every step, which only passes over all rows are worth. What is `known` of
    the same point, as several fits have one start, is not summed again.
    """
    diagonal = problem.start_curvature()
    width = problem.scaling.shape[1]
    factored = method.preconditioned and (whole or not method.general)
    # Sums are of all features, of which but a few may vary.
    fits = problem.scaling.features < max(
        PRECONDITIONER_SIZE + 1, HESSIAN_LIMIT / math.sqrt(problem.scaling.margins)
    )
    if factored and fits and width <= PRECONDITIONER_SIZE:
        whole = whole and problem.size <= PRECONDITIONER_SIZE
        whole = whole and problem.summed_size <= HESSIAN_LIMIT
        work = sample.rows * problem.size * (problem.size if whole else width)
        # The sample's rows lie in the order they came in: every so-many-th is a sample too.
        rows = sample.take(slice(None, None, max(1, round(work / PRECONDITIONER_WORK))))
        try:
            return BlockInverse(problem.curvature_blocks(point, rows, whole=whole, known=known))
        except LinAlgError:
            log.info("the sample's curvature is singular: preconditioned by a diagonal")
    return lambda vector: vector / diagonal
