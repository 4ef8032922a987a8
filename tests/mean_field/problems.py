"""Small problems of one feature, with their minima on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sparklr.arrays import Array
from sparklr.mean_field.dynamics import Descended, Schedule, descend
from sparklr.mean_field.energy import Energy, Measure
from sparklr.mean_field.grid import Grid, GridProblem
from sparklr.mean_field.problem import Coordinates, ask, run
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings of numbers that overflow, for runs that are meant to fail."""
    with np.errstate(all="ignore"):
        yield


@dataclass(frozen=True, eq=False)
class SmallProblem:
    """Rows of one standard feature, whose label changes twice along it; with or without a bias."""

    measure: Measure
    bias: bool = True
    rows: int = 60

    @cached_property
    def block(self) -> Block:
        random = np.random.default_rng(3)
        feature = random.normal(size=self.rows)
        feature = (feature - feature.mean()) / feature.std(ddof=1)
        labels = (np.sin(2 * feature) + random.normal(size=self.rows) / 2 > 0).astype(float)
        return Block(feature[:, None], labels, None)

    @property
    def inputs(self) -> Array:
        """The rows as a neuron sees them (n, d)."""
        matrix = np.asarray(self.block.matrix)
        return np.column_stack((matrix, np.ones(self.rows))) if self.bias else matrix

    def on_grid(self, count: int) -> GridProblem:
        reach = 6 * max(1.0, np.sqrt(self.measure.variance))
        grid = Grid.around_zero(reach, count, self.inputs.shape[1])
        return GridProblem(grid, self.inputs, self.block.labels, self.measure)

    def particles(self, count: int, schedule: Schedule, seed: int = 0, beads: int = 1) -> Descended:
        """Descend with so many particles; the rows are those of the grid."""
        passes = LocalPasses.of([self.block], 1)
        own = Coordinates(np.zeros(1), np.ones(1), self.bias)
        measure = self.measure
        if measure.regularizer == "fisher":
            measure = replace(measure, beads=beads, length=beads / 4)
        descent = descend(
            measure, own.second_moments(self.block), count, schedule, np.random.default_rng(seed)
        )
        return run(descent, lambda _, cloud: ask(passes, own, measure.scale, cloud))

    def log_odds(self, neurons: Array) -> Array:
        """f (n,) of neurons (N, d)."""
        return np.asarray(self.measure.scale * np.tanh(self.inputs @ neurons.T).mean(axis=1))


def mean_of(energies: tuple[Energy, ...]) -> Array:
    """The mean loss, penalty and regularizer."""
    return np.mean([(its.loss, its.penalty, its.regularizer) for its in energies], axis=0)
