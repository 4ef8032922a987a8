"""What long work shows of itself: its bar, its log, and its jobs in Spark's own pages."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark import InheritableThread, TaskContext

from sparklr import LogisticRegressionEstimator
from sparklr.display import progress
from sparklr.display.progress import Progress, describe, silent
from sparklr.fitting.outcome import Round
from sparklr.spark.classic import run_job

TITLE = "logistic regression"
MADE = Round(passes=3, live=2, members=5, objective=0.693147, residual=1.5e-3)


class Terminal(io.StringIO):
    """A stream that says a person looks at it."""

    def isatty(self) -> bool:
        return True


def write_to(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be stderr to bars; pytest itself replaces that of `sys` between fixtures and tests."""
    instead = SimpleNamespace(stderr=stream, modules=sys.modules)
    monkeypatch.setattr(progress, "sys", instead)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    write_to(made, monkeypatch)
    return made


@pytest.fixture(autouse=True)
def _patient_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line is seen, however late the thread that draws it comes to it."""
    monkeypatch.setattr(progress, "FAREWELL", 60.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)


def wait_until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Look again and again; an error if it does not become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this should have come to pass"
        time.sleep(0.01)


def drawing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "progress" in thread.name]


# The bar


def test_the_bar_tells_stages_and_rounds(screen: Terminal) -> None:
    with Progress(True, TITLE) as shown:
        shown.stage("packing rows")
        wait_until(lambda: f"{TITLE}: packing rows |" in screen.getvalue())
        shown.round(MADE)
        wait_until(lambda: "3/5" in screen.getvalue())
        told = "passes=3, live=2, objective=0.693147, residual=0.0015]"
        assert told in screen.getvalue()
    last = screen.getvalue().rpartition("\r")[2]
    assert last.startswith(f"{TITLE} |")
    assert re.search(r"\| 5/5 \[\d\d:\d\d, passes=3, live=0,", last)
    assert last.endswith("\n")
    assert drawing() == []


def test_what_is_not_known_is_not_told() -> None:
    unknown = Round(passes=1, live=1, members=1, objective=2.0, residual=float("nan"))
    assert describe(unknown) == "passes=1, live=1, objective=2"


@pytest.mark.usefixtures("impatient")
def test_a_bar_shows_unasked_in_a_terminal_if_the_work_takes_long(screen: Terminal) -> None:
    with Progress(None, TITLE) as shown:
        shown.round(MADE)
        wait_until(lambda: "3/5" in screen.getvalue())


def test_short_work_shows_nothing_unasked(screen: Terminal) -> None:
    with Progress(None, TITLE) as shown:
        shown.round(MADE)
    assert screen.getvalue() == ""
    assert drawing() == []


@pytest.mark.usefixtures("impatient")
def test_a_notebook_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    page = io.StringIO()
    shell = SimpleNamespace(kernel=object())
    write_to(page, monkeypatch)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with Progress(None, TITLE) as shown:
        shown.round(MADE)
        wait_until(lambda: "3/5" in page.getvalue())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_no_bar_unasked_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    write_to(stream, monkeypatch)
    with Progress(None, TITLE) as shown:
        shown.round(MADE)
        assert drawing() == []
    assert stream is None or stream.getvalue() == ""


def test_a_bar_where_nobody_looks_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And there a line for each change, none for the clock alone."""
    page = io.StringIO()
    write_to(page, monkeypatch)
    monkeypatch.setattr(progress, "EVERY", 0.001)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
        wait_until(lambda: "3/5" in page.getvalue())
        before = page.getvalue()
        time.sleep(0.05)
        assert page.getvalue() == before
    assert "5/5" in page.getvalue()


@pytest.mark.usefixtures("impatient")
def test_no_bar_if_it_is_not_wanted(screen: Terminal) -> None:
    with Progress(False, TITLE) as shown:
        shown.round(MADE)
        assert drawing() == []
    assert screen.getvalue() == ""


@pytest.mark.parametrize("failure", [RuntimeError(), KeyboardInterrupt()])
def test_the_bar_is_closed_after_a_failure(screen: Terminal, failure: BaseException) -> None:
    def work() -> None:
        with Progress(True, TITLE) as shown:
            shown.round(MADE)
            raise failure

    with pytest.raises(type(failure)) as caught:
        work()
    assert caught.value is failure
    last = screen.getvalue().rpartition("\r")[2]
    assert "| 3/5 [" in last
    assert last.endswith("\n")
    assert drawing() == []


def test_the_number_of_fits_may_change(screen: Terminal) -> None:
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
        wait_until(lambda: "3/5" in screen.getvalue())
        shown.round(Round(passes=9, live=1, members=1, objective=0.5, residual=0.1))
        wait_until(lambda: "0/1" in screen.getvalue())


