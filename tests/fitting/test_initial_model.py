"""A model to start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression as SparkEstimator
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vectors

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.frames import jobs_started
from tests.made_models import assert_same_fit

pytestmark = pytest.mark.connect

NAMES = ["x0", "x1", "x2"]


@pytest.fixture(scope="module")
def by_vector(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.01, weightCol="weight", tol=1e-10).fit(two)


@pytest.fixture(scope="module")
def many(three: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.01, tol=1e-10).fit(three)


@pytest.mark.deep
def test_a_start_elsewhere_ends_at_the_same_optimum(
    two: Any, three: Any, by_vector: LogisticRegressionModel, many: LogisticRegressionModel
) -> None:
    """Whether the start is ours or Spark's, near or far, and whatever the solver."""
    spark_model = SparkEstimator(regParam=0.5, weightCol="weight").fit(two)
    far = DenseMatrix(1, 3, [4.0, -4.0, 4.0], isTransposed=True)
    starts = [
        (by_vector, "auto"),
        (spark_model, "newton"),
        (LogisticRegressionModel(far, DenseVector([3.0]), 2, False), "l-bfgs"),
    ]
    for start, solver in starts:
        estimator = LogisticRegressionEstimator(
            regParam=0.01, weightCol="weight", tol=1e-10, initialModel=start, solver=solver
        )
        assert_same_fit(estimator.fit(two), by_vector, rtol=1e-5)
    plain = LogisticRegressionEstimator(regParam=0.01, tol=1e-10)
    theirs = SparkEstimator(regParam=0.5).fit(three)
    found = plain.copy().setInitialModel(theirs).fit(three)
    assert_same_fit(found, many, rtol=1e-5)
    warm = plain.copy().setInitialModel(many).fit(three)
    assert_same_fit(warm, many, rtol=1e-5)
    assert warm.summary.totalIterations < many.summary.totalIterations
    assert warm.summary.objectiveHistory[0] < many.summary.objectiveHistory[0]


def test_a_start_elsewhere_ends_at_the_same_optimum_with_an_l1_penalty(two: Any) -> None:
    estimator = LogisticRegressionEstimator(regParam=0.05, elasticNetParam=1.0, tol=1e-10)
    plain = estimator.fit(two)
    found = estimator.setInitialModel(SparkEstimator().fit(two)).fit(two)
    assert_same_fit(found, plain, rtol=1e-5)
    zeros = [model.coefficients.toArray() == 0 for model in (found, plain)]
    assert (zeros[0] == zeros[1]).all()


@pytest.mark.parametrize(
    "penalty", [{}, {"regParam": 0.1}, {"regParam": 0.1, "elasticNetParam": 1.0}]
)
def test_no_iteration_gives_the_initial_model_back(
    two: Any, three: Any, by_vector: LogisticRegressionModel, many: Any, penalty: dict[str, Any]
) -> None:
    for frame, model in ((two, by_vector), (three, many)):
        estimator = LogisticRegressionEstimator(maxIter=0, initialModel=model, **penalty)
        found = estimator.fit(frame)
        if not penalty:  # where the sum over classes is free, it is put to zero, as Spark does
            assert_allclose(
                found.transform(frame).first().probability,
                model.transform(frame).first().probability,
                rtol=1e-12,
            )
        if penalty or frame is two:
            assert_same_fit(found, model)


@pytest.mark.classic
def test_the_initial_model_survives_copies_files_and_param_maps(
    tmp_path: Path, two: Any, by_vector: LogisticRegressionModel
) -> None:
    spark_model = by_vector.toSpark()
    plain = LogisticRegressionEstimator(maxIter=0)
    estimator = plain.copy().setInitialModel(by_vector)
    assert estimator.getInitialModel() is by_vector
    assert estimator.copy().getInitialModel() is by_vector
    for number, start in enumerate((by_vector, spark_model)):
        given = {plain.initialModel: start}
        assert_same_fit(plain.fit(two, given), by_vector)
        copied = plain.copy(given)
        assert_same_fit(copied.fit(two), by_vector)
        copied.save(str(tmp_path / f"estimator{number}"))
        loaded = LogisticRegressionEstimator.load(str(tmp_path / f"estimator{number}"))
        assert loaded.getInitialModel().coefficientMatrix == by_vector.coefficientMatrix
        assert_same_fit(loaded.fit(two), by_vector)
    assert not plain.isSet(plain.initialModel)
    with pytest.raises(KeyError):
        plain.getInitialModel()


