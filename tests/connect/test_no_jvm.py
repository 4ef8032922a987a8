"""What Spark Connect does in other ways than a classic session, in a process without a JVM."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark import SparkContext
from pyspark.ml import Pipeline
from pyspark.ml import tuning as sparks
from pyspark.ml.classification import LogisticRegression as SparkEstimator
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr import tuning as ours
from sparklr.spark.classic import task_slots
from tests.tiers import first_and_deep

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def model(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.1).fit(two)


def test_a_fit_starts_no_jvm(model: LogisticRegressionModel, two: Any) -> None:
    assert model.transform(two).count() == two.count()
    assert model.summary.areaUnderROC > 0.5
    assert SparkContext._gateway is None
    assert SparkContext._active_spark_context is None


def test_the_server_tells_how_many_tasks_run_at_once(spark: Any) -> None:
    assert task_slots(spark) == 2


@pytest.mark.parametrize("mode", ["its own session", "none that is active"])
def test_a_writer_makes_room(
    spark: Any, model: LogisticRegressionModel, tmp_path: Path, mode: str
) -> None:
    """In a thread too, which has no active session on Spark Connect."""
    path = str(tmp_path / "model")
    LogisticRegressionEstimator().write().session(spark).save(path)
    if mode == "its own session":
        model.write().session(spark).overwrite().save(path)
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: model.write().overwrite().save(path)).result()
    assert LogisticRegressionModel.load(path).coefficients == model.coefficients


@pytest.mark.parametrize(
    ("module", "kind"),
    first_and_deep(
        [
            (ours, "TrainValidationSplit"),
            (ours, "CrossValidator"),
            (sparks, "TrainValidationSplit"),
            (sparks, "CrossValidator"),
        ]
    ),
)
def test_validators_fit_save_and_load(module: Any, kind: str, two: Any, tmp_path: Path) -> None:
    estimator = LogisticRegressionEstimator(featuresCol="inputs")
    stages = [VectorAssembler(inputCols=["x0", "x1"], outputCol="inputs"), estimator]
    grid = sparks.ParamGridBuilder().addGrid(estimator.regParam, [0.01, 1.0]).build()
    validator = getattr(module, kind)(
        estimator=Pipeline(stages=stages),
        estimatorParamMaps=grid,
        evaluator=BinaryClassificationEvaluator(),
        seed=1,
        parallelism=2,
    )
    fitted = validator.fit(two)
    for one, name in ((validator, "validator"), (fitted, "fitted")):
        one.save(str(tmp_path / name))
        one.write().overwrite().save(str(tmp_path / name))
        loaded = type(one).load(str(tmp_path / name))
        assert isinstance(one, type(loaded))  # what was found is loaded as Spark's own
        assert loaded.getEstimatorParamMaps()[1][estimator.regParam] == 1.0
    assert (
        loaded.bestModel.transform(two).select("prediction").collect()
        == fitted.transform(two).select("prediction").collect()
    )


def test_a_model_of_sparks_comes_to_the_client_but_none_goes_back(two: Any) -> None:
    theirs = SparkEstimator(regParam=0.1).fit(two)
    model = LogisticRegressionModel.fromSpark(theirs)
    assert model.coefficients == theirs.coefficients
    assert model.getRegParam() == 0.1
    with pytest.raises(RuntimeError, match="this session has no JVM"):
        model.toSpark()


def test_a_wide_model_of_many_classes_is_fitted_scored_and_saved(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight megabytes of coefficients travel with each pass, and with each scored partition."""
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda _: 1)  # passes as jobs
    width, classes = 100_000, 10
    places = np.random.default_rng(1).integers(classes, width, 60).tolist()
    rows = [
        (float(at % classes), Vectors.sparse(width, {at % classes: 1.0, place: 1.0}))
        for at, place in enumerate(places)
    ]
    frame = spark.createDataFrame(rows, ["label", "features"]).repartition(2)
    spark.conf.set("spark.sparklr.localMB", "0")
    try:
        model = LogisticRegressionEstimator(maxIter=2, regParam=0.1).fit(frame)
    finally:
        spark.conf.unset("spark.sparklr.localMB")
    assert (model.numClasses, model.numFeatures) == (classes, width)
    model.save(str(tmp_path / "wide"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "wide"))
    assert_allclose(loaded.interceptVector.toArray(), model.interceptVector.toArray())
    scored = loaded.transform(frame).select("label", "prediction").collect()
    assert all(row.label == row.prediction for row in scored)