def test_a_bar_brings_no_thread_but_its_own(screen: Terminal) -> None:
    """tqdm would start one that watches all bars, and never ends it."""
    before = set(threading.enumerate())
    with Progress(True, TITLE):
        wait_until(screen.getvalue)
        assert len(set(threading.enumerate()) - before) == 1
    assert set(threading.enumerate()) <= before


class Broken(Terminal):
    """A stream of which every use fails."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure
        self.uses = 0

    def write(self, _: str) -> int:
        self.uses += 1
        raise self.failure

    def flush(self) -> None:
        raise self.failure


@pytest.mark.parametrize("failure", [OSError(5, "gone"), ValueError("closed"), RuntimeError()])
def test_a_broken_stream_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, screen: Terminal, failure: Exception
) -> None:
    broken = Broken(failure)
    write_to(broken, monkeypatch)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
    assert broken.uses > 0
    write_to(screen, monkeypatch)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
    assert "5/5" in screen.getvalue()


def test_no_stream_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write_to(None, monkeypatch)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)


def test_a_stream_that_blocks_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    class Blocked(Terminal):
        def write(self, text: str) -> int:
            free.wait(60)
            return super().write(text)

    write_to(Blocked(), monkeypatch)
    monkeypatch.setattr(progress, "FAREWELL", 0.05)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
        wait_until(drawing)
    assert drawing() != []
    free.set()
    wait_until(lambda: drawing() == [])


# The log


def test_stages_and_rounds_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sparklr")
    with Progress(False, TITLE) as shown:
        shown.stage("packing rows")
        shown.round(MADE)
    assert [record.getMessage() for record in caplog.records] == [
        "logistic regression: packing rows",
        "logistic regression: 3 passes, 2 of 5 fits go on, objective 0.693147, residual 0.0015",
    ]


def test_a_silent_progress_tells_nobody(caplog: pytest.LogCaptureFixture, screen: Terminal) -> None:
    caplog.set_level(logging.INFO, "sparklr")
    with silent() as shown:
        shown.stage("packing rows")
        shown.round(MADE)
    assert caplog.records == []
    assert screen.getvalue() == ""


# Jobs

PROPERTIES = ("spark.job.description", "spark.job.tags", "spark.sparklr.test")


def properties_of_a_job(spark: Any) -> list[str | None]:
    """What a task finds of `PROPERTIES`."""
    names = PROPERTIES

    def read(_: Any) -> list[str | None]:
        context = TaskContext.get()
        assert context is not None
        return [context.getLocalProperty(name) for name in names]

    found: list[str | None] = spark.sparkContext.parallelize([0], 1).flatMap(read).collect()
    return found


@pytest.mark.usefixtures("nothing_left")
def test_jobs_are_described_and_tagged_and_the_thread_is_as_before(spark: Any) -> None:
    context = spark.sparkContext
    context.setJobDescription("theirs")
    context.setLocalProperty("spark.sparklr.test", "mine")
    context.addJobTag("theirs")
    try:
        found = run_job(spark, "sparklr: a job", lambda: properties_of_a_job(spark))
        description, tags, inherited = found
        assert description == "sparklr: a job"
        assert tags is not None
        theirs, ours = sorted(tags.split(","), reverse=True)
        assert theirs == "theirs"
        assert ours.startswith("sparklr-")
        assert inherited == "mine"
        assert properties_of_a_job(spark) == ["theirs", "theirs", "mine"]
    finally:
        context.removeJobTag("theirs")
        for name in PROPERTIES:
            context.setLocalProperty(name, None)


def test_an_error_of_a_job_comes_through(spark: Any) -> None:
    failure = ValueError("of the job")

    def fail() -> None:
        raise failure

    with pytest.raises(ValueError, match="of the job") as caught:
        run_job(spark, "sparklr: a job", fail)
    assert caught.value is failure


class Remote:
    """A session of Spark Connect, as far as tags go: no context, and tags of each thread."""

    def __init__(self) -> None:
        self.own = threading.local()
        self.stopped: list[str] = []

    def getTags(self) -> set[str]:
        return set(vars(self.own).setdefault("tags", set()))

    def addTag(self, tag: str) -> None:
        vars(self.own).setdefault("tags", set()).add(tag)

    def interruptTag(self, tag: str) -> None:
        self.stopped.append(tag)


def test_on_connect_jobs_are_tagged() -> None:
    session: Any = Remote()
    session.addTag("theirs")
    tags = run_job(session, "sparklr: a job", session.getTags)
    assert len(tags) == 2
    assert "theirs" in tags
    assert session.getTags() == {"theirs"}
    assert session.stopped == []


def test_without_tags_jobs_are_run_all_the_same() -> None:
    session: Any = object()
    assert run_job(session, "sparklr: a job", lambda: 3) == 3


# Interrupts


@pytest.fixture
def interruptible() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """What interrupts this thread as Ctrl-C would, once something is true.

    The context's own handler stops all jobs, not ours alone. Notebooks put Python's in its place
    for each cell, and so does this.
    """
    started: list[threading.Thread] = []
    main = threading.main_thread().ident
    assert main == threading.get_ident()

    def once(true: Callable[[], Any]) -> None:
        def interrupt() -> None:
            wait_until(true)
            signal.pthread_kill(main, signal.SIGINT)

        started.append(threading.Thread(target=interrupt, daemon=True))
        started[-1].start()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield once
    finally:
        for thread in started:
            thread.join(60)
        signal.signal(signal.SIGINT, before)


def waiting(folder: Path, name: str) -> Callable[[Any], Iterator[Any]]:
    """For `mapInArrow`: rows as they are, but not before a file lets them pass."""
    started, free = str(folder / f"{name}-started"), str(folder / "free")

    def wait(batches: Any) -> Iterator[Any]:
        open(started, "w").close()
        end = time.monotonic() + 120
        while not os.path.exists(free) and time.monotonic() < end:
            time.sleep(0.01)
        yield from batches

    return wait


def active(spark: Any) -> set[int]:
    return set(spark.sparkContext.statusTracker().getActiveJobsIds())


@pytest.mark.usefixtures("nothing_left")
def test_an_interrupt_stops_our_jobs_and_no_others(
    spark: Any, tmp_path: Path, interruptible: Callable[[Callable[[], Any]], None]
) -> None:
    rows = spark.range(0, 3, 1, 1)
    ours, theirs = (rows.mapInArrow(waiting(tmp_path, n), "id long") for n in ("ours", "theirs"))
    counted: list[int] = []
    # Jobs in a thread as the caller's own: with what it inherits, and no tag of ours.
    other = InheritableThread(target=lambda: counted.append(len(theirs.collect())))
    other.start()
    wait_until((tmp_path / "theirs-started").exists)
    wait_until(lambda: len(active(spark)) == 1)  # Spark tells of a job a little later
    (their_job,) = active(spark)
    interruptible((tmp_path / "ours-started").exists)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_job(spark, "sparklr: waiting", ours.collect)
        wait_until(lambda: active(spark) == {their_job})
    finally:
        (tmp_path / "free").touch()
        other.join(60)
    assert counted == [3]


def test_an_interrupt_on_connect_stops_what_bears_the_tag(
    interruptible: Callable[[Callable[[], Any]], None],
) -> None:
    session: Any = Remote()
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        wait_until(lambda: len(session.stopped) > 1)  # the first may have come too early

    interruptible(begun.is_set)
    with pytest.raises(KeyboardInterrupt):
        run_job(session, "sparklr: waiting", wait)
    assert len(set(session.stopped)) == 1
    assert [thread for thread in threading.enumerate() if thread.name == "sparklr-job"] == []


@pytest.mark.usefixtures("nothing_left")
def test_an_interrupted_fit_leaves_no_job(
    spark: Any, two: Any, tmp_path: Path, interruptible: Callable[[Callable[[], Any]], None]
) -> None:
    names = two.select("label", "x0", "x1")
    slow = names.mapInArrow(waiting(tmp_path, "fit"), names.schema)
    interruptible((tmp_path / "fit-started").exists)
    estimator = LogisticRegressionEstimator(featuresCols=["x0", "x1"])
    try:
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(slow)
        wait_until(lambda: active(spark) == set())
    finally:
        (tmp_path / "free").touch()


def descriptions(spark: Any) -> dict[int, str]:
    """Of all jobs so far, by their numbers, as Spark's own pages show them."""
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    each = [jobs.apply(at) for at in range(jobs.size())]
    told = [job for job in each if job.description().isDefined()]
    return {job.jobId(): job.description().get() for job in told}


@pytest.mark.usefixtures("nothing_left")
def test_the_jobs_of_a_fit_name_its_passes(
    spark: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda _: 1)  # passes as jobs
    before = set(descriptions(spark))
    spark.conf.set("spark.sparklr.localMB", "0")
    try:
        model = LogisticRegressionEstimator().fit(two)
    finally:
        spark.conf.unset("spark.sparklr.localMB")

    def found() -> set[str]:
        return {text for number, text in descriptions(spark).items() if number not in before}

    passes = [f"sparklr: pass {one + 1}, 1 column" for one in range(model.summary.passes)]
    wait_until(lambda: passes[-1] in found())  # Spark tells its pages a little later
    assert found() == {"sparklr: packing rows", *passes}
