"""Predictions for rows in memory, by Spark's rules. Runs on the driver and in workers; no Spark.

margins = X B' + a,   and of them, as the family says, raw -> probability -> prediction
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from sparklr.arrays import Array, Matrix, is_sparse
from sparklr.objective.families import Family
from sparklr.rows.arrow import read_features


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model's numbers: coefficients (C, p), intercepts (C,), and how to decide.

    Coefficients that are stored sparse meet no feature where they store none, so there a NaN
    or an infinity counts for nothing, as in Spark. There is a threshold for each row of the
    coefficients, or none at all: then the most probable label is predicted.
    """

    coefficients: Matrix
    intercepts: Array
    family: Family
    thresholds: tuple[float, ...] | None = None

    @property
    def features(self) -> int:
        return int(self.coefficients.shape[1])

    def raw(self, matrix: Matrix) -> Array:
        """rawPrediction for rows (n, p), dense or CSR."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinite features meet finite ones
            if is_sparse(self.coefficients):
                product = (self.coefficients @ matrix.T).T
                product = product.toarray() if sp.issparse(product) else product
            else:
                product = matrix @ self.coefficients.T
            margins = np.asarray(product) + self.intercepts
        return self.family.raw(margins)

    def probability(self, raw: Array) -> Array:
        """Probabilities from raw predictions."""
        return self.family.probability(raw)

    def prediction(self, raw: Array, probability: Array | None = None) -> Array:
        """The predicted label, as a double; the probability is made if it is looked at."""
        return self.family.prediction(raw, self.thresholds, probability)

    def scores(self, matrix: Matrix) -> Scores:
        """The scores of rows (n, p), dense or CSR."""
        return Scores(self, self.raw(matrix))

    def score_column(
        self, column: pa.Array, outputs: Mapping[str, Callable[[Scores], Array]]
    ) -> pa.StructArray:
        """The outputs by name, of an Arrow feature column; null where the features are null."""
        rows = read_features(column)
        valid = ~rows.null
        wrong = valid & (rows.sizes != self.features)
        if wrong.any():
            raise ValueError(
                f"A row has {rows.sizes[wrong][0]} features, but the model was fitted on "
                f"{self.features}. Transform data with the same features."
            )
        if rows.broken.any():
            raise ValueError(
                "A row has a sparse vector that is damaged: indices must rise from 0 to below the "
                "size, and come one a value. Correct what made it."
            )
        scores = self.scores(rows.keep(valid).matrix(self.features))
        place = None if valid.all() else pa.array(np.cumsum(valid) - 1, mask=~valid)
        return pa.StructArray.from_arrays(
            [_column(make(scores), place) for make in outputs.values()],
            names=list(outputs),
            mask=None if place is None else pa.array(~valid),
        )


class Scores:
    """What a model says of n rows: raw predictions (n, classes), and the rest when it is read."""

    def __init__(self, scorer: Scorer, raw: Array) -> None:
        self._scorer, self.raw = scorer, raw

    @cached_property
    def probability(self) -> Array:
        """Of each class, (n, classes)."""
        return self._scorer.probability(self.raw)

    @cached_property
    def prediction(self) -> Array:
        """The predicted labels (n,), as doubles."""
        known = self.__dict__.get("probability")  # else made only where thresholds look at it
        return self._scorer.prediction(self.raw, known)


def _column(values: Array, place: pa.Array | None) -> pa.Array:
    """Lists of a matrix's rows, or an array's numbers, in the places of the rows scored."""
    if values.ndim == 1:
        return _spread(pa.array(values), place)
    return _lists(values, place)


def _lists(rows: Array, place: pa.Array | None) -> pa.Array:
    count, width = rows.shape
    offsets = pa.array(np.arange(0, (count + 1) * width, width, dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows).ravel()))
    return _spread(lists, place)


def _spread(values: pa.Array, place: pa.Array | None) -> pa.Array:
    """Back to one entry a row, null where there was nothing to score."""
    return values if place is None else values.take(place)
