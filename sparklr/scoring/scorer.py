"""Predictions for rows in memory, by Spark's rules. Runs on the driver and in workers; no Spark.

binomial     raw = [-m, m],   probability = [1 - sigmoid(m), sigmoid(m)],  1 iff m > cut
multinomial  raw = margins,   probability = softmax,  argmax of probability / threshold
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from scipy.special import expit

from sparklr.arrays import Array, Matrix
from sparklr.rows.arrow import read_features


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model's numbers: coefficients (C, p), intercepts (C,), and how to decide.

    Coefficients that are stored sparse meet no feature where they store none, so there a NaN
    or an infinity counts for nothing, as in Spark. `threshold` serves the binomial family,
    `thresholds` (or None: plain argmax) the other.
    """

    coefficients: Matrix
    intercepts: Array
    multinomial: bool
    threshold: float = 0.5
    thresholds: tuple[float, ...] | None = None

    @property
    def features(self) -> int:
        return int(self.coefficients.shape[1])

    def raw(self, matrix: Matrix) -> Array:
        """rawPrediction for rows (n, p), dense or CSR."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinite features meet finite ones
            if sp.issparse(self.coefficients):
                product = (self.coefficients @ matrix.T).T
                product = product.toarray() if sp.issparse(product) else product
            else:
                product = matrix @ self.coefficients.T
            margins = np.asarray(product) + self.intercepts
        return margins if self.multinomial else np.column_stack((-margins, margins))

    def probability(self, raw: Array) -> Array:
        """Probabilities from raw predictions."""
        if not self.multinomial:
            chance = expit(raw[:, 0])
            return np.column_stack((chance, 1.0 - chance))
        infinite = np.isposinf(raw)
        certain = infinite.any(axis=1)
        with np.errstate(invalid="ignore"):
            shares = np.exp(raw - raw.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            shares[certain] = 0.0 * raw[certain]  # as Spark does: NaN for other infinities
        shares[certain, infinite.argmax(axis=1)[certain]] = 1.0
        return np.asarray(shares)

    def prediction(self, raw: Array, probability: Array) -> Array:
        """The predicted label, as a double."""
        if not self.multinomial:
            with np.errstate(divide="ignore"):
                cut = np.log(np.divide(self.threshold, 1.0 - self.threshold))
            return np.asarray(raw[:, 1] > cut, dtype=np.float64)
        if self.thresholds is None:
            known = np.where(np.isnan(raw), -np.inf, raw)
            best = np.where(np.isnan(raw[:, 0]), 0, known.argmax(axis=1))
            return np.asarray(best, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = probability / np.array(self.thresholds)
        scaled[np.isnan(scaled)] = -np.inf
        return np.asarray(scaled.argmax(axis=1), dtype=np.float64)

    def scores(self, matrix: Matrix) -> Scores:
        """The scores of rows (n, p), dense or CSR."""
        return Scores(self, self.raw(matrix))

    def score_column(
        self, column: Any, outputs: Mapping[str, Callable[[Scores], Array]]
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
        place = None if valid.all() else np.cumsum(valid) - 1
        return pa.StructArray.from_arrays(
            [_column(make(scores), valid, place) for make in outputs.values()],
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
        # Only thresholds of the multinomial family look at probabilities.
        looks = self._scorer.multinomial and self._scorer.thresholds is not None
        return self._scorer.prediction(self.raw, self.probability if looks else self.raw)


def _column(values: Array, valid: Any, place: Any) -> pa.Array:
    """Lists of a matrix's rows, or an array's numbers, in the places of the rows scored."""
    if values.ndim == 1:
        return _spread(pa.array(values), valid, place)
    return _lists(values, valid, place)


def _lists(rows: Array, valid: Any, place: Any) -> pa.Array:
    count, width = rows.shape
    offsets = pa.array(np.arange(0, (count + 1) * width, width, dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(rows).ravel()))
    return _spread(lists, valid, place)


def _spread(values: pa.Array, valid: Any, place: Any) -> pa.Array:
    """Back to one entry a row, null where there was nothing to score."""
    return values if place is None else values.take(pa.array(place, mask=~valid))
