"""The reading of a network: all of its neurons at once, because a row's residual couples them.

A network is N neurons of equal weight. For the columns j = 1..M of a query, of which the first N
are the network, and rows x_i relative to the pass's origin o:

    u_ij = a_j . (x_i - o) + b_j                     one product for all columns
    f_i  = (C/N) sum_{j <= N} tanh(u_ij)             the log odds of label 1
    r_i  = w_i (sigmoid(f_i) - y_i)

    loss          sum_i w_i [log(1 + e^f_i) - y_i f_i]
    potential_j   sum_i r_i C tanh(u_ij)                            (M,)
    gradient_j    sum_i r_i C (1 - tanh(u_ij)^2) [x_i - o, 1]       (M, p + 1)

The potential of a column is the derivative of the loss with respect to the distribution of neurons,
at that column's neuron. Rows do not need the penalty, so it does not occur here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, Matrix
from sparklr.objective.losses import binomial_terms
from sparklr.passes.readings import FLOAT_BYTES, SumsOfRows
from sparklr.rows.blocks import Block

# A slice of rows whose margins take about so many bytes stays in a cache between the two products.
SLICE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class NetworkSums(SumsOfRows):
    """The reading of one network's loss, and of potentials and gradients at all columns.

    weights : a_j (M, p), in the coordinates of the rows
    biases : b_j (M,), relative to the origin
    neurons : N, the number of leading columns that are the network
    scale : C
    """

    weights: Array
    biases: Array
    neurons: int
    scale: float

    @property
    def columns(self) -> int:
        return len(self.biases)

    @property
    def size(self) -> int:
        return max(FLOAT_BYTES * self.length, int(self.weights.nbytes + self.biases.nbytes))

    @property
    def length(self) -> int:
        """The number of sums."""
        return 1 + self.columns * (int(self.weights.shape[1]) + 2)

    def accumulator(self, features: int, origin: Array | None) -> NetworkTotals:
        return NetworkTotals(self, features, origin)

    def split(self, sums: Array) -> tuple[float, Array, Array]:
        """Return loss, potentials (M,) and gradients (M, p + 1) from the sums of this reading."""
        columns = self.columns
        gradients = sums[1 + columns :].reshape(self.weights.shape[1] + 1, columns)
        return float(sums[0]), sums[1 : 1 + columns], gradients.T


class NetworkTotals:
    """The sums of a network over the blocks added so far."""

    def __init__(self, reading: NetworkSums, features: int, origin: Array | None) -> None:
        self._reading, self._origin = reading, origin
        self._sums = np.zeros(reading.length)
        columns = reading.columns
        self._potentials = self._sums[1 : 1 + columns]  # views of the sums
        self._gradients = self._sums[1 + columns :].reshape(features + 1, columns)
        self._columns = np.ascontiguousarray(reading.weights.T)
        self._slice = max(SLICE_BYTES // (FLOAT_BYTES * columns), 1)

    def add(self, block: Block) -> None:
        """Add a block, slice by slice."""
        biases, origin = self._reading.biases, self._origin
        if origin is not None and block.sparse:  # sparse rows stay where they are
            biases = biases - origin @ self._columns
        for begin in range(0, block.rows, self._slice):
            rows = block.part(begin, min(begin + self._slice, block.rows))
            if origin is None or block.sparse:
                self._add(rows.matrix, rows, biases)
            else:
                self._add(rows.matrix - origin, rows, biases)

    def _add(self, matrix: Matrix, rows: Block, biases: Array) -> None:
        reading, origin = self._reading, self._origin
        values = np.asarray(matrix @ self._columns)
        values += biases
        np.tanh(values, out=values)
        logits = (reading.scale / reading.neurons) * values[:, : reading.neurons].sum(axis=1)
        loss, slopes, _ = binomial_terms(logits[:, None], rows.labels)
        residuals = slopes[:, 0]
        losses = loss[:, 0]
        if rows.weights is not None:
            residuals, losses = residuals * rows.weights, losses * rows.weights
        residuals = reading.scale * residuals
        self._sums[0] += losses.sum()
        self._potentials += residuals @ values
        values *= values
        np.subtract(1.0, values, out=values)
        values *= residuals[:, None]
        inner, sums = np.asarray(matrix.T @ values), values.sum(axis=0)
        if origin is not None and rows.sparse:
            inner -= origin[:, None] * sums
        self._gradients[:-1] += inner
        self._gradients[-1] += sums

    def part(self) -> Array:
        """Return the loss, the potentials and the gradients, in one array."""
        return self._sums
