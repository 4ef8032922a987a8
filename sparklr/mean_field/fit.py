"""A fit: particles descend on a sample of the rows first, and then on all rows; without Spark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.mean_field.dynamics import Cloud, Descended, Potential, Schedule, descend
from sparklr.mean_field.energy import Energy, Measure
from sparklr.mean_field.problem import Coordinates, ask, run
from sparklr.passes.local import LocalPasses, in_pieces
from sparklr.passes.protocol import Passes
from sparklr.passes.threads import one_blas_thread

# The share of the steps, at the end, that read all rows and from which neurons are taken.
LAST = 5
# Energies of the last fifth and of the fifth before differ by less than so many standard errors, or
# by less than this share of the whole descent, if the particles are at rest.
ERRORS, SHARE = 3.0, 0.01
BATCHES = 6  # of steps, whose means are taken as independent


@dataclass(frozen=True)
class Plan:
    """The numbers of a fit, from the Params."""

    measure: Measure
    particles: int
    snapshots: int
    steps: int
    step: float
    friction: float
    bias: bool
    standardization: bool
    seed: int

    @property
    def last(self) -> int:
        """The number of steps that read all rows, if there are more than in the sample."""
        return max(self.steps // LAST, 1)


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """The neurons of all snapshots on the rows, and how they were found.

    weights : (M, p), biases : (M,)
    energies : at the start and after each step; before step `changed` on the sample alone
    rises : the steps at which velocities were drawn anew
    """

    weights: Array
    biases: Array
    energies: tuple[Energy, ...]
    rises: tuple[int, ...]
    changed: int
    last: int
    readings: int  # of all rows

    @property
    def energy(self) -> float:
        """The mean energy of the last steps."""
        return float(np.mean(self._totals(self.last, 0)))

    @property
    def energy_error(self) -> float:
        """The standard error of that mean, from the means of batches of steps."""
        return _standard_error(self._totals(self.last, 0))

    @property
    def settled(self) -> bool:
        """Whether the energy has come to rest: the last steps lie no lower than those before.

        Too few steps do not tell.
        """
        if self.last < BATCHES or len(self.energies) <= 2 * self.last:
            return False
        before, after = self._totals(2 * self.last, self.last), self._totals(self.last, 0)
        fall = float(before.mean() - after.mean())
        noise = ERRORS * float(np.hypot(_standard_error(before), _standard_error(after)))
        return fall <= noise + SHARE * (self.energies[0].total - self.energy)

    def _totals(self, first: int, end: int) -> Array:
        """Return the energies of the steps from `first` to `end` before the last."""
        some = self.energies[len(self.energies) - first : len(self.energies) - end]
        return np.array([one.total for one in some])


def _standard_error(values: Array) -> float:
    batches = [part.mean() for part in np.array_split(values, min(BATCHES, len(values)))]
    return float(np.std(batches, ddof=1) / np.sqrt(len(batches))) if len(batches) > 1 else np.inf


def fit_network(
    passes: Passes, plan: Plan, watch: Callable[[int, float], None] | None = None
) -> FittedNetwork:
    """Fit a network; `watch` is told the number of each step and the loss there.

    Where the rows are more than the sample, all steps but the last fifth read the sample alone: its
    minimum is near that of all rows, and a reading of it costs no job.
    """
    coordinates = Coordinates.of(
        passes.moments, bias=plan.bias, standardization=plan.standardization
    )
    sampled = passes.sample.rows < passes.moments.rows
    changed = plan.steps - plan.last if sampled else 0
    sample = _sample_of(passes) if sampled else passes
    distance = plan.last / plan.snapshots
    kept = frozenset(plan.steps - round(at * distance) for at in range(plan.snapshots))
    schedule = Schedule(plan.steps, plan.step, plan.friction, kept, changed)

    def answer(number: int, cloud: Cloud) -> Potential:
        rows = sample if number < changed else passes
        found = ask(rows, coordinates, plan.measure.scale, cloud)
        if watch is not None:
            watch(number, found.loss)
        return found

    with one_blas_thread():  # so that sums are the same to the bit, whatever the machine's threads
        moments = coordinates.second_moments(passes.sample)
        random = np.random.default_rng(plan.seed)
        ended = run(descend(plan.measure, moments, plan.particles, schedule, random), answer)
    return _fitted(ended, coordinates, plan, changed)


def _fitted(ended: Descended, coordinates: Coordinates, plan: Plan, changed: int) -> FittedNetwork:
    weights, biases = coordinates.to_rows(np.concatenate(ended.neurons))
    return FittedNetwork(
        weights=weights,
        biases=biases,
        energies=ended.energies,
        rises=ended.rises,
        changed=changed,
        last=plan.last,
        readings=plan.steps + 1 - changed,
    )


def _sample_of(passes: Passes) -> LocalPasses:
    """Return passes over the sample, in as many pieces as there are threads here."""
    local = LocalPasses.of(in_pieces(passes.sample, 4), passes.moments.features)
    return LocalPasses(local.blocks, local.moments, local.sample, 4)
