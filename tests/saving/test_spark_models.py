"""A model as Spark's own, and one of Spark's as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from pyspark.ml.classification import LogisticRegression as SparkEstimator
from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.linalg import DenseMatrix, Vectors

from sparklr import LogisticRegressionModel
from tests.made_models import (
    assert_same_model,
    certain_models,
    set_params,
    several_models,
    sparse_model,
    without_jvm,
)

PARAMS = {
    "regParam": 0.01,
    "elasticNetParam": 0.0,
    "threshold": 0.3,
    "family": "binomial",
    "maxIter": 7,
    "tol": 1e-9,
    "weightCol": "weight",
    "predictionCol": "p",
    "lowerBoundsOnCoefficients": DenseMatrix(1, 3, [-9.0, -5.0, -2.0]),
    "upperBoundsOnIntercepts": Vectors.dense(9.0),
}


def test_a_model_as_sparks_own_scores_alike(two: Any, three: Any) -> None:
    for frame, name in ((two, "pair"), (three, "ternary")):
        model = several_models()[name]
        spark_model = model.toSpark()
        assert type(spark_model) is SparkModel
        assert spark_model.uid == model.uid
        assert spark_model.transform(frame).collect() == model.transform(frame).collect()


def test_a_model_as_sparks_own_has_its_params_saves_and_evaluates(tmp_path: Path, two: Any) -> None:
    model = several_models()["binary"].setFeaturesCol("features")._set(**PARAMS)
    spark_model = model.toSpark()
    assert set_params(spark_model) == set_params(model)
    for name, value in PARAMS.items():
        assert spark_model.getOrDefault(name) == value
    java = spark_model._java_obj  # its Params are what counts in the JVM
    assert (java.getThreshold(), java.getMaxIter(), java.getPredictionCol()) == (0.3, 7, "p")
    expected = [row.p for row in model.transform(two).collect()]
    assert [row.p for row in spark_model.transform(two).collect()] == expected
    assert_allclose(spark_model.evaluate(two).accuracy, model.evaluate(two).accuracy, rtol=1e-12)
    spark_model.save(str(tmp_path / "model"))
    loaded = SparkModel.load(str(tmp_path / "model"))
    assert [row.p for row in loaded.transform(two).collect()] == expected
    assert set_params(loaded).keys() == set_params(model).keys()


@pytest.mark.usefixtures("spark")
def test_params_that_spark_lacks_are_left_behind() -> None:
    binary = several_models()["binary"]
    found = set_params(binary.toSpark())
    assert "featuresCols" in set_params(binary)
    assert found == {n: v for n, v in set_params(binary).items() if n != "featuresCols"}


def test_each_spark_model_is_its_own(two: Any) -> None:
    pair = several_models()["pair"]
    expected = pair.transform(two).first().prediction
    for cut in ([0.0, 1.0], [1.0, 0.0]):
        pair.toSpark().setThresholds(cut).setPredictionCol("mine")
    assert pair.transform(two).first().prediction == expected
    assert not pair.toSpark().isSet("thresholds")


@pytest.mark.usefixtures("spark")
def test_without_a_jvm_there_is_no_model_of_sparks(monkeypatch: pytest.MonkeyPatch) -> None:
    without_jvm(monkeypatch)
    with pytest.raises(
        RuntimeError, match=r"toSpark makes a model in Spark's JVM.*classic session"
    ):
        several_models()["pair"].toSpark()


@pytest.mark.parametrize("family", ["binomial", "multinomial"])
def test_a_model_of_sparks_becomes_ours_and_goes_back(two: Any, family: str) -> None:
    theirs = SparkEstimator(
        family=family, regParam=0.1, elasticNetParam=0.9, maxIter=5, thresholds=[0.4, 0.6],
        weightCol="weight", probabilityCol="chance",
    ).fit(two)  # fmt: skip
    ours = LogisticRegressionModel.fromSpark(theirs)
    assert ours.uid == theirs.uid
    assert set_params(ours) == set_params(theirs)
    assert ours.coefficientMatrix == theirs.coefficientMatrix
    assert ours.interceptVector == theirs.interceptVector
    assert ours.numClasses == 2
    assert ours.featureNames == ["features[0]", "features[1]", "features[2]"]
    assert not ours.hasSummary
    assert ours.transform(two).collect() == theirs.transform(two).collect()
    back = ours.toSpark()
    assert set_params(back) == set_params(theirs)
    assert back.transform(two).collect() == theirs.transform(two).collect()
    assert_same_model(LogisticRegressionModel.fromSpark(back), ours)


@pytest.mark.usefixtures("spark")
def test_a_model_of_ours_comes_back_from_spark() -> None:
    for model in (several_models()["ternary"], sparse_model(), *certain_models()):
        assert_same_model(LogisticRegressionModel.fromSpark(model.toSpark()), model)


@pytest.mark.parametrize("value", [None, "text", SparkEstimator])
def test_only_a_model_of_sparks_becomes_ours(value: Any) -> None:
    with pytest.raises(TypeError, match=r"fromSpark takes a pyspark\.ml\..*Model, but got a \w+\."):
        LogisticRegressionModel.fromSpark(value)


def test_a_model_of_ours_is_not_a_model_of_sparks() -> None:
    with pytest.raises(TypeError, match="but got a LogisticRegressionModel"):
        LogisticRegressionModel.fromSpark(several_models()["pair"])  # type: ignore[arg-type]
