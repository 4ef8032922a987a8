"""Everything that needs Spark's JVM or its driver's context. Nothing else may touch them.

Spark Connect has neither, so every function here answers None, or refuses, without them.
"""

from __future__ import annotations

from pyspark.sql import SparkSession


def task_slots(session: SparkSession) -> int | None:
    """How many tasks can run at once; None if unknown or changing.

    With dynamic allocation the number grows with the work waiting, so it must not bound it.
    """
    try:
        context = session.sparkContext
        if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
            return None
        return int(context.defaultParallelism)
    except Exception:
        # Connect and shared clusters refuse with errors of their own: the answer is "unknown".
        return None
