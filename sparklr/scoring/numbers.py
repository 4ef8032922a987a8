"""A model's numbers as one record: what is fitted, saved, exported and scored with.

Vectors and matrices are Spark's own classes, which hold plain numpy arrays and need no session:
whether a model is stored dense or sparse, and by row or by column, is part of what is saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.ml.linalg import Matrix, SparseVector, Vector

from sparklr.arrays import Array
from sparklr.objective.families import Family
from sparklr.rows.columns import nameless
from sparklr.spark.matrices import compress_matrix, compress_vector, dense_matrix, dense_vector


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelNumbers:
    """What a fitted model consists of, Params excepted.

    coefficients : (C, p), for as many margins C as the family has for these classes
    intercepts : one per row of the coefficients
    names : of the features; None where the columns and their metadata name none
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
        """The record of these arrays, stored as Spark stores them."""
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

    def feature_names(self, column: str) -> list[str]:
        """The name of each feature, made from its place in the column where it has none."""
        if self.names is not None:
            return list(self.names)
        return [nameless(column, at) for at in range(self.features)]
