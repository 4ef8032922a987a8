"""Vectors read from Parquet files, as batches of columns, which Spark 4.3 does for speed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose
from pyspark.ml.linalg import Vectors

from tests.made_models import fitted_model, without_jvm
from tests.tiers import first_and_deep

pytestmark = [pytest.mark.connect, pytest.mark.connect_slice]
CODEGEN = "spark.sql.codegen.wholeStage"


@pytest.fixture
def stored(spark: Any, tmp_path: Path) -> Iterator[Any]:
    """A frame of vectors and numbers that lie in a file, in a session as users have it."""
    rows = [
        (float(i), 2.0, Vectors.dense(i, 2.0) if i % 2 else Vectors.sparse(2, {0: i, 1: 2.0}))
        for i in range(1, 9)
    ]
    spark.createDataFrame(rows, ["x", "y", "features"]).write.parquet(f"{tmp_path}/rows")
    before = spark.conf.get(CODEGEN)
    spark.conf.set(
        CODEGEN, "true"
    )  # the tests' session does without, which also avoids the batches
    yield spark.read.parquet(f"{tmp_path}/rows")
    spark.conf.set(CODEGEN, before)


VECTOR: dict[str, Any] = {"featuresCol": "features"}
COLUMNS: dict[str, Any] = {"featuresCols": ["x", "y"]}


@pytest.mark.parametrize(
    ("jvm", "inputs"),
    first_and_deep([(False, VECTOR), (True, COLUMNS), (True, VECTOR), (False, COLUMNS)], first=2),
    ids=str,
)
def test_each_row_is_scored(
    stored: Any, monkeypatch: pytest.MonkeyPatch, jvm: bool, inputs: dict[str, Any]
) -> None:
    if not jvm:
        without_jvm(monkeypatch)
    model = fitted_model([[0.5, -1.0]], [0.25], **inputs)
    found = model.transform(stored).collect()
    assert len(found) == 8
    for row in found:
        assert_allclose(row.rawPrediction[1], 0.5 * row.x - 2.0 + 0.25, rtol=1e-14)
