"""Sums of products of the rows' scores, which robust covariances are made of.

A row's score is its share of the gradient, s_i = d_ik [x_i - o, 1] for margin slopes d_ik:

    counts          M = sum_i w_i s_i s_i'        a row stands for w_i rows like it
    probabilities   M = sum_i w_i^2 s_i s_i'      a row stands for the population it was drawn from

times the square of the factor of the label, if labels have factors: such a factor never says that
a row stands for others. V M V is the covariance of estimates whose model may be wrong (White 1980),
for the inverse information V.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sparklr.arrays import Array, Buffer
from sparklr.objective.sums import HESSIAN_SLICE_BYTES, Probe, Sums, margins_of
from sparklr.passes.readings import FLOAT_BYTES, DerivativeSums, SumsOfRows, probe_bytes
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class DerivativesAndProducts(SumsOfRows):
    """One reading of both: a probe's sums, and then M, in one flat array (`split`)."""

    derivatives: DerivativeSums
    products: ScoreProducts

    @staticmethod
    def of(probe: Probe, power: Literal[1, 2]) -> DerivativesAndProducts:
        """Return the reading at a probe."""
        return DerivativesAndProducts(DerivativeSums((probe,)), ScoreProducts(probe, power))

    @property
    def has_hessian(self) -> bool:
        return True

    @property
    def columns(self) -> int:
        return self.derivatives.columns + self.products.columns

    @property
    def size(self) -> int:
        return self.derivatives.size + self.products.size

    def accumulator(self, features: int, origin: Array | None) -> SumsAndProducts:
        return SumsAndProducts(self, features, origin)

    def split(self, flat: Array) -> tuple[Sums, Array]:
        """Return the probe's sums and M."""
        (probe,) = self.derivatives.probes
        side = self.products.side
        return Sums.of(probe, flat[: probe.length]), flat[probe.length :].reshape(side, side)


class SumsAndProducts:
    """The sums and M over the blocks added so far."""

    def __init__(
        self, reading: DerivativesAndProducts, features: int, origin: Array | None
    ) -> None:
        self._sums = reading.derivatives.accumulator(features, origin)
        self._products = reading.products.accumulator(features, origin)

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        self._sums.add(block)
        self._products.add(block)

    def part(self) -> Array:
        """Return both in one flat array."""
        return np.concatenate((self._sums.part(), self._products.part().ravel()))


@dataclass(frozen=True, eq=False)
class ScoreProducts(SumsOfRows):
    """The reading of M, (C (p + 1), C (p + 1)); weights are raised to `power`."""

    probe: Probe
    power: Literal[1, 2]

    @property
    def has_hessian(self) -> bool:
        return True

    @property
    def columns(self) -> int:
        return self.probe.margins

    @property
    def side(self) -> int:
        """The number of rows of M."""
        return self.probe.margins * (int(self.probe.coefficients.shape[1]) + 1)

    @property
    def size(self) -> int:
        return max(FLOAT_BYTES * self.side**2, probe_bytes(self.probe))

    def accumulator(self, features: int, origin: Array | None) -> SumOfProducts:
        del features
        return SumOfProducts(self, origin)

    def from_bytes(self, buffer: Buffer) -> Array:
        return super().from_bytes(buffer).reshape(self.side, self.side)


class SumOfProducts:
    """M over the blocks added so far."""

    def __init__(self, reading: ScoreProducts, origin: Array | None) -> None:
        self._reading, self._origin = reading, origin
        self._total = np.zeros((reading.side, reading.side))

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        step = max(HESSIAN_SLICE_BYTES // (8 * self._reading.side), 64)
        for begin in range(0, block.rows, step):
            scores = self._scores(block.part(begin, begin + step).to_dense())
            self._total += scores.T @ scores

    def _scores(self, rows: Block) -> Array:
        """Return the scores (n, C (p + 1)), each times the root of its weight's power."""
        probe, matrix = self._reading.probe, np.asarray(rows.matrix)
        matrix = matrix if self._origin is None else matrix - self._origin
        margins = margins_of(rows.with_matrix(matrix), probe.coefficients.T, probe.offsets)
        slopes = probe.family.terms(margins, rows.labels, 1).slopes
        if rows.weights is not None:
            slopes = slopes * (rows.weights ** (self._reading.power / 2))[:, None]
        if probe.factors is not None:
            slopes = slopes * probe.factors[rows.labels.astype(np.int64)][:, None]
        ones = np.column_stack((matrix, np.ones(len(matrix))))
        return np.asarray((slopes[:, :, None] * ones[:, None, :]).reshape(len(ones), -1))

    def part(self) -> Array:
        """Return M."""
        return self._total
