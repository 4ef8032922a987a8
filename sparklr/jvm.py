"""Everything that needs Spark's JVM or its driver's context. Nothing else may touch them.

Spark Connect has neither, so every function here answers None without them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.linalg import Matrix, Vector
from pyspark.sql import DataFrame, SparkSession

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
        java = self.copy_in(session)
        return None if java is None else SparkModel(java)

    def copy_in(self, session: SparkSession) -> Any:
        """The JVM's object of such a model, or None: for `transform_in_jvm`."""
        try:
            context: Any = session.sparkContext
            if self._made is None or self._made[0] is not context:
                self._made = context, self._make(context)
            return self._made[1].copy(context._jvm.org.apache.spark.ml.param.ParamMap.empty())
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


def transform_in_jvm(
    java: Any, dataset: DataFrame, columns: Sequence[str], thresholds: Sequence[float] | None
) -> DataFrame:
    """The frame with what a model makes of the first column in the other three: raw and on.

    The JVM's object is called, as pyspark's around it sends all its Params there and back first.
    """
    from pyspark.ml.common import _py2java

    classic = cast(Any, dataset)
    features, raw, probability, prediction = columns
    java.setFeaturesCol(features)
    java.setRawPredictionCol(raw)
    java.setProbabilityCol(probability)
    java.setPredictionCol(prediction)
    if thresholds is not None and len(thresholds) == 1:
        java.setThreshold(thresholds[0])
    elif thresholds is not None:
        java.set(java.thresholds().w(_py2java(classic._sc, list(thresholds))))
    return DataFrame(java.transform(classic._jdf), dataset.sparkSession)
