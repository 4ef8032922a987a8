"""What a client of Spark Connect has asked the server to keep, as only the client can tell."""

from __future__ import annotations

from typing import Any

_persisted: dict[int, Any] = {}


def open_ledger() -> None:
    """Note from now on what is persisted."""
    from pyspark.sql.connect.dataframe import DataFrame

    persist, unpersist = DataFrame.persist, DataFrame.unpersist

    def noted_persist(frame: Any, *args: Any) -> Any:
        _persisted[id(frame)] = frame
        return persist(frame, *args)

    def noted_unpersist(frame: Any, *args: Any) -> Any:
        _persisted.pop(id(frame), None)
        return unpersist(frame, *args)

    DataFrame.persist, DataFrame.unpersist = noted_persist, noted_unpersist


def held() -> tuple[int, int]:
    """How many frames are persisted, as the two numbers that `kept` gives."""
    return len(_persisted), len(_persisted)
