"""Small frames that several tests share, and what Spark keeps of frames."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from pyspark.ml.linalg import Vectors

from sparklr.spark.connect import is_remote
from tests.connect.ledger import held, plans_executed


def classified(spark: Any, classes: int = 2, rows: int = 200, features: int = 3) -> Any:
    """A cached frame of features (vector), x0.. (numbers), label and weight, from a fixed seed."""
    random = np.random.default_rng(12)
    matrix = random.normal(size=(rows, features)) * np.array([1.0, 5.0, 0.2])[:features]
    truth = random.normal(size=(features, classes)) / np.array([1.0, 5.0, 0.2])[:features, None]
    labels = (matrix @ truth + random.gumbel(size=(rows, classes))).argmax(axis=1)
    weights = random.integers(1, 4, rows)
    data = [
        (Vectors.dense(row), *(float(value) for value in row), float(label), float(weight))
        for row, label, weight in zip(matrix, labels, weights, strict=True)
    ]
    names = ["features", *(f"x{j}" for j in range(features)), "label", "weight"]
    frame = spark.createDataFrame(data, names).coalesce(2).cache()
    frame.count()
    return frame


def dense(frame: Any, column: str) -> Any:
    """A vector column as a matrix, in the order of the frame."""
    return np.stack([row[0].toArray() for row in frame.select(column).collect()])


def kept(spark: Any) -> tuple[int, int]:
    """How much Spark holds: persisted data, and frames it would persist once they are read.

    On Spark Connect: how many frames are persisted, twice.
    """
    if is_remote(spark):
        return held()
    context = spark.sparkContext._jsc.sc()
    manager = spark._jsparkSession.sharedState().cacheManager()
    marked = manager.numCachedEntries() if counts_frames(spark) else int(not manager.isEmpty())
    return context.getPersistentRDDs().size(), marked


def collect_garbage(spark: Any) -> None:
    """Let Spark forget what nobody holds: it would else at any moment, and `kept` would tell."""
    gc.collect()
    if not is_remote(spark):
        spark.sparkContext._jvm.java.lang.System.gc()


def jobs_started(spark: Any) -> int:
    """How many jobs Spark has started so far."""
    if is_remote(spark):
        return plans_executed()
    return int(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs())


def counts_frames(spark: Any) -> bool:
    """Whether Spark tells how many frames it holds, which it does since 4.1."""
    return tuple(int(part) for part in spark.version.split(".")[:2]) >= (4, 1)
