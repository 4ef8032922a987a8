"""The folders of numbers beside a saved model's metadata."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import SparkSession

from sparklr.spark.collect import collect_arrow
from sparklr.spark.refusals import REFUSALS, first_line


def read_folder(where: str, schema: str, session: SparkSession) -> pa.Table:
    """Return the rows of a folder, in any order."""
    try:
        return collect_arrow(session.read.schema(schema).parquet(where))
    except REFUSALS as reason:
        raise ValueError(
            f"'{where}' cannot be read: {first_line(reason).rstrip('.')}. If it is accessible and "
            "you have permission to read it, it is damaged: save the model again."
        ) from None
