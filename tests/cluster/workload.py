"""What every driver of these tests does: make rows, fit, and say what came out and what was left.

Run by the Python of an environment that has sparklr from its wheel, so nothing of `tests` is here.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import SparkConf
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.passes.jobs import SparkPasses

ROWS = 24_000  # more than the sample has, so that a fit begins beside the optimum
MANY = 160_000  # rows whose blocks take 8 MB
FEATURES = 5
# Small blocks: every partition has several, as it would have of millions of rows.
SETTINGS = {"regParam": 0.01, "maxBlockSizeInMB": 0.05, "solver": "newton", "tol": 1e-14}


def start(**settings: str) -> SparkSession:
    """A session whose rows stay on the executors, in four partitions."""
    conf = SparkConf().setAll(
        [
            ("spark.default.parallelism", "4"),
            ("spark.sql.shuffle.partitions", "4"),
            ("spark.sparklr.localMB", "0"),
            # On a cluster, jobs begin when both executors are there.
            ("spark.cores.max", "2"),
            ("spark.scheduler.minRegisteredResourcesRatio", "1.0"),
            ("spark.scheduler.maxRegisteredResourcesWaitingTime", "300s"),
            ("spark.ui.enabled", "false"),
            ("spark.ui.showConsoleProgress", "false"),
            ("spark.executor.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"),
            *settings.items(),
        ]
    )
    session = SparkSession.builder.config(conf=conf).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    for name in ("processes.py", "workload.py"):  # functions of these run in tasks too
        session.sparkContext.addPyFile(str(Path(__file__).with_name(name)))
    return session


def rows(session: SparkSession, classes: int = 2, count: int = ROWS) -> DataFrame:
    """The same rows wherever they are made."""
    numbers = [F.randn(seed).alias(f"x{seed}") for seed in range(FEATURES)]
    drawn = session.range(0, count, 1, 4).select("id", *numbers, F.rand(99).alias("drawn"))
    slope = sum((j - 1.5) * F.col(f"x{j}") for j in range(FEATURES))
    label = (1 / (1 + F.exp(-slope)) * 0.8 + 0.2 * F.col("drawn") > F.col("drawn")).cast("double")
    if classes > 2:
        label = label + (F.col("x0") + F.col("drawn") > 1.5).cast("double")
    features = array_to_vector(F.array(*(F.col(f"x{j}") for j in range(FEATURES))))
    weight = (1 + F.col("id") % 3).cast("double").alias("weight")
    cluster = (F.col("id") % 40).alias("cluster")
    return drawn.select(features.alias("features"), label.alias("label"), weight, cluster)


def fit(frame: DataFrame, **settings: Any) -> Any:
    """A model of these rows."""
    return LogisticRegressionEstimator(**(SETTINGS | settings)).fit(frame)


def descend(frame: DataFrame) -> Any:
    """A model by three epochs of stochastic gradient descent, of four blocks or more."""
    return fit(frame, solver="sgd", epochs=3, learningRate=0.3, seed=7)


def numbers(model: Any) -> list[float]:
    """All coefficients and intercepts."""
    return [*model.coefficientMatrix.toArray().ravel().tolist(), *model.interceptVector.tolist()]


@contextmanager
def at_pass(strike: Callable[[SparkPasses], None], *passes: int) -> Iterator[list[int]]:
    """Call it before these passes begin; the list grows by every pass."""
    seen: list[int] = []
    read = SparkPasses.read

    def watched(self: SparkPasses, reading: Any) -> Any:
        seen.append(len(seen) + 1)
        if seen[-1] in passes:
            strike(self)
        return read(self, reading)

    SparkPasses.read = watched  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        SparkPasses.read = read  # type: ignore[method-assign]


def shipped(passes: SparkPasses) -> tuple[int, int]:
    """How many blocks Spark holds itself, and how many there are."""
    # Collected, not counted: that would shuffle, thus write to a disk that may be full.
    held = [row.held for row in passes.blocks.selectExpr("payload is not null as held").collect()]
    return sum(held), len(held)


def local_dirs(session: SparkSession) -> list[str]:
    """Each executor's own directory."""
    found = session.range(0, 8, 1, 8).mapInArrow(_local_dirs, "folder string").distinct()
    return sorted(row.folder for row in found.collect())


def _local_dirs(batches: Iterable[Any]) -> Iterator[Any]:
    import sparklr.passes.worker  # noqa: F401 - so that the next task of a fit here begins at once

    for _ in batches:
        here = pa.array([os.environ["SPARK_LOCAL_DIRS"]])
        yield pa.RecordBatch.from_arrays([here], names=["folder"])


class Heard(logging.Handler):
    """What sparklr logs as a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        logging.getLogger("sparklr").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    def take(self) -> list[str]:
        """All since the last call."""
        said, self.said = self.said, []
        return said


def folders(root: str) -> list[str]:
    """The folders of block files below a directory."""
    # Not by Path.rglob, which fails where Spark removes a directory under it.
    found = ((where, name) for where, names, _ in os.walk(root) for name in names)
    return sorted(str(Path(where, name)) for where, name in found if name.startswith("sparklr-"))


def left(session: SparkSession, root: str) -> list[str]:
    """What a fit should have taken away and did not."""
    context = session.sparkContext._jsc.sc()
    frames = context.getPersistentRDDs().size()
    views = [table.name for table in session.catalog.listTables("global_temp")]
    return [*folders(root), *views, *["a persisted frame"] * frames]


def say(name: str, **outcome: Any) -> None:
    """Hand an outcome to the test."""
    print(json.dumps([name, outcome]), flush=True)


def local_root() -> str:
    """Where the cluster's workers keep their executors' files."""
    return os.environ["LOCAL_ROOT"]
