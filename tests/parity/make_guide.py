"""Run the programs of guide.py with Spark's own classes and write guide.json.

From the root of the repository, with Spark 4.3 (a minute)::

    python -m tests.parity.make_guide
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.parity.guide import PROGRAMS, SPARKS, THE_REST, run, to_the_end, value_of
from tests.parity.make_spark import NO_NATIVE_BLAS

FILE = Path(__file__).parent / "guide.json"


def read_guide() -> dict[str, Any]:
    """What Spark printed."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def ask_spark(spark: Any, folder: str) -> dict[str, Any]:
    """What Spark prints when run to the end, its objective in ten iterations, and the rest."""
    ten = {name: run(spark, text, SPARKS) for name, text in PROGRAMS.items()}
    return {
        "end": {name: run(spark, to_the_end(text), SPARKS).text for name, text in PROGRAMS.items()},
        "ten": {name: value_of(ran) for name, ran in ten.items()},
        "rest": run(spark, THE_REST, SPARKS, folder=folder).text,
    }


def main() -> None:
    """Run and write all."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.extraJavaOptions", NO_NATIVE_BLAS)
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    with tempfile.TemporaryDirectory() as folder:
        told = {"spark": spark.version, **ask_spark(spark, folder)}
    FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    spark.stop()


if __name__ == "__main__":
    main()
