"""The code that needs Spark's JVM or the driver's SparkContext.

Only `array_bytes` may use them too. Spark Connect has neither, so every function here also works
without them, or returns None.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar, cast

import pyspark
from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.linalg import Matrix, Vector
from pyspark.sql import DataFrame, SparkSession

from sparklr.spark.connect import is_remote, parallelism
from sparklr.spark.refusals import REFUSALS, first_line
from sparklr.spark.types import JavaObject

log = logging.getLogger("sparklr")

T = TypeVar("T")

SPARK_3 = pyspark.__version__.startswith("3.")
_DATASET = "org.apache.spark.sql." + ("Dataset" if SPARK_3 else "classic.Dataset")
DESCRIPTION = "spark.job.description"
# Seconds between two attempts to stop jobs: a job that is being planned can be stopped only later.
STOP_AGAIN = 0.2
# The Params of the output columns that Spark's own model adds to a frame.
MADE_BY_SPARK = ("rawPredictionCol", "probabilityCol", "predictionCol")


def task_slots(session: SparkSession) -> int | None:
    """Return how many tasks can run at once; None if the number is unknown or changes.

    With dynamic allocation the number grows with the waiting tasks, so it must not limit them.
    """
    try:
        if session.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
            return None
        if is_remote(session):
            return parallelism(session)
        return int(session.sparkContext.defaultParallelism)
    except REFUSALS:
        # Connect and shared clusters raise their own errors: the number is unknown.
        return None


def is_local_mode(session: SparkSession) -> bool:
    """Whether Spark's tasks run in this machine's one JVM, so that their files are at hand."""
    try:
        if is_remote(session):
            return False
        return re.fullmatch(r"local(\[.*\])?", session.sparkContext.master or "") is not None
    except REFUSALS:
        return False


def clone_session(session: SparkSession) -> SparkSession | None:
    """Return a new session with the settings of this session, or None without a JVM.

    This takes one call. `newSession` starts with the defaults, and copying the settings takes
    hundreds of calls.
    """
    try:
        classic: JavaObject = session
        return SparkSession(classic.sparkContext, classic._jsparkSession.cloneSession())
    except REFUSALS as refusal:
        # As above. The method is also not part of Spark's public interface, and may be removed.
        log.info("the session cannot be cloned: %s", first_line(refusal))
        return None


def in_session(frame: DataFrame, session: SparkSession) -> DataFrame | None:
    """Return the same frame in another session, or None without a JVM.

    A global temporary view passes a frame on too, by three commands of Spark's in place of a call.
    """
    try:
        classic: JavaObject = session
        plan, jvm = cast(JavaObject, frame)._jdf.queryExecution().analyzed(), classic._jvm
        sql = jvm.org.apache.spark.sql
        jvm.java.lang.Class.forName(_DATASET)  # as in `array_bytes`
        package = sql if SPARK_3 else sql.classic
        return DataFrame(package.Dataset.ofRows(classic._jsparkSession, plan), session)
    except REFUSALS as refusal:
        # As above, and as above this is not part of Spark's public interface.
        log.info("the frame cannot be passed on: %s", first_line(refusal))
        return None


@dataclass(frozen=True)
class HeldRows:
    """Rows that Spark holds, of which a frame selects some or all."""

    partitions: int
    rows: int
    size: int  # in bytes
    whole: bool  # whether they are the frame itself


def held_rows(frame: DataFrame) -> HeldRows | None:
    """Return the cached rows that a frame selects from; None if that is not all that it does.

    Spark is asked for nothing that would run a job.
    """
    try:
        # Under an alias: a frame's own plan may be from before it was cached.
        alias = cast(JavaObject, frame.alias("held"))
        plan, nodes = alias._jdf.queryExecution().withCachedData(), set()
        while (node := plan.nodeName()) in ("Project", "Filter", "SubqueryAlias"):
            plan = plan.children().head()
            nodes.add(node)
        if node != "InMemoryRelation":
            return None
        builder = plan.cacheBuilder()
        if not builder.isCachedColumnBuffersLoaded():
            return None
        partitions = builder.cachedColumnBuffers().getNumPartitions()
        counted = plan.computeStats()
        rows, size = counted.rowCount().get(), counted.sizeInBytes()
        return HeldRows(int(partitions), int(rows), int(size), nodes <= {"SubqueryAlias"})
    except REFUSALS as refusal:
        # As above, and as above this is not part of Spark's public interface.
        log.info("it is not known whether the frame is cached: %s", first_line(refusal))
        return None


def for_readers(session: SparkSession) -> JavaObject:
    """Return the argument of pyspark's stage readers: the session, or the context in Spark 3.5."""
    return session.sparkContext if session.version.startswith("3.") else session


