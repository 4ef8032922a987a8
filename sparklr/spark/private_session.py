"""A Spark session of our own, so that no setting of the user's session is ever changed.

Packing is fastest with small Arrow batches, and passes need one block per batch, but
`spark.sql.execution.arrow.maxRecordsPerBatch` belongs to a session. A change in the user's
session, even for a moment, would affect the user's other threads. So the frame is moved: its plan
is passed to a new session with the same settings. Where Spark refuses that, a global temporary view
passes the plan, and is dropped before any job runs.

This is not done on Spark Connect, where Spark starts new Python processes for every session, on
each executor, and leaves them running when the session ends.
"""

from __future__ import annotations

import logging
import math
import re
import uuid
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from sparklr.spark.classic import clone_session, in_session
from sparklr.spark.connect import is_remote
from sparklr.spark.refusals import REFUSALS, first_line

log = logging.getLogger("sparklr")

RECORDS_PER_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
BYTES_PER_BATCH = "spark.sql.execution.arrow.maxBytesPerBatch"
UNBOUNDED = 2**31 - 1


class PrivateFrame:
    """A frame whose Arrow batch size we can set, if the platform allows it."""

    def __init__(self, frame: DataFrame) -> None:
        moved = _move(frame)
        self.frame = frame if moved is None else moved
        self._own = moved is not None
        if self._own and self.frame.sparkSession.conf.isModifiable(BYTES_PER_BATCH):
            # If the bytes of a batch are bounded, Spark 4.1 and later measure the whole batch after
            # every row, which doubles the time of packing.
            self.frame.sparkSession.conf.set(BYTES_PER_BATCH, str(UNBOUNDED))

    @property
    def own(self) -> bool:
        """Whether the frame has its own session."""
        return self._own

    def batch(self, *, records: int) -> None:
        """Limit the Arrow batches of jobs that are planned from now on to `records` rows."""
        if self._own:
            self.frame.sparkSession.conf.set(RECORDS_PER_BATCH, str(records))

    def batch_rows(self, row_bytes: int) -> float:
        """Return how many rows of this size an Arrow batch may hold by the user's settings."""
        conf = self.frame.sparkSession.conf
        try:
            rows = int(conf.get(RECORDS_PER_BATCH, None) or 10_000)
            most = _bytes(conf.get(BYTES_PER_BATCH, None) or "-1")  # not before Spark 4.1
        except (*REFUSALS, ValueError) as refusal:  # serverless allows reading only a few settings
            log.info("the size of Arrow batches is not known: %s", first_line(refusal))
            return math.inf
        by_rows, by_bytes = (limit if limit > 0 else math.inf for limit in (rows, most))
        return min(by_rows, by_bytes / row_bytes)


def _bytes(text: str) -> float:
    """Return the bytes of a size as in Spark's settings: 4000, 64mb, 67108864b."""
    found = re.fullmatch(r"(-?\d+)\s*([kmgt]?)i?b?", text.strip().lower())
    if found is None:
        raise ValueError(f"'{text}' is not a size in bytes")
    return float(int(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def _move(frame: DataFrame) -> DataFrame | None:
    """Return the same frame in a new session with equal settings; None if that is impossible."""
    user = frame.sparkSession
    if is_remote(user):
        return None
    name = f"sparklr_{uuid.uuid4().hex}"
    try:
        own = clone_session(user) or _copy_session(user)
        moved = in_session(frame, own)
        if moved is not None:
            return moved
        database = user.conf.get("spark.sql.globalTempDatabase", "global_temp")
        frame.createGlobalTempView(name)
        try:
            return own.table(f"{database}.{name}")
        finally:
            # The catalog's dropGlobalTempView would also uncache the user's frame.
            user.sql(f"DROP VIEW IF EXISTS {database}.{name}")
    except REFUSALS as reason:
        # Shared clusters have no global views. The fit is only slower.
        log.info("fitting in the user's session: %s", first_line(reason))
        return None


def _copy_session(user: SparkSession) -> SparkSession:
    """Return a new session with the user's changed settings; takes a few calls per setting."""
    own = user.newSession()
    theirs, ours = _settings(user), _settings(own)
    for key, value in theirs.items():
        if ours.get(key) != value and own.conf.isModifiable(key):
            own.conf.set(key, value)
    return own


def _settings(session: SparkSession) -> dict[str, str]:
    conf: Any = session.conf
    if hasattr(type(conf), "getAll"):  # Spark 4.0
        return dict(conf.getAll)
    return {row["key"]: row["value"] for row in session.sql("SET").collect()}
