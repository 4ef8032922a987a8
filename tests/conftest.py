"""One small Spark session for the whole suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable

# The address of a server of Spark Connect, where `connect/client.py` has started this process.
REMOTE = os.environ.get("SPARK_REMOTE")

# The session, and what by its name alone brings it along.
OF_THE_SESSION = {"spark", "two", "three"}

# Of these folders a client of Spark Connect runs all tests again; elsewhere files are marked.
ON_CONNECT_TOO = (Path(__file__).parent / "search",)

# Examples per property, the same ones in each run. In depth in `make test-all`.
for name, examples in (("default", 25), ("full", 400)):
    hypothesis.settings.register_profile(
        name, max_examples=examples, derandomize=True, deadline=None
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the session, so that `make unit` can do without."""
    for item in items:
        given = getattr(item, "callspec", None)
        names = (
            {value for value in given.params.values() if isinstance(value, str)} if given else {}
        )
        if OF_THE_SESSION & {*getattr(item, "fixturenames", ()), *names}:
            item.add_marker("session")
        if any(item.path.is_relative_to(folder) for folder in ON_CONNECT_TOO):
            item.add_marker("connect")
        if REMOTE and item.get_closest_marker("classic"):
            item.add_marker(pytest.mark.skip(reason="needs Spark's JVM"))


@pytest.fixture(scope="session")
def spark(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A local session on two cores with few shuffle partitions, or one of Spark Connect."""
    if not any(item.get_closest_marker("session") for item in request.session.items):
        pytest.fail("A test asks for the session as it runs: let it take the fixture `spark`.")
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


@pytest.fixture(scope="module")
def _same_settings_and_views(spark: Any) -> Iterator[None]:
    """Once per module, as the look takes longer than many a test.

    Which test of the module it was, `nothing_at_all_left` in the place of `nothing_left` tells.
    """
    from tests.leftovers import no_setting_or_view

    with no_setting_or_view(spark):
        yield


@pytest.fixture
def nothing_left(spark: Any, _same_settings_and_views: None) -> Iterator[None]:
    """Fails if a test leaves a persisted frame or a thread, or its module a setting or a view."""
    from tests.leftovers import no_frame_or_thread

    with no_frame_or_thread(spark):
        yield


@pytest.fixture
def nothing_at_all_left(spark: Any) -> Iterator[None]:
    """Fails if a test leaves a persisted frame, a thread, a changed setting or a view."""
    from tests.leftovers import no_frame_or_thread, no_setting_or_view

    with no_setting_or_view(spark), no_frame_or_thread(spark):
        yield
