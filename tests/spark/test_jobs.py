"""Jobs of ours bear a name in Spark's own pages, and stop with whoever waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyspark import InheritableThread, TaskContext

from sparklr import LogisticRegressionEstimator
from sparklr.spark.classic import is_local_mode, run_job
from tests.waiting import interrupts, wait_until, waiting

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
    with interrupts() as once:
        yield once


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
    slow = names.mapInArrow(waiting(tmp_path), names.schema)
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
def test_the_jobs_of_a_fit_name_its_passes(spark: Any, two: Any) -> None:
    before = set(descriptions(spark))
    spark.conf.set("spark.sparklr.localMB", "0")
    spark.conf.set("spark.sparklr.mapFiles", "false")
    try:
        model = LogisticRegressionEstimator().fit(two)
    finally:
        spark.conf.unset("spark.sparklr.localMB")
        spark.conf.unset("spark.sparklr.mapFiles")

    def found() -> set[str]:
        return {text for number, text in descriptions(spark).items() if number not in before}

    passes = [f"sparklr: pass {one + 1}, 1 column" for one in range(model.summary.passes)]
    wait_until(lambda: passes[-1] in found())  # Spark tells its pages a little later
    assert found() == {"sparklr: packing rows", *passes}


def test_local_mode_is_told_from_clusters() -> None:
    masters = ["local", "local[2]", "local[*]", "local[2, 3]"]
    others = ["local-cluster[2,1,1024]", "spark://here:7077", "yarn", "k8s://https://here"]
    for near, some in ((True, masters), (False, others)):
        for master in some:
            context = SimpleNamespace(master=master)
            assert is_local_mode(cast(Any, SimpleNamespace(sparkContext=context))) == near
