"""Rows in a user's memory, as vectors, sequences, arrays or scipy matrices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import scipy.sparse as sp
from pyspark.ml.linalg import DenseVector, SparseVector

from sparklr.arrays import Array, Matrix
from sparklr.scoring.scorer import Scores


class NamedFeatures(Protocol):
    """The number of a model's features, and their names if they have any."""

    @property
    def features(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...] | None: ...


def read_rows(value: object, numbers: NamedFeatures) -> Matrix:
    """Return a matrix (n, p) of many rows, or of one row given as a vector or sequence.

    The columns of a pandas frame are found by the names of the features.
    """
    if isinstance(value, (pd.DataFrame, pd.Series)):
        value = _by_name(value, numbers.names)
    if isinstance(value, SparseVector):
        pointers = [0, len(value.indices)]
        rows = sp.csr_matrix((value.values, value.indices, pointers), shape=(1, value.size))
    elif sp.issparse(value):
        rows = sp.csr_matrix(value, dtype=np.float64)
    else:
        rows = np.asarray(value.toArray() if isinstance(value, DenseVector) else value)
        rows = np.atleast_2d(rows.astype(np.float64))
    if rows.ndim != 2:
        raise ValueError(
            f"Rows must be a matrix of shape (rows, features), but have shape {rows.shape}."
        )
    if rows.shape[1] != numbers.features:
        raise ValueError(
            f"The row has {rows.shape[-1]} features, but the model was fitted on "
            f"{numbers.features}."
        )
    return rows


def _by_name(value: pd.DataFrame | pd.Series, names: Sequence[str] | None) -> Array:
    """Return the features of a pandas frame, or of one row of it, in the model's order.

    Their order in the frame is not relied on: with another one every score would be wrong.
    """
    kind, labels = type(value).__name__, value.axes[-1]
    if not any(isinstance(label, str) for label in labels):  # made of an array, by its places
        return np.asarray(value, dtype=np.float64)
    if names is None:
        raise ValueError(
            f"The features of this model have no names, so the labels of a {kind} cannot be "
            "matched to them. Pass the array value.to_numpy(), in the order of the features."
        )
    lacking = [name for name in names if name not in labels]
    if lacking or not labels.is_unique:
        what = f"has no {lacking[0]!r}" if lacking else "has a label twice"
        raise ValueError(
            f"The {kind} {what}, but its numbers are found by the names of the features: "
            f"{', '.join(names[:10])}{', …' if len(names) > 10 else ''}. Rename its labels, or "
            "pass an array in this order."
        )
    return np.asarray(value[list(names)].to_numpy(dtype=np.float64))


def is_table(value: object) -> bool:
    """Whether the value is a matrix of rows, not one row."""
    if isinstance(value, (DenseVector, SparseVector)):
        return False
    return sp.issparse(value) or np.asarray(value).ndim > 1


class PredictsInMemory:
    """The members of a model that score rows without a Spark session."""

    @abstractmethod
    def _scores(self, value: object) -> Scores:
        """Return the scores of one row or of many."""

    def predictRaw(self, value: Any) -> Any:
        """Return raw predictions: a vector for one row, an array (n, classes) for a matrix."""
        raw = self._scores(value).raw
        return raw if is_table(value) else DenseVector(raw[0])

    def predictProbability(self, value: Any) -> Any:
        """Return probabilities: a vector for one row, an array (n, classes) for a matrix."""
        probability = self._scores(value).probability
        return probability if is_table(value) else DenseVector(probability[0])

    def predict(self, value: Any) -> Any:
        """Return the predicted label of one row, or an array (n,) of labels for a matrix."""
        prediction = self._scores(value).prediction
        return prediction if is_table(value) else float(prediction[0])
