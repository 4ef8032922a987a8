"""The declarations and rules of all Params; a new Param gets both here."""

from __future__ import annotations

from typing import TypeVar

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

from sparklr.params.bias_reduction import BIAS_REDUCTION
from sparklr.params.checked import CheckedParams
from sparklr.params.class_weights import CLASS_WEIGHTS, HasClassWeights
from sparklr.params.descent import LEARNING_RATE, STEP_RULES
from sparklr.params.early_stopping import HasEarlyStopping
from sparklr.params.inference import INFERENCE, SEPARATION
from sparklr.params.offset import HasOffsetCol
from sparklr.params.posterior import POSTERIORS
from sparklr.params.rules import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    AT_LEAST_TWO,
    AT_LEAST_ZERO,
    BELOW_ONE,
    INSIDE_UNIT,
    NAMES,
    THRESHOLDS,
    UNIT,
    ZERO_IS_AUTOMATIC,
    ParamRule,
    one_of,
)
from sparklr.params.sgd import ADAPTIVE
from sparklr.params.stream import TIME_UNITS
from sparklr.solvers.methods import SOLVERS
from sparklr.solvers.schedules import SCHEDULES

D = TypeVar("D", bound="DeclaredParams")

# A test compares these names with the families, which Params cannot import from a higher layer.
FAMILY_NAMES = ("auto", "binomial", "multinomial")


def _dummy() -> Params:
    return Params._dummy()


class DeclaredParams(
    # Spark's own classifiers have this order; with another, Python finds no common method order.
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
    HasOffsetCol,
    HasClassWeights,
    HasEarlyStopping,
    CheckedParams,
):
    """The Params of the estimator and the model, with their defaults. Values must obey `RULES`."""

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
        "Lower bounds on coefficients: a matrix of shape (1, features) for binomial, "
        "(classes, features) for multinomial regression.",
        typeConverter=TypeConverters.toMatrix,
    )
    upperBoundsOnCoefficients: Param[Matrix] = Param(
        _dummy(),
        "upperBoundsOnCoefficients",
        "Upper bounds on coefficients: a matrix of shape (1, features) for binomial, "
        "(classes, features) for multinomial regression.",
        typeConverter=TypeConverters.toMatrix,
    )
    lowerBoundsOnIntercepts: Param[Vector] = Param(
        _dummy(),
        "lowerBoundsOnIntercepts",
        "Lower bounds on intercepts: one for binomial, one per class for multinomial regression.",
        typeConverter=TypeConverters.toVector,
    )
    upperBoundsOnIntercepts: Param[Vector] = Param(
        _dummy(),
        "upperBoundsOnIntercepts",
        "Upper bounds on intercepts: one for binomial, one per class for multinomial regression.",
        typeConverter=TypeConverters.toVector,
    )
    featuresCols: Param[list[str]] = Param(
        _dummy(),
        "featuresCols",
        "Numeric columns to use as the features, instead of a vector column in featuresCol.",
        typeConverter=TypeConverters.toListString,
    )
    solver: Param[str] = Param(
        _dummy(),
        "solver",
        "The optimisation method: auto, newton, l-bfgs, proximal-newton, proximal-bfgs, owl-qn, "
        "gd, bfgs or sgd. newton, l-bfgs, gd, bfgs and sgd need a penalty without an L1 term; auto "
        "chooses by penalty and cost, but never gd, bfgs or sgd.",
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

    def _check(self, name: str, value: object) -> None:
        check_value(name, value)


# The rules of the Params declared above, of Spark's mixins, and of the Params that only the
# estimator has: `verbose`, `inference`, `separation`, `posterior`, those of streams and of gradient
# descent, and `initialModel`, whose converter needs the model class.
RULES: dict[str, ParamRule] = {
    "featuresCol": ParamRule(None, affects_rows=True, per_feature=False),
    "labelCol": ParamRule(None, affects_rows=True, per_feature=False),
    "weightCol": ParamRule(None, affects_rows=True, per_feature=False),
    "offsetCol": ParamRule(None, affects_rows=True, per_feature=False),
    "validationIndicatorCol": ParamRule(None, affects_rows=True, per_feature=False),
    "stepRule": ParamRule(one_of(STEP_RULES), affects_rows=False, per_feature=False),
    "learningRate": ParamRule(LEARNING_RATE, affects_rows=False, per_feature=False),
    "patience": ParamRule(AT_LEAST_ONE, affects_rows=False, per_feature=False),
    "classWeights": ParamRule(CLASS_WEIGHTS, affects_rows=False, per_feature=False),
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
    "inference": ParamRule(one_of(INFERENCE), affects_rows=False, per_feature=True),
    "separation": ParamRule(one_of(SEPARATION), affects_rows=False, per_feature=False),
    "biasReduction": ParamRule(one_of(BIAS_REDUCTION), affects_rows=False, per_feature=False),
    "posterior": ParamRule(one_of(POSTERIORS), affects_rows=False, per_feature=True),
    "posteriorTol": ParamRule(ABOVE_ZERO, affects_rows=False, per_feature=False),
    "numDraws": ParamRule(AT_LEAST_ONE, affects_rows=False, per_feature=False),
    "decayFactor": ParamRule(UNIT, affects_rows=False, per_feature=False),
    "halfLife": ParamRule(ABOVE_ZERO, affects_rows=False, per_feature=False),
    "timeUnit": ParamRule(one_of(TIME_UNITS), affects_rows=False, per_feature=False),
    "averaged": ParamRule(None, affects_rows=False, per_feature=False),
    "intervalLevel": ParamRule(INSIDE_UNIT, affects_rows=False, per_feature=False),
    "seed": ParamRule(None, affects_rows=False, per_feature=False),
    "schedule": ParamRule(one_of(SCHEDULES), affects_rows=False, per_feature=False),
    "batchSize": ParamRule(AT_LEAST_ONE, affects_rows=False, per_feature=False),
    "epochs": ParamRule(AT_LEAST_ONE, affects_rows=False, per_feature=False),
    "momentum": ParamRule(BELOW_ONE, affects_rows=False, per_feature=False),
    "adaptive": ParamRule(one_of(ADAPTIVE), affects_rows=False, per_feature=False),
    "averaging": ParamRule(None, affects_rows=False, per_feature=False),
    "rawPredictionCol": ParamRule(None, affects_rows=False, per_feature=False),
    "probabilityCol": ParamRule(None, affects_rows=False, per_feature=False),
    "predictionCol": ParamRule(None, affects_rows=False, per_feature=False),
    "probabilityIntervalCol": ParamRule(None, affects_rows=False, per_feature=False),
    "probabilityStdCol": ParamRule(None, affects_rows=False, per_feature=False),
    "sampledProbabilityCol": ParamRule(None, affects_rows=False, per_feature=False),
}


def row_params(params: Params) -> dict[str, object]:
    """Return the values of the Params that affect the rows, by name; None if one is not defined."""
    names = [name for name, rule in RULES.items() if rule.affects_rows]
    return {its: params.getOrDefault(its) if params.isDefined(its) else None for its in names}


def check_value(name: str, value: object) -> None:
    """Refuse a Param value that is out of range."""
    if name in RULES:  # a subclass may declare other Params
        RULES[name].check(name, value)
