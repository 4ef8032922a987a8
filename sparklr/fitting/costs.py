"""What a fit costs by methods of first and of second order: the model that chooses the solver.

    fit      =  readings * reading + driver
    reading  =  job + rows / slots * (gradient or, of second order, gradient + Hessian)
    gradient =  SHARED * stored / fits + C * (LOSS + EACH * stored)       per row and fit
    Hessian  =  PRODUCT * multiplications + COPY * C * stored             per row and fit

for C margins and so many stored values per row. Costs are nanoseconds, of one core where there are
several. Only their ratios matter, and these differ little from machine to machine: docs/scale.md
has their measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sparklr.fitting.preconditioner import FACTORED_SIZE, HESSIAN_LIMIT
from sparklr.fitting.problem import Problem
from sparklr.objective.hessians import multiplications
from sparklr.passes.protocol import Passes
from sparklr.rows.blocks import Block

# Nanoseconds: per stored value and reading; per margin and row; per stored value, dense or in CSR,
# and margin; per multiplication of a Hessian; per value copied for it; per Spark job.
SHARED, LOSS, EACH_DENSE, EACH_SPARSE = 3.0, 30.0, 0.25, 0.6
PRODUCT, COPY = 0.03, 3.0
JOB = 2.5e8
# Nanoseconds per n^3 on the driver: one factor per step, or several with an l1 term.
FACTOR, FACTORS = 0.01, 0.03
# Readings of second order and Hessians, from the optimum of a wider sample, of the sample, or from
# nothing.
SECOND_WIDER, SECOND, SECOND_FROM_NOTHING = (3, 2), (4, 2), (7, 6)
# Readings of first order: see `_readings`.
ACCURACY, FIRST_STEPS = 1e-9, 3
UNTOLD, DIAGONAL, DIAGONAL_L1 = 40, 200, 1_000
# With an l1 term or bounds, up to this many coefficients have an estimate of the Hessian, whose
# model is minimised on the driver in each step.
ESTIMATED_SIZE = 1_000
# A warm start from the sample's optimum pays from this many rows per row of the sample.
WARM_START_RATIO = 4
# The sample's Hessian can replace that of all rows with so many events per coefficient, as many
# as estimates need (Peduzzi et al. 1996).
EVENTS = 10


@dataclass(frozen=True, eq=False)
class Conditions:
    """Conditions of a fit: its rows, how they are read, and how many fits share a reading."""

    rows: int
    sample: Block
    slots: int
    jobs: bool  # whether each reading is a Spark job
    fits: int = 1
    wider: bool = False  # whether there is a wider sample to start from

    @staticmethod
    def of(passes: Passes, rows: int, fits: int) -> Conditions:
        """Return the conditions of fits by these passes."""
        wider = passes.wider_sample.rows > passes.sample.rows
        return Conditions(rows, passes.sample, passes.slots, passes.jobs, fits, wider)

    @cached_property
    def alone(self) -> Conditions:
        """The conditions of a fit that shares its readings with no other."""
        return replace(self, fits=1)

    @cached_property
    def multiplications(self) -> float:
        """What a row of a binomial Hessian costs."""
        return multiplications(self.sample.matrix)

    @cached_property
    def events(self) -> int:
        """The sample's rows that are not of its largest class."""
        labels = self.sample.labels.astype(int)
        return len(labels) - int(np.bincount(labels, minlength=1).max())

    def starts(self, problem: Problem) -> bool:
        """Whether a fit may start at the sample's optimum.

        With fewer events than coefficients, the sample is separated, or nearly so: its optimum is
        far from the optimum of all rows.
        """
        enough = self.rows >= WARM_START_RATIO * max(self.sample.rows, 1)
        return enough and self.events >= problem.size

    def tells(self, problem: Problem) -> bool:
        """Whether the sample's Hessian shows the curvature of all rows."""
        return factored(problem) and self.starts(problem) and self.events >= EVENTS * problem.size


