"""A fit whose files are harmed, or that is cancelled from another thread, in a session of many."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from pyspark import InheritableThread

from sparklr.packing.block_files import LOCAL_DIRS
from sparklr.passes.jobs import SparkPasses
from tests.faults.alone import LOCAL_MB, fit, rows
from tests.tiers import first_and_deep
from tests.waiting import wait_until, waiting


@pytest.fixture(scope="module")
def folders(spark: Any) -> list[Path]:
    """Where Spark lets its workers put files, as a worker tells."""

    def tell(batches: Iterator[Any]) -> Iterator[Any]:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"path": os.environ[LOCAL_DIRS].split(",")})

    told = spark.range(0, 1, 1, 1).mapInArrow(tell, "path string").collect()
    return [Path(row.path) for row in told]


pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(autouse=True)
def _no_file_left(folders: list[Path]) -> Iterator[None]:
    """Fails if a test leaves a block file or its folder behind."""

    def state() -> set[Path]:
        return {found for one in folders for found in one.glob("sparklr-*")}

    before = state()
    yield
    assert state() == before


@pytest.fixture
def _over_files(request: Any, spark: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blocks lie in files, which jobs read, or this process."""
    slots = 1 if request.param == "jobs" else 2
    for module in ("passes.jobs", "fitting.from_params"):
        monkeypatch.setattr(f"sparklr.{module}.useful_threads", lambda _: slots)
    spark.conf.set(LOCAL_MB, "0")
    yield
    spark.conf.unset(LOCAL_MB)


jobs_or_in_depth_either = pytest.mark.parametrize(
    "_over_files", first_and_deep(["jobs", "here"]), indirect=True
)


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    """Rows that are the same each time they are made."""
    return rows(spark)


@pytest.fixture(scope="module")
def expected(frame: Any) -> Any:
    return fit(frame)


def _delete_all(files: list[Path]) -> None:
    for file in files:
        file.unlink()


def _truncate_one(files: list[Path]) -> None:
    os.truncate(files[1], 100)


def _delete_folder(files: list[Path]) -> None:
    _delete_all(files)
    files[0].parent.rmdir()


def before_each_pass(
    monkeypatch: pytest.MonkeyPatch, harm: Callable[[SparkPasses, int], None]
) -> list[int]:
    """Does harm before each pass from now on, told its number; gives the numbers so far."""
    read, seen = SparkPasses.read, []

    def harmed(self: SparkPasses, reading: Any) -> Any:
        seen.append(len(seen) + 1)
        harm(self, len(seen))
        return read(self, reading)

    monkeypatch.setattr(SparkPasses, "read", harmed)
    return seen


@pytest.mark.usefixtures("_over_files")
@pytest.mark.parametrize(
    ("_over_files", "harm"),
    first_and_deep(
        (where, harm)
        for harm in (_delete_folder, _delete_all, _truncate_one)
        for where in ("jobs", "here")
    ),
    indirect=["_over_files"],
)
def test_files_harmed_twice_in_a_fit_change_no_coefficient(
    frame: Any, expected: Any, monkeypatch: pytest.MonkeyPatch, harm: Callable[[list[Path]], None]
) -> None:
    """The rows are packed again; what is lost then, Spark still has."""

    def spoil(passes: SparkPasses, number: int) -> None:
        if number in (2, 3):
            folders = passes.packing.folders or ()
            files = sorted(file for one in folders for file in Path(one).iterdir())
            assert len(files) > 3
            harm(files)

    seen = before_each_pass(monkeypatch, spoil)
    assert_allclose(fit(frame), expected, rtol=1e-12)
    assert len(seen) > 3


