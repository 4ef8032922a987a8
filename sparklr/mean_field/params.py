"""The Params of MeanFieldClassifier and its model, and their rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasAggregationDepth,
    HasFeaturesCol,
    HasFitIntercept,
    HasLabelCol,
    HasMaxBlockSizeInMB,
    HasMaxIter,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
    HasRegParam,
    HasSeed,
    HasStandardization,
    HasStepSize,
    HasThreshold,
    HasThresholds,
    HasWeightCol,
)

from sparklr.mean_field.energy import Measure, Regularizer
from sparklr.params import (
    RULES,
    CheckedParams,
    HasVerbose,
    LogisticRegressionParams,
    ParamRule,
    Range,
    check_features,
    check_thresholds,
)
from sparklr.params.rules import AT_LEAST_ONE, AT_LEAST_ZERO, one_of
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.types import AnyParam

P = TypeVar("P", bound="MeanFieldParams")
REGULARIZERS: tuple[Regularizer, ...] = ("entropy", "fisher")
OF_PATHS = ("pathPoints", "pathLength")  # only Fisher information has paths
# What packing, scoring and their checks read; LogisticRegression has the same Params.
SHARED = (
    "featuresCol", "featuresCols", "labelCol", "weightCol", "aggregationDepth", "maxBlockSizeInMB",
    "threshold", "thresholds", "rawPredictionCol", "probabilityCol", "predictionCol",
)  # fmt: skip

ABOVE_ZERO = Range(lambda value: 0 < value < float("inf"), "a finite number above 0")
EVEN = Range(lambda value: value >= 20 and value % 2 == 0, "an even number, 20 or more")
ODD = Range(lambda value: value >= 5 and value % 2 == 1, "an odd number, 5 or more")
STEP = Range(lambda value: 0 < value <= 1, "above 0 and at most 1, where steps are proved stable")

OWN_RULES = {
    "regularizer": one_of(REGULARIZERS),
    "regParam": ABOVE_ZERO,
    "temperature": ABOVE_ZERO,
    "outputScale": ABOVE_ZERO,
    "numNeurons": EVEN,
    "numSnapshots": AT_LEAST_ONE,
    "maxIter": AT_LEAST_ONE,
    "stepSize": STEP,
    "friction": ABOVE_ZERO,
    "pathPoints": ODD,
    "pathLength": ABOVE_ZERO,
    "seed": AT_LEAST_ZERO,
}


def _own(name: str, doc: str, converter: Callable[[object], object]) -> AnyParam:
    return Param(Params._dummy(), name, doc, typeConverter=converter)


class MeanFieldParams(
    HasProbabilityCol,
    HasThresholds,
    HasRawPredictionCol,
    HasLabelCol,
    HasFeaturesCol,
    HasPredictionCol,
    HasRegParam,
    HasMaxIter,
    HasFitIntercept,
    HasStandardization,
    HasWeightCol,
    HasAggregationDepth,
    HasThreshold,
    HasMaxBlockSizeInMB,
    HasSeed,
    HasStepSize,
    CheckedParams,
):
    """The Params of the estimator and the model."""

    featuresCols: Param[list[str]] = _own(
        "featuresCols",
        "Numeric columns to use as the features, instead of a vector column in featuresCol.",
        TypeConverters.toListString,
    )
    regularizer: Param[str] = _own(
        "regularizer",
        "What keeps the distribution of neurons spread out: entropy, or fisher (information).",
        TypeConverters.toString,
    )
    temperature: Param[float] = _own(
        "temperature",
        "The weight of the regularizer: half of it times the entropy integral, or a quarter of it "
        "times the Fisher information. Above 0.",
        TypeConverters.toFloat,
    )
    outputScale: Param[float] = _own(
        "outputScale",
        "The largest log odds that the network can give: the mean of outputScale times tanh over "
        "its neurons.",
        TypeConverters.toFloat,
    )
    numNeurons: Param[int] = _own(
        "numNeurons",
        "The number of particles, each with one neuron: an even number.",
        TypeConverters.toInt,
    )
    numSnapshots: Param[int] = _own(
        "numSnapshots",
        "The number of moments in the last fifth of the steps at which the neurons are taken into "
        "the model, which then has numNeurons times as many.",
        TypeConverters.toInt,
    )
    friction: Param[float] = _own(
        "friction",
        "The friction of the particles' velocities, per unit of step. Large values (50) give the "
        "overdamped dynamics, which take many more steps.",
        TypeConverters.toFloat,
    )
    pathPoints: Param[int] = _own(
        "pathPoints",
        "With regularizer='fisher', the number of points of each particle's path: an odd number.",
        TypeConverters.toInt,
    )
    pathLength: Param[float] = _own(
        "pathLength",
        "With regularizer='fisher', the length of each particle's path, in relaxation times of the "
        "process without the loss.",
        TypeConverters.toFloat,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(
            regularizer="entropy",
            regParam=0.003,
            temperature=0.002,
            outputScale=10.0,
            numNeurons=200,
            numSnapshots=4,
            maxIter=300,
            stepSize=0.7,
            friction=0.1,
            pathPoints=25,
            pathLength=6.0,
            seed=0,
            fitIntercept=True,
            standardization=True,
            threshold=0.5,
            aggregationDepth=2,
            maxBlockSizeInMB=0.0,
        )

    def _check(self, name: str, value: object) -> None:
        if name in OWN_RULES:
            ParamRule(OWN_RULES[name], affects_rows=False, per_feature=False).check(name, value)
        elif name in RULES:
            RULES[name].check(name, value)

    def check_all(self) -> None:
        """Refuse invalid values: Spark's `Params.set` and param maps check nothing."""
        for param in self.params:
            if self.isDefined(param):
                self._check(param.name, self.getOrDefault(param))
        of_paths = [name for name in OF_PATHS if self.isSet(name)]
        if of_paths and self.getRegularizer() == "entropy":
            raise InvalidValueError(
                f"{of_paths[0]}={self.getOrDefault(of_paths[0])} is for regularizer='fisher', but "
                f"regularizer='entropy' has no paths. Clear {of_paths[0]}, or set "
                "regularizer='fisher'."
            )
        shared = self.shared()
        check_thresholds(shared)
        check_features(shared)

    def shared(self) -> LogisticRegressionParams:
        """Return the Params that packing and scoring read, as they take them."""
        others = LogisticRegressionParams()
        for name in SHARED:
            if self.isSet(name):
                others._set(**{name: self.getOrDefault(name)})
        return others

    @property
    def measure(self) -> Measure:
        """The energy that these Params name."""
        paths = self.getRegularizer() == "fisher"
        return Measure(
            "fisher" if paths else "entropy",
            kappa=self.getRegParam(),
            temperature=self.getTemperature(),
            scale=self.getOutputScale(),
            beads=self.getPathPoints() if paths else 1,
            length=self.getPathLength() if paths else 0.0,
        )

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

    def setThreshold(self: P, value: float) -> P:
        """Set `threshold`, and clear `thresholds`."""
        self._set(threshold=value)
        self.clear(self.thresholds)
        return self

    def setThresholds(self: P, value: list[float]) -> P:
        """Set `thresholds`, and clear `threshold`."""
        self._set(thresholds=value)
        self.clear(self.threshold)
        return self

    def getThreshold(self) -> float:
        """Return the threshold, or the threshold that is equivalent to two `thresholds`."""
        return self.shared().getThreshold()

    def getRegularizer(self) -> str:
        """Return the value of `regularizer` or its default."""
        return str(self.getOrDefault(self.regularizer)).lower()

    def getTemperature(self) -> float:
        """Return the value of `temperature` or its default."""
        return float(self.getOrDefault(self.temperature))

    def getOutputScale(self) -> float:
        """Return the value of `outputScale` or its default."""
        return float(self.getOrDefault(self.outputScale))

    def getNumNeurons(self) -> int:
        """Return the value of `numNeurons` or its default."""
        return int(self.getOrDefault(self.numNeurons))

    def getNumSnapshots(self) -> int:
        """Return the value of `numSnapshots` or its default."""
        return int(self.getOrDefault(self.numSnapshots))

    def getFriction(self) -> float:
        """Return the value of `friction` or its default."""
        return float(self.getOrDefault(self.friction))

    def getPathPoints(self) -> int:
        """Return the value of `pathPoints` or its default."""
        return int(self.getOrDefault(self.pathPoints))

    def getPathLength(self) -> float:
        """Return the value of `pathLength` or its default."""
        return float(self.getOrDefault(self.pathLength))


