"""What a test or a module of tests must not leave behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparklr.spark.connect import is_remote
from tests.frames import kept

# CrossValidator leaves the threads of its pool to the garbage collector.
OF_A_POOL = ("(worker)", "(_handle_workers)", "(_handle_tasks)", "(_handle_results)")


@contextmanager
def no_frame_or_thread(spark: Any) -> Iterator[None]:
    """Fail if a persisted frame or a thread is left: a look that costs nothing."""
    held_before, threads = kept(spark), set(threading.enumerate())
    yield
    # What an earlier test's library had persisted may be forgotten meanwhile.
    assert all(now <= then for now, then in zip(kept(spark), held_before, strict=True))
    # A thread that an earlier test's library had started may well end meanwhile.
    left = [t.name for t in set(threading.enumerate()) - threads if not _calls_back(t)]
    if is_remote(spark):  # gRPC and Spark's client start and end many as they like
        left = [name for name in left if name.startswith("sparklr")]
    assert [name for name in left if not name.endswith(OF_A_POOL)] == []


def _calls_back(thread: threading.Thread) -> bool:
    """Whether a thread is py4j's, which Spark starts once for `foreachBatch` and never ends."""
    owner = getattr(getattr(thread, "_target", None), "__self__", thread)
    return type(owner).__module__.startswith("py4j")


@contextmanager
def no_setting_or_view(spark: Any) -> Iterator[None]:
    """Fail if a setting is changed or a view is left: a look that takes Spark two queries."""
    before = _settings_and_views(spark)
    yield
    assert _settings_and_views(spark) == before


def _settings_and_views(spark: Any) -> tuple[dict[str, str], list[str]]:
    settings = {row["key"]: row["value"] for row in spark.sql("SET").collect()}
    where = None if is_remote(spark) else "global_temp"
    views = [table.name for table in spark.catalog.listTables(where) if table.isTemporary]
    return settings, views
