"""The Params of LogisticRegression, with Spark's names, defaults and rules, and `solver`.

Everything is checked here, in Python and before any job: Spark's own checks sit in its JVM,
which Spark Connect does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from pyspark.ml.linalg import Matrix, Vector
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasAggregationDepth,
    HasElasticNetParam,
    HasFeaturesCol,
    HasFitIntercept,
    HasLabelCol,
    HasMaxBlockSizeInMB,
    HasMaxIter,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
    HasRegParam,
    HasStandardization,
    HasThreshold,
    HasThresholds,
    HasTol,
    HasWeightCol,
)

P = TypeVar("P", bound="LogisticRegressionParams")
V = TypeVar("V", bound="HasVerbose")

FAMILIES = ("auto", "binomial", "multinomial")
SOLVERS = ("auto", "newton", "l-bfgs", "proximal-newton", "owl-qn")


def _dummy() -> Any:
    return Params._dummy()


class HasVerbose(Params):
    """Whether work shows a progress bar: for what reads rows, thus not for models."""

    verbose: Param[bool] = Param(
        _dummy(),
        "verbose",
        "Whether to show a progress bar. Not set: only in a terminal or a notebook, and only if "
        "the work takes longer than some two seconds.",
        typeConverter=TypeConverters.toBoolean,
    )

    def setVerbose(self: V, value: bool) -> V:
        """Set whether to show a progress bar."""
        self._set(verbose=value)
        return self

    def getVerbose(self) -> bool:
        """The value of `verbose`; an error if it is not set."""
        return bool(self.getOrDefault(self.verbose))


def verbose_if_set(stage: HasVerbose) -> bool | None:
    """The value of `verbose`, or None where the choice is left to the progress bar."""
    return stage.getVerbose() if stage.isSet(stage.verbose) else None


class LogisticRegressionParams(
    # In the order of Spark's own classifiers, or Python finds no common method order with them.
    HasProbabilityCol,
    HasThresholds,
    HasRawPredictionCol,
    HasLabelCol,
    HasFeaturesCol,
    HasPredictionCol,
    HasRegParam,
    HasElasticNetParam,
    HasMaxIter,
    HasFitIntercept,
    HasTol,
    HasStandardization,
    HasWeightCol,
    HasAggregationDepth,
    HasThreshold,
    HasMaxBlockSizeInMB,
):
    """Params shared by the estimator and the model."""

    threshold: Param[float] = Param(
        _dummy(),
        "threshold",
        "Threshold in binary classification prediction, in range [0, 1]. If threshold and "
        "thresholds are both set, they must match: thresholds must be [1-p, p] for threshold p.",
        typeConverter=TypeConverters.toFloat,
    )
    family: Param[str] = Param(
        _dummy(),
        "family",
        "The distribution of the label: auto (binomial for two classes or fewer, else "
        "multinomial), binomial or multinomial.",
        typeConverter=TypeConverters.toString,
    )
    lowerBoundsOnCoefficients: Param[Matrix] = Param(
        _dummy(),
        "lowerBoundsOnCoefficients",
        "Lower bounds on coefficients: a matrix of (1, features) for binomial, "
        "(classes, features) for multinomial regression.",
        typeConverter=TypeConverters.toMatrix,
    )
    upperBoundsOnCoefficients: Param[Matrix] = Param(
        _dummy(),
        "upperBoundsOnCoefficients",
        "Upper bounds on coefficients: a matrix of (1, features) for binomial, "
        "(classes, features) for multinomial regression.",
        typeConverter=TypeConverters.toMatrix,
    )
    lowerBoundsOnIntercepts: Param[Vector] = Param(
        _dummy(),
        "lowerBoundsOnIntercepts",
        "Lower bounds on intercepts: 1 for binomial, one a class for multinomial regression.",
        typeConverter=TypeConverters.toVector,
    )
    upperBoundsOnIntercepts: Param[Vector] = Param(
        _dummy(),
        "upperBoundsOnIntercepts",
        "Upper bounds on intercepts: 1 for binomial, one a class for multinomial regression.",
        typeConverter=TypeConverters.toVector,
    )
    featuresCols: Param[list[str]] = Param(
        _dummy(),
        "featuresCols",
        "Numeric columns that together are the features, instead of a vector in featuresCol.",
        typeConverter=TypeConverters.toListString,
    )
    solver: Param[str] = Param(
        _dummy(),
        "solver",
        "The method of optimisation: auto, newton, l-bfgs, proximal-newton or owl-qn. The "
        "first two need a penalty without L1 part; auto chooses by penalty and size.",
        typeConverter=TypeConverters.toString,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(
            maxIter=100,
            regParam=0.0,
            elasticNetParam=0.0,
            tol=1e-6,
            fitIntercept=True,
            threshold=0.5,
            family="auto",
            standardization=True,
            aggregationDepth=2,
            maxBlockSizeInMB=0.0,
            solver="auto",
        )

    def setThreshold(self: P, value: float) -> P:
        """Set `threshold`, and clear `thresholds`."""
        self._set(threshold=value)
        self.clear(self.thresholds)
        return self

    def getThreshold(self) -> float:
        """The threshold, or the one that two `thresholds` amount to."""
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
        """The thresholds, or [1 - t, t] where only `threshold` is set; an error if neither is."""
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
        """Set `featuresCols`, numeric columns to take as features, and clear `featuresCol`."""
        self._set(featuresCols=value)
        self.clear(self.featuresCol)
        return self

    def getFeaturesCols(self) -> list[str]:
        """The value of `featuresCols`; an error if it is not set."""
        return list(self.getOrDefault("featuresCols"))

    def getFamily(self) -> str:
        """The value of `family` or its default."""
        return str(self.getOrDefault(self.family))

    def getSolver(self) -> str:
        """The value of `solver` or its default."""
        return str(self.getOrDefault(self.solver))

    def getLowerBoundsOnCoefficients(self) -> Matrix:
        """The value of `lowerBoundsOnCoefficients`."""
        return self.getOrDefault(self.lowerBoundsOnCoefficients)

    def getUpperBoundsOnCoefficients(self) -> Matrix:
        """The value of `upperBoundsOnCoefficients`."""
        return self.getOrDefault(self.upperBoundsOnCoefficients)

    def getLowerBoundsOnIntercepts(self) -> Vector:
        """The value of `lowerBoundsOnIntercepts`."""
        return self.getOrDefault(self.lowerBoundsOnIntercepts)

    def getUpperBoundsOnIntercepts(self) -> Vector:
        """The value of `upperBoundsOnIntercepts`."""
        return self.getOrDefault(self.upperBoundsOnIntercepts)

    def set(self, param: Param[Any], value: Any) -> None:
        """As Spark's, but a value that is refused is refused by its Param's name."""
        self._shouldOwn(param)
        if value is None:
            raise TypeError(f"{param.name}=None is not allowed. To unset a Param, clear it.")
        self._set(**{param.name: value})

    def copy(self: P, extra: Any = None) -> P:
        """A copy with the same uid, and with the values of `extra`."""
        check_map({} if extra is None else extra)
        return super().copy(extra)

    def _set(self: P, **kwargs: Any) -> P:
        """As Spark's, but None leaves a Param unset, and a value outside its range is refused."""
        given = {name: value for name, value in kwargs.items() if value is not None}
        before = dict(self._paramMap)
        try:
            for name, value in given.items():
                self._set_one(name, value)
        except (TypeError, ValueError):
            self._paramMap = before
            raise
        return self

    def _set_one(self, name: str, value: Any) -> None:
        try:
            super()._set(**{name: value})
        except (ArithmeticError, ValueError) as reason:  # Spark names the Param of a TypeError
            raise ValueError(f"{name} cannot be set to what is given: {reason}") from None
        check_value(name, self.getOrDefault(name))

    def _set_together(self, values: dict[str, Any]) -> None:
        """Set all of these, or none of them if a value or the thresholds are refused."""
        before = dict(self._paramMap)
        try:
            self._set(**values)
            check_thresholds(self)
            check_features(self)
        except (TypeError, ValueError):
            self._paramMap = before
            raise


