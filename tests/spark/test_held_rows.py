"""Rows that Spark holds: what is known of them, who packs them, and how many tasks read them."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.packing import job
from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import SparkPasses, open_passes
from sparklr.spark.classic import held_rows
from sparklr.spark.errors import InvalidValueError
from tests.frames import classified
from tests.passes.asking import total
from tests.passes.contract import CASES, NAMES, Opened

pytestmark = pytest.mark.classic

# Nothing comes to the driver, and every partition has a block.
ON_EXECUTORS = PackSettings(local_bytes=0, slots=2)


def test_what_is_known_of_a_cached_frame_and_of_a_selection(spark: Any) -> None:
    frame = classified(spark)
    held = held_rows(frame)
    assert held is not None
    assert (held.partitions, held.rows, held.whole) == (2, 200, True)
    assert held.size > 200 * 8 * 3
    assert held_rows(frame.where("label > 0").select("features")) == replace(held, whole=False)
    assert held_rows(frame.groupBy("label").count()) is None
    assert held_rows(frame.union(frame)) is None
    assert held_rows(spark.range(5)) is None
    frame.unpersist(blocking=True)
    assert held_rows(frame) is None
    frame.persist()
    try:
        assert held_rows(frame) is None  # until a job has made it
    finally:
        frame.unpersist(blocking=True)


def test_the_driver_packs_few_cached_rows_and_no_others(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[int] = []
    pack = job.pack_partition

    def spy(batches: Any, partition: int, plan: Any) -> Any:
        packed.append(partition)
        return pack(batches, partition, plan)

    monkeypatch.setattr(job, "pack_partition", spy)
    frame = classified(spark)
    estimator = LogisticRegressionEstimator(regParam=0.01, weightCol="weight")
    by_columns = estimator.copy().setFeaturesCols(["x0", "x1", "x2"])
    here = estimator.fit(frame), by_columns.fit(frame)
    assert packed == [0, 0]
    there = estimator.fit(frame.where("label >= 0")), by_columns.fit(frame.where("label >= 0"))
    assert packed == [0, 0]
    for model in (*here, *there):
        assert_allclose(model.coefficients, here[0].coefficients, rtol=1e-8)


def test_a_fault_of_cached_rows_is_told_as_of_others(spark: Any) -> None:
    frame = classified(spark).withColumn("label", F.expr("label - double(x0 > 0)")).cache()
    frame.count()
    try:
        with pytest.raises(InvalidValueError) as here:
            LogisticRegressionEstimator().fit(frame)
    finally:
        frame.unpersist(blocking=True)
    with pytest.raises(InvalidValueError) as there:
        LogisticRegressionEstimator().fit(frame)
    assert str(here.value) == str(there.value)


def test_cached_partitions_are_packed_by_a_task_each_and_read_by_one_per_slot(
    spark: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until files are lost: then each is read by a task of its own, where Spark holds its name."""
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda _: 1)
    rows = CASES["both"]()
    frame = rows.frame(spark, 5).select(
        F.unwrap_udt("features").alias("features"), "label", "weight"
    )
    with open_passes(frame, NAMES, ON_EXECUTORS) as passes:
        expected = total(passes, Opened(rows, passes).probes("mixed"))
    frame.persist().count()
    try:
        with open_passes(frame, NAMES, ON_EXECUTORS) as passes:
            assert isinstance(passes, SparkPasses)
            assert passes.partitions == 5
            assert passes.packing.names.rdd.getNumPartitions() == 2
            probes = Opened(rows, passes).probes("mixed")
            found = total(passes, probes)
            assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * abs(expected).max())
            folders = passes.packing.folders
            assert folders
            next(Path(next(iter(folders))).iterdir()).unlink()
            separated = passes.packing
            with caplog.at_level(logging.WARNING, "sparklr"):
                again = total(passes, probes)
            assert "packed again" in caplog.text
            assert separated.names.rdd.getNumPartitions() == 5
            assert again.tobytes() == found.tobytes()
        assert not any(Path(folder).exists() for folder in folders)
    finally:
        frame.unpersist(blocking=True)
