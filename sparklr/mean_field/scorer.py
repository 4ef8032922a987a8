"""Scores of rows by a network in memory, on the driver and in workers, without Spark.

f = (C/M) sum_j tanh(a_j . x + b_j), from which the family computes raw, probability, prediction
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array, Matrix
from sparklr.mean_field.reading import SLICE_BYTES
from sparklr.objective.families import BINOMIAL
from sparklr.passes.readings import FLOAT_BYTES
from sparklr.scoring.scorer import Scores, numbers_of_rows


@dataclass(frozen=True, eq=False)
class Network:
    """M neurons of equal weight: weights (M, p), biases (M,), C, and the names of features."""

    weights: Array
    biases: Array
    scale: float
    names: tuple[str, ...] | None = None

    @property
    def features(self) -> int:
        return int(self.weights.shape[1])

    def log_odds(self, matrix: Matrix) -> Array:
        """Return f (n,) of rows (n, p), dense or CSR."""
        rows = max(SLICE_BYTES // (FLOAT_BYTES * len(self.biases)), 1)
        found = np.empty(matrix.shape[0])
        for begin in range(0, len(found), rows):
            with np.errstate(invalid="ignore", over="ignore"):  # infinite features: inf - inf
                margins = np.asarray(matrix[begin : begin + rows] @ self.weights.T) + self.biases
            found[begin : begin + rows] = self.scale * np.tanh(margins).mean(axis=1)
        return found


@dataclass(frozen=True, eq=False)
class NetworkScorer:
    """A network and the threshold of its predictions."""

    network: Network
    threshold: float

    def scores(self, matrix: Matrix) -> Scores:
        """Return the scores of rows (n, p)."""
        return Scores(self, BINOMIAL.raw(self.network.log_odds(matrix)[:, None]))

    def probability(self, raw: Array) -> Array:
        """Return probabilities from raw predictions."""
        return BINOMIAL.probability(raw)

    def prediction(self, raw: Array, probability: Array | None = None) -> Array:
        """Return the predicted labels as doubles."""
        return BINOMIAL.prediction(raw, (self.threshold,), probability)

    def score_column(
        self, column: pa.Array, outputs: Mapping[str, Callable[[Scores], Array]]
    ) -> pa.StructArray:
        """Return the outputs of an Arrow feature column by name, null where features are null."""

        def made(matrix: Matrix) -> dict[str, Array]:
            scores = self.scores(matrix)
            return {name: make(scores) for name, make in outputs.items()}

        return numbers_of_rows(column, self.network.features, made)