def as_threshold(values: list[float]) -> float:
    """The threshold that two thresholds amount to: predict 1 where p1/t1 > p0/t0."""
    zero, one = values
    return 1.0 / (1.0 + zero / one) if one != 0 else 0.0


def check_thresholds(params: LogisticRegressionParams) -> None:
    """Refuse `threshold` and `thresholds` that are both set and disagree."""
    if not (params.isSet(params.threshold) and params.isSet(params.thresholds)):
        return
    value = float(params.getOrDefault(params.threshold))
    values = [float(value) for value in params.getOrDefault("thresholds")]
    if len(values) != 2:
        raise ValueError(
            f"threshold={value:g} is for binary classification, but thresholds={values} has "
            f"{len(values)} values. Clear one of the two."
        )
    if abs(as_threshold(values) - value) >= 1e-5:
        raise ValueError(
            f"threshold={value:g} and thresholds={values} disagree: these thresholds amount "
            f"to threshold={as_threshold(values):g}. Clear one of the two."
        )


def check_features(params: LogisticRegressionParams) -> None:
    """Refuse `featuresCol` and `featuresCols` that are both set."""
    if params.isSet(params.featuresCol) and params.isSet(params.featuresCols):
        raise ValueError(
            f"featuresCol='{params.getFeaturesCol()}' and featuresCols="
            f"{params.getFeaturesCols()} are both set. Clear one of the two."
        )


