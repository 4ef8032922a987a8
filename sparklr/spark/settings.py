"""Our settings of the Spark session; see docs/design.md."""

from __future__ import annotations

from pyspark.sql import SparkSession

from sparklr.arrays import MEGABYTE
from sparklr.spark.refusals import REFUSALS, first_line, warn_once

LOCAL_MB = "spark.sparklr.localMB"
ROUND_MB = "spark.sparklr.roundMB"
MAP_FILES = "spark.sparklr.mapFiles"


def local_bytes(session: SparkSession, default: int) -> int:
    """Return the largest total size of blocks that come to the driver."""
    return _bytes(session, LOCAL_MB, default)


def round_bytes(session: SparkSession) -> int:
    """Return the largest size of the sums of a pass in one worker."""
    return _bytes(session, ROUND_MB, 256 * MEGABYTE)


def may_map_files(session: SparkSession) -> bool:
    """Whether the driver sums block files by itself if it can read them all."""
    text = (_text(session, MAP_FILES) or "true").lower()
    if text not in ("true", "false"):
        raise ValueError(f"{MAP_FILES}={text} is not allowed: it must be true or false.")
    return text == "true"


def _text(session: SparkSession, setting: str) -> str | None:
    """Return a setting of the session, or None if it is not set or cannot be read."""
    try:
        return session.conf.get(setting, None)
    except REFUSALS as refusal:  # serverless allows reading only a few settings
        warn_once(f"the default of {setting} is used: {first_line(refusal)}")
        return None


def _bytes(session: SparkSession, setting: str, default: int) -> int:
    """Return a setting of the session in bytes."""
    text = _text(session, setting)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(
            f"{setting}={text} is not allowed: it must be a finite number of megabytes, 0 or more."
        )
    return int(value * MEGABYTE)
