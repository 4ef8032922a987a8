"""What a client of Spark Connect has asked the server to keep, as only the client can tell."""

from __future__ import annotations

from typing import Any

_persisted: dict[int, Any] = {}
_executed = 0


def open_ledger() -> None:
    """Note from now on what is persisted, and count the plans that are to be executed."""
    from pyspark.sql.connect.client import SparkConnectClient
    from pyspark.sql.connect.dataframe import DataFrame

    persist, unpersist = DataFrame.persist, DataFrame.unpersist
    execute = SparkConnectClient._execute_plan_request_with_metadata

    def noted_persist(frame: Any, *args: Any) -> Any:
        _persisted[id(frame)] = frame
        return persist(frame, *args)

    def noted_unpersist(frame: Any, *args: Any) -> Any:
        _persisted.pop(id(frame), None)
        return unpersist(frame, *args)

    def counted_execute(client: Any, *args: Any, **kwargs: Any) -> Any:
        global _executed
        _executed += 1
        return execute(client, *args, **kwargs)

    DataFrame.persist, DataFrame.unpersist = noted_persist, noted_unpersist
    SparkConnectClient._execute_plan_request_with_metadata = counted_execute


def held() -> tuple[int, int]:
    """How many frames are persisted, as the two numbers that `kept` gives."""
    return len(_persisted), len(_persisted)


def plans_executed() -> int:
    """How many plans the server was told to execute: no job starts without one."""
    return _executed
