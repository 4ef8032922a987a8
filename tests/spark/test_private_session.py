"""A fit's own session: nothing of the user's changes, and what the user has set counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from py4j.protocol import Py4JError
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.arrays import Array
from sparklr.fitting import shared as grid
from sparklr.objective.families import BINOMIAL
from sparklr.objective.sums import Probe
from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import open_passes
from sparklr.rows.checks import ColumnNames
from sparklr.rows.columns import training_rows
from sparklr.spark import private_session as session
from sparklr.spark.private_session import BYTES_PER_BATCH, RECORDS_PER_BATCH, PrivateFrame
from tests.frames import collect_garbage
from tests.passes.asking import total

LOCAL_MB = "spark.sparklr.localMB"
STORES = ["local", "jobs"]


@pytest.fixture(scope="module")
def frame(spark: Any) -> Iterator[Any]:
    """Rows in two partitions, kept by the user."""
    numbers = [F.randn(seed).alias(f"x{seed}") for seed in range(4)]
    rows = spark.range(0, 120, 1, 2).select("id", *numbers)
    label = (F.col("x0") - F.col("x1") + F.col("x3") > 0).cast("double")
    features = array_to_vector(F.array("x0", "x1", "x2"))
    yield from kept_by_the_user(rows.select("id", features.alias("features"), label.alias("label")))


def kept_by_the_user(rows: Any) -> Iterator[Any]:
    """These rows, persisted."""
    rows.persist().count()
    yield rows
    rows.unpersist()


@contextmanager
def changed(spark: Any, settings: dict[str, str]) -> Iterator[None]:
    """The session with other settings for a while."""
    before = {key: spark.conf.get(key, None) for key in settings}
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, value)


@pytest.fixture
def store(request: Any, spark: Any) -> Iterator[None]:
    """Rows come to the driver, or stay on the executors."""
    with changed(spark, {LOCAL_MB: "0"} if request.param == "jobs" else {}):
        yield


def fit(frame: Any, **params: Any) -> Array:
    """The coefficients and intercept of a fit."""
    model = LogisticRegressionEstimator(**{"regParam": 0.01, **params}).fit(frame)
    return np.append(model.coefficients.toArray(), model.intercept)


@pytest.fixture(scope="module")
def alone(frame: Any) -> Callable[[float], Array]:
    """The fit by itself, by regParam."""
    known: dict[float, Array] = {}

    def find(strength: float = 0.01) -> Array:
        if strength not in known:
            known[strength] = fit(frame, regParam=strength)
        return known[strength]

    return find


@pytest.mark.usefixtures("nothing_left", "store")
@pytest.mark.parametrize("store", STORES, indirect=True)
def test_another_thread_never_sees_a_changed_setting(spark: Any, frame: Any) -> None:
    keys = (RECORDS_PER_BATCH, BYTES_PER_BATCH)

    def look() -> tuple[Any, ...]:
        return tuple(spark.conf.get(key, None) for key in keys)

    before, seen, done = look(), [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        fit(frame)
    finally:
        done.set()
        watcher.join()
    assert len(seen) > 10
    assert set(seen) == {before}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("store", STORES, indirect=True)
def test_batch_sizes_are_set_in_the_fits_own_session(
    spark: Any, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = spark.conf.get(RECORDS_PER_BATCH)
    own: list[str] = []
    users: list[str] = []
    batch = PrivateFrame.batch

    def spy(self: PrivateFrame, **sizes: Any) -> None:
        batch(self, **sizes)
        own.append(self.frame.sparkSession.conf.get(RECORDS_PER_BATCH))
        users.append(spark.conf.get(RECORDS_PER_BATCH))

    monkeypatch.setattr(PrivateFrame, "batch", spy)
    fit(frame)
    assert own
    assert before not in own
    assert set(users) == {before}


@pytest.mark.parametrize("cloned", [True, False])
def test_the_users_settings_count_in_the_fits_own_session(
    spark: Any, frame: Any, monkeypatch: pytest.MonkeyPatch, cloned: bool
) -> None:
    if not cloned:
        monkeypatch.setattr(session, "clone_session", lambda _: None)
    ansi = "spark.sql.ansi.enabled"
    settings = {
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.shuffle.partitions": "3",
        RECORDS_PER_BATCH: "123",
        ansi: "false" if spark.conf.get(ansi) == "true" else "true",
    }
    with changed(spark, settings):
        private = PrivateFrame(frame.select("features", "label"))
        own = private.frame.sparkSession
        assert own is not spark
        assert {key: own.conf.get(key) for key in settings} == settings
        private.batch(records=7)
        assert own.conf.get(RECORDS_PER_BATCH) == "7"
        if own.conf.isModifiable(BYTES_PER_BATCH):  # Spark 4.1
            assert own.conf.get(BYTES_PER_BATCH) == str(session.UNBOUNDED)
            assert spark.conf.get(BYTES_PER_BATCH) != str(session.UNBOUNDED)
        own.conf.set("spark.sql.session.timeZone", "UTC")
        assert {key: spark.conf.get(key) for key in settings} == settings


def test_a_session_is_cloned_in_one_call_where_there_is_a_jvm(spark: Any) -> None:
    own = session.clone_session(spark)
    assert own is not None
    assert own is not spark
    own.conf.set(RECORDS_PER_BATCH, "7")
    assert spark.conf.get(RECORDS_PER_BATCH) != "7"


@pytest.mark.usefixtures("nothing_left")
def test_moving_a_frame_starts_no_job_and_leaves_no_view(spark: Any, frame: Any) -> None:
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    jobs = scheduler.numTotalJobs()
    rows = frame.select("features", "label")
    private = PrivateFrame(rows)
    assert scheduler.numTotalJobs() == jobs
    assert spark.catalog.listTables("global_temp") == []
    assert private.frame.schema == rows.schema


@pytest.mark.parametrize("by_view", [False, True])
def test_a_frame_that_the_user_keeps_stays_kept(
    spark: Any, monkeypatch: pytest.MonkeyPatch, by_view: bool
) -> None:
    """Dropping a view makes Spark forget what was persisted of the view's very plan."""
    if by_view:
        monkeypatch.setattr(session, "in_session", lambda *_: None)
    for rows in kept_by_the_user(spark.range(0, 9, 1, 1).withColumn("label", F.lit(1.0))):
        private = PrivateFrame(rows)
        assert rows.storageLevel.useMemory
        assert "InMemoryTableScan" in private.frame._jdf.queryExecution().toString()


