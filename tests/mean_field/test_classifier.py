"""The classifier on frames: columns, Pipelines, saved models, packed rows, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors

import sparklr
from sparklr.distributions import MeanFieldClassifier, MeanFieldModel
from tests.errors import assert_plain
from tests.frames import jobs_started

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("nothing_left")]

SMALL = {"numNeurons": 20, "maxIter": 30, "numSnapshots": 2, "seed": 1}


def classifier(**params: Any) -> MeanFieldClassifier:
    return MeanFieldClassifier(**{"featuresCols": ["x0", "x1", "x2"], **SMALL, **params})


@pytest.fixture(scope="module")
def model(two: Any) -> MeanFieldModel:
    return classifier(weightCol="weight").fit(two)


@pytest.fixture(scope="module")
def matrix(two: Any) -> Any:
    return np.array(two.select("x0", "x1", "x2").collect())


@pytest.mark.connect_slice
def test_columns_are_those_of_the_model_in_memory(
    two: Any, model: MeanFieldModel, matrix: Any
) -> None:
    scored = model.transform(two)
    assert scored.columns[-3:] == ["rawPrediction", "probability", "prediction"]
    assert scored.schema["prediction"].metadata["ml_attr"]["num_vals"] == 2
    found = scored.select("rawPrediction", "probability", "prediction").collect()
    assert_allclose(np.array([row[0].toArray() for row in found]), model.predictRaw(matrix))
    assert_allclose(np.array([row[1].toArray() for row in found]), model.predictProbability(matrix))
    assert_array_equal([row[2] for row in found], model.predict(matrix))
    odds = model.getOutputScale() * np.tanh(matrix @ model.weights.T + model.biases).mean(axis=1)
    assert_allclose(model.predictRaw(matrix)[:, 1], odds)
    assert (model.numFeatures, model.numClasses, len(model.biases)) == (3, 2, 40)
    assert model.featureNames == ["x0", "x1", "x2"]


def test_a_row_without_a_feature_has_no_scores(spark: Any, model: MeanFieldModel) -> None:
    rows = [(1.0, 2.0, 3.0), (1.0, None, 3.0)]
    frame = spark.createDataFrame(rows, "x0 double, x1 double, x2 double")
    whole, lacking = model.transform(frame).select("probability", "prediction").collect()
    assert whole.prediction in (0.0, 1.0)
    assert lacking.prediction is None
    assert lacking.probability is None


def test_the_summary_tells_how_it_went(model: MeanFieldModel) -> None:
    summary = model.summary
    assert summary.totalIterations == 30
    assert summary.passes == 31
    assert summary.allRowsFrom == 0
    assert summary.lossHistory[0] == pytest.approx(np.log(2))
    assert summary.energyHistory[-1] < summary.energyHistory[0]
    parts = np.add(summary.lossHistory, summary.penaltyHistory) + summary.regularizerHistory
    assert_allclose(summary.energyHistory, parts)
    text = str(summary)
    for word in ("Mean-field network of 'label'", "weights that sum to", "entropy", "step"):
        assert word in text
    assert "<table>" in summary._repr_html_()


def test_a_plot_has_the_energy_and_its_parts(model: MeanFieldModel) -> None:
    from matplotlib.figure import Figure

    axes = model.summary.plot_energy(Figure().subplots())
    (energy, *_) = axes.get_lines()
    assert_allclose(energy.get_ydata(), model.summary.energyHistory)
    assert len(axes.get_legend().get_texts()) == 3


@pytest.mark.connect_slice
def test_a_model_is_saved_and_loaded(model: MeanFieldModel, matrix: Any, tmp_path: Path) -> None:
    model.save(str(tmp_path / "model"))
    loaded = MeanFieldModel.load(str(tmp_path / "model"))
    assert_array_equal(loaded.predictRaw(matrix), model.predictRaw(matrix))
    assert (loaded.uid, loaded.featureNames) == (model.uid, model.featureNames)


@pytest.mark.deep
def test_a_pipeline_is_saved_and_loaded(two: Any, matrix: Any, tmp_path: Path) -> None:
    names = two.drop("features")
    stages = [
        VectorAssembler(inputCols=["x0", "x1", "x2"], outputCol="features"),
        MeanFieldClassifier(**SMALL),
    ]
    fitted = Pipeline(stages=stages).fit(names)
    fitted.write().overwrite().save(str(tmp_path / "pipeline"))
    loaded = PipelineModel.load(str(tmp_path / "pipeline")).stages[-1]
    own = fitted.stages[-1]
    assert isinstance(loaded, MeanFieldModel)
    assert_array_equal(loaded.predictRaw(matrix), own.predictRaw(matrix))
    assert loaded.uid == own.uid
    assert loaded.featureNames == own.featureNames == ["x0", "x1", "x2"]
    assert {its.name: value for its, value in loaded.extractParamMap().items()} == {
        its.name: value for its, value in own.extractParamMap().items()
    }
    assert not loaded.hasSummary
    with pytest.raises(RuntimeError, match="fitted in this program"):
        _ = loaded.summary


@pytest.mark.deep
def test_an_estimator_is_saved_and_loaded(tmp_path: Path) -> None:
    classifier(regularizer="fisher", pathPoints=9).save(str(tmp_path / "estimator"))
    loaded = MeanFieldClassifier.load(str(tmp_path / "estimator"))
    assert loaded.getPathPoints() == 9
    assert loaded.getRegularizer() == "fisher"


@pytest.mark.deep
def test_a_damaged_model_is_refused(model: MeanFieldModel, spark: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "model")
    model.save(path)
    row = spark.read.parquet(f"{path}/data")
    row.selectExpr("*", "slice(biases, 1, 3) as less").drop("biases").withColumnRenamed(
        "less", "biases"
    ).coalesce(1).write.parquet(f"{path}/other")
    (tmp_path / "model" / "data").rename(tmp_path / "whole")
    with pytest.raises(ValueError, match=r"cannot be read.*save it again"):
        MeanFieldModel.load(path)
    (tmp_path / "model" / "other").rename(tmp_path / "model" / "data")
    with pytest.raises(ValueError, match="3 biases for 40 neurons") as caught:
        MeanFieldModel.load(path)
    assert_plain(caught.value, ("damaged", "Save it again"))


def test_packed_rows_and_a_second_fit_give_the_same_bits(two: Any, model: MeanFieldModel) -> None:
    columns = ["x0", "x1", "x2"]
    with sparklr.pack(two, featuresCols=columns, weightCol="weight") as packed:
        one, other = (classifier(weightCol="weight").fit(packed) for _ in range(2))
    assert_array_equal(one.weights, other.weights)
    assert_array_equal(one.weights, model.weights)
    assert one.summary.energyHistory == model.summary.energyHistory


@pytest.mark.deep
def test_fisher_on_rows_that_are_read_by_jobs(spark: Any, two: Any) -> None:
    """The same numbers as in memory but for rounding, whose order is another."""
    fisher = classifier(regularizer="fisher", pathPoints=5, maxIter=10)
    near = fisher.fit(two)
    spark.conf.set("spark.sparklr.localMB", "0")
    spark.conf.set("spark.sparklr.mapFiles", "false")
    try:
        far = fisher.fit(two)
    finally:
        spark.conf.unset("spark.sparklr.localMB")
        spark.conf.unset("spark.sparklr.mapFiles")
    assert_allclose(far.weights, near.weights, rtol=1e-6, atol=1e-8)


def test_a_model_is_pickled_without_its_summary(model: MeanFieldModel, matrix: Any) -> None:
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(matrix), model.predict(matrix))
    assert not again.hasSummary


def test_a_threshold_set_on_the_model_takes_effect(model: MeanFieldModel, matrix: Any) -> None:
    strict = model.copy().setThreshold(0.99)
    assert strict.predict(matrix).sum() < model.predict(matrix).sum()
    assert strict.setThresholds([0.5, 0.5]).getThreshold() == 0.5


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"regParam": 0.0}, ("regParam=0.0", "above 0")),
        ({"temperature": float("nan")}, ("temperature=nan", "finite")),
        ({"numNeurons": 21}, ("numNeurons=21", "even")),
        ({"stepSize": 1.5}, ("stepSize=1.5", "at most 1")),
        ({"regularizer": "l2"}, ("regularizer='l2'", "entropy, fisher")),
        ({"pathPoints": 8}, ("pathPoints=8", "odd")),
        ({"threshold": 0.3, "thresholds": [0.5, 0.5]}, ("threshold=0.3", "disagree")),
        ({"featuresCol": "features"}, ("both set", "Clear one")),
    ],
)
def test_a_value_out_of_range_is_refused_at_once(
    params: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        classifier(**params)
    assert_plain(caught.value, words)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"pathPoints": 9}, ("pathPoints=9", "regularizer='fisher'", "Clear pathPoints")),
        ({"maxIter": 8}, ("numSnapshots=2", "maxIter=10", "Raise maxIter")),
        ({"labelCol": "none"}, ("Column 'none' does not exist",)),
        ({"predictionCol": "label"}, ("already has the output column", "predictionCol='label'")),
        ({"numNeurons": 2_000_000}, ("numNeurons=2,000,000", "64 MB", "Lower numNeurons")),
    ],
)
def test_a_fit_is_refused_before_any_job(
    spark: Any, two: Any, params: dict[str, Any], words: tuple[str, ...]
) -> None:
    jobs = jobs_started(spark)
    with pytest.raises(ValueError, match=r"\.") as caught:
        classifier(**params).fit(two)
    assert_plain(caught.value, words)
    assert jobs_started(spark) == jobs


def test_three_classes_are_refused(three: Any) -> None:
    with pytest.raises(ValueError, match="OneVsRest") as caught:
        classifier().fit(three)
    assert_plain(caught.value, ("Column 'label' has 3 classes", "labels 0 and 1"))


def test_a_row_of_another_width_is_refused(model: MeanFieldModel, two: Any) -> None:
    with pytest.raises(ValueError, match="2 features, but the model was fitted on 3"):
        model.predict(Vectors.dense(1.0, 2.0))
    with pytest.raises(ValueError, match="2 features, but the model was fitted on 3"):
        model.copy().setFeaturesCols(["x0", "x1"]).transform(two)


def test_a_fit_that_is_stopped_early_warns(two: Any) -> None:
    with pytest.warns(UserWarning, match=r"did not converge.*Raise maxIter"):
        classifier(maxIter=10).fit(two)
