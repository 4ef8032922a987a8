"""The settings of the Spark session that are ours, in megabytes; see docs/design.md."""

from __future__ import annotations

from pyspark.sql import SparkSession

from sparklr.arrays import MEGABYTE
from sparklr.spark.refusals import REFUSALS, first_line, warn_once

LOCAL_MB = "spark.sparklr.localMB"
ROUND_MB = "spark.sparklr.roundMB"


def local_bytes(session: SparkSession, default: int) -> int:
    """All blocks together up to this size come to the driver."""
    return _bytes(session, LOCAL_MB, default)


def round_bytes(session: SparkSession) -> int:
    """What the sums of a pass may take in a worker."""
    return _bytes(session, ROUND_MB, 256 * MEGABYTE)


def _bytes(session: SparkSession, setting: str, default: int) -> int:
    """A setting of the session in bytes."""
    try:
        text = session.conf.get(setting, None)
    except REFUSALS as refusal:  # serverless has few settings to be read
        warn_once(f"the default of {setting} is taken: {first_line(refusal)}")
        return default
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{setting}={text} is not allowed: it must be a number of megabytes.")
    return int(value * MEGABYTE)