def run_job(session: SparkSession, description: str, action: Callable[[], T]) -> T:
    """Return the result of `action`. Its Spark jobs have the description, and stop with this call.

    The action runs in its own thread for two reasons. If an interrupt reaches pyspark itself while
    rows arrive, pyspark first waits for the end of the job. And the description is then set on that
    thread only, so that the caller's description need not be restored.
    """
    tag = f"sparklr-{uuid.uuid4().hex}"
    label = _label(session, description, tag)
    if label is None:
        return action()
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            _do_without(label)
            outcome.set_result(action())
        except BaseException as reason:
            outcome.set_exception(reason)

    thread = threading.Thread(target=run, name="sparklr-job", daemon=True)
    try:
        thread.start()
        return outcome.result()
    finally:
        while thread.is_alive():
            if not outcome.done():  # so this thread was interrupted
                _stop_jobs(session, tag)
            thread.join(STOP_AGAIN)


def _label(session: SparkSession, description: str, tag: str) -> Callable[[], None] | None:
    """Return a function that gives a new thread this thread's properties, description and tag.

    None if this session does not support that.
    """
    classic: JavaObject = session
    try:
        context = classic.sparkContext
    except REFUSALS:  # Connect, which has tags but no descriptions
        return _label_remote(classic, tag)
    try:
        from py4j.clientserver import ClientServer

        if not isinstance(context._gateway, ClientServer):
            return None  # Python threads do not have JVM threads and properties of their own
        properties = context._jsc.sc().getLocalProperties().clone()
        properties.setProperty(DESCRIPTION, description)
    except REFUSALS as refusal:
        log.info("jobs have no description: %s", first_line(refusal))
        return None

    def label() -> None:
        context._jsc.sc().setLocalProperties(properties)
        context.addJobTag(tag)

    return label


def _label_remote(session: SparkSession, tag: str) -> Callable[[], None] | None:
    try:
        tags = {*session.getTags(), tag}
    except REFUSALS as refusal:
        log.info("jobs have no tag: %s", first_line(refusal))
        return None

    def label() -> None:
        for one in tags:
            session.addTag(one)

    return label


def _do_without(label: Callable[[], None]) -> None:
    """Set the description and the tag of jobs if the platform allows it."""
    try:
        label()
    except REFUSALS as refusal:
        log.info("jobs have no description: %s", first_line(refusal))


def _stop_jobs(session: SparkSession, tag: str) -> None:
    """Stop the running jobs that have the tag, and no other jobs."""
    classic: JavaObject = session
    try:
        context = classic.sparkContext
    except REFUSALS:
        context = None
    try:
        if context is None:
            classic.interruptTag(tag)
        else:
            context.cancelJobsWithTag(tag)
    except REFUSALS as refusal:
        log.warning("jobs could not be stopped: %s", first_line(refusal))


class SparkModelCache:
    """A model in Spark's JVM with the same numbers; made at the first call, then copied."""

    def __init__(
        self, uid: str, coefficients: Matrix, intercepts: Vector, classes: int, multinomial: bool
    ) -> None:
        self._numbers = uid, coefficients, intercepts, classes, multinomial
        # The SparkContext, and the model in its JVM.
        self._made: tuple[JavaObject, JavaObject] | None = None

    def spark_model(self, session: SparkSession) -> SparkModel | None:
        """Return a model of Spark's own class with default Params, or None without a JVM."""
        java = self.copy_in(session)
        return None if java is None else SparkModel(java)

    def copy_in(self, session: SparkSession) -> JavaObject:
        """Return a new copy of the JVM's model, for `transform_in_jvm`, or None without a JVM."""
        try:
            context: JavaObject = session.sparkContext
            if self._made is None or self._made[0] is not context:
                self._made = context, self._make(context)
            return self._made[1].copy(context._jvm.org.apache.spark.ml.param.ParamMap.empty())
        except REFUSALS as refusal:
            # As above: Connect has no context, and shared clusters do not allow JVM classes.
            log.info("scoring without a JVM: %s", first_line(refusal))
            return None

    def _make(self, context: JavaObject) -> JavaObject:
        from pyspark.ml.common import _py2java

        uid, coefficients, intercepts, classes, multinomial = self._numbers
        return context._jvm.org.apache.spark.ml.classification.LogisticRegressionModel(
            uid,
            _py2java(context, coefficients),
            _py2java(context, intercepts),
            classes,
            multinomial,
        )


def transform_in_jvm(
    java: JavaObject,
    dataset: DataFrame,
    columns: Mapping[str, str],
    *,
    threshold: float | None,
    thresholds: Sequence[float] | None,
) -> DataFrame:
    """Return the frame with the model's output columns; `columns` maps Params to names.

    The Params are those in `MADE_BY_SPARK`. The JVM's object is called directly, because pyspark's
    wrapper would first send all Params there and back.
    """
    from pyspark.ml.common import _py2java

    classic = cast(JavaObject, dataset)
    for param, name in columns.items():
        getattr(java, f"set{param[0].upper()}{param[1:]}")(name)
    if threshold is not None:
        java.setThreshold(threshold)
    if thresholds is not None:
        java.set(java.thresholds().w(_py2java(classic._sc, list(thresholds))))
    return DataFrame(java.transform(classic._jdf), dataset.sparkSession)