@jobs_or_in_depth_either
@pytest.mark.usefixtures("_over_files")
def test_files_lost_between_epochs_change_no_bit_of_a_stochastic_fit(
    frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks then have other blocks than before, and read some of them apart."""
    steps = {"solver": "sgd", "learningRate": 1.0, "epochs": 3, "batchSize": 16}
    undisturbed = fit(frame, **steps)

    def spoil(passes: SparkPasses, number: int) -> None:
        files = sorted(file for one in passes.packing.folders or () for file in Path(one).iterdir())
        if number == 2:
            _delete_all(files)
        elif number == 4:
            _truncate_one(files)

    seen = before_each_pass(monkeypatch, spoil)
    assert (fit(frame, **steps) == undisturbed).all()
    assert len(seen) == 7


@jobs_or_in_depth_either
@pytest.mark.usefixtures("_over_files")
def test_what_spark_holds_is_dropped_between_passes(
    frame: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(passes: SparkPasses, number: int) -> None:
        if number == 2:
            passes.packing.frame.unpersist()

    seen = before_each_pass(monkeypatch, drop)
    assert_allclose(fit(frame), expected, rtol=1e-12)
    assert len(seen) > 2


def in_thread(action: Callable[[], Any]) -> tuple[Future[Any], threading.Thread]:
    """What an action gives in a thread of its own, with a job group of its own."""
    found: Future[Any] = Future()

    def run() -> None:
        try:
            found.set_result(action())
        except Exception as reason:
            found.set_exception(reason)

    thread = InheritableThread(target=run)
    thread.start()
    return found, thread


@pytest.mark.parametrize("way", first_and_deep(["group", "all"]))
def test_a_fit_cancelled_from_another_thread_ends_and_leaves_nothing(
    spark: Any, frame: Any, expected: Any, tmp_path: Path, way: str
) -> None:
    """By its job group alone, or with all others; the next fit knows nothing of it."""
    context = spark.sparkContext
    slow = frame.coalesce(1).mapInArrow(waiting(tmp_path), frame.schema)

    def doomed() -> Any:
        context.setJobGroup("doomed", "a fit that is given up")
        return fit(slow)

    found, thread = in_thread(doomed)
    try:
        wait_until((tmp_path / "fit-started").exists)
        if way == "group":
            assert_allclose(fit(frame), expected, rtol=1e-12)  # another goes on meanwhile
            assert not found.done()
            context.cancelJobGroup("doomed")
        else:
            context.cancelAllJobs()
        with pytest.raises(Exception, match=r"(?i)cancel"):
            found.result(120)
    finally:
        (tmp_path / "free").touch()
        thread.join(120)
    wait_until(lambda: not context.statusTracker().getActiveJobsIds())
    assert_allclose(fit(frame), expected, rtol=1e-12)


@jobs_or_in_depth_either
@pytest.mark.usefixtures("_over_files")
def test_jobs_cancelled_between_passes_end_the_fit_or_are_none_of_its(
    spark: Any, frame: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no job runs, there is none to cancel, and the fit goes on."""
    seen = before_each_pass(monkeypatch, lambda *_: spark.sparkContext.cancelAllJobs())
    assert_allclose(fit(frame), expected, rtol=1e-12)
    assert len(seen) > 2


@jobs_or_in_depth_either
@pytest.mark.usefixtures("_over_files")
def test_fits_at_once_have_files_of_their_own(
    frame: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is harmed; the other does not notice."""
    both = threading.Barrier(2, timeout=120)
    stores, lock = [], threading.Lock()

    def harm(passes: SparkPasses, _: int) -> None:
        with lock:
            new = passes.packing.store not in stores
            if new:
                stores.append(passes.packing.store)
            first = stores[0] == passes.packing.store
        if new and len(stores) <= 2 and not passes._ships_all:
            both.wait()
            if first:
                _delete_all([file for one in passes.packing.folders or ()
                             for file in Path(one).iterdir()])  # fmt: skip

    before_each_pass(monkeypatch, harm)
    threads = [in_thread(lambda: fit(frame)) for _ in range(2)]
    for found, thread in threads:
        assert_allclose(found.result(240), expected, rtol=1e-12)
        thread.join(60)
    assert len(stores) == 3  # one fit's rows were packed again
