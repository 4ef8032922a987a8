"""Vectors and columns on their way to Python: as bytes in a classic session, else as lists."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pyspark.errors import PySparkException
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession

from sparklr import LogisticRegressionEstimator
from sparklr.rows.arrow import OF_ARRAYS, OF_VECTORS
from sparklr.rows.columns import training_rows
from sparklr.spark import array_bytes

pytestmark = pytest.mark.classic

ROWS = [
    (0.0, Vectors.dense(1.5, -0.0, 3.0)),
    (1.0, Vectors.sparse(3, [0, 2], [2.5, -4.0])),
    (1.0, Vectors.sparse(3, [], [])),
    (0.0, Vectors.dense(1e-300, 2.0**60, -1.0)),
]


@pytest.fixture(scope="module")
def vectors(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, ["label", "features"])


def columns_of(frame: DataFrame, **params: Any) -> list[str]:
    return training_rows(frame, LogisticRegressionEstimator(**params)).frame.columns


def test_vectors_go_as_bytes(vectors: DataFrame) -> None:
    assert columns_of(vectors) == [*OF_VECTORS, "label"]


def test_single_columns_go_as_bytes(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(0.0, 1.0, 2)], "label double, a double, b int")
    assert columns_of(frame, featuresCols=["a", "b"]) == [*OF_ARRAYS, "label"]


@pytest.mark.parametrize("stored", [False, True])
def test_the_bytes_are_those_of_the_numbers(
    vectors: DataFrame, tmp_path: Path, stored: bool
) -> None:
    """Rows of Spark's own and columns of a Parquet file hold arrays in different classes."""
    if stored:
        vectors.write.parquet(f"{tmp_path}/rows")
        vectors = vectors.sparkSession.read.parquet(f"{tmp_path}/rows")
    rows = training_rows(vectors, LogisticRegressionEstimator()).frame
    found = rows.selectExpr(
        "type", "size", "cast(indices as binary)", "cast(values as binary)", "label"
    ).collect()
    known = {(label, bytes(np.array(its.values))) for label, its in ROWS}
    assert {(row.label, bytes(row["values"])) for row in found} == known
    sparse = next(row for row in found if row.type == 0 and row["values"])
    assert sparse["size"] == 3
    assert_array_equal(np.frombuffer(sparse["indices"], np.int32), [0, 2])
    assert all(row["indices"] is None for row in found if row.type == 1)


def test_where_the_platform_refuses_they_go_as_lists(
    vectors: DataFrame, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: object) -> Any:
        raise PySparkException("the class is not allowed here")

    plain = LogisticRegressionEstimator(regParam=0.1).fit(vectors).coefficients
    monkeypatch.setattr(array_bytes, "_vectors", refused)
    monkeypatch.setattr(array_bytes.ARRAY_BYTES, "_context", None)
    with caplog.at_level(logging.INFO, logger="sparklr"):
        assert columns_of(vectors) == ["features", "label"]
        again = LogisticRegressionEstimator(regParam=0.1).fit(vectors).coefficients
    assert "arrays go as lists: the class is not allowed here" in caplog.text
    assert_array_equal(again.toArray(), plain.toArray())
