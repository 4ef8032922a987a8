"""What is known of each Param stands in one table, and whoever needs to know reads it there."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.fitting.from_params import pack_settings
from sparklr.fitting.shared import data_key
from sparklr.objective.families import BINOMIAL
from sparklr.params import RULES, EstimatorParams, HasVerbose, LogisticRegressionParams
from sparklr.rows.columns import training_rows
from sparklr.scoring.numbers import ModelNumbers
from sparklr.search.scaler import without_scaler

MODEL = LogisticRegressionModel._of(
    ModelNumbers.of(np.ones((1, 2)), np.ones(1), 2, family=BINOMIAL)
)
# For each Param a value that is not its default, and suits the rows below.
OTHERS: dict[str, Any] = {
    "featuresCol": "turned",
    "featuresCols": ["one", "two"],
    "labelCol": "answer",
    "weightCol": "one",
    "offsetCol": "one",
    "classWeights": "balanced",
    "validationIndicatorCol": "held",
    "patience": 3,
    "stepRule": "armijo",
    "learningRate": 0.5,
    "maxIter": 7,
    "regParam": 0.25,
    "elasticNetParam": 0.5,
    "tol": 0.25,
    "fitIntercept": False,
    "standardization": False,
    "threshold": 0.25,
    "thresholds": [0.25, 0.75],
    "aggregationDepth": 3,
    "maxBlockSizeInMB": 2.0,
    "family": "multinomial",
    "solver": "l-bfgs",
    "inference": "never",
    "separation": "ignore",
    "biasReduction": "firth",
    "lowerBoundsOnCoefficients": DenseMatrix(1, 2, [0.0, 0.0]),
    "upperBoundsOnCoefficients": DenseMatrix(1, 2, [1.0, 1.0]),
    "lowerBoundsOnIntercepts": Vectors.dense(0.0),
    "upperBoundsOnIntercepts": Vectors.dense(1.0),
    "initialModel": MODEL,
    "verbose": True,
    "posterior": "laplace",
    "posteriorTol": 0.5,
    "numDraws": 64,
    "decayFactor": 0.5,
    "halfLife": 3.0,
    "timeUnit": "points",
    "averaged": True,
    "intervalLevel": 0.5,
    "probabilityIntervalCol": "interval",
    "probabilityStdCol": "deviation",
    "sampledProbabilityCol": "draw",
    "seed": 7,
    "schedule": "cosine",
    "batchSize": 8,
    "epochs": 2,
    "momentum": 0.5,
    "adaptive": "none",
    "averaging": True,
    "rawPredictionCol": "raw",
    "probabilityCol": "chance",
    "predictionCol": "guess",
}
every_param = pytest.mark.parametrize("name", list(OTHERS))


def declared_in(cls: type[Params]) -> set[str]:
    return {name for name in dir(cls) if isinstance(inspect.getattr_static(cls, name), Param)}


def test_every_param_has_a_rule() -> None:
    """A Param without one would count as one that leaves rows and features alone."""
    assert declared_in(LogisticRegressionEstimator) == set(RULES)
    assert declared_in(LogisticRegressionModel) <= set(RULES)
    assert set(OTHERS) == set(RULES)


def test_a_param_that_is_declared_without_a_rule_is_seen() -> None:
    """The test above could not fail otherwise."""

    class WithTrials(LogisticRegressionEstimator):
        trialsCol: Param[str] = Param(
            Params._dummy(), "trialsCol", "A column.", typeConverter=TypeConverters.toString
        )

    assert declared_in(WithTrials) - set(RULES) == {"trialsCol"}


def test_a_rule_answers_every_question() -> None:
    """By keyword at the table, and none by default."""
    parameters = inspect.signature(type(RULES["tol"])).parameters.values()
    assert [its.name for its in parameters] == ["range", "affects_rows", "per_feature"]
    assert all(its.default is its.empty for its in parameters)


@every_param
def test_every_param_has_a_setter_and_a_getter(name: str) -> None:
    estimator = LogisticRegressionEstimator()
    suffix = f"et{name[0].upper()}{name[1:]}"
    assert getattr(estimator, f"s{suffix}")(OTHERS[name]) is estimator
    found = getattr(estimator, f"g{suffix}")()
    assert found is OTHERS[name] if name == "initialModel" else found == OTHERS[name]


@pytest.mark.parametrize("cls", [LogisticRegressionParams, EstimatorParams, HasVerbose])
def test_a_setter_is_typed_to_return_what_it_was_called_on(cls: type[Params]) -> None:
    """So that a chain of setters ends with the estimator, for type checkers too."""
    setters = {name: its for name, its in vars(cls).items() if name.startswith("set")}
    assert setters
    for name, setter in setters.items():
        signature = inspect.signature(setter)
        assert signature.return_annotation in ("P", "E", "V"), name
        assert signature.parameters["self"].annotation == signature.return_annotation, name


def test_a_model_has_no_say_in_how_it_was_fitted() -> None:
    for name in ("setMaxIter", "setSolver", "setLowerBoundsOnIntercepts", "setVerbose"):
        assert not hasattr(LogisticRegressionModel, name)


def with_other(name: str) -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(**{name: OTHERS[name]})


@every_param
def test_fits_share_blocks_unless_a_param_that_affects_rows_differs(name: str) -> None:
    plain = LogisticRegressionEstimator()
    assert (data_key(plain) != data_key(with_other(name))) == RULES[name].affects_rows


@every_param
def test_the_rule_says_whether_a_param_affects_the_rows(spark: Any, name: str) -> None:
    """Seen in what is read and how it is packed: a wrong answer would make wrong fits."""
    frame = spark.range(4).select(
        F.expr("array(id, -id)").alias("features"),
        F.expr("array(-id, id)").alias("turned"),
        (F.col("id") % 2).alias("label"),
        (1 - F.col("id") % 2).alias("answer"),
        F.lit(1.0).alias("one"),
        F.lit(2.0).alias("two"),
        (F.col("id") == 3).alias("held"),
    )
    plain, other = LogisticRegressionEstimator(), with_other(name)
    before, after = (training_rows(frame, its, fits=True) for its in (plain, other))
    same = before.frame.sameSemantics(after.frame)
    same = same and pack_settings(plain, before) == pack_settings(other, after)
    assert same != RULES[name].affects_rows


class Scaler:
    """As much of a StandardScaler as is asked: its class needs a session."""

    def getInputCol(self) -> str:
        return "plain"

    def getOutputCol(self) -> str:
        return "features"

    def getWithMean(self) -> bool:
        return False

    def getWithStd(self) -> bool:
        return True


def test_bounds_and_starts_are_in_units_of_features() -> None:
    """A new Param that holds coefficients belongs here as well."""
    assert {name for name, rule in RULES.items() if rule.per_feature} == {
        "inference",
        "initialModel",
        "lowerBoundsOnCoefficients",
        "lowerBoundsOnIntercepts",
        "posterior",
        "upperBoundsOnCoefficients",
        "upperBoundsOnIntercepts",
    }


def test_a_scaler_that_shifts_is_kept_for_stochastic_gradient_descent() -> None:
    """Its steps on sparse rows are not those on the dense rows that the scaler makes of them."""

    class Shifting(Scaler):
        def getWithMean(self) -> bool:
            return True

    scaler: Any = Shifting()
    assert without_scaler(with_other("regParam"), scaler) is not None
    assert without_scaler(LogisticRegressionEstimator(solver="SGD"), scaler) is None


@every_param
def test_a_scaler_is_done_without_unless_a_param_is_in_units_of_features(name: str) -> None:
    scaler: Any = Scaler()
    found = without_scaler(with_other(name), scaler)
    other_features = name in ("featuresCol", "featuresCols")  # then the scaler is another's
    assert (found is None) == (RULES[name].per_feature or other_features)
    if found is not None:
        assert found.getFeaturesCol() == "plain"
