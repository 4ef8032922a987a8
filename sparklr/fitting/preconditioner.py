"""What a sample of the rows tells of a problem's curvature, as an approximate inverse Hessian.

Knows problems and the sample's rows; no passes.
"""

from __future__ import annotations

import logging
import math

from scipy.linalg import LinAlgError

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.objective.moments import moments_of
from sparklr.rows.blocks import Block
from sparklr.solvers import BlockInverse, Preconditioner, Query
from sparklr.solvers.methods import Method

log = logging.getLogger("sparklr")

# Up to so many coefficients per margin the sample's Hessian is worth its Cholesky factor; it is
# summed over so many rows that it takes no more multiplications than this.
FACTORED_SIZE = 3_000
SUMMED_WORK = 2e10
# Beyond this a Hessian on the driver would take more than half a gigabyte.
HESSIAN_LIMIT = 8_000
# A gradient points where many features agree, and there the loss is steeper than along any of
# them, but not in the intercept: about so many times on text and on hashed categories. OWL-QN,
# which goes from one set of features to another, gains nothing by it.
STEEP = 10.0


class SampleCurvature:
    """A sample's Hessians. Problems that start at one point share the sums over its rows."""

    def __init__(self, sample: Block) -> None:
        self._sample = sample
        self._sums: dict[tuple[int, bytes, bytes], Array] = {}

    def precondition(
        self, problem: Problem, method: Method, point: Array, *, whole: bool
    ) -> Preconditioner:
        """The inverse of the sample's Hessian, or of its block per margin, or of a diagonal.

        The whole costs as many times the blocks as there are margins, and saves passes. OWL-QN
        factors it anew in every step, which only passes over all rows are worth.
        """
        width = problem.scaling.shape[1]
        # Sums are of all features, of which but a few may vary.
        most = max(FACTORED_SIZE + 1, HESSIAN_LIMIT / math.sqrt(problem.scaling.margins))
        affordable = width <= FACTORED_SIZE and problem.scaling.features < most
        if affordable and method.preconditioned and (whole or not method.general):
            whole = whole and problem.size <= FACTORED_SIZE
            whole = whole and problem.summed_size <= HESSIAN_LIMIT
            try:
                return BlockInverse(self._blocks(problem, point, whole=whole))
            except LinAlgError:
                log.info("the sample's curvature is singular: preconditioned by a diagonal")
        diagonal = problem.start_curvature()
        if not method.general:
            diagonal = diagonal + (STEEP - 1) * problem.loss_curvature()
        return lambda vector: vector / diagonal

    def _blocks(self, problem: Problem, point: Array, *, whole: bool) -> Array:
        """The Hessian as the sample shows it, (1, n, n), or its block per margin, (C, q, q)."""
        width = problem.size if whole else problem.scaling.shape[1]
        work = self._sample.rows * problem.size * width
        every = max(1, round(work / SUMMED_WORK))
        # The sample's rows lie in the order they came in: every so-many-th is a sample too.
        rows = self._sample.take(slice(None, None, every))
        seen = moments_of(rows)
        if whole:
            return problem.whole_curvature(point, rows, seen)
        probe = problem.probe(Query(point, 2))
        key = every, probe.coefficients.tobytes(), probe.offsets.tobytes()
        if key not in self._sums:
            self._sums[key] = problem.margin_sums(probe, rows)
        return problem.margin_curvatures(self._sums[key], seen)
