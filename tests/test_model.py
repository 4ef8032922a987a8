"""The model: scoring rows, one by one and by the frame, saving and loading."""

from __future__ import annotations

from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any

import chispa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.frames import dense
from tests.made_models import without_jvm

pytestmark = pytest.mark.connect


@pytest.fixture(scope="module")
def binary(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.01).fit(two)


@pytest.fixture(scope="module")
def ternary(three: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.01).fit(three)


def test_one_row_is_scored_as_a_frame_is(
    two: Any, three: Any, binary: LogisticRegressionModel, ternary: LogisticRegressionModel
) -> None:
    for frame, model in ((two, binary), (three, ternary)):
        for row in model.transform(frame).limit(3).collect():
            assert_allclose(model.predictRaw(row.features), row.rawPrediction, rtol=1e-13)
            assert_allclose(model.predictProbability(row.features), row.probability, rtol=1e-13)
            assert model.predict(row.features) == row.prediction
            sparse = Vectors.sparse(3, dict(enumerate(row.features)))
            assert_allclose(model.predictRaw(sparse), row.rawPrediction, rtol=1e-13)
            assert_allclose(model.predictRaw(np.array(row.features)), row.rawPrediction, rtol=1e-13)


@pytest.mark.connect_slice
def test_scores_follow_from_the_coefficients(two: Any, binary: LogisticRegressionModel) -> None:
    margins = dense(two, "features") @ binary.coefficients.toArray() + binary.intercept
    scored = binary.transform(two)
    assert_allclose(dense(scored, "rawPrediction"), np.column_stack((-margins, margins)))
    chance = 1 / (1 + np.exp(-margins))
    assert_allclose(dense(scored, "probability")[:, 1], chance, rtol=1e-12)
    expected = [(float(margin > 0),) for margin in margins]
    names = two.sparkSession.createDataFrame(expected, ["prediction"])
    chispa.assert_df_equality(
        scored.select("prediction"), names, ignore_nullable=True, ignore_metadata=True
    )


@pytest.mark.connect_slice
def test_an_empty_name_leaves_the_column_out(two: Any, binary: LogisticRegressionModel) -> None:
    """Where there is a JVM, `scoring/test_outputs.py` shows more of it."""
    columns = ["rawPrediction", "probability", "prediction"]
    everything, predicted = binary.transform(two), []
    for shown in product([True, False], repeat=3):
        model = binary.copy()
        for column, wanted in zip(columns, shown, strict=True):
            model._set(**{f"{column}Col": column if wanted else ""})
        scored = model.transform(two)
        assert scored.columns == two.columns + [c for c, w in zip(columns, shown, strict=True) if w]
        if shown[2]:
            predicted.append(scored.select("prediction"))
    expected = everything.select("prediction").collect()
    rows = reduce(lambda one, other: one.union(other), predicted).collect()
    assert rows == expected * len(predicted)


@pytest.mark.classic
def test_rows_go_to_python_once_and_not_at_all_where_there_is_a_jvm(
    two: Any, binary: LogisticRegressionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def python_nodes() -> int:
        plan = binary.transform(two)._jdf.queryExecution().executedPlan().toString()
        return int(plan.count("ArrowEvalPython"))

    assert python_nodes() == 0
    without_jvm(monkeypatch)
    assert python_nodes() == 1


def test_a_changed_threshold_counts_at_once(two: Any, binary: LogisticRegressionModel) -> None:
    model = binary.copy()
    row = two.first().features
    assert {model.setThreshold(t).predict(row) for t in (0.0, 1.0)} == {0.0, 1.0}
    assert model.setThreshold(0.0).predict(row) == 1.0
    counts = [
        model.setThreshold(t).transform(two).agg(F.sum("prediction")).first()[0]
        for t in (0.0, 0.5, 1.0)
    ]
    assert counts[0] == two.count()
    assert counts[0] > counts[1] > counts[2] == 0


@pytest.mark.connect_slice
def test_thresholds_of_three_classes(three: Any, ternary: LogisticRegressionModel) -> None:
    model = ternary.copy().setThresholds([0.0, 1.0, 1.0])
    assert {row.prediction for row in model.transform(three).collect()} == {0.0}
    even = ternary.copy().setThresholds([1.0, 1.0, 1.0]).transform(three).select("prediction")
    assert even.collect() == ternary.transform(three).select("prediction").collect()
    with pytest.raises(ValueError, match=r"2 values, but the model has 3 classes"):
        ternary.copy().setThresholds([1.0, 1.0]).transform(three)


@pytest.mark.connect_slice
def test_null_features_give_null_scores(two: Any, binary: LogisticRegressionModel) -> None:
    frame = two.limit(4).withColumn("features", F.when(F.col("x0") > 0, F.col("features")))
    for row in binary.transform(frame).collect():
        assert (row.prediction is None) == (row.features is None)
        assert (row.probability is None) == (row.features is None)


def test_binary_and_multinomial_accessors(
    binary: LogisticRegressionModel, ternary: LogisticRegressionModel
) -> None:
    assert binary.coefficientMatrix.numRows == 1
    assert_array_equal(binary.coefficientMatrix.toArray()[0], binary.coefficients.toArray())
    assert binary.interceptVector[0] == binary.intercept
    for name in ("coefficients", "intercept"):
        with pytest.raises(ValueError, match="multinomial"):
            getattr(ternary, name)


def test_wrong_number_of_features(binary: LogisticRegressionModel) -> None:
    with pytest.raises(ValueError, match="2 features, but the model was fitted on 3"):
        binary.predict(Vectors.dense(1.0, 2.0))


def test_existing_output_column_is_refused(two: Any, binary: LogisticRegressionModel) -> None:
    with pytest.raises(ValueError, match="predictionCol='prediction'"):
        binary.transform(two.withColumn("prediction", F.lit(1.0)))


@pytest.mark.connect_slice
def test_a_saved_model_scores_as_before_and_has_no_summary(
    tmp_path: Path, two: Any, binary: LogisticRegressionModel
) -> None:
    path = str(tmp_path / "model")
    binary.save(path)
    loaded = LogisticRegressionModel.load(path)
    assert loaded.uid == binary.uid
    assert not loaded.hasSummary
    with pytest.raises(RuntimeError, match="No training summary"):
        _ = loaded.summary
    assert loaded.transform(two).collect() == binary.transform(two).collect()


@pytest.mark.connect_slice
def test_a_pipeline_next_to_jvm_stages_round_trips(tmp_path: Path, two: Any) -> None:
    frame = two.withColumn("text", F.when(F.col("label") > 0, "yes").otherwise("no"))
    stages = [
        StringIndexer(inputCol="text", outputCol="target"),
        VectorAssembler(inputCols=["x0", "x1", "x2"], outputCol="inputs"),
        LogisticRegressionEstimator(featuresCol="inputs", labelCol="target"),
    ]
    pipeline = Pipeline(stages=stages)
    pipeline.save(str(tmp_path / "pipeline"))
    fitted = Pipeline.load(str(tmp_path / "pipeline")).fit(frame)
    fitted.save(str(tmp_path / "fitted"))
    loaded = PipelineModel.load(str(tmp_path / "fitted"))
    assert isinstance(loaded.stages[-1], LogisticRegressionModel)
    assert loaded.transform(frame).collect() == fitted.transform(frame).collect()


def test_repr(binary: LogisticRegressionModel) -> None:
    expected = f"LogisticRegressionModel: uid={binary.uid}, numClasses=2, numFeatures=3"
    assert repr(binary) == expected