class MeanFieldFitParams(MeanFieldParams, HasVerbose):
    """The Params of the estimator, with setters of those that only a fit uses."""

    def setRegularizer(self: P, value: str) -> P:
        """Set what keeps the distribution spread out: entropy, or fisher."""
        return self._set(regularizer=value)

    def setRegParam(self: P, value: float) -> P:
        """Set the weight of the penalty on the neurons' squared weights and biases."""
        return self._set(regParam=value)

    def setTemperature(self: P, value: float) -> P:
        """Set the weight of the regularizer."""
        return self._set(temperature=value)

    def setOutputScale(self: P, value: float) -> P:
        """Set the largest log odds that the network can give."""
        return self._set(outputScale=value)

    def setNumNeurons(self: P, value: int) -> P:
        """Set the number of particles."""
        return self._set(numNeurons=value)

    def setNumSnapshots(self: P, value: int) -> P:
        """Set the number of steps at which the neurons are taken into the model."""
        return self._set(numSnapshots=value)

    def setMaxIter(self: P, value: int) -> P:
        """Set the number of steps."""
        return self._set(maxIter=value)

    def setStepSize(self: P, value: float) -> P:
        """Set the length of a step, above 0 and at most 1."""
        return self._set(stepSize=value)

    def setFriction(self: P, value: float) -> P:
        """Set the friction of the particles' velocities."""
        return self._set(friction=value)

    def setPathPoints(self: P, value: int) -> P:
        """Set the number of points of each path."""
        return self._set(pathPoints=value)

    def setPathLength(self: P, value: float) -> P:
        """Set the length of each path."""
        return self._set(pathLength=value)

    def setFitIntercept(self: P, value: bool) -> P:
        """Set whether each neuron has a bias."""
        return self._set(fitIntercept=value)

    def setStandardization(self: P, value: bool) -> P:
        """Set whether neurons see features with mean 0 and deviation 1."""
        return self._set(standardization=value)

    def setSeed(self: P, value: int) -> P:
        """Set the seed of the particles' random numbers."""
        return self._set(seed=value)

    def setWeightCol(self: P, value: str) -> P:
        """Set the column of row weights; an empty name means none."""
        return self._set(weightCol=value)

    def setAggregationDepth(self: P, value: int) -> P:
        """Set the depth of the tree that merges partial sums."""
        return self._set(aggregationDepth=value)

    def setMaxBlockSizeInMB(self: P, value: float) -> P:
        """Set the size of a block of rows; with 0, sparklr chooses it."""
        return self._set(maxBlockSizeInMB=value)
