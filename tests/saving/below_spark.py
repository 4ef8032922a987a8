"""What the readers make of a saved model, without Spark: they are handed what its files hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import Row

SAVED = Path(__file__).parents[1] / "saved" / "format-1"
WHERE = "/models/{a}"  # braces, which a careless message would stumble over

ORDER = ("numClasses", "numFeatures", "interceptVector", "coefficientMatrix", "isMultinomial")


class Nowhere:
    """A session that no test reads with."""


def saved_metadata(name: str) -> dict[str, Any]:
    """The metadata of what format 1 saved under this name."""
    (text,) = (SAVED / name / "metadata").glob("part-*")
    found: dict[str, Any] = json.loads(text.read_text())
    return found


def saved_row(name: str) -> dict[str, Any]:
    """The one row of a saved model, as plain Python."""
    (file,) = (SAVED / name / "data").glob("part-*")
    (row,) = pq.read_table(file).to_pylist()
    return row


def load(cls: Any, metadata: str, rows: list[dict[str, Any]] | None = None) -> Any:
    """What the class's reader makes of a metadata file of this text, and of these rows."""

    def read(_: Any, path: str) -> list[Any]:
        if path.endswith("metadata"):
            return [Row(value=metadata)]
        return [Row(*(_struct(row[name]) for name in ORDER)) for row in rows or []]

    reader = cls.read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparklr.saving.files.read_rows", read)
        patch.setattr("sparklr.saving.model_files.read_rows", read)
        patch.setattr(type(reader), "sparkSession", Nowhere())
        return reader.load(WHERE)


def _struct(value: Any) -> Any:
    return Row(*value.values()) if isinstance(value, dict) else value
