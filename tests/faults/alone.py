"""Faults that need a Spark session of their own, in a program of its own: prints what it found.

    python tests/faults/alone.py WARM LOCAL FILES

Here tasks may fail twice before their job does, which a session in local mode decides when it
starts. Then many fits one after another: WARM of them before the first look at what the processes
hold, LOCAL fits on the driver and FILES fits over block files before the second.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import sparklr.passes.jobs as module
from sparklr import LogisticRegressionEstimator
from sparklr.packing.block_files import LOCAL_DIRS
from sparklr.passes.jobs import SparkPasses
from sparklr.passes.worker import ReadBlocks
from tests.cluster.processes import PYTHON_WORKER, matching, parent
from tests.frames import collect_garbage

LOCAL_MB = "spark.sparklr.localMB"


def start() -> Any:
    session = (
        SparkSession.builder.master("local[2,3]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    return session


def rows(spark: Any) -> Any:
    """Rows that are the same each time they are made."""
    of = F.col("id")
    x, y = F.sin(of * 12.9898), F.cos(of * 78.233)
    label = (F.sin(of * 3.7) + x > 0.2).cast("double")
    return spark.range(0, 600, 1, 2).select(x.alias("x"), y.alias("y"), label.alias("label"))


def fit(frame: Any, **params: Any) -> Any:
    estimator = LogisticRegressionEstimator(
        featuresCols=["x", "y"], regParam=0.01, maxBlockSizeInMB=0.002, **params
    )
    model = estimator.fit(frame)
    return np.append(model.coefficients.toArray(), model.intercept)


def first_time(mark: Path) -> bool:
    """True for the first caller of all processes."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def raise_error() -> None:
    raise RuntimeError("a task that fails once")


def end_worker() -> None:
    os._exit(17)


def failing_rows(frame: Any, folder: Path, harm: Callable[[], None]) -> Any:
    """The same rows, of which one does harm when it is first read."""
    mark = folder / uuid.uuid4().hex

    def same(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            if first_time(mark):
                harm()
            yield batch

    return frame.mapInArrow(same, frame.schema)


def failing_pass(folder: Path, harm: Callable[[], None]) -> Callable[..., Any]:
    """What makes tasks of a pass, of which the first does harm."""
    mark = folder / uuid.uuid4().hex

    def make(*args: Any) -> Any:
        task = ReadBlocks(*args)

        def run(batches: Iterator[Any]) -> Iterator[Any]:
            if first_time(mark):
                harm()
            yield from task(batches)

        return run

    return make


def in_second_pass(harm: Callable[[], Any], action: Callable[[], Any]) -> Any:
    """What the action gives, where harm is done before its second pass."""
    read, seen = SparkPasses.read, []

    def harmed(self: SparkPasses, reading: Any) -> Any:
        seen.append(1)
        if len(seen) == 2:
            harm()
        return read(self, reading)

    SparkPasses.read = harmed  # type: ignore[method-assign]
    try:
        return action()
    finally:
        SparkPasses.read = read  # type: ignore[method-assign]
        assert len(seen) > 2


def faults(spark: Any, frame: Any, folder: Path) -> dict[str, float]:
    """The largest change of a coefficient, by fault."""
    spark.conf.set(LOCAL_MB, "0")
    module.useful_threads = lambda _: 1  # jobs, although the files lie on this machine
    expected = fit(frame)
    found = {"none": fit(frame)}
    for name, harm in (("error", raise_error), ("dead worker", end_worker)):
        found[f"{name} while packing"] = fit(failing_rows(frame, folder, harm))
        module.ReadBlocks = failing_pass(folder, harm)  # type: ignore[assignment, misc]
        found[f"{name} in a pass"] = fit(frame)
        module.ReadBlocks = ReadBlocks  # type: ignore[misc]
    found["cache cleared"] = in_second_pass(spark.catalog.clearCache, lambda: fit(frame))
    found["partitions evicted"] = in_second_pass(lambda: evict(spark), lambda: fit(frame))
    return {name: float(np.abs(its - expected).max()) for name, its in found.items()}


def evict(spark: Any) -> None:
    """Spark forgets what it has computed of all persisted frames."""
    held = spark.sparkContext._jsc.getPersistentRDDs()
    for number in list(held):
        held[number].unpersist(True)


def resident(process: int) -> float:
    """Megabytes of memory that a process holds of its own."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    sizes = {line.split()[0]: line.split()[1] for line in lines if len(line.split()) > 1}
    return int(sizes.get("RssAnon:", "0")) / 1024


def tell_folders(batches: Iterator[Any]) -> Iterator[Any]:
    """Where Spark lets its workers put files."""
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"path": os.environ[LOCAL_DIRS].split(",")})


def left(spark: Any) -> dict[str, float]:
    """What should not grow with the number of fits."""
    java = spark.sparkContext._jvm.java.lang
    for _ in range(3):  # Spark's cleaner frees what the collector before it has found
        collect_garbage(spark)
    runtime = java.Runtime.getRuntime()
    manager = spark._jsparkSession.sharedState().cacheManager()
    java_process = int(java.ProcessHandle.current().pid())
    above = {one: parent(one) for one in matching(PYTHON_WORKER)}
    # Those that the JVM starts, and those that these fork.
    ours = [one for one in above if java_process in (above[one], above.get(above[one]))]
    workers = [resident(one) for one in ours]
    rows = spark.range(0, 1, 1, 1).mapInArrow(tell_folders, "path string").collect()
    folders = [Path(row.path) for row in rows]
    return {
        "driver MB": resident(os.getpid()),
        "heap MB": (runtime.totalMemory() - runtime.freeMemory()) / 2**20,
        "largest worker MB": max(workers),
        "workers": len(workers),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "open files of the JVM": len(list(Path(f"/proc/{java_process}/fd").iterdir())),
        "threads": threading.active_count(),
        "persisted": spark.sparkContext._jsc.getPersistentRDDs().size(),
        "marked": 0 if manager.isEmpty() else 1,
        "block folders": sum(len(list(one.glob("sparklr-*"))) for one in folders),
        "views": len(spark.catalog.listTables("global_temp")),
    }


def soak(spark: Any, frame: Any, local: int, files: int) -> None:
    """Fits on the driver and over files, the latter by this process and by jobs in turn."""
    every = max(1, local // max(files, 1))
    for number in range(local):
        spark.conf.unset(LOCAL_MB)
        fit(frame)
        if number % every == 0:
            spark.conf.set(LOCAL_MB, "0")
            slots = 1 + number // every % 2
            module.useful_threads = lambda _, slots=slots: slots
            fit(frame)


def main(warm: int, local: int, files: int) -> None:
    spark = start()
    folder = Path(os.environ["FAULTS_FOLDER"])
    frame = rows(spark)
    found: dict[str, Any] = {"faults": faults(spark, frame, folder)}
    soak(spark, frame, warm, max(2, warm // 5))
    found["before"] = left(spark)
    soak(spark, frame, local, files)
    found["after"] = left(spark)
    print(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
