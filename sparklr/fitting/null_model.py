"""The model without features of rows with offsets: the best intercept, and the loss there.

    f(a) = 1/W sum_i w_i loss_i(a + o_i)

Where all rows have one offset, the class shares give both. Else it is a Newton iteration in one
number, of which a reading makes f, f' and f'' at one point per problem. The sample's optimum is the
start; so two or three readings are enough. The root of f' lies in a known interval, since

    logit(share of label 1) - o_max  <=  a  <=  logit(share of label 1) - o_min

because the mean chance of label 1 equals its share there. A step that leaves it is bisected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.objective.class_weights import weights_of
from sparklr.objective.families import BINOMIAL
from sparklr.objective.moments import Moments, moments_of
from sparklr.passes.protocol import Passes
from sparklr.passes.readings import FLOAT_BYTES, SumsOfRows
from sparklr.rows.blocks import Block

# A step this small leaves about its square.
SMALL, MOST_STEPS = 1e-8, 100


@dataclass(frozen=True, eq=False)
class NullSums(SumsOfRows):
    """The reading of W f, W f' and W f'' (q, 3) at an intercept of each of q problems.

    Labels have the factors (K,) of each problem, or None.
    """

    intercepts: Array
    factors: tuple[Array | None, ...]

    @property
    def columns(self) -> int:
        return len(self.intercepts)

    @property
    def size(self) -> int:
        return 3 * FLOAT_BYTES * len(self.intercepts)

    def accumulator(self, features: int, origin: Array | None) -> NullTotals:
        del features, origin
        return NullTotals(self)


class NullTotals:
    """The sums over the blocks added so far."""

    def __init__(self, reading: NullSums) -> None:
        self._reading = reading
        self._total = np.zeros((len(reading.intercepts), 3))

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        reading = self._reading
        offsets = np.zeros(block.rows) if block.row_offsets is None else block.row_offsets
        terms = BINOMIAL.terms(reading.intercepts + offsets[:, None], block.labels, self._count)
        for at, factors in enumerate(reading.factors):
            weights = weights_of(block, factors)
            weights = np.ones(block.rows) if weights is None else weights
            each = terms.loss[:, at], terms.slopes[:, at], terms.curvatures(at)[:, 0]
            self._total[at] += [weights @ one for one in each]

    @property
    def _count(self) -> int:
        return len(self._reading.intercepts)

    def part(self) -> Array:
        """Return the sums, flat."""
        return self._total.ravel()


class _Root:
    """The search for one intercept: a Newton iteration within a known interval."""

    def __init__(self, start: float, interval: tuple[float, float]) -> None:
        self.at, self.value, self.done = start, np.inf, False
        self._low, self._high = interval

    def take(self, value: float, slope: float, curvature: float) -> None:
        """Take a step from f, f' and f'' at the present intercept."""
        if self.done:
            return
        self.value, self.done = value, self._low >= self._high
        if self.done:
            return
        step = -slope / curvature if curvature > 0 else np.inf
        if abs(step) <= SMALL:
            self.value, self.at, self.done = value + slope * step / 2, self.at + step, True
            return
        self._low, self._high = (self.at, self._high) if slope < 0 else (self._low, self.at)
        inside = self._low < self.at + step < self._high
        there = self.at + step if inside else (self._low + self._high) / 2
        self.done, self.at = there == self.at, there


def null_models(
    problems: Sequence[Problem], passes: Passes
) -> tuple[list[tuple[float, float]], int]:
    """Return intercepts and mean losses without features, for binomial problems on all rows.

    Without an intercept it is zero, and one reading finds the loss. The problems share readings,
    whose number is returned too.
    """
    sample, moments = passes.sample, passes.moments
    if moments.offset_minimum == moments.offset_maximum:
        return [_at_one_offset(problem) for problem in problems], 0
    starts = [its.class_weights for its in problems]
    if sample.rows < moments.rows:
        labels = moments_of(sample).histogram(2)
        shares = [labels if its.factors is None else labels * its.factors for its in problems]
        near = [its.on_rows(sample) for its in problems]
        found, _ = _roots(near, shares, None, moments, lambda reading: _sums_of(reading, sample))
        return _roots(problems, starts, [at for at, _ in found], moments, passes.read)
    return _roots(problems, starts, None, moments, passes.read)


def _at_one_offset(problem: Problem) -> tuple[float, float]:
    """Return what the class shares tell where all rows have the same offset."""
    shares, offset = problem.class_weights / problem.weight, problem.offset
    if not problem.spec.fitIntercept:
        return 0.0, -float(shares @ BINOMIAL.log_chances(np.array([offset])))
    kept, (logit,) = shares[shares > 0], BINOMIAL.null_intercepts(shares)
    return float(logit - offset), -float(kept @ np.log(kept))


def _sums_of(reading: NullSums, rows: Block) -> Array:
    totals = reading.accumulator(rows.features, None)
    totals.add(rows)
    return totals.part()


def _roots(
    problems: Sequence[Problem],
    labels: Sequence[Array],
    starts: Sequence[float] | None,
    moments: Moments,
    read: Callable[[NullSums], Array],
) -> tuple[list[tuple[float, float]], int]:
    """Return each root and its value, and the number of readings.

    `labels` are the weights by label (2,) of the rows that are read.
    """
    roots: list[_Root] = []
    for at, (problem, weights) in enumerate(zip(problems, labels, strict=True)):
        if not problem.spec.fitIntercept:
            roots.append(_Root(0.0, (0.0, 0.0)))
            continue
        (logit,) = BINOMIAL.null_intercepts(weights / weights.sum())
        interval = logit - moments.offset_maximum, logit - moments.offset_minimum
        start = logit - problem.offset if starts is None else starts[at]
        roots.append(_Root(float(np.clip(start, *interval)), interval))
    factors = tuple(problem.factors for problem in problems)
    readings = 0
    while readings < MOST_STEPS and not all(root.done for root in roots):
        readings += 1
        sums = read(NullSums(np.array([its.at for its in roots]), factors)).reshape(-1, 3)
        for root, problem, one in zip(roots, problems, sums, strict=True):
            root.take(*(float(each) for each in one / problem.weight))
    return [(root.at, root.value) for root in roots], readings
