"""The setters and getters of the Params: those shared with the model, and the estimator's own.

The setters and getters of `labelCol` and of the output columns come from Spark's base classes.
"""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.linalg import Matrix, Vector

from sparklr.params.bias_reduction import HasBiasReduction
from sparklr.params.checks import as_threshold, check_features, check_thresholds
from sparklr.params.declared import DeclaredParams
from sparklr.params.descent import HasDescent
from sparklr.params.inference import HasInference
from sparklr.params.posterior import HasPosterior, HasPosteriorColumns
from sparklr.params.sgd import HasSgd
from sparklr.params.stream import HasStream, check_decay
from sparklr.params.verbose import HasVerbose

P = TypeVar("P", bound="LogisticRegressionParams")
E = TypeVar("E", bound="EstimatorParams")


class LogisticRegressionParams(DeclaredParams, HasBiasReduction, HasPosteriorColumns):
    """Params shared by the estimator and the model."""

    def setThreshold(self: P, value: float) -> P:
        """Set `threshold`, and clear `thresholds`."""
        self._set(threshold=value)
        self.clear(self.thresholds)
        return self

    def getThreshold(self) -> float:
        """Return the threshold, or the threshold that is equivalent to two `thresholds`."""
        check_thresholds(self)
        if not self.isSet(self.thresholds):
            return float(self.getOrDefault(self.threshold))
        values = self.getOrDefault(self.thresholds)
        if len(values) != 2:
            raise ValueError(
                f"getThreshold is for binary classification, but thresholds={values} has "
                f"{len(values)} values. Use getThresholds."
            )
        return as_threshold(values)

    def setThresholds(self: P, value: list[float]) -> P:
        """Set `thresholds`, and clear `threshold`."""
        self._set(thresholds=value)
        self.clear(self.threshold)
        return self

    def getThresholds(self) -> list[float]:
        """Return the thresholds, or [1 - t, t] for a `threshold` alone; raise if neither is set."""
        check_thresholds(self)
        if not self.isSet(self.thresholds) and self.isSet(self.threshold):
            value = float(self.getOrDefault(self.threshold))
            return [1.0 - value, value]
        return [float(value) for value in self.getOrDefault("thresholds")]

    def setFeaturesCol(self: P, value: str) -> P:
        """Set `featuresCol`, and clear `featuresCols`."""
        self._set(featuresCol=value)
        self.clear(self.featuresCols)
        return self

    def setFeaturesCols(self: P, value: list[str]) -> P:
        """Set `featuresCols`, the numeric columns to use as features, and clear `featuresCol`."""
        self._set(featuresCols=value)
        self.clear(self.featuresCol)
        return self

    def getFeaturesCols(self) -> list[str]:
        """Return the value of `featuresCols`; raise if it is not set."""
        return list(self.getOrDefault("featuresCols"))

    def getFamily(self) -> str:
        """Return the value of `family` or its default."""
        return str(self.getOrDefault(self.family))

    def getSolver(self) -> str:
        """Return the value of `solver` or its default."""
        return str(self.getOrDefault(self.solver))

    def getLowerBoundsOnCoefficients(self) -> Matrix:
        """Return the value of `lowerBoundsOnCoefficients`."""
        return self.getOrDefault(self.lowerBoundsOnCoefficients)

    def getUpperBoundsOnCoefficients(self) -> Matrix:
        """Return the value of `upperBoundsOnCoefficients`."""
        return self.getOrDefault(self.upperBoundsOnCoefficients)

    def getLowerBoundsOnIntercepts(self) -> Vector:
        """Return the value of `lowerBoundsOnIntercepts`."""
        return self.getOrDefault(self.lowerBoundsOnIntercepts)

    def getUpperBoundsOnIntercepts(self) -> Vector:
        """Return the value of `upperBoundsOnIntercepts`."""
        return self.getOrDefault(self.upperBoundsOnIntercepts)

    def _check_together(self) -> None:
        check_thresholds(self)
        check_features(self)


class EstimatorParams(
    LogisticRegressionParams,
    HasVerbose,
    HasInference,
    HasPosterior,
    HasStream,
    HasDescent,
    HasSgd,
):
    """The Params of an estimator; a model has the values it was fitted with, but no setters."""

    def _check_together(self) -> None:
        super()._check_together()
        check_decay(self)

    def setMaxIter(self: E, value: int) -> E:
        """Set the maximum number of iterations."""
        return self._set(maxIter=value)

    def setRegParam(self: E, value: float) -> E:
        """Set the weight of the penalty."""
        return self._set(regParam=value)

    def setElasticNetParam(self: E, value: float) -> E:
        """Set the L1 share of the penalty: 0 is L2, 1 is L1."""
        return self._set(elasticNetParam=value)

    def setTol(self: E, value: float) -> E:
        """Set the convergence tolerance."""
        return self._set(tol=value)

    def setFitIntercept(self: E, value: bool) -> E:
        """Set whether to fit an intercept."""
        return self._set(fitIntercept=value)

    def setStandardization(self: E, value: bool) -> E:
        """Set whether the penalty applies to the coefficients of standardised features."""
        return self._set(standardization=value)

    def setWeightCol(self: E, value: str) -> E:
        """Set the column of row weights; an empty name means none."""
        return self._set(weightCol=value)

    def setOffsetCol(self: E, value: str) -> E:
        """Set the column of offsets of the log odds; an empty name means none."""
        return self._set(offsetCol=value)

    def setValidationIndicatorCol(self: E, value: str) -> E:
        """Set the column that is true in held-out rows, for early stopping; empty means none."""
        return self._set(validationIndicatorCol=value)

    def setPatience(self: E, value: int) -> E:
        """Set how many iterations may pass without a lower loss of the held-out rows."""
        return self._set(patience=value)

    def setClassWeights(self: E, value: str | list[float]) -> E:
        """Set the factors of weights by class: "balanced", or one positive number per class."""
        return self._set(classWeights=value)

    def setAggregationDepth(self: E, value: int) -> E:
        """Set the depth of the tree that merges partial sums."""
        return self._set(aggregationDepth=value)

    def setFamily(self: E, value: str) -> E:
        """Set the distribution of the label: auto, binomial or multinomial."""
        return self._set(family=value)

    def setMaxBlockSizeInMB(self: E, value: float) -> E:
        """Set the size of a block of rows; with 0, sparklr chooses it."""
        return self._set(maxBlockSizeInMB=value)

    def setBiasReduction(self: E, value: str) -> E:
        """Set whether to reduce the bias of the estimates: none, or firth."""
        return self._set(biasReduction=value)

    def setSolver(self: E, value: str) -> E:
        """Set the optimisation method."""
        return self._set(solver=value)

    def setLowerBoundsOnCoefficients(self: E, value: Matrix) -> E:
        """Set lower bounds on coefficients: shape (1, features) or (classes, features)."""
        return self._set(lowerBoundsOnCoefficients=value)

    def setUpperBoundsOnCoefficients(self: E, value: Matrix) -> E:
        """Set upper bounds on coefficients: shape (1, features) or (classes, features)."""
        return self._set(upperBoundsOnCoefficients=value)

    def setLowerBoundsOnIntercepts(self: E, value: Vector) -> E:
        """Set lower bounds on intercepts: one bound, or one bound per class."""
        return self._set(lowerBoundsOnIntercepts=value)

    def setUpperBoundsOnIntercepts(self: E, value: Vector) -> E:
        """Set upper bounds on intercepts: one bound, or one bound per class."""
        return self._set(upperBoundsOnIntercepts=value)
