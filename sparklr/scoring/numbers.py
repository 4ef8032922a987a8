"""A model's numbers as one record, for fitting, saving, exporting and scoring.

Vectors and matrices are Spark's own classes, which hold plain numpy arrays and need no session.
A saved model keeps their storage: dense or sparse, by row or by column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.ml.linalg import Matrix, SparseVector, Vector

from sparklr.arrays import Array, IntArray
from sparklr.objective.families import Family
from sparklr.rows.columns import nameless
from sparklr.spark.matrices import (
    compress_matrix,
    compress_vector,
    dense_matrix,
    dense_vector,
    stored_matrix,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelNumbers:
    """The parts of a fitted model, without its Params.

    coefficients : (C, p), where C is the family's number of margins for these classes
    intercepts : one per row of the coefficients
    names : of the features; None if neither the columns nor their metadata have names
    """

    coefficients: Matrix
    intercepts: Vector
    classes: int
    family: Family
    names: tuple[str, ...] | None = None

    @staticmethod
    def of(
        coefficients: Array,
        intercepts: Array,
        classes: int,
        *,
        family: Family,
        names: tuple[str, ...] | None = None,
    ) -> ModelNumbers:
        """Return the record of these arrays, stored as Spark stores them."""
        stored = compress_vector(intercepts)
        if family.per_class and np.isinf(intercepts).any():  # the model of a single label
            kept = np.flatnonzero(intercepts)
            stored = SparseVector(len(intercepts), kept, intercepts[kept])
        return ModelNumbers(
            coefficients=compress_matrix(coefficients),
            intercepts=stored,
            classes=classes,
            family=family,
            names=names,
        )

    @property
    def features(self) -> int:
        """The number of features."""
        return int(self.coefficients.numCols)

    @cached_property
    def arrays(self) -> tuple[Array, Array]:
        """Coefficients (C, p) and intercepts (C,) as dense arrays."""
        return dense_matrix(self.coefficients), dense_vector(self.intercepts)

    @cached_property
    def used(self) -> IntArray:
        """The features that have a coefficient other than zero, ascending."""
        return np.unique(stored_matrix(self.coefficients).nonzero()[1])

    def feature_names(self, column: str) -> list[str]:
        """Return the name of each feature, made from its index if it has no name."""
        if self.names is not None:
            return list(self.names)
        return [nameless(column, at) for at in range(self.features)]
