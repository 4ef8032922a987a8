"""Features in columns of their own, and what features are called."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.frames import jobs_started
from tests.made_models import assert_same_fit

pytestmark = pytest.mark.connect

NAMES = ["x0", "x1", "x2"]


@pytest.fixture(scope="module")
def by_vector(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.01, weightCol="weight", tol=1e-10).fit(two)


@pytest.fixture(scope="module")
def by_columns(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(
        featuresCols=NAMES, regParam=0.01, weightCol="weight", tol=1e-10
    ).fit(two)


@pytest.fixture(scope="module")
def kinds(two: Any) -> Any:
    """Columns of several types, and what they are as one vector."""
    frame = two.select(
        (F.col("x0") > 0).alias("yes"),
        F.col("x1").cast("int").alias("whole"),
        F.col("x1").cast("decimal(10,3)").alias("exact"),
        F.col("x2").cast("float").alias("short"),
        F.col("x0").alias("a.b"),
        (F.col("x0") * F.col("x2")).alias("tick`ed"),
        F.struct(F.col("x2").alias("in")).alias("outer"),
        F.lit("text").alias("text"),
        "label",
    )
    columns = ["yes", "whole", "exact", "short", "a.b", "tick``ed"]
    return frame.select(
        "*",
        *(F.col(f"`{name}`").cast("double").alias(f"v{at}") for at, name in enumerate(columns)),
        F.col("outer.in").alias("v6"),
    )


KINDS = ["yes", "whole", "exact", "short", "a.b", "tick`ed", "outer.in"]


# featuresCols


@pytest.mark.connect_slice
def test_hundreds_of_columns(spark: Any) -> None:
    """In an expression that is not deep: Spark Connect takes no other, and of thousands no JVM."""
    names = [f"f {i}" for i in range(200)]
    rows = spark.range(40).coalesce(1)
    frame = rows.selectExpr("id % 2 as label", *(f"id % {i + 2} as `f {i}`" for i in range(200)))
    estimator = LogisticRegressionEstimator(featuresCols=names, maxIter=1, regParam=0.1)
    model = estimator.fit(frame)
    assert model.numFeatures == 200
    assert model.transform(frame).where("prediction != label").count() == 0


@pytest.mark.connect_slice
def test_columns_fit_and_score_as_their_vector_does(
    two: Any, by_vector: LogisticRegressionModel, by_columns: LogisticRegressionModel
) -> None:
    assert_same_fit(by_columns, by_vector)
    assert by_columns.getFeaturesCols() == NAMES
    assert not by_columns.isSet(by_columns.featuresCol)
    found, expected = (model.transform(two).collect() for model in (by_columns, by_vector))
    assert [row.prediction for row in found] == [row.prediction for row in expected]
    for ours, theirs in zip(found[:10], expected, strict=False):
        assert_allclose(ours.probability, theirs.probability, rtol=1e-12)
    assert by_columns.transform(two.drop("features")).count() == two.count()


@pytest.mark.connect_slice
def test_columns_of_every_numeric_type_and_any_name_fit(kinds: Any) -> None:
    assembler = VectorAssembler(inputCols=[f"v{at}" for at in range(7)], outputCol="features")
    # Without the names that would be in the metadata.
    vectors = assembler.transform(kinds).select(
        F.col("features").alias("features", metadata={}), "label"
    )
    expected = LogisticRegressionEstimator(regParam=0.1).fit(vectors)
    estimator = LogisticRegressionEstimator(regParam=0.1, featuresCols=KINDS)
    found = estimator.fit(kinds)
    assert_same_fit(found, expected)
    assert found.featureNames == KINDS
    rows = found.transform(kinds).select("prediction").collect()
    assert rows == expected.transform(vectors).select("prediction").collect()


def test_columns_of_decimals_and_booleans_score_as_numbers(
    spark: Any, by_columns: LogisticRegressionModel
) -> None:
    frame = spark.createDataFrame([(Decimal("1.5"), True, 3)], NAMES)
    expected = by_columns.predictProbability([1.5, 1.0, 3.0])
    assert_allclose(by_columns.transform(frame).first().probability, expected, rtol=1e-13)


REFUSED: dict[str, tuple[list[str], type[Exception], tuple[str, ...]]] = {
    "text": (
        ["x0", "text"],
        TypeError,
        ("Column 'text'", "string", "featuresCols must be numeric"),
    ),
    "a vector": (
        ["x0", "features"],
        TypeError,
        ("Column 'features'", "vector", "use featuresCol for a"),
    ),
    "an array": (["list"], TypeError, ("Column 'list'", "array<double>", "featuresCols must")),
    "a date": (["day", "x0"], TypeError, ("Column 'day'", "date", "Cast it")),
    "missing": (["x0", "x9"], ValueError, ("Column 'x9' does not exist", "Set featuresCols to")),
}


@pytest.mark.parametrize(("names", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_columns_that_are_no_numbers_are_refused_before_any_job(
    spark: Any,
    two: Any,
    by_columns: LogisticRegressionModel,
    names: list[str],
    error: type[Exception],
    words: tuple[str, ...],
) -> None:
    frame = two.withColumns(
        {"text": F.lit("a"), "day": F.current_date(), "list": F.array("x0", "x1")}
    )
    jobs = jobs_started(spark)
    model = by_columns.copy().setFeaturesCols(names)
    for act in (LogisticRegressionEstimator(featuresCols=names).fit, model.transform):
        with pytest.raises(error) as caught:
            act(frame)
        for word in words:
            assert word in str(caught.value)
    assert jobs_started(spark) == jobs


@pytest.mark.parametrize("names", [[], ["x0", "x0"], ["x0", ""]])
def test_lists_of_no_names_or_of_one_twice_are_refused(two: Any, names: list[str]) -> None:
    plain = LogisticRegressionEstimator()
    ways: list[Callable[[], Any]] = [
        lambda: LogisticRegressionEstimator(featuresCols=names),
        lambda: plain.copy().setParams(featuresCols=names),
        lambda: plain.copy().setFeaturesCols(names),
        lambda: plain.fit(two, {plain.featuresCols: names}),
    ]
    for way in ways:
        with pytest.raises(ValueError, match=r"featuresCols=\[.*\] is not allowed: .* named once"):
            way()
    assert not plain.isSet(plain.featuresCols)


def test_one_column_and_several_are_not_both_set(
    spark: Any, two: Any, by_columns: LogisticRegressionModel
) -> None:
    plain, jobs = LogisticRegressionEstimator(featuresCols=NAMES), jobs_started(spark)
    ways: list[Callable[[], Any]] = [
        lambda: LogisticRegressionEstimator(featuresCol="features", featuresCols=NAMES),
        lambda: plain.copy().setParams(featuresCol="features"),
        lambda: plain.fit(two, {plain.featuresCol: "features"}),
        lambda: by_columns.transform(two, {by_columns.featuresCol: "features"}),
    ]
    for way in ways:
        with pytest.raises(
            ValueError, match=r"featuresCol='features' and featuresCols=.*Clear one"
        ):
            way()
    assert jobs_started(spark) == jobs
    assert plain.getFeaturesCols() == NAMES
    assert not plain.isSet(plain.featuresCol)


def test_each_setter_clears_the_other(by_columns: LogisticRegressionModel) -> None:
    for params in (LogisticRegressionEstimator(), by_columns.copy()):
        params.setFeaturesCols(["a", "b"])
        assert params.getFeaturesCols() == ["a", "b"]
        assert not params.isSet(params.featuresCol)
        assert params.setFeaturesCol("v") is params
        assert (params.getFeaturesCol(), params.isSet(params.featuresCols)) == ("v", False)
        assert params.setFeaturesCols(["c"]) is params
        assert (params.getFeaturesCol(), params.getFeaturesCols()) == ("features", ["c"])


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("null", ("1 row has a null among the features", "feature 1 ('x1')", "fill")),
        ("double('NaN')", ("1 row has NaN or infinite", "nan at feature 1 ('x1')", "Imputer")),
        ("-double('inf')", ("1 row has NaN or infinite", "-inf at feature 1 ('x1')")),
    ],
)
def test_a_bad_value_is_told_with_its_column(two: Any, value: str, words: tuple[str, ...]) -> None:
    first = two.first().x0
    spoilt = two.withColumn("x1", F.expr(f"CASE WHEN x0 = {first!r}D THEN {value} ELSE x1 END"))
    with pytest.raises(ValueError, match=r"^Columns 'x0', 'x1', 'x2': ") as caught:
        LogisticRegressionEstimator(featuresCols=NAMES).fit(spoilt)
    for word in words:
        assert word in str(caught.value)


def test_a_null_in_a_column_gives_null_scores(
    two: Any, by_columns: LogisticRegressionModel
) -> None:
    frame = two.limit(6).withColumn("x1", F.when(F.col("x0") > 0, F.col("x1")))
    rows = by_columns.transform(frame).collect()
    assert {row.x1 is None for row in rows} == {True, False}
    for row in rows:
        assert (row.prediction is None) == (row.rawPrediction is None) == (row.x1 is None)


@pytest.mark.deep
def test_columns_serve_in_pipelines_and_cross_validation(
    tmp_path: Path, two: Any, by_columns: LogisticRegressionModel
) -> None:
    estimator = LogisticRegressionEstimator(featuresCols=NAMES, tol=1e-10, weightCol="weight")
    pipeline = Pipeline(stages=[estimator])
    fitted = pipeline.fit(two, {estimator.regParam: 0.01})
    assert_same_fit(fitted.stages[0], by_columns)
    fitted.save(str(tmp_path / "fitted"))
    loaded = PipelineModel.load(str(tmp_path / "fitted"))
    assert loaded.stages[0].featureNames == NAMES
    assert loaded.transform(two).collect() == fitted.transform(two).collect()
    grid = ParamGridBuilder().addGrid(estimator.regParam, [0.01, 100.0]).build()
    grid[1][estimator.featuresCols] = ["x1"]
    found = CrossValidator(
        estimator=estimator, estimatorParamMaps=grid, numFolds=2, seed=1,
        evaluator=BinaryClassificationEvaluator(),
    ).fit(two)  # fmt: skip
    assert len(found.avgMetrics) == 2
    assert found.avgMetrics[0] != found.avgMetrics[1]
    assert found.bestModel.getFeaturesCols() in (NAMES, ["x1"])


# featureNames


@pytest.mark.connect_slice
def test_names_come_from_the_metadata_of_vectors(two: Any) -> None:
    size = F.when(F.col("x0") > 0.5, 2).when(F.col("x0") > -0.5, 1).otherwise(0)
    frame = two.select("features", *NAMES, "label", size.alias("size"))
    encode = OneHotEncoder(inputCol="size", outputCol="hot")
    inner = VectorAssembler(inputCols=["x1", "x0"], outputCol="inner")
    outer = VectorAssembler(inputCols=["inner", "hot", "x2"], outputCol="all")
    prepared = Pipeline(stages=[encode, inner, outer]).fit(frame).transform(frame)
    for column, names in (
        ("inner", ["x1", "x0"]),
        ("hot", ["0", "1"]),
        ("all", ["inner_x1", "inner_x0", "hot_0", "hot_1", "x2"]),
        ("features", ["features[0]", "features[1]", "features[2]"]),
    ):
        model = LogisticRegressionEstimator(featuresCol=column, maxIter=1, regParam=1.0).fit(
            prepared
        )
        assert model.featureNames == names
        assert model.numFeatures == len(names)


def test_features_that_the_metadata_do_not_name_get_a_number(two: Any) -> None:
    attributes = {
        "num_attrs": 3,
        "attrs": {"binary": [{"idx": 2, "name": "last"}], "numeric": [{"idx": 0}]},
    }
    frame = two.withColumn("v", F.col("features")).withMetadata("v", {"ml_attr": attributes})
    model = LogisticRegressionEstimator(featuresCol="v", maxIter=1).fit(frame)
    assert model.featureNames == ["v[0]", "v[1]", "last"]
    lists = two.select(F.array(*NAMES).alias("list"), "label")
    model = LogisticRegressionEstimator(featuresCol="list", maxIter=1).fit(lists)
    assert model.featureNames == ["list[0]", "list[1]", "list[2]"]


def test_names_survive_copies_files_and_json(
    tmp_path: Path, by_columns: LogisticRegressionModel
) -> None:
    by_columns.save(str(tmp_path / "model"))
    found = [
        by_columns.copy(),
        by_columns.copy({by_columns.predictionCol: "p"}),
        LogisticRegressionModel.load(str(tmp_path / "model")),
        LogisticRegressionModel.fromJson(by_columns.toJson()),
    ]
    assert [model.featureNames for model in found] == [NAMES] * 4
    by_columns.featureNames.append("x3")
    assert by_columns.featureNames == NAMES
