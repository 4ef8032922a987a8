"""Predictions for rows in memory, by Spark's rules, without Spark, on the driver and in workers.

margins = X B' + a + o,   from which the family computes raw -> probability -> prediction

for offsets o of the rows, if the model has offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from sparklr.arrays import Array, Matrix, is_sparse
from sparklr.objective.families import Family
from sparklr.rows.arrow import read_features
from sparklr.scoring.class_posterior import ClassMargins, ClassPosterior
from sparklr.scoring.margin_posterior import MarginPosterior, Margins


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model's numbers: coefficients (C, p), intercepts (C,), and thresholds.

    Where sparse coefficients store no value, a NaN or infinite feature is ignored, as in Spark.
    There is one threshold per row of the coefficients, or no threshold: then the most probable
    label is predicted. Raw predictions and probabilities are those of the coefficients or, if the
    posterior says so, of the mean probability.
    """

    coefficients: Matrix
    intercepts: Array
    family: Family
    thresholds: tuple[float, ...] | None = None
    posterior: MarginPosterior | ClassPosterior | None = None  # if an output is made of it

    @property
    def features(self) -> int:
        return int(self.coefficients.shape[1])

    def raw(self, matrix: Matrix, offsets: Array | None = None) -> Array:
        """Return rawPrediction for rows (n, p), dense or CSR, with offsets (n,)."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinite features: inf - inf, 0 * inf
            if is_sparse(self.coefficients):
                product = (self.coefficients @ matrix.T).T
                product = product.toarray() if sp.issparse(product) else product
            else:
                product = matrix @ self.coefficients.T
            margins = np.asarray(product) + self.intercepts
            margins = margins if offsets is None else margins + offsets[:, None]
        return self.family.raw(margins)

    def probability(self, raw: Array) -> Array:
        """Return probabilities from raw predictions."""
        return self.family.probability(raw)

    def prediction(self, raw: Array, probability: Array | None = None) -> Array:
        """Return the predicted labels as doubles; probabilities are computed only if needed."""
        return self.family.prediction(raw, self.thresholds, probability)

    def scores(self, matrix: Matrix, offsets: Array | None = None) -> Scores:
        """Return the scores of rows (n, p), dense or CSR, with offsets (n,)."""
        if self.posterior is None:
            return Scores(self, self.raw(matrix, offsets))
        with np.errstate(invalid="ignore", over="ignore"):
            margins = self.posterior.of_rows(matrix, offsets)
        if not self.posterior.averaged:
            return Scores(self, self.raw(matrix, offsets), margins)
        return Scores(self, self.family.raw(margins.averaged_margins), margins)

    def score_column(
        self, column: pa.Array, outputs: Mapping[str, Callable[[Scores], Array]]
    ) -> pa.StructArray:
        """Return the outputs of an Arrow feature column by name, null where features are null."""

        def made(matrix: Matrix) -> dict[str, Array]:
            scores = self.scores(matrix)
            return {name: make(scores) for name, make in outputs.items()}

        return numbers_of_rows(column, self.features, made)


def numbers_of_rows(
    column: pa.Array, features: int, make: Callable[[Matrix], Mapping[str, Array]]
) -> pa.StructArray:
    """Return what is made of an Arrow feature column's rows by name, null where they are null."""
    rows = read_features(column)
    valid = ~rows.null
    wrong = valid & (rows.sizes != features)
    if wrong.any():
        raise ValueError(
            f"A row has {rows.sizes[wrong][0]} features, but the model was fitted on "
            f"{features}. Transform data with the same features."
        )
    if rows.broken.any():
        raise ValueError(
            "A row has a damaged sparse vector: indices must be strictly increasing, in "
            "[0, size), one per value. Fix the step that built the vector."
        )
    made = make(rows.keep(valid).matrix(features))
    place = None if valid.all() else pa.array(np.cumsum(valid) - 1, mask=~valid)
    return pa.StructArray.from_arrays(
        [_column(values, place) for values in made.values()],
        names=list(made),
        mask=None if place is None else pa.array(~valid),
    )


class FromRaw(Protocol):
    """What makes the other scores of raw predictions."""

    def probability(self, raw: Array, /) -> Array: ...
    def prediction(self, raw: Array, probability: Array | None, /) -> Array: ...


class Scores:
    """A model's raw predictions (n, classes) of n rows; other scores are computed on first use."""

    def __init__(
        self, scorer: FromRaw, raw: Array, margins: Margins | ClassMargins | None = None
    ) -> None:
        self._scorer, self.raw, self._margins = scorer, raw, margins

    @property
    def margins(self) -> Margins | ClassMargins:
        """The distributions of the rows' margins; the scorer must have a posterior."""
        if self._margins is None:
            raise LookupError("these scores have no posterior: their scorer has none")
        return self._margins

    @cached_property
    def probability(self) -> Array:
        """The probability of each class, (n, classes)."""
        return self._scorer.probability(self.raw)

    @cached_property
    def prediction(self) -> Array:
        """The predicted labels (n,), as doubles."""
        known = self.__dict__.get("probability")  # computed only if the thresholds need it
        return self._scorer.prediction(self.raw, known)


def _column(values: Array, place: pa.Array | None) -> pa.Array:
    """Return a matrix's rows as lists, or an array's numbers, at the rows that were scored."""
    if values.ndim == 1:
        return _spread(pa.array(values), place)
    return _lists(values, place)


def _lists(rows: Array, place: pa.Array | None) -> pa.Array:
    count, width = rows.shape
    offsets = pa.array(np.arange(0, (count + 1) * width, width, dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows).ravel()))
    return _spread(lists, place)


def _spread(values: pa.Array, place: pa.Array | None) -> pa.Array:
    """Return the values with one entry per row, null where the row was not scored."""
    return values if place is None else values.take(place)
