"""Ask Spark's evaluators the questions of held_out.py and write evaluators.json.

From the root of the repository, with Spark 4.3 (a minute)::

    python -m tests.parity.make_evaluators
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parity.held_out import QUESTIONS, Question, frame_of, made_case

FILE = Path(__file__).parent / "evaluators.json"


def read_metrics() -> dict[str, Any]:
    """Spark's metrics by question, and the digests of the cases."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@contextmanager
def one_piece(spark: Any) -> Iterator[None]:
    """Spark's evaluators sort in one piece meanwhile."""
    settings = spark.sparkContext._jsc.sc().conf()
    before = settings.get("spark.default.parallelism")
    settings.set("spark.default.parallelism", "1")
    try:
        yield
    finally:
        settings.set("spark.default.parallelism", before)


def ask_spark(spark: Any, question: Question, frame: Any) -> float:
    """What Spark's evaluator says."""
    if not question.one_piece:
        return float(question.evaluator().evaluate(frame))
    with one_piece(spark):
        return float(question.evaluator().evaluate(frame))


def main() -> None:
    """Ask and write all."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.default.parallelism", "2")
        .config("spark.sql.codegen.wholeStage", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    names = dict.fromkeys(question.case for question in QUESTIONS)
    frames = {name: frame_of(spark, made_case(name)) for name in names}
    told = {
        "spark": spark.version,
        "digests": {name: made_case(name).digest for name in names},
        "metrics": {str(one): ask_spark(spark, one, frames[one.case]) for one in QUESTIONS},
    }
    FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    spark.stop()


if __name__ == "__main__":
    main()
