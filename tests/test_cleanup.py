"""Whatever becomes of a fit, it leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pyspark.errors import PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.passes.jobs import SparkPasses
from sparklr.spark.connect import is_remote
from tests.frames import collect_garbage, counts_frames, kept

pytestmark = [
    pytest.mark.connect,
    pytest.mark.connect_slice,
    pytest.mark.usefixtures("nothing_at_all_left"),
]

LOCAL_MB = "spark.sparklr.localMB"


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    """Rows that are made anew each time they are read."""
    label = (F.rand(1) + F.col("id") / 80 > 1.0).cast("double")
    features = array_to_vector(F.array(F.col("id") / 80, F.randn(2)))
    return spark.range(0, 80, 1, 2).select(features.alias("features"), label.alias("label"))


@pytest.fixture
def nothing_kept(spark: Any) -> Iterator[tuple[int, int]]:
    """Fails if a test leaves a frame persisted, or marked to be persisted once it is read."""
    collect_garbage(spark)
    before = kept(spark)
    yield before
    assert kept(spark) == before


@pytest.fixture
def on_executors(spark: Any) -> Iterator[None]:
    """Rows stay on the executors, however few."""
    spark.conf.set(LOCAL_MB, "0")
    yield
    spark.conf.unset(LOCAL_MB)


def watch_passes(
    monkeypatch: pytest.MonkeyPatch, spark: Any, failure: BaseException | None = None
) -> list[tuple[int, int]]:
    """What is kept at each pass from now on; the second fails if `failure` says so."""
    seen: list[tuple[int, int]] = []
    read = SparkPasses.read

    def watched(self: SparkPasses, reading: Any) -> Any:
        seen.append(kept(spark))
        if failure is not None and len(seen) == 2:
            raise failure
        return read(self, reading)

    monkeypatch.setattr(SparkPasses, "read", watched)
    return seen


def test_after_a_fit_on_the_driver(
    nothing_kept: tuple[int, int], spark: Any, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = watch_passes(monkeypatch, spark)
    LogisticRegressionEstimator().fit(frame)
    assert passes == []
    assert kept(spark) == nothing_kept


@pytest.mark.usefixtures("on_executors")
def test_after_a_fit_on_the_executors(
    nothing_kept: tuple[int, int], spark: Any, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = watch_passes(monkeypatch, spark)
    LogisticRegressionEstimator().fit(frame)
    assert len(passes) > 2
    persisted, entries = nothing_kept
    one_more = entries + 1 if is_remote(spark) or counts_frames(spark) else 1
    # Where the driver reads the files itself, Spark need not keep their names.
    assert set(passes) == {(persisted + 1, one_more) if is_remote(spark) else nothing_kept}
    assert kept(spark) == nothing_kept


@pytest.mark.usefixtures("on_executors")
@pytest.mark.parametrize("failure", [RuntimeError("an executor was lost"), KeyboardInterrupt()])
def test_after_a_pass_that_fails(
    nothing_kept: tuple[int, int],
    spark: Any,
    frame: Any,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
) -> None:
    passes = watch_passes(monkeypatch, spark, failure)
    with pytest.raises(type(failure)) as caught:
        LogisticRegressionEstimator().fit(frame)
    assert caught.value is failure
    assert len(passes) == 2
    assert kept(spark) == nothing_kept


@pytest.mark.usefixtures("on_executors")
def test_after_rows_that_cannot_be_fitted(
    nothing_kept: tuple[int, int], spark: Any, frame: Any
) -> None:
    with pytest.raises(ValueError, match="negative labels"):
        LogisticRegressionEstimator().fit(frame.withColumn("label", -1 - F.col("label")))
    assert kept(spark) == nothing_kept


@pytest.mark.usefixtures("on_executors")
def test_where_nothing_may_be_persisted_rows_are_packed_anew(
    nothing_kept: tuple[int, int], spark: Any, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PySparkException("PERSIST TABLE is not supported")

    expected = LogisticRegressionEstimator().fit(frame)
    monkeypatch.setattr(type(frame), "persist", refuse)
    passes = watch_passes(monkeypatch, spark)
    found = LogisticRegressionEstimator().fit(frame)
    assert len(passes) > 2
    assert set(passes) == {nothing_kept}
    np.testing.assert_allclose(
        found.coefficients.toArray(), expected.coefficients.toArray(), rtol=1e-9
    )