def by_cheap_steps(problem: Problem, conditions: Conditions) -> bool:
    """Whether OWL-QN in memory, by a thousand readings, comes near the optimum at little cost.

    So it is with an l1 term and fewer rows than coefficients, all of them in the sample: a model of
    proximal Newton then has hundreds of coordinates, and a reading few numbers.
    """
    fewer = conditions.rows == conditions.sample.rows < problem.scaling.shape[1]
    return fewer and not is_smooth(problem) and problem.box is None


def affordable_hessian(problem: Problem) -> bool:
    """Whether the Hessian of all features fits into the driver's memory."""
    return max(problem.size, problem.summed_size) <= HESSIAN_LIMIT


def factored(problem: Problem) -> bool:
    """Whether a method of first order has a Hessian of the sample, not only a diagonal."""
    return problem.scaling.shape[1] <= FACTORED_SIZE


def is_smooth(problem: Problem) -> bool:
    """Whether a method without l1 terms and bounds will do."""
    return problem.penalty.smooth and problem.box is None


def first_order(problem: Problem, conditions: Conditions) -> float:
    """Return the cost of a fit with first derivatives."""
    # With an l1 term, a model is minimised in each step, or the moving coordinates are factored.
    driver = 0.0
    if not is_smooth(problem) and factored(problem):
        blocks = problem.scaling.margins if problem.size > FACTORED_SIZE else 1
        factor = FACTORS if problem.size <= ESTIMATED_SIZE else FACTOR
        driver = factor * float(problem.size) ** 3 / blocks**2
    reading = _reading(conditions, _gradient(problem, conditions))
    return _readings(problem, conditions) * (reading + driver)


def _readings(problem: Problem, conditions: Conditions) -> float:
    """Return the readings of a method of first order until the tolerance is met.

    A Hessian of p coefficients from n random rows is so near to that of all rows that each step of
    a quasi-Newton method leaves a share of about p/n of the way down (by the law of Marchenko and
    Pastur: the condition number of the one in terms of the other is ((1 + r) / (1 - r))^2, with
    r^2 = p/n). Rows that are not events tell little.
    """
    if not factored(problem) or (not is_smooth(problem) and problem.size > FACTORED_SIZE):
        return DIAGONAL if is_smooth(problem) else DIAGONAL_L1
    if conditions.starts(problem) and problem.size < conditions.events:
        gained = np.log(ACCURACY) / np.log(problem.size / conditions.events)
        return min(FIRST_STEPS + float(gained), UNTOLD)
    return UNTOLD if is_smooth(problem) or problem.size <= ESTIMATED_SIZE else DIAGONAL_L1


def second_order(problem: Problem, conditions: Conditions) -> float:
    """Return the cost of a fit with second derivatives."""
    readings, hessians = SECOND_FROM_NOTHING
    if conditions.starts(problem):
        readings, hessians = SECOND_WIDER if conditions.wider and conditions.fits == 1 else SECOND
    driver = (FACTOR if is_smooth(problem) else FACTORS) * float(problem.size) ** 3
    reading = _reading(conditions, _gradient(problem, conditions))
    return readings * reading + hessians * (_hessian(problem, conditions) + driver)


def spares_hessians(problem: Problem, conditions: Conditions) -> bool:
    """Whether to begin with the sample's Hessian: it saves one or two, and may cost a reading."""
    reading = _reading(conditions, _gradient(problem, conditions))
    return conditions.starts(problem) and _hessian(problem, conditions) > reading


def _reading(conditions: Conditions, row: float) -> float:
    job = JOB / conditions.fits if conditions.jobs else 0.0
    return job + conditions.rows / conditions.slots * row


def _gradient(problem: Problem, conditions: Conditions) -> float:
    sample = conditions.sample
    stored = sample.stored / max(sample.rows, 1)
    each = EACH_SPARSE if sample.sparse else EACH_DENSE
    return SHARED * stored / conditions.fits + problem.scaling.margins * (LOSS + each * stored)


def _hessian(problem: Problem, conditions: Conditions) -> float:
    """Return what a Hessian adds to a reading of all rows."""
    sample, margins = conditions.sample, problem.scaling.margins
    products = margins**2 * conditions.multiplications
    row = PRODUCT * products + COPY * margins * sample.stored / max(sample.rows, 1)
    return conditions.rows / conditions.slots * row
