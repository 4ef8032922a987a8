"""Where a platform refuses to persist, or to tell or change settings: fits go on, told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from pyspark.errors import PySparkException
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql.connect.conf import RuntimeConf
from pyspark.sql.connect.dataframe import DataFrame

from sparklr import LogisticRegressionEstimator
from sparklr.arrays import Array
from sparklr.packing import job as packing
from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import SparkPasses
from sparklr.spark.refusals import warn_once
from sparklr.tuning import CrossValidator

pytestmark = pytest.mark.usefixtures("nothing_left")

PERSIST = "[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported"


@pytest.fixture(autouse=True)
def _on_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stay with the workers, and nothing was told yet."""

    def storage(**given: Any) -> PackSettings:
        return replace(PackSettings(**given), local_bytes=0, block_bytes=2_000)

    monkeypatch.setattr("sparklr.fitting.from_params.PackSettings", storage)
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda _: 1)
    monkeypatch.delenv(packing.TEMPORARY_PATH, raising=False)
    warn_once.cache_clear()


@pytest.fixture
def serverless(two: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The platform refuses; gives a frame that is not persisted."""
    frame = two.sparkSession.createDataFrame(two.collect(), two.schema)
    get = RuntimeConf.get

    def refuse(*_: Any) -> Any:
        raise PySparkException(f"{PERSIST}\nat some.java.Frame")

    def unknown(self: Any, key: str, *default: Any) -> Any:
        if not key.startswith("spark.sql."):
            raise PySparkException(f"[CONFIG_NOT_AVAILABLE] {key}")
        return get(self, key, *default)

    monkeypatch.setattr(DataFrame, "persist", refuse)
    monkeypatch.setattr(DataFrame, "storageLevel", property(refuse))
    monkeypatch.setattr(RuntimeConf, "set", refuse)
    monkeypatch.setattr(RuntimeConf, "get", unknown)
    return frame


def fit(frame: Any) -> Array:
    model = LogisticRegressionEstimator(regParam=0.1).fit(frame)
    return model.coefficients.toArray()


@pytest.fixture(scope="module")
def expected(two: Any) -> Array:
    return fit(two)


def test_fits_go_on_and_each_refusal_is_told_once(
    serverless: Any, expected: Array, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert_allclose(fit(serverless), expected, rtol=1e-6)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(text.split(":")[0] for text in told) == [
        "cannot persist the packed rows",
        "the default of spark.sparklr.localMB is used",
        "the default of spark.sparklr.mapFiles is used",
        "the default of spark.sparklr.roundMB is used",
        "the rows are packed again for each pass. To save them once per fit instead, set the "
        f"environment variable {packing.TEMPORARY_PATH} to a path that the cluster can write to.",
    ]
    assert not any("java" in text for text in told)


@pytest.mark.deep
def test_a_search_behind_a_pipeline_goes_on(serverless: Any) -> None:
    estimator = LogisticRegressionEstimator(featuresCol="inputs")
    stages = [VectorAssembler(inputCols=["x0", "x1"], outputCol="inputs"), estimator]
    found = []
    for evaluator in (BinaryClassificationEvaluator(), _Evaluator()):
        search = CrossValidator(
            estimator=Pipeline(stages=stages),
            estimatorParamMaps=ParamGridBuilder().addGrid(estimator.regParam, [0.01, 1.0]).build(),
            evaluator=evaluator,
            numFolds=2,
            seed=1,
        )
        found.append(search.fit(serverless).avgMetrics)
    assert [len(metrics) for metrics in found] == [2, 2]


class _Evaluator(MulticlassClassificationEvaluator):
    """One that no judge stands for, so that it is asked, on frames."""


@pytest.fixture
def readings(two: Any, tmp_path: Path) -> tuple[Any, Callable[[], int]]:
    """A frame of one partition, and how often it was read."""
    folder = tmp_path / "readings"
    folder.mkdir()
    here = str(folder)

    def count(batches: Any) -> Any:
        from tempfile import mkstemp

        mkstemp(dir=here)
        yield from batches

    rows = two.select("x0", "x1", "x2", "label").coalesce(1)
    return rows.mapInArrow(count, rows.schema), lambda: len(list(folder.iterdir()))


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path to save rows at."""
    path = tmp_path / "saved"
    path.mkdir()
    monkeypatch.setenv(packing.TEMPORARY_PATH, f"{path}/")
    return path


@pytest.mark.usefixtures("serverless")
def test_rows_saved_at_a_path_are_packed_once(
    readings: tuple[Any, Callable[[], int]],
    saved: Path,
    expected: Array,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame, count = readings
    there: list[int] = []
    read = SparkPasses.read

    def spy(self: SparkPasses, reading: Any) -> Any:
        there.append(len(list(saved.glob("sparklr-*/*.parquet"))))
        return read(self, reading)

    monkeypatch.setattr(SparkPasses, "read", spy)
    estimator = LogisticRegressionEstimator(featuresCols=["x0", "x1", "x2"], regParam=0.1)
    model = estimator.fit(frame)
    assert_allclose(model.coefficients.toArray(), expected, rtol=1e-6)
    assert len(there) > 2
    assert set(there) == {1}
    assert count() == 1
    assert list(saved.iterdir()) == []


@pytest.mark.parametrize("failure", [RuntimeError("lost"), KeyboardInterrupt()])
def test_a_fit_that_fails_leaves_no_saved_rows(
    serverless: Any, saved: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_: Any) -> Any:
        assert len(list(saved.iterdir())) == 1
        raise failure

    monkeypatch.setattr(SparkPasses, "read", fail)
    with pytest.raises(type(failure)) as caught:
        fit(serverless)
    assert caught.value is failure
    assert list(saved.iterdir()) == []


def test_rows_that_cannot_be_fitted_leave_no_saved_rows(serverless: Any, saved: Path) -> None:
    with pytest.raises(ValueError, match="negative"):
        fit(serverless.withColumn("label", serverless.label - 3))
    assert list(saved.iterdir()) == []