@pytest.mark.connect_slice
def test_a_pipeline_keeps_the_initial_model(
    tmp_path: Path, two: Any, by_vector: LogisticRegressionModel
) -> None:
    estimator = LogisticRegressionEstimator(maxIter=0, initialModel=by_vector)
    Pipeline(stages=[estimator]).save(str(tmp_path / "pipeline"))
    fitted = Pipeline.load(str(tmp_path / "pipeline")).fit(two)
    assert_same_fit(fitted.stages[0], by_vector)
    assert not fitted.stages[0].hasParam("initialModel")


@pytest.mark.parametrize("value", [3, [1.0], Vectors.dense(1.0), SparkEstimator, object()])
def test_only_a_model_is_taken_to_start_from(spark: Any, two: Any, value: Any) -> None:
    plain, jobs = LogisticRegressionEstimator(), jobs_started(spark)
    ways: list[Callable[[], Any]] = [
        lambda: LogisticRegressionEstimator(initialModel=value),
        lambda: plain.copy().setParams(initialModel=value),
        lambda: plain.copy().setInitialModel(value),
        lambda: plain.fit(two, {plain.initialModel: value}),
    ]
    for way in ways:
        with pytest.raises(TypeError, match="initialModel must be a LogisticRegressionModel of"):
            way()
    assert jobs_started(spark) == jobs


def start(rows: int, columns: int, intercept: float = 0.0) -> LogisticRegressionModel:
    matrix = DenseMatrix(rows, columns, [1.0] * (rows * columns), isTransposed=True)
    intercepts = DenseVector([intercept] * rows)
    return LogisticRegressionModel(matrix, intercepts, max(rows, 2), rows > 1)


def refusal(frame: Any, **params: Any) -> str:
    with pytest.raises(ValueError, match="initialModel") as caught:
        LogisticRegressionEstimator(**params).fit(frame)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_initial_model_of_another_shape_is_refused(spark: Any, two: Any, three: Any) -> None:
    """After packing where only the rows tell the shape, before any job where more is known."""
    said = refusal(two, initialModel=start(1, 4))
    assert "initialModel has coefficients of 1 x 4, but this fit has 1 x 3" in said
    assert "3 x 3, but this fit has 1 x 3" in refusal(two, initialModel=start(3, 3))
    assert "1 x 3, but this fit has 3 x 3" in refusal(three, initialModel=start(1, 3))
    assert "1 x 3, but this fit has 2 x 3" in refusal(
        two, initialModel=start(1, 3), family="multinomial"
    )
    jobs = jobs_started(spark)
    sized = two.withMetadata("features", {"ml_attr": {"num_attrs": 3}})
    for frame, params in (
        (sized, {}),
        (two, {"featuresCols": NAMES}),
        (two, {"family": "binomial"}),
    ):
        given = start(2, 4) if "family" in params else start(1, 4)
        said = refusal(frame, initialModel=given, **params)
        assert f"{given.coefficientMatrix.numRows} x 4, but this fit has 1 x " in said
        assert "Clear initialModel" in said
    indexed = three.withMetadata("label", {"ml_attr": {"type": "nominal", "num_vals": 3}})
    assert "2 x 3, but this fit has 3 x 3" in refusal(indexed, initialModel=start(2, 3))
    assert jobs_started(spark) == jobs


def test_an_initial_model_that_no_fit_can_start_at_is_refused(spark: Any, two: Any) -> None:
    jobs = jobs_started(spark)
    for value in (np.inf, -np.inf, np.nan):
        said = refusal(two, initialModel=start(1, 3, value))
        assert "coefficient or intercept that is not finite" in said
    said = refusal(two, initialModel=start(1, 3, 2.0), fitIntercept=False)
    assert "initialModel has an intercept, but fitIntercept=False" in said
    assert jobs_started(spark) == jobs
    model = LogisticRegressionEstimator(initialModel=start(1, 3), fitIntercept=False).fit(two)
    assert model.intercept == 0.0
