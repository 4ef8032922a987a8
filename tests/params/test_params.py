"""Our Params against those of Spark's own class, by introspection."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.param import Param

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.params import discount_of
from sparklr.params.sgd import SGD_PARAMS
from tests.errors import assert_plain

OURS_ONLY = {
    "averaged",
    "decayFactor",
    "halfLife",
    "intervalLevel",
    "numDraws",
    "posterior",
    "posteriorTol",
    "probabilityIntervalCol",
    "probabilityStdCol",
    "sampledProbabilityCol",
    "seed",
    "biasReduction",
    "learningRate",
    "patience",
    "stepRule",
    "validationIndicatorCol",
    "classWeights",
    "featuresCols",
    "inference",
    "initialModel",
    "offsetCol",
    "separation",
    "solver",
    "timeUnit",
    "verbose",
    *SGD_PARAMS,
}


def test_what_spark_lacks_is_known() -> None:
    """All else of Spark's Params is compared in `parity/test_introspection.py`."""
    named = {name for name in dir(LogisticRegression) if isinstance(_param(name), Param)}
    assert {param.name for param in LogisticRegressionEstimator().params} - named == OURS_ONLY


def _param(name: str) -> Any:
    return getattr(LogisticRegression, name)


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="keyword"):
        LogisticRegressionEstimator("features")  # type: ignore[misc]


VALUES: dict[str, Any] = {
    "maxIter": 7,
    "regParam": 0.3,
    "elasticNetParam": 0.2,
    "tol": 1e-4,
    "fitIntercept": False,
    "threshold": 0.3,
    "thresholds": [0.2, 0.8],
    "family": "multinomial",
    "standardization": False,
    "weightCol": "w",
    "offsetCol": "o",
    "classWeights": [1.0, 3.0],
    "validationIndicatorCol": "v",
    "patience": 3,
    "stepRule": "armijo",
    "learningRate": 0.5,
    "aggregationDepth": 3,
    "maxBlockSizeInMB": 2.0,
    "featuresCol": "f",
    "labelCol": "l",
    "predictionCol": "p",
    "probabilityCol": "pr",
    "rawPredictionCol": "r",
    "solver": "owl-qn",
    "inference": "always",
    "separation": "error",
    "biasReduction": "firth",
    "verbose": True,
    "posterior": "laplace",
    "posteriorTol": 0.1,
    "numDraws": 64,
    "decayFactor": 0.5,
    "halfLife": 3.0,
    "timeUnit": "points",
    "averaged": True,
    "intervalLevel": 0.5,
    "probabilityIntervalCol": "i",
    "probabilityStdCol": "s",
    "sampledProbabilityCol": "d",
    "seed": 7,
    "schedule": "inverse-sqrt",
    "batchSize": 16,
    "epochs": 3,
    "momentum": 0.9,
    "adaptive": "adagrad",
    "averaging": True,
}


@pytest.mark.parametrize("name", VALUES)
def test_setter_keyword_and_param_map_agree(name: str) -> None:
    value = VALUES[name]
    setter = f"set{name[0].upper()}{name[1:]}"
    getter = f"get{name[0].upper()}{name[1:]}"
    by_setter = LogisticRegressionEstimator()
    assert getattr(by_setter, setter)(value) is by_setter
    by_keyword = LogisticRegressionEstimator(**{name: value})
    plain = LogisticRegressionEstimator()
    by_map = plain.copy({plain.getParam(name): value})
    for estimator in (by_setter, by_keyword, by_map):
        assert getattr(estimator, getter)() == value
    assert by_map.uid == plain.uid


def test_thresholds_and_threshold_clear_each_other() -> None:
    estimator = LogisticRegressionEstimator(threshold=0.3)
    estimator.setThresholds([0.5, 0.5])
    assert not estimator.isSet("threshold")
    assert estimator.getThreshold() == 0.5
    estimator.setThreshold(0.2)
    assert not estimator.isSet("thresholds")
    assert estimator.getThresholds() == [0.8, 0.2]


def test_decay_factor_and_half_life_clear_each_other() -> None:
    estimator = LogisticRegressionEstimator(decayFactor=0.3)
    assert estimator.setHalfLife(4).getDecayFactor() == 0.5**0.25
    assert not estimator.isSet("decayFactor")
    assert not estimator.setDecayFactor(0.9).isSet("halfLife")
    with pytest.raises(ValueError, match=r"halfLife=2 and decayFactor=0\.5 are both set"):
        LogisticRegressionEstimator(decayFactor=0.5, halfLife=2.0)


@pytest.mark.parametrize(("unit", "discount"), [("batches", 0.5), ("points", 0.5**100)])
def test_a_decay_counts_batches_or_rows(unit: str, discount: float) -> None:
    estimator = LogisticRegressionEstimator(halfLife=1.0, timeUnit=unit)
    assert discount_of(estimator, 100) == discount
    half = 0.5 if unit == "points" else 0.5**0.01
    assert discount_of(estimator.setHalfLife(100.0), 100) == pytest.approx(half)


@pytest.mark.parametrize("name", ["decayFactor", "halfLife", "timeUnit"])
def test_a_fit_refuses_how_the_past_of_a_stream_counts(name: str) -> None:
    estimator = LogisticRegressionEstimator(**{name: VALUES[name]})
    nothing: Any = None
    words = f"{name} is for partialFit and updates"
    for fit in (
        lambda: estimator.fit(nothing),
        lambda: next(estimator.fitMultiple(nothing, [{}])),
    ):
        with pytest.raises(ValueError, match=words) as refused:
            fit()
        assert_plain(refused.value, (f"Clear {name}",))


@pytest.mark.usefixtures("spark")  # Spark's own class needs a session behind it
def test_unset_thresholds_raise_as_in_spark() -> None:
    for estimator in (LogisticRegression(), LogisticRegressionEstimator()):
        with pytest.raises(KeyError):
            estimator.getThresholds()


def test_thresholds_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold=0\.5 and thresholds=.* disagree"):
        LogisticRegressionEstimator(threshold=0.5, thresholds=[0.2, 0.8])
    assert LogisticRegressionEstimator(threshold=0.8, thresholds=[0.2, 0.8]).getThreshold() == 0.8


def test_none_leaves_a_param_unset() -> None:
    assert not LogisticRegressionEstimator(weightCol=None).isSet("weightCol")


def test_the_model_shares_the_params() -> None:
    of_fits = {"inference", "initialModel", "separation", "verbose"}
    of_fits |= {"numDraws", "posterior", "posteriorTol", "decayFactor", "halfLife", "timeUnit"}
    of_fits |= {"stepRule", "learningRate", *SGD_PARAMS}
    names = {p.name for p in LogisticRegressionEstimator().params} - of_fits
    model = LogisticRegressionModel.__mro__
    assert names <= {name for cls in model for name in vars(cls)}
