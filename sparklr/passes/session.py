"""A Spark session of our own, so that no setting of the user's session is ever touched.

Packing is fastest with small Arrow batches and passes need one block a batch, but
`spark.sql.execution.arrow.maxRecordsPerBatch` belongs to a session. Setting it in the user's
own, even for a moment, would be seen by their other threads. So the frame is moved: a temporary
view hands its plan to a new session with the same settings, and is dropped before any job runs.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from sparklr import remote
from sparklr.jvm import clone_session
from sparklr.remote import first_line, is_remote, release_session, warn_once

log = logging.getLogger("sparklr")

RECORDS_PER_BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
BYTES_PER_BATCH = "spark.sql.execution.arrow.maxBytesPerBatch"
UNBOUNDED = 2**31 - 1


class PrivateFrame:
    """A frame whose Arrow batch size is ours to set, where the platform lets us.

    `close` gives back what it takes.
    """

    def __init__(self, frame: DataFrame) -> None:
        connect = is_remote(frame.sparkSession)
        moved = _move_remote(frame) if connect else _move(frame)
        self.frame = frame if moved is None else moved
        self.own = moved is not None
        self._release = connect and self.own
        try:
            if self.own and self.frame.sparkSession.conf.isModifiable(BYTES_PER_BATCH):
                # Spark 4.1 and later measure the whole batch after every row where its bytes are
                # bounded, which doubles the time of packing.
                self.frame.sparkSession.conf.set(BYTES_PER_BATCH, str(UNBOUNDED))
        except Exception as refusal:
            self._refused(refusal)

    def batch(self, *, records: int) -> None:
        """Let the Arrow batches of jobs planned from now on hold at most `records` rows."""
        if not self.own:
            return
        try:
            self.frame.sparkSession.conf.set(RECORDS_PER_BATCH, str(records))
        except Exception as refusal:
            self._refused(refusal)

    def _refused(self, refusal: Exception) -> None:
        warn_once(f"the size of Arrow batches stays as it is: {first_line(refusal)}")
        self.own = False

    def close(self) -> None:
        """Let the server forget a session of Spark Connect; a classic one needs no farewell."""
        if self._release:
            self._release = False
            release_session(self.frame.sparkSession)


def _move(frame: DataFrame) -> DataFrame | None:
    """The same frame in a new session with equal settings; None where that is not possible."""
    user = frame.sparkSession
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
    except Exception as reason:
        # Shared clusters have no global views. What is lost is speed.
        log.info("fitting in the user's own session: %s", first_line(reason))
        return None


def _move_remote(frame: DataFrame) -> DataFrame | None:
    """As `_move`, on Spark Connect, where a name is looked up anew by each job.

    So the view must last, and one that all sessions see would outlive a client that dies. A view
    of the user's session does not: the new session has a copy, and takes it along when it goes.
    """
    user = frame.sparkSession
    name = f"sparklr_{uuid.uuid4().hex}"
    try:
        frame.createTempView(name)
        try:
            return _table_of_clone(user, name)
        finally:
            user.sql(f"DROP VIEW IF EXISTS {name}")
    except Exception as reason:
        # Spark 4.0 cannot clone, and platforms may not want to. What is lost is speed.
        log.info("fitting in the user's own session: %s", first_line(reason))
        return None


def _table_of_clone(user: SparkSession, name: str) -> DataFrame:
    own = remote.clone_session(user)
    try:
        table = own.table(name)
        # The server copies the views at the first look at one.
        table.schema  # noqa: B018
    except BaseException:
        release_session(own)
        raise
    return table


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