def _at_least_zero(value: Any) -> bool:
    return bool(value >= 0)


def _unit(value: Any) -> bool:
    return bool(0 <= value <= 1)


def _one_of(names: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: str(value).lower() in names


def _are_thresholds(values: Any) -> bool:
    return len(values) > 1 and all(v >= 0 for v in values) and sum(v == 0 for v in values) < 2


def _are_names(values: Any) -> bool:
    return 0 < len(values) == len(set(values)) and all(values)


RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "maxIter": (_at_least_zero, "0 or more"),
    "regParam": (_at_least_zero, "0 or more"),
    "elasticNetParam": (_unit, "in [0, 1]"),
    "tol": (_at_least_zero, "0 or more"),
    "threshold": (_unit, "in [0, 1]"),
    "thresholds": (_are_thresholds, "two or more numbers, none negative, at most one zero"),
    "aggregationDepth": (lambda value: bool(value >= 2), "2 or more"),
    "maxBlockSizeInMB": (_at_least_zero, "0 (automatic) or more"),
    "featuresCols": (_are_names, "one or more names of columns, each named once"),
    "family": (_one_of(FAMILIES), f"one of {', '.join(FAMILIES)}"),
    "solver": (_one_of(SOLVERS), f"one of {', '.join(SOLVERS)}"),
}


def check_map(values: Any) -> None:
    """Refuse a param map whose keys are no Params: Spark takes no notice of them."""
    for key in values:
        if not isinstance(key, Param):
            raise TypeError(
                f"A param map has the key {key!r}, which is no Param. Write estimator.regParam, "
                "not 'regParam'."
            )


def check_value(name: str, value: Any) -> None:
    """Refuse a Param value outside its range."""
    if name not in RANGES:
        return
    good, rule = RANGES[name]
    if isinstance(value, float) and (math.isnan(value) or math.isinf(value)):
        raise ValueError(f"{name}={value} is not allowed: it must be a finite number, {rule}.")
    if not good(value):
        raise ValueError(f"{name}={value!r} is not allowed: it must be {rule}.")


def check_params(params: LogisticRegressionParams) -> None:
    """Refuse what cannot be fitted, before any job: `Params.set` and param maps check nothing."""
    for name in RANGES:
        if params.isDefined(name):
            check_value(name, params.getOrDefault(name))
    check_thresholds(params)
    check_features(params)
