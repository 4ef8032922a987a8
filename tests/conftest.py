"""One small Spark session for the whole suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the session, so that `make unit` can do without."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker("session")


# The address of a server of Spark Connect, where `test_connect.py` has started this process.
REMOTE = os.environ.get("SPARK_REMOTE")


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A local session on two cores with few shuffle partitions, or one of Spark Connect."""
    from pyspark.sql import SparkSession

    if REMOTE:
        from tests.connect.ledger import open_ledger

        open_ledger()
        yield SparkSession.builder.remote(REMOTE).getOrCreate()
        return
    session = (
        SparkSession.builder.master("local[2]")
        .appName("sparklr-tests")
        .config("spark.driver.memory", "3g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.default.parallelism", "2")
        # Every test is a few small queries: compiling them costs more than running them.
        .config("spark.sql.codegen.wholeStage", "false")
        # Spark's own bound-constrained fits have crashed on native BLAS.
        .config(
            "spark.driver.extraJavaOptions",
            "-XX:TieredStopAtLevel=1 -Ddev.ludovic.netlib.blas.nativeLib=none "
            "-Ddev.ludovic.netlib.lapack.nativeLib=none "
            "-Ddev.ludovic.netlib.arpack.nativeLib=none",
        )
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def two(spark: Any) -> Iterator[Any]:
    """A cached frame of two classes."""
    from tests.frames import classified

    frame = classified(spark)
    yield frame
    frame.unpersist()


@pytest.fixture(scope="session")
def three(spark: Any) -> Iterator[Any]:
    """A cached frame of three classes."""
    from tests.frames import classified

    frame = classified(spark, classes=3)
    yield frame
    frame.unpersist()


@pytest.fixture
def nothing_left(spark: Any) -> Iterator[None]:
    """Fails if a test leaves a persisted frame, a changed setting, a view or a thread behind."""
    import threading

    from tests.frames import kept

    # CrossValidator leaves the threads of its pool to the garbage collector.
    of_a_pool = ("(worker)", "(_handle_workers)", "(_handle_tasks)", "(_handle_results)")

    def state() -> tuple[tuple[int, int], dict[str, str], list[str]]:
        settings = {row["key"]: row["value"] for row in spark.sql("SET").collect()}
        where = None if REMOTE else "global_temp"
        views = [table.name for table in spark.catalog.listTables(where) if table.isTemporary]
        return kept(spark), settings, views

    before, threads = state(), set(threading.enumerate())
    yield
    (held, *rest), (held_before, *rest_before) = state(), before
    assert rest == rest_before
    # What an earlier test's library had persisted may be forgotten meanwhile.
    assert all(now <= then for now, then in zip(held, held_before, strict=True))
    # A thread that an earlier test's library had started may well end meanwhile.
    left = [t.name for t in set(threading.enumerate()) - threads]
    if REMOTE:  # gRPC and Spark's client start and end many as they like
        left = [name for name in left if name.startswith("sparklr")]
    assert [name for name in left if not name.endswith(of_a_pool)] == []
