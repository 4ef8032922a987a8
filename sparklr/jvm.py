"""Everything that needs Spark's JVM or its driver's context. Nothing else may touch them.

Spark Connect has neither, so every function here answers None without them.
"""

from __future__ import annotations

import logging
from typing import Any

from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.linalg import Matrix, Vector
from pyspark.sql import SparkSession

log = logging.getLogger("sparklr")


def task_slots(session: SparkSession) -> int | None:
    """How many tasks can run at once; None if unknown or changing.

    With dynamic allocation the number grows with the work waiting, so it must not bound it.
    """
    try:
        if session.conf.get("spark.dynamicAllocation.enabled", "false") == "true":
            return None
        return int(session.sparkContext.defaultParallelism)
    except Exception:
        # Connect and shared clusters refuse with errors of their own: the answer is "unknown".
        return None


def clone_session(session: SparkSession) -> SparkSession | None:
    """A session with equal settings of its own, in one call; None where there is no JVM.

    `newSession` starts from the defaults, and to copy the settings takes hundreds of calls.
    """
    try:
        classic: Any = session
        return SparkSession(classic.sparkContext, classic._jsparkSession.cloneSession())
    except Exception as refusal:
        # As above; and the method is not part of Spark's public interface, so it may go.
        log.info("the session cannot be cloned: %s", str(refusal).split("\n", 1)[0])
        return None


class Twin:
    """A model of Spark's JVM with the same numbers; made at the first call, then copied."""

    def __init__(
        self, uid: str, coefficients: Matrix, intercepts: Vector, classes: int, multinomial: bool
    ) -> None:
        self._numbers = uid, coefficients, intercepts, classes, multinomial
        self._made: tuple[Any, Any] | None = None  # the context, and the model in its JVM

    def spark_model(self, session: SparkSession) -> SparkModel | None:
        """A model of Spark's own with default Params; None where there is no JVM to be had."""
        try:
            context: Any = session.sparkContext
            if self._made is None or self._made[0] is not context:
                self._made = context, self._make(context)
            java = self._made[1].copy(context._jvm.org.apache.spark.ml.param.ParamMap.empty())
            return SparkModel(java)
        except Exception as refusal:
            # As above: Connect has no context, and shared clusters allow no JVM classes.
            log.info("no JVM to score in: %s", str(refusal).split("\n", 1)[0])
            return None

    def _make(self, context: Any) -> Any:
        from pyspark.ml.common import _py2java

        uid, coefficients, intercepts, classes, multinomial = self._numbers
        return context._jvm.org.apache.spark.ml.classification.LogisticRegressionModel(
            uid,
            _py2java(context, coefficients),
            _py2java(context, intercepts),
            classes,
            multinomial,
        )