def test_a_fit_reads_the_rows_that_the_user_keeps(frame: Any) -> None:
    rows = training_rows(frame, LogisticRegressionEstimator()).frame
    assert "InMemoryTableScan" in PrivateFrame(rows).frame._jdf.queryExecution().toString()
    fit(frame, maxIter=1)
    assert frame.storageLevel.useMemory


def test_the_users_session_stays_the_active_one(spark: Any, frame: Any) -> None:
    fit(frame, maxIter=1)
    assert SparkSession.getActiveSession() is spark
    assert SparkSession.builder.getOrCreate() is spark


def test_functions_of_the_users_session_still_count(spark: Any, frame: Any, alone: Any) -> None:
    spark.udf.register("twice_for_sparklr", lambda value: 2.0 * value, "double")
    doubled = frame.withColumn("label", F.expr("twice_for_sparklr(label) / 2"))
    try:
        assert_allclose(fit(doubled), alone(0.01), rtol=1e-9)
    finally:
        spark.sql("DROP TEMPORARY FUNCTION twice_for_sparklr")


@pytest.mark.deep
@pytest.mark.usefixtures("nothing_left")
def test_two_frames_of_the_same_rows_do_not_share_what_is_persisted(spark: Any, frame: Any) -> None:
    rows = frame.select(F.unwrap_udt("features").alias("features"), "label")
    names = ColumnNames("features", "label")
    storage = PackSettings(local_bytes=0, slots=2)
    probes = [Probe(BINOMIAL, np.array([[0.1, 0.2, 0.3]]), np.array([0.5]), 2)]
    persistent = spark.sparkContext._jsc.sc().getPersistentRDDs
    collect_garbage(spark)
    before = persistent().size()
    with open_passes(rows, names, storage) as passes:
        first = total(passes, probes)
        with open_passes(rows, names, storage):
            pass
        assert persistent().size() == before + 1
        assert_array_equal(total(passes, probes), first)


@pytest.mark.usefixtures("nothing_left", "store")
@pytest.mark.parametrize("store", STORES, indirect=True)
def test_two_fits_at_once_fit_as_if_alone(
    frame: Any, alone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    strengths = [0.01, 0.5]
    expected = [alone(strength) for strength in strengths]
    both = threading.Barrier(len(strengths), timeout=120)
    fit_all = grid.fit_all

    def together(*args: Any, **kwargs: Any) -> Any:
        both.wait()  # until each has its passes open
        return fit_all(*args, **kwargs)

    monkeypatch.setattr(grid, "fit_all", together)
    with ThreadPoolExecutor(len(strengths)) as pool:
        found = list(pool.map(lambda strength: fit(frame, regParam=strength), strengths))
    for ours, theirs in zip(found, expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9)


def _refuse(*_: Any, **__: Any) -> Any:
    raise Py4JError("not on this platform\nat some.java.Frame")


@pytest.mark.usefixtures("nothing_left", "store")
@pytest.mark.parametrize("store", STORES, indirect=True)
@pytest.mark.parametrize("refused", ["newSession", "createGlobalTempView"])
def test_where_no_session_can_be_had_the_users_own_serves(
    spark: Any, frame: Any, alone: Any, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    expected = alone(0.01)
    monkeypatch.setattr(session, "clone_session", lambda _: None)
    monkeypatch.setattr(session, "in_session", lambda *_: None)
    monkeypatch.setattr(type(spark if refused == "newSession" else frame), refused, _refuse)
    private = PrivateFrame(frame.select("features", "label"))
    assert private.frame.sparkSession is spark
    private.batch(records=1)  # which must not reach the user's settings
    assert_allclose(fit(frame), expected, rtol=1e-9)
