"""Rows packed once: the models of fits on the frame, without another reading of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import BinaryClassificationEvaluator

import sparklr
from sparklr import LogisticRegressionEstimator, PackedRows
from sparklr.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit
from tests.frames import jobs_started

pytestmark = [
    pytest.mark.connect,
    pytest.mark.connect_slice,
    pytest.mark.usefixtures("nothing_at_all_left"),
]


@pytest.fixture(params=["memory", "files"])
def packed(request: pytest.FixtureRequest, spark: Any, two: Any) -> Iterator[PackedRows]:
    if request.param == "files":
        spark.conf.set("spark.sparklr.localMB", "0")
    with sparklr.pack(two, weightCol="weight") as rows:
        spark.conf.unset("spark.sparklr.localMB")
        yield rows


@pytest.fixture
def estimator() -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(weightCol="weight", regParam=0.01)


def assert_same_model(found: Any, expected: Any) -> None:
    assert_allclose(found.coefficients.toArray(), expected.coefficients.toArray(), rtol=1e-9)
    assert_allclose(found.intercept, expected.intercept, rtol=1e-9)
    assert found.summary.totalIterations == expected.summary.totalIterations


def test_fits_are_those_of_the_frame(packed: PackedRows, estimator: Any, two: Any) -> None:
    assert_same_model(estimator.fit(packed), estimator.fit(two))
    grid = [{estimator.regParam: value} for value in (0.1, 1.0)]
    for found, expected in zip(estimator.fit(packed, grid), estimator.fit(two, grid), strict=True):
        assert_same_model(found, expected)


def test_a_fit_reads_the_frame_no_more(spark: Any, two: Any, estimator: Any) -> None:
    with sparklr.pack(two, weightCol="weight") as rows:
        before = jobs_started(spark)
        model = estimator.fit(rows)
        assert jobs_started(spark) == before
        assert model.summary.accuracy > 0.5  # of the frame that was packed


def test_what_is_known_of_the_rows(packed: PackedRows) -> None:
    assert (packed.count, packed.numFeatures) == (200, 3)
    assert 0 < packed.sizeInMB < 1
    assert repr(packed).startswith("PackedRows(200 rows, 3 features, 0.0 MB in ")
    assert packed.inMemory == ("memory" in repr(packed))


def test_a_model_is_evaluated_on_them(packed: PackedRows, estimator: Any, two: Any) -> None:
    model = estimator.fit(packed)
    assert model.evaluate(packed).areaUnderROC == model.evaluate(two).areaUnderROC


def test_threads_share_them(packed: PackedRows, estimator: Any) -> None:
    strengths = [0.01, 0.1, 1.0]
    with ThreadPoolExecutor(3) as pool:
        found = list(
            pool.map(lambda its: estimator.copy({estimator.regParam: its}).fit(packed), strengths)
        )
    for its, model in zip(strengths, found, strict=True):
        alone = estimator.copy({estimator.regParam: its}).fit(packed)
        assert_array_equal(model.coefficients.toArray(), alone.coefficients.toArray())


@pytest.mark.parametrize("kind", [CrossValidator, TrainValidationSplit])
def test_validators_take_them(two: Any, estimator: Any, kind: Any) -> None:
    grid = ParamGridBuilder().addGrid(estimator.regParam, [0.01, 1.0]).build()
    search = kind(
        estimator=estimator, estimatorParamMaps=grid, seed=3,
        evaluator=BinaryClassificationEvaluator(weightCol="weight"),
    )  # fmt: skip
    with sparklr.pack(two, weightCol="weight", validator=search) as rows:
        found, again = search.fit(rows), search.fit(rows)
    expected = search.fit(two)
    metrics = "avgMetrics" if kind is CrossValidator else "validationMetrics"
    assert_allclose(getattr(found, metrics), getattr(expected, metrics), rtol=1e-12)
    assert getattr(again, metrics) == getattr(found, metrics)
    assert_same_model(found.bestModel, expected.bestModel)


def test_other_folds_than_they_were_packed_with_are_refused(
    packed: PackedRows, two: Any, estimator: Any
) -> None:
    search = CrossValidator(
        estimator=estimator, estimatorParamMaps=[{}], seed=3,
        evaluator=BinaryClassificationEvaluator(),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"needs numFolds=3, seed=3, but .* packed without folds"):
        search.fit(packed)
    with sparklr.pack(two, weightCol="weight", validator=search.copy({search.seed: 4})) as rows:
        with pytest.raises(ValueError, match=r"needs .*seed=3, but the rows were packed with .*=4"):
            search.fit(rows)
        search.setSeed(4).setEstimator(Pipeline(stages=[estimator]))
        with pytest.raises(TypeError, match="cannot pass the stages of a Pipeline"):
            search.fit(rows)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"labelCol": "other"}, "labelCol='other', but the rows were packed with labelCol='label'"),
        ({"featuresCol": "list"}, "featuresCol='list'"),
        ({"aggregationDepth": 3}, "aggregationDepth=3, but .*=2"),
        ({"weightCol": ""}, "weightCol=None, but .*'weight'"),
    ],
)
def test_other_columns_than_they_were_packed_with_are_refused(
    packed: PackedRows, estimator: Any, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        estimator.copy()._set(**params).fit(packed)


def test_after_unpersist_there_are_no_rows(two: Any, estimator: Any) -> None:
    rows = sparklr.pack(two, weightCol="weight")
    rows.unpersist()
    rows.unpersist()
    assert repr(rows) == "PackedRows(unpersisted)"
    with pytest.raises(RuntimeError, match=r"These rows were unpersisted. Pack the frame again"):
        estimator.fit(rows)


def test_a_packing_that_fails_leaves_nothing(two: Any) -> None:
    with pytest.raises(ValueError, match="Column 'missing' does not exist"):
        sparklr.pack(two, labelCol="missing")
    with pytest.raises(ValueError, match="negative"):
        sparklr.pack(two.selectExpr("features", "label - 5 as label"))
