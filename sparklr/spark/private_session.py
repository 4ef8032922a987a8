"""A Spark session of our own, so that no setting of the user's session is ever touched.

Packing is fastest with small Arrow batches and passes need one block a batch, but
`spark.sql.execution.arrow.maxRecordsPerBatch` belongs to a session. Setting it in the user's
own, even for a moment, would be seen by their other threads. So the frame is moved: a global
temporary view hands its plan to a new session with the same settings, and is dropped before
any job runs.

Not on Spark Connect, where Spark starts Python anew for every session, on each executor, and
leaves it running when the session ends.
"""

from __future__ import annotations

import logging
import math
import re
import uuid
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from sparklr.spark.classic import clone_session
from sparklr.spark.connect import is_remote
from sparklr.spark.refusals import REFUSALS, first_line

log = logging.getLogger("sparklr")

RECORDS_PER_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
BYTES_PER_BATCH = "spark.sql.execution.arrow.maxBytesPerBatch"
UNBOUNDED = 2**31 - 1


class PrivateFrame:
    """A frame whose Arrow batch size is ours to set, where the platform lets us."""

    def __init__(self, frame: DataFrame) -> None:
        moved = _move(frame)
        self.frame = frame if moved is None else moved
        self._own = moved is not None
        if self._own and self.frame.sparkSession.conf.isModifiable(BYTES_PER_BATCH):
            # Spark 4.1 and later measure the whole batch after every row where its bytes are
            # bounded, which doubles the time of packing.
            self.frame.sparkSession.conf.set(BYTES_PER_BATCH, str(UNBOUNDED))

    @property
    def own(self) -> bool:
        """Whether it has a session of its own."""
        return self._own

    def batch(self, *, records: int) -> None:
        """Let the Arrow batches of jobs planned from now on hold at most `records` rows."""
        if self._own:
            self.frame.sparkSession.conf.set(RECORDS_PER_BATCH, str(records))

    def batch_rows(self, row_bytes: int) -> float:
        """How many rows of this size an Arrow batch may hold, where the size is not ours to set."""
        conf = self.frame.sparkSession.conf
        try:
            rows = int(conf.get(RECORDS_PER_BATCH, None) or 10_000)
            most = _bytes(conf.get(BYTES_PER_BATCH, None) or "-1")  # not before Spark 4.1
        except (*REFUSALS, ValueError) as refusal:  # serverless has few settings to be read
            log.info("the size of Arrow batches is not known: %s", first_line(refusal))
            return math.inf
        by_rows, by_bytes = (limit if limit > 0 else math.inf for limit in (rows, most))
        return min(by_rows, by_bytes / row_bytes)


def _bytes(text: str) -> float:
    """A size as Spark's settings write it: 4000, 64mb, 67108864b."""
    found = re.fullmatch(r"(-?\d+)\s*([kmgt]?)i?b?", text.strip().lower())
    if found is None:
        raise ValueError(f"'{text}' is no size")
    return float(int(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def _move(frame: DataFrame) -> DataFrame | None:
    """The same frame in a new session with equal settings; None where that is not possible."""
    user = frame.sparkSession
    if is_remote(user):
        return None
    name = f"sparklr_{uuid.uuid4().hex}"
    try:
        own = clone_session(user) or _copy_session(user)
        database = user.conf.get("spark.sql.globalTempDatabase", "global_temp")
        frame.createGlobalTempView(name)
        try:
            return own.table(f"{database}.{name}")
        finally:
            # The catalog's own dropGlobalTempView would also uncache the user's frame.
            user.sql(f"DROP VIEW IF EXISTS {database}.{name}")
    except REFUSALS as reason:
        # Shared clusters have no global views. What is lost is speed.
        log.info("fitting in the user's own session: %s", first_line(reason))
        return None


def _copy_session(user: SparkSession) -> SparkSession:
    """A new session with every setting that was changed in the user's: some calls a setting."""
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
