"""Everything that needs Spark's JVM or its driver's context. Nothing else may touch them.

Spark Connect has neither, so every function here does without them, or answers None.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.linalg import Matrix, Vector
from pyspark.sql import DataFrame, SparkSession

from sparklr.spark.connect import is_remote, parallelism
from sparklr.spark.refusals import REFUSALS, first_line
from sparklr.spark.types import JavaObject

log = logging.getLogger("sparklr")

T = TypeVar("T")

DESCRIPTION = "spark.job.description"
# Seconds between two tries to stop jobs: what was only being planned at one may run at the next.
STOP_AGAIN = 0.2
# The Params that name what Spark's own model adds to a frame.
MADE_BY_SPARK = ("rawPredictionCol", "probabilityCol", "predictionCol")


def task_slots(session: SparkSession) -> int | None:
    """How many tasks can run at once; None if unknown or changing.

    With dynamic allocation the number grows with the work waiting, so it must not bound it.
    """
    try:
        if session.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
            return None
        if is_remote(session):
            return parallelism(session)
        return int(session.sparkContext.defaultParallelism)
    except REFUSALS:
        # Connect and shared clusters refuse with errors of their own: the answer is "unknown".
        return None


def clone_session(session: SparkSession) -> SparkSession | None:
    """A session with equal settings of its own, in one call; None where there is no JVM.

    `newSession` starts from the defaults, and to copy the settings takes hundreds of calls.
    """
    try:
        classic: JavaObject = session
        return SparkSession(classic.sparkContext, classic._jsparkSession.cloneSession())
    except REFUSALS as refusal:
        # As above; and the method is not part of Spark's public interface, so it may go.
        log.info("the session cannot be cloned: %s", first_line(refusal))
        return None


def for_readers(session: SparkSession) -> Any:
    """What pyspark's readers of saved stages take: the session, in Spark 3.5 its context."""
    return session.sparkContext if session.version.startswith("3.") else session


def run_job(session: SparkSession, description: str, action: Callable[[], T]) -> T:
    """What `action` gives. Its Spark jobs bear the description, and stop with this call.

    The action runs in a thread of its own, for two reasons. Where an interrupt breaks into
    pyspark itself while rows come in, pyspark first waits for the job to end. And the description
    is then set on that thread alone, so that the caller's needs no putting back.
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
            if not outcome.done():  # thus this thread was interrupted
                _stop_jobs(session, tag)
            thread.join(STOP_AGAIN)


def _label(session: SparkSession, description: str, tag: str) -> Callable[[], None] | None:
    """What gives a new thread this one's properties, a description and a tag; None: not here."""
    classic: JavaObject = session
    try:
        context = classic.sparkContext
    except REFUSALS:  # Connect, which has tags but no descriptions
        return _label_remote(classic, tag)
    try:
        from py4j.clientserver import ClientServer

        if not isinstance(context._gateway, ClientServer):
            return None  # threads share those of the JVM, and with them the properties
        properties = context._jsc.sc().getLocalProperties().clone()
        properties.setProperty(DESCRIPTION, description)
    except REFUSALS as refusal:
        log.info("jobs without a description: %s", first_line(refusal))
        return None

    def label() -> None:
        context._jsc.sc().setLocalProperties(properties)
        context.addJobTag(tag)

    return label


def _label_remote(session: SparkSession, tag: str) -> Callable[[], None] | None:
    try:
        tags = {*session.getTags(), tag}
    except REFUSALS as refusal:
        log.info("jobs without a tag: %s", first_line(refusal))
        return None

    def label() -> None:
        for one in tags:
            session.addTag(one)

    return label


def _do_without(label: Callable[[], None]) -> None:
    """Call it; a platform that refuses has jobs without a description."""
    try:
        label()
    except REFUSALS as refusal:
        log.info("jobs without a description: %s", first_line(refusal))


def _stop_jobs(session: SparkSession, tag: str) -> None:
    """Stop the running jobs that bear the tag, and no others."""
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
    """A model of Spark's JVM with the same numbers; made at the first call, then copied."""

    def __init__(
        self, uid: str, coefficients: Matrix, intercepts: Vector, classes: int, multinomial: bool
    ) -> None:
        self._numbers = uid, coefficients, intercepts, classes, multinomial
        self._made: tuple[JavaObject, JavaObject] | None = (
            None  # the context, and the model in its JVM
        )

    def spark_model(self, session: SparkSession) -> SparkModel | None:
        """A model of Spark's own with default Params; None where there is no JVM to be had."""
        java = self.copy_in(session)
        return None if java is None else SparkModel(java)

    def copy_in(self, session: SparkSession) -> JavaObject:
        """The JVM's object of such a model, or None: for `transform_in_jvm`."""
        try:
            context: JavaObject = session.sparkContext
            if self._made is None or self._made[0] is not context:
                self._made = context, self._make(context)
            return self._made[1].copy(context._jvm.org.apache.spark.ml.param.ParamMap.empty())
        except REFUSALS as refusal:
            # As above: Connect has no context, and shared clusters allow no JVM classes.
            log.info("no JVM to score in: %s", first_line(refusal))
            return None

    def _make(self, context: JavaObject) -> Any:
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
    """The frame with what a model adds to it, its columns named by Param: `MADE_BY_SPARK`.

    The JVM's object is called, as pyspark's around it sends all its Params there and back first.
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
