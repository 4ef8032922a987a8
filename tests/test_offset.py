"""Offsets as users have them: in fits, scores, summaries, files, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import GeneralizedLinearRegression
from pyspark.sql import functions as F
from scipy.special import expit

import sparklr
from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.arrays import Array
from sparklr.tuning import reg_param_grid
from tests.errors import assert_plain
from tests.frames import jobs_started
from tests.made_models import made_model, without_jvm
from tests.tiers import first_and_deep

NAMES = ["x0", "x1", "x2"]
pytestmark = pytest.mark.connect


def rows_of(count: int = 300) -> pd.DataFrame:
    """Features, labels, weights and offsets as large as the margins."""
    random = np.random.default_rng(5)
    table = pd.DataFrame(random.normal(size=(count, 3)) * [1.0, 4.0, 0.3], columns=NAMES)
    table["moved"] = random.normal(0.5, 1.5, count)
    margins = table.to_numpy() @ [1.0, -0.2, 2.0, 1.0] - 0.4
    table["label"] = (random.random(count) < expit(margins)).astype(float)
    table["weight"] = random.integers(0, 4, count).astype(float)
    return table


def newton(table: pd.DataFrame, weights: Array | None = None) -> Array:
    """Coefficients and the intercept, on dense arrays."""
    design = np.column_stack((table[NAMES], np.ones(len(table))))
    each = np.ones(len(table)) if weights is None else weights
    point = np.zeros(4)
    for _ in range(30):
        chances = expit(design @ point + table.moved)
        curvature = (design.T * np.asarray(each * chances * (1 - chances))) @ design
        point -= np.linalg.solve(curvature, design.T @ np.asarray(each * (chances - table.label)))
    return point


def point_of(model: LogisticRegressionModel) -> Array:
    return np.append(model.coefficients.toArray(), model.intercept)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return rows_of()


@pytest.fixture(scope="module")
def frame(spark: Any, table: pd.DataFrame) -> Iterator[Any]:
    made = spark.createDataFrame(table).repartition(3).cache()
    yield made
    made.unpersist()


def estimator_of(**params: Any) -> LogisticRegressionEstimator:
    params = {"featuresCols": NAMES, "offsetCol": "moved", "tol": 1e-12, **params}
    return LogisticRegressionEstimator(**params)


WAYS = {
    "memory": {},
    "files": {"spark.sparklr.localMB": "0"},
    "jobs": {"spark.sparklr.localMB": "0", "spark.sparklr.mapFiles": "false"},
}


@pytest.mark.connect_slice
@pytest.mark.parametrize("way", WAYS)
def test_a_fit_is_that_of_dense_newton(
    spark: Any, frame: Any, table: pd.DataFrame, way: str
) -> None:
    for name, value in WAYS[way].items():
        spark.conf.set(name, value)
    try:
        model = estimator_of(weightCol="weight").fit(frame)
    finally:
        for name in WAYS[way]:
            spark.conf.unset(name)
    assert_allclose(point_of(model), newton(table, table.weight.to_numpy()), rtol=1e-7)


def test_vectors_may_be_sparse(spark: Any) -> None:
    table = rows_of(200)
    table[NAMES] = np.where(np.random.default_rng(1).random((200, 3)) < 0.9, 0.0, table[NAMES])
    rows = [
        (Vectors.sparse(3, [(j, v) for j, v in enumerate(one[:3]) if v]), one[4], one[3])
        for one in table.to_numpy().tolist()
    ]
    frame = spark.createDataFrame(rows, ["features", "label", "moved"])
    model = LogisticRegressionEstimator(offsetCol="moved", tol=1e-12).fit(frame)
    assert_allclose(point_of(model), newton(table), rtol=1e-6)


@pytest.mark.classic
@pytest.mark.deep
@pytest.mark.parametrize("intercept", [True, False])
def test_sparks_generalized_linear_regression_gives_the_same(frame: Any, intercept: bool) -> None:
    weighted = frame.where("weight > 0").withColumn(
        "features", F.udf(Vectors.dense, returnType=_vectors())(*NAMES)
    )
    theirs = GeneralizedLinearRegression(
        family="binomial", offsetCol="moved", weightCol="weight", tol=1e-14, maxIter=100,
        fitIntercept=intercept,
    ).fit(weighted)  # fmt: skip
    ours = estimator_of(weightCol="weight", fitIntercept=intercept).fit(frame)
    assert_allclose(ours.coefficients.toArray(), theirs.coefficients.toArray(), rtol=1e-7)
    assert ours.intercept == pytest.approx(theirs.intercept, rel=1e-7)
    assert ours.summary.deviance == pytest.approx(theirs.summary.deviance, rel=1e-9)
    assert ours.summary.nullDeviance == pytest.approx(theirs.summary.nullDeviance, rel=1e-9)
    errors = theirs.summary.coefficientStandardErrors
    assert_allclose(ours.summary.coefficientStandardErrors[: len(errors)], errors, rtol=1e-5)
    mine = ours.transform(frame).select("moved", F.expr("probability").alias("p")).collect()
    other = theirs.transform(weighted).select("moved", "prediction").collect()
    known = {row.moved: row.prediction for row in other}
    found = {row.moved: row.p[1] for row in mine}
    assert_allclose([found[one] for one in known], list(known.values()), rtol=1e-7)


def _vectors() -> Any:
    from pyspark.ml.linalg import VectorUDT

    return VectorUDT()


@pytest.mark.parametrize("jvm", [True, False], ids=["as it is", "without a JVM"])
@pytest.mark.parametrize("threshold", first_and_deep([0.3, 0.0, 1.0]))
def test_scores_have_the_offset(
    frame: Any,
    table: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    jvm: bool,
    threshold: float,
) -> None:
    if not jvm:
        without_jvm(monkeypatch)
    model = made_model([[1.0, -0.2, 2.0]], [-0.4], featuresCols=NAMES, offsetCol="moved")
    model.setThreshold(threshold)
    rows = model.transform(frame).orderBy("moved").collect()
    by_offset = table.sort_values("moved")
    margins = by_offset[NAMES].to_numpy() @ [1.0, -0.2, 2.0] - 0.4 + by_offset.moved.to_numpy()
    raw = np.array([row.rawPrediction.toArray() for row in rows])
    assert_allclose(raw, np.column_stack((-margins, margins)), rtol=1e-12, atol=1e-12)
    chances = np.array([row.probability.toArray() for row in rows])
    assert_allclose(chances, np.column_stack((expit(-margins), expit(margins))), rtol=1e-12)
    assert [row.prediction for row in rows] == list((expit(margins) > threshold).astype(float))


@pytest.mark.parametrize("jvm", [True, False], ids=["as it is", "without a JVM"])
def test_a_row_without_an_offset_has_no_scores(
    spark: Any, monkeypatch: pytest.MonkeyPatch, jvm: bool
) -> None:
    if not jvm:
        without_jvm(monkeypatch)
    model = made_model([[1.0]], [0.5], featuresCols=["x"], offsetCol="moved")
    rows = [(0, 1.0, None), (1, None, 1.0), (2, 1.0, float("nan")), (3, 1.0, 2.0)]
    frame = spark.createDataFrame(rows, "at int, x double, moved double")
    found = {row.at: row for row in model.transform(frame).collect()}
    for at in (0, 1):
        assert (found[at].rawPrediction, found[at].probability) == (None, None)
        assert found[at].prediction is None
    assert np.isnan(found[2].rawPrediction.toArray()).all()
    assert found[2].prediction == 0.0
    assert found[3].rawPrediction[1] == 3.5


def test_only_the_wanted_columns_are_added(frame: Any) -> None:
    model = made_model([[1.0, 2.0, 3.0]], [0.0], featuresCols=NAMES, offsetCol="moved")
    model._set(rawPredictionCol="", probabilityCol="chance")
    assert model.transform(frame).columns == [*frame.columns, "chance", "prediction"]


@pytest.mark.connect_slice
def test_a_frame_without_the_column_is_refused(spark: Any, frame: Any) -> None:
    model, before = estimator_of().fit(frame), jobs_started(spark)
    for use in (model.transform, model.inference, lambda other: model.evaluate(other).accuracy):
        with pytest.raises(ValueError, match="'moved'") as caught:
            use(frame.drop("moved"))
        assert_plain(caught.value, ("Column 'moved' does not exist", "Set offsetCol"))
    assert jobs_started(spark) == before
    moved = model.copy({model.offsetCol: "other"})
    frame = frame.withColumnRenamed("moved", "other")
    assert moved.transform(frame).count() == frame.count()


def test_rows_in_memory_need_their_offset_by_name(frame: Any, table: pd.DataFrame) -> None:
    model = estimator_of().fit(frame)
    point = point_of(model)
    margins = table[NAMES].to_numpy() @ point[:3] + point[3] + table.moved.to_numpy()
    assert_allclose(model.predictRaw(table)[:, 1], margins, rtol=1e-12, atol=1e-12)
    assert_allclose(model.predictProbability(table)[:, 1], expit(margins), rtol=1e-12)
    assert_allclose(model.predict(table), margins > 0)
    assert model.predictRaw(table.iloc[0])[1] == pytest.approx(margins[0], rel=1e-12)
    for value in (Vectors.dense(1, 2, 3), [1, 2, 3], table[NAMES].to_numpy(), table[NAMES]):
        for use in (model.predict, model.predictRaw, model.predictProbability):
            with pytest.raises(ValueError, match="offsetCol='moved'") as caught:
                use(value)
            assert_plain(caught.value, ("no offset", "pandas frame", "transform"))


def test_what_cannot_carry_an_offset_is_refused() -> None:
    model = made_model(offsetCol="moved")
    for what in ("toSpark", "toSklearn"):
        with pytest.raises(ValueError, match=f"{what} is not possible") as caught:
            getattr(model, what)()
        assert_plain(caught.value, ("offsetCol='moved'", "other probabilities"))


def test_a_multinomial_model_takes_no_offset(frame: Any) -> None:
    model = made_model(np.eye(3), np.zeros(3), featuresCols=NAMES, offsetCol="moved")
    for use in (model.transform, model.inference):
        with pytest.raises(ValueError, match="offsetCol='moved' is for binomial models"):
            use(frame)


def test_saved_models_and_texts_keep_the_param(
    frame: Any, table: pd.DataFrame, tmp_path: Path
) -> None:
    model = estimator_of(classWeights=[1.0, 2.0]).fit(frame)
    model.save(str(tmp_path / "model"))
    text = LogisticRegressionModel.fromJson(model.toJson())
    for loaded in (LogisticRegressionModel.load(str(tmp_path / "model")), text):
        assert loaded.getOffsetCol() == "moved"
        assert loaded.getClassWeights() == [1.0, 2.0]
        assert_allclose(loaded.predictRaw(table), model.predictRaw(table))
        errors = loaded.inference(frame).coefficientStandardErrors
        assert_allclose(errors, model.summary.coefficientStandardErrors, rtol=1e-6)


def test_packed_rows_have_their_offsets(spark: Any, frame: Any, table: pd.DataFrame) -> None:
    with sparklr.pack(frame, featuresCols=NAMES, offsetCol="moved") as packed:
        before = jobs_started(spark)
        model = estimator_of().fit(packed)
        assert jobs_started(spark) == before
        assert_allclose(point_of(model), newton(table), rtol=1e-7)
        for other in ({"offsetCol": "weight"}, {"offsetCol": ""}):
            with pytest.raises(ValueError, match="offsetCol") as caught:
                estimator_of(**other).fit(packed)
            assert_plain(caught.value, ("packed with", "'moved'", "same value"))


def test_an_empty_name_means_none(frame: Any) -> None:
    model = estimator_of(offsetCol="").fit(frame)
    expected = LogisticRegressionEstimator(featuresCols=NAMES, tol=1e-12).fit(frame)
    assert_allclose(point_of(model), point_of(expected))
    assert model.summary.nullDeviance == expected.summary.nullDeviance
    assert model.transform(frame.drop("moved")).count() == 300


@pytest.mark.parametrize("intercept", first_and_deep([True, False]))
@pytest.mark.parametrize("offset", first_and_deep([0.0, 1.5], 2))
def test_one_offset_of_all_rows_takes_no_reading(
    spark: Any, frame: Any, offset: float, intercept: bool
) -> None:
    """As R: an intercept takes it up, and without one it stays in the model without features."""
    moved = frame.withColumn("moved", F.lit(offset))
    summary = estimator_of(fitIntercept=intercept).fit(moved).summary
    ones = int(frame.where("label > 0").count())
    chance = ones / 300 if intercept else float(expit(offset))
    expected = -2 * (ones * np.log(chance) + (300 - ones) * np.log1p(-chance))
    before = jobs_started(spark)
    assert summary.nullDeviance == pytest.approx(expected, rel=1e-12)
    assert jobs_started(spark) == before


def test_summaries_have_the_offset(frame: Any, table: pd.DataFrame) -> None:
    model = estimator_of().fit(frame)
    summary = model.summary
    assert "offset" in str(summary)
    chances = expit(table[NAMES].to_numpy() @ point_of(model)[:3] + model.intercept + table.moved)
    assert summary.accuracy == pytest.approx(float(((chances > 0.5) == table.label).mean()))
    assert model.evaluate(frame).accuracy == summary.accuracy
    assert summary.calibration().intercept == pytest.approx(0.0, abs=1e-6)
    # Without all features, and with the offset, the null model is left.
    (row,) = summary.dropOneTests({"all": NAMES}).collect()
    assert row.statistic == pytest.approx(summary.nullDeviance - summary.deviance, rel=1e-7)
    test = summary.likelihoodRatioTest()
    assert test.statistic == pytest.approx(row.statistic, rel=1e-7)
    response = sorted(row[0] for row in summary.residuals("response").collect())
    assert_allclose(response, sorted(table.label - chances), rtol=1e-6, atol=1e-9)
    again = model.inference(frame)
    assert_allclose(again.coefficientStandardErrors, summary.coefficientStandardErrors, rtol=1e-6)


@pytest.mark.parametrize("covariance", first_and_deep(["HC0", "CR0", "HC1", "CR1"], 2))
def test_robust_errors_have_the_offset(frame: Any, table: pd.DataFrame, covariance: str) -> None:
    """Beside the same formulas on dense arrays."""
    clustered = frame.withColumn("cluster", F.floor(F.col("weight")).cast("string"))
    model = estimator_of().fit(clustered)
    name = "cluster" if covariance.startswith("CR") else None
    found = model.summary.inference(covariance=covariance, clusterCol=name)
    design = np.column_stack((table[NAMES], np.ones(len(table))))
    chances = expit(design @ point_of(model) + table.moved.to_numpy())
    bread = np.linalg.inv((design.T * (chances * (1 - chances))) @ design)
    scores = design * (table.label.to_numpy() - chances)[:, None]
    factor = 300 / 296 if covariance == "HC1" else 4 / 3 if covariance == "CR1" else 1.0
    if name is not None:
        scores = np.stack([scores[table.weight == one].sum(axis=0) for one in range(4)])
    expected = np.sqrt(factor * np.diagonal(bread @ scores.T @ scores @ bread))
    assert_allclose(found.coefficientStandardErrors, expected, rtol=1e-5)


def test_a_grid_of_penalties_begins_where_coefficients_are_zero(frame: Any) -> None:
    estimator = estimator_of(elasticNetParam=1.0)
    largest = reg_param_grid(frame, estimator, n=2)[0][estimator.regParam]
    at = estimator.fit(frame, {estimator.regParam: largest * (1 + 1e-9)})
    below = estimator.fit(frame, {estimator.regParam: 0.99 * largest})
    assert at.coefficients.numNonzeros() == 0
    assert below.coefficients.numNonzeros() == 1


def test_a_penalised_fit_knows_its_null_deviance_without_a_job(spark: Any, frame: Any) -> None:
    estimator = estimator_of()
    maps = [{estimator.regParam: 0.1}, {estimator.regParam: 0.2}]
    plain, models = estimator.fit(frame), estimator.fit(frame, maps)
    before = jobs_started(spark)
    for model in models:
        assert model.summary.nullDeviance == pytest.approx(plain.summary.nullDeviance, rel=1e-12)
        assert "null deviance" in str(model.summary)
    assert jobs_started(spark) == before
