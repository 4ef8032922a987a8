"""The members of a model that are its numbers, with Spark's names."""

from __future__ import annotations

from typing import cast

import numpy as np
from pyspark.ml.linalg import DenseVector, Matrix, SparseVector, Vector

from sparklr.params import LogisticRegressionParams
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.matrices import dense_matrix, dense_vector


class CoefficientsOfModel:
    """Coefficients, intercepts, sizes and names."""

    _numbers: ModelNumbers

    @property
    def coefficientMatrix(self) -> Matrix:
        """Coefficients: shape (1, features) if binomial, (classes, features) if multinomial."""
        return self._numbers.coefficients

    @property
    def interceptVector(self) -> Vector:
        """Intercepts: one for binomial models, one per class for multinomial models."""
        return self._numbers.intercepts

    @property
    def coefficients(self) -> Vector:
        """The coefficients of a binomial model."""
        self._refuse_multinomial("coefficients", "coefficientMatrix")
        matrix = self._numbers.coefficients
        values = dense_matrix(matrix)[0]
        if hasattr(matrix, "colPtrs"):
            kept = np.flatnonzero(values)
            return SparseVector(len(values), kept, values[kept])
        return DenseVector(values)

    @property
    def intercept(self) -> float:
        """The intercept of a binomial model."""
        self._refuse_multinomial("intercept", "interceptVector")
        return float(dense_vector(self._numbers.intercepts)[0])

    def _refuse_multinomial(self, name: str, other: str) -> None:
        if self._numbers.family.per_class:
            raise ValueError(
                f"'{name}' is for binomial models, but this model is {self._numbers.family}, with "
                f"numbers for each of its {self.numClasses} classes. Use '{other}'."
            )

    @property
    def numClasses(self) -> int:
        """The number of classes."""
        return self._numbers.classes

    @property
    def numFeatures(self) -> int:
        """The number of features."""
        return self._numbers.features

    @property
    def featureNames(self) -> list[str]:
        """The feature names: from the columns or their metadata, else made from the index."""
        return self._numbers.feature_names(cast(LogisticRegressionParams, self).getFeaturesCol())

    @property
    def numbers(self) -> ModelNumbers:
        """Coefficients, intercepts, classes and feature names, as one frozen record."""
        return self._numbers
