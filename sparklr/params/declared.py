"""Which Params there are, and what is known of each: a new one is declared and ruled here."""

from __future__ import annotations

from collections.abc import Iterable
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

from sparklr.params.rules import (
    AT_LEAST_TWO,
    AT_LEAST_ZERO,
    NAMES,
    THRESHOLDS,
    UNIT,
    ZERO_IS_AUTOMATIC,
    ParamRule,
    one_of,
)
from sparklr.solvers.methods import SOLVERS

D = TypeVar("D", bound="DeclaredParams")

# Checked against the table of families by a test: Params are known below them.
FAMILY_NAMES = ("auto", "binomial", "multinomial")


def _dummy() -> Params:
    return Params._dummy()


class DeclaredParams(
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
    """The Params of estimator and model, with their defaults. What is set obeys `RULES`."""

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

    def __init__(self, *args: object) -> None:
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

    def set(self, param: Param[Any], value: object) -> None:
        """As Spark's, but a value that is refused is refused by its Param's name."""
        self._shouldOwn(param)
        if value is None:
            raise TypeError(f"{param.name}=None is not allowed. To unset a Param, clear it.")
        self._set(**{param.name: value})

    def copy(self: D, extra: dict[Param[Any], Any] | None = None) -> D:
        """A copy with the same uid, and with the values of `extra`."""
        check_map({} if extra is None else extra)
        return super().copy(extra)

    def _set(self: D, **kwargs: object) -> D:
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

    def _set_one(self, name: str, value: object) -> None:
        try:
            super()._set(**{name: value})
        except (ArithmeticError, ValueError) as reason:  # Spark names the Param of a TypeError
            raise ValueError(f"{name} cannot be set to what is given: {reason}") from None
        check_value(name, self.getOrDefault(name))


# Beside the declarations above, those of Spark's mixins among its bases, and those of the two
# Params that only fits have: `verbose`, and `initialModel`, whose converter needs the model.
RULES: dict[str, ParamRule] = {
    "featuresCol": ParamRule(None, affects_rows=True, per_feature=False),
    "labelCol": ParamRule(None, affects_rows=True, per_feature=False),
    "weightCol": ParamRule(None, affects_rows=True, per_feature=False),
    "maxIter": ParamRule(AT_LEAST_ZERO, affects_rows=False, per_feature=False),
    "regParam": ParamRule(AT_LEAST_ZERO, affects_rows=False, per_feature=False),
    "elasticNetParam": ParamRule(UNIT, affects_rows=False, per_feature=False),
    "tol": ParamRule(AT_LEAST_ZERO, affects_rows=False, per_feature=False),
    "fitIntercept": ParamRule(None, affects_rows=False, per_feature=False),
    "standardization": ParamRule(None, affects_rows=False, per_feature=False),
    "threshold": ParamRule(UNIT, affects_rows=False, per_feature=False),
    "thresholds": ParamRule(THRESHOLDS, affects_rows=False, per_feature=False),
    "aggregationDepth": ParamRule(AT_LEAST_TWO, affects_rows=True, per_feature=False),
    "maxBlockSizeInMB": ParamRule(ZERO_IS_AUTOMATIC, affects_rows=True, per_feature=False),
    "featuresCols": ParamRule(NAMES, affects_rows=True, per_feature=False),
    "family": ParamRule(one_of(FAMILY_NAMES), affects_rows=False, per_feature=False),
    "solver": ParamRule(one_of(SOLVERS), affects_rows=False, per_feature=False),
    "lowerBoundsOnCoefficients": ParamRule(None, affects_rows=False, per_feature=True),
    "upperBoundsOnCoefficients": ParamRule(None, affects_rows=False, per_feature=True),
    "lowerBoundsOnIntercepts": ParamRule(None, affects_rows=False, per_feature=True),
    "upperBoundsOnIntercepts": ParamRule(None, affects_rows=False, per_feature=True),
    "initialModel": ParamRule(None, affects_rows=False, per_feature=True),
    "verbose": ParamRule(None, affects_rows=False, per_feature=False),
    "rawPredictionCol": ParamRule(None, affects_rows=False, per_feature=False),
    "probabilityCol": ParamRule(None, affects_rows=False, per_feature=False),
    "predictionCol": ParamRule(None, affects_rows=False, per_feature=False),
}


def check_value(name: str, value: object) -> None:
    """Refuse a Param value outside its range."""
    if name in RULES:  # a derived class may have Params of its own
        RULES[name].check(name, value)


def check_map(values: Iterable[object]) -> None:
    """Refuse a param map whose keys are no Params: Spark takes no notice of them."""
    for key in values:
        if not isinstance(key, Param):
            raise TypeError(
                f"A param map has the key {key!r}, which is no Param. Write estimator.regParam, "
                "not 'regParam'."
            )
