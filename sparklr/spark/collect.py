"""Rows of a frame as arrays on the driver, and back, through Arrow if Spark supports it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, StructField, StructType

from sparklr.arrays import Array


def collect_arrow(frame: DataFrame) -> pa.Table:
    """Return the frame's rows as one Arrow table on the driver."""
    if hasattr(frame, "toArrow"):  # Spark 4.0
        return frame.toArrow()
    columns = frame.columns
    rows = frame.collect()
    return pa.table({name: [row[name] for row in rows] for name in columns})


def collect(frame: DataFrame) -> list[Array]:
    """Return the columns of a frame of numbers, on the driver."""
    if hasattr(frame, "toArrow"):  # Spark 4.0
        return [column.to_numpy() for column in frame.toArrow().columns]
    pandas: Any = frame.toPandas()
    return [pandas[name].to_numpy() for name in frame.columns]


def as_frame(like: DataFrame, columns: dict[str, Array]) -> DataFrame:
    """Return a frame of these columns, in the session of the frame `like`."""
    schema = StructType([StructField(name, DoubleType(), False) for name in columns])
    rows: Any = pd.DataFrame(columns)
    if hasattr(like, "toArrow"):  # Spark 4.0
        rows = pa.table(columns)
    return like.sparkSession.createDataFrame(rows, schema)
