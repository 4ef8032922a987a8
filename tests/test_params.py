"""Our Params against those of Spark's own class, by introspection."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pyspark.ml.classification import LogisticRegression

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel

OURS_ONLY = {"featuresCols", "initialModel", "solver", "verbose"}


@pytest.fixture(scope="module")
def spark_own(spark: Any) -> LogisticRegression:
    assert spark is not None  # Spark's own class needs a session behind it
    return LogisticRegression()


def test_params_have_the_names_defaults_and_types_of_spark(spark_own: LogisticRegression) -> None:
    ours = LogisticRegressionEstimator()
    assert {p.name for p in ours.params} - OURS_ONLY == {p.name for p in spark_own.params}
    for param in spark_own.params:
        mine = ours.getParam(param.name)
        assert mine.typeConverter == param.typeConverter, param.name
        assert ours.hasDefault(mine) == spark_own.hasDefault(param), param.name
        if spark_own.hasDefault(param):
            assert ours._defaultParamMap[mine] == spark_own._defaultParamMap[param], param.name


@pytest.mark.parametrize("method", ["__init__", "setParams"])
def test_keywords_are_those_of_spark(method: str) -> None:
    def keywords(cls: type) -> dict[str, Any]:
        parameters = inspect.signature(getattr(cls, method)).parameters.values()
        return {p.name: (p.kind, p.default) for p in parameters if p.name != "self"}

    ours = keywords(LogisticRegressionEstimator)
    assert {k: v for k, v in ours.items() if k not in OURS_ONLY} == keywords(LogisticRegression)


def test_every_getter_and_setter_of_spark_is_here() -> None:
    theirs = {name for name in dir(LogisticRegression) if name.startswith(("get", "set"))}
    assert theirs - set(dir(LogisticRegressionEstimator)) == set()


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
    "aggregationDepth": 3,
    "maxBlockSizeInMB": 2.0,
    "featuresCol": "f",
    "labelCol": "l",
    "predictionCol": "p",
    "probabilityCol": "pr",
    "rawPredictionCol": "r",
    "solver": "owl-qn",
    "verbose": True,
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


def test_unset_thresholds_raise_as_in_spark(spark_own: LogisticRegression) -> None:
    with pytest.raises(KeyError):
        spark_own.getThresholds()
    with pytest.raises(KeyError):
        LogisticRegressionEstimator().getThresholds()


def test_thresholds_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold=0\.5 and thresholds=.* disagree"):
        LogisticRegressionEstimator(threshold=0.5, thresholds=[0.2, 0.8])
    assert LogisticRegressionEstimator(threshold=0.8, thresholds=[0.2, 0.8]).getThreshold() == 0.8


def test_none_leaves_a_param_unset() -> None:
    assert not LogisticRegressionEstimator(weightCol=None).isSet("weightCol")


def test_a_refused_value_changes_nothing() -> None:
    estimator = LogisticRegressionEstimator(regParam=0.1)
    with pytest.raises(ValueError, match="regParam=-1"):
        estimator.setRegParam(-1.0)
    assert estimator.getRegParam() == 0.1


def test_the_model_shares_the_params() -> None:
    of_fits = {"initialModel", "verbose"}
    names = {p.name for p in LogisticRegressionEstimator().params} - of_fits
    model = LogisticRegressionModel.__mro__
    assert names <= {name for cls in model for name in vars(cls)}
