"""The estimator among Spark's own stages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression, OneVsRest
from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.frames import dense
from tests.tiers import first_and_deep

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture(scope="module")
def fitted(two: Any) -> Callable[..., Any]:
    """Our fit of `two` with these Params: each of them once."""

    @cache
    def fit(**params: Any) -> Any:
        return LogisticRegressionEstimator(**params).fit(two)

    return fit


@pytest.mark.connect_slice
def test_model_keeps_uid_and_params(two: Any) -> None:
    estimator = LogisticRegressionEstimator(regParam=0.1, threshold=0.3)
    model = estimator.fit(two)
    assert model.uid == estimator.uid
    assert model.getRegParam() == 0.1
    assert model.getThreshold() == 0.3
    assert model.numClasses == 2
    assert model.numFeatures == 3


def test_history_and_iterations(two: Any) -> None:
    summary = LogisticRegressionEstimator().fit(two).summary
    history = summary.objectiveHistory
    assert summary.totalIterations == len(history) - 1 > 0
    assert all(after <= before for before, after in pairwise(history))
    assert summary.converged


@pytest.mark.connect_slice
def test_the_same_fit_twice_is_the_same_to_the_bit(spark: Any, three: Any) -> None:
    for megabytes in ("128", "0"):
        spark.conf.set("spark.sparklr.localMB", megabytes)
        try:
            first, second = (LogisticRegressionEstimator().fit(three) for _ in range(2))
        finally:
            spark.conf.unset("spark.sparklr.localMB")
        assert_array_equal(first.coefficientMatrix.toArray(), second.coefficientMatrix.toArray())
        assert_array_equal(first.interceptVector.toArray(), second.interceptVector.toArray())


@pytest.mark.parametrize("kind", first_and_deep(["array<int>", "array<float>", "array<double>"]))
def test_array_features_equal_vectors(two: Any, kind: str) -> None:
    whole = two.select(
        F.array(*(F.round(F.col(f"x{j}") * 10) for j in range(3))).cast(kind).alias("features"),
        "label",
    )
    vectors = VectorAssembler(inputCols=["a", "b", "c"], outputCol="features").transform(
        whole.select(*(whole.features[j].alias(name) for j, name in enumerate("abc")), "label")
    )
    ours, expected = (LogisticRegressionEstimator().fit(frame) for frame in (whole, vectors))
    assert_allclose(ours.coefficients.toArray(), expected.coefficients.toArray(), rtol=1e-12)
    assert_allclose(
        dense(ours.transform(whole), "probability"),
        dense(expected.transform(vectors), "probability"),
        rtol=1e-12,
    )


@pytest.mark.parametrize("kind", ["int", "bigint", "float", "decimal(3,1)", "tinyint"])
def test_labels_of_any_numeric_type(two: Any, fitted: Any, kind: str) -> None:
    frame = two.withColumn("label", F.col("label").cast(kind))
    ours = LogisticRegressionEstimator(regParam=0.1).fit(frame)
    expected = fitted(regParam=0.1)
    assert_allclose(ours.coefficients.toArray(), expected.coefficients.toArray(), rtol=1e-13)


def test_param_maps_in_fit(two: Any, fitted: Any) -> None:
    estimator = LogisticRegressionEstimator(regParam=0.5)
    one = estimator.fit(two, {estimator.regParam: 0.1})
    expected = fitted(regParam=0.1)
    assert_allclose(one.coefficients.toArray(), expected.coefficients.toArray())
    several = estimator.fit(two, [{estimator.regParam: 0.1}, {estimator.regParam: 1.0}])
    # In one pass with the other: the same sums, but added up side by side.
    assert_allclose(several[0].coefficients.toArray(), one.coefficients.toArray(), rtol=1e-12)
    assert [model.getRegParam() for model in several] == [0.1, 1.0]


def test_a_param_map_of_names_is_refused(two: Any) -> None:
    """Spark takes no notice of it."""
    for extra in ({"regParam": 1.0}, [{"regParam": 1.0}]):
        with pytest.raises(TypeError, match="Params, but got 'regParam'"):
            LogisticRegressionEstimator().fit(two, extra)


@pytest.mark.connect_slice
def test_in_a_pipeline(two: Any) -> None:
    stages = [
        VectorAssembler(inputCols=["x0", "x1", "x2"], outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="scaled"),
        LogisticRegressionEstimator(featuresCol="scaled", regParam=0.1),
    ]
    model = Pipeline(stages=stages).fit(two)
    reference = LogisticRegression(featuresCol="scaled", regParam=0.1, tol=1e-10)
    expected = Pipeline(stages=[*stages[:2], reference]).fit(two)
    assert isinstance(model.stages[-1], LogisticRegressionModel)
    assert_allclose(
        dense(model.transform(two), "probability"),
        dense(expected.transform(two), "probability"),
        atol=1e-5,
    )


@pytest.mark.connect_slice
def test_cross_validation_chooses_as_with_spark(two: Any) -> None:
    def metrics(estimator: Any) -> list[float]:
        grid = ParamGridBuilder().addGrid(estimator.regParam, [0.01, 0.3]).build()
        validator = CrossValidator(
            estimator=estimator,
            estimatorParamMaps=grid,
            evaluator=BinaryClassificationEvaluator(metricName="areaUnderPR"),
            numFolds=2,
            seed=5,
            parallelism=2,
        )
        return list(validator.fit(two).avgMetrics)

    ours = metrics(LogisticRegressionEstimator(tol=1e-9))
    assert_allclose(ours, metrics(LogisticRegression(tol=1e-9)), atol=1e-6)


def test_a_threshold_grid_counts(two: Any) -> None:
    """Param maps reach `transform` only if model and estimator share their uid."""
    estimator = LogisticRegressionEstimator()
    grid = ParamGridBuilder().addGrid(estimator.threshold, [0.0, 0.5]).build()
    split = TrainValidationSplit(
        estimator=estimator,
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        seed=3,
    )
    model = split.fit(two)
    assert model.validationMetrics[0] < model.validationMetrics[1]
    assert model.bestModel.getThreshold() == 0.5


@pytest.mark.deep
def test_one_vs_rest(three: Any) -> None:
    ours = OneVsRest(classifier=LogisticRegressionEstimator(regParam=0.01)).fit(three)
    spark_own = OneVsRest(classifier=LogisticRegression(regParam=0.01, tol=1e-10)).fit(three)
    for mine, theirs in zip(ours.models, spark_own.models, strict=True):
        assert_allclose(mine.coefficients.toArray(), theirs.coefficients.toArray(), atol=1e-4)
    predictions = [
        [row.prediction for row in model.transform(three).select("prediction").collect()]
        for model in (ours, spark_own)
    ]
    assert np.mean(np.equal(*predictions)) > 0.99


def test_weight_column_and_empty_name(fitted: Any) -> None:
    weighted, plain, empty = fitted(weightCol="weight"), fitted(), fitted(weightCol="")
    assert_array_equal(plain.coefficients.toArray(), empty.coefficients.toArray())
    assert np.abs(weighted.coefficients.toArray() - plain.coefficients.toArray()).max() > 1e-3


@pytest.mark.connect_slice
def test_column_names_with_dots_and_nested_columns(two: Any, fitted: Any) -> None:
    odd = two.select(
        F.col("features").alias("my.features"), F.struct(F.col("label").alias("y")).alias("s")
    )
    ours = LogisticRegressionEstimator(featuresCol="my.features", labelCol="s.y").fit(odd)
    assert_allclose(ours.coefficients.toArray(), fitted().coefficients.toArray(), rtol=1e-13)
    assert ours.transform(odd).columns[:2] == odd.columns


@pytest.mark.parametrize(
    "solver", ["newton", "l-bfgs", "proximal-newton", "proximal-bfgs", "owl-qn"]
)
def test_every_solver_finds_the_same(fitted: Any, solver: str) -> None:
    expected = fitted(regParam=0.01, tol=1e-9)
    ours = fitted(regParam=0.01, tol=1e-9, solver=solver)
    assert ours.summary.solver == solver
    assert_allclose(ours.coefficients.toArray(), expected.coefficients.toArray(), atol=1e-4)


def test_block_size_changes_nothing_but_blocks(fitted: Any) -> None:
    small, plain = fitted(maxBlockSizeInMB=0.001, aggregationDepth=3), fitted()
    assert_allclose(small.coefficients.toArray(), plain.coefficients.toArray(), rtol=1e-9)
