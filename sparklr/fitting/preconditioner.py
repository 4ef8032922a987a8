"""The curvature of a problem on a sample of its rows, as an approximate inverse Hessian.

Knows problems and the sample's rows, which are in this process; no passes over all rows.
"""

from __future__ import annotations

import logging
import math

from scipy.linalg import LinAlgError

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.objective.moments import moments_of
from sparklr.objective.sums import Sums
from sparklr.passes.local import in_pieces, read_blocks
from sparklr.passes.readings import DerivativeSums, MarginHessians, Reading
from sparklr.rows.blocks import Block
from sparklr.solvers import BlockInverse, Preconditioner, Query
from sparklr.solvers.methods import Method

log = logging.getLogger("sparklr")

# Up to this many coefficients per margin, the Cholesky factor of the sample's Hessian pays as a
# preconditioner. The rows are thinned out so that summing it takes at most this many
# multiplications, but not to fewer rows per feature than these.
FACTORED_SIZE = 3_000
SUMMED_WORK = 1e10
ROWS_PER_FEATURE = 1.5
# A larger Hessian would take more than half a gigabyte on the driver.
HESSIAN_LIMIT = 8_000
# A gradient points where many features agree, and there the loss is steeper than along any of
# them, but not in the intercept: about this many times on text and on hashed categories. Models of
# several classes gain nothing by it, nor does OWL-QN, whose set of features changes.
STEEP = 10.0


def plain_precondition(problem: Problem, method: Method) -> Preconditioner:
    """Return the inverse of a diagonal that is known without a sample."""
    diagonal = problem.start_curvature()
    if not method.general and problem.scaling.margins == 1:
        diagonal = diagonal + (STEEP - 1) * problem.loss_curvature()
    return lambda vector: vector / diagonal


class SampleCurvature:
    """A sample's Hessians. Problems that start at one point share the sums over its rows."""

    def __init__(self, sample: Block, threads: int = 1) -> None:
        self._sample, self._threads = sample, threads
        self._sums: dict[tuple[int, bytes, bytes, bytes], Array] = {}

    def precondition(
        self,
        problem: Problem,
        method: Method,
        point: Array,
        *,
        whole: bool,
        begins: bool = False,
    ) -> Preconditioner:
        """Return the inverse of the sample's Hessian, of its block per margin, or of a diagonal.

        `begins` is whether a method of second order is to begin with the sample's Hessian.

        With C margins, the whole Hessian costs C times as much as its blocks, and saves passes.
        OWL-QN factors it anew in every step, which pays only where a pass reads all rows.
        """
        width = problem.scaling.shape[1]
        # The sums include all features, even if only a few of them vary.
        most = max(FACTORED_SIZE + 1, HESSIAN_LIMIT / math.sqrt(problem.scaling.margins))
        affordable = width <= FACTORED_SIZE and problem.scaling.features < most
        # Fewer rows than features leave most directions without curvature.
        telling = self._sample.rows >= width
        pays = whole or method.square or not method.general
        if method.order == 2:
            pays = begins
        if affordable and telling and pays:
            whole = whole and problem.size <= FACTORED_SIZE
            whole = whole and problem.summed_size <= HESSIAN_LIMIT
            try:
                return BlockInverse(self._blocks(problem, point, whole=whole))
            except LinAlgError:
                log.info("the sample's Hessian is singular: a diagonal preconditioner is used")
        return plain_precondition(problem, method)

    def _blocks(self, problem: Problem, point: Array, *, whole: bool) -> Array:
        """Return the sample's Hessian, (1, n, n), or its block per margin, (C, q, q)."""
        width = problem.size if whole else problem.scaling.shape[1]
        count = self._sample.rows
        sparing = round(count * problem.size * width / SUMMED_WORK)
        every = max(1, min(sparing, int(count / (ROWS_PER_FEATURE * problem.scaling.shape[1]))))
        # The sample's rows are in their order of arrival, so every k-th of them is a sample too.
        rows = self._sample.take(slice(None, None, every))
        seen = moments_of(rows)
        probe = problem.probe(Query(point, 2))
        if whole:
            flat = self._read(DerivativeSums((probe,)), rows, problem)
            return problem.whole_curvature(Query(point, 2), Sums.of(probe, flat), seen)
        factors = b"" if probe.factors is None else probe.factors.tobytes()
        key = every, probe.coefficients.tobytes(), probe.offsets.tobytes(), factors
        if key not in self._sums:
            self._sums[key] = self._read(MarginHessians(probe), rows, problem)
        return problem.margin_curvatures(self._sums[key], seen)

    def _read(self, reading: Reading[Array], rows: Block, problem: Problem) -> Array:
        """Read some rows of the sample, in a piece per thread."""
        origin = problem.scaling.origin if problem.scaling.origin.any() else None
        pieces = in_pieces(rows, self._threads)
        return read_blocks(reading, pieces, rows.features, origin, self._threads)
