"""A new kind of reading is one class: neither passes in memory nor Spark's tasks know of it.

The example is the matrix in the middle of a sandwich, the sum of outer products X' diag(v) X.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import Reading
from sparklr.passes.worker import TOGETHER, MergeParts, ReadBlocks
from sparklr.rows.blocks import Block
from tests.problems import make_rows


@dataclass(frozen=True, eq=False)
class OuterProducts(Reading[Array]):
    """sum_i w_i (y_i - p_i)^2 x_i x_i' of a binomial model with these coefficients: (p, p)."""

    coefficients: Array

    @property
    def columns(self) -> int:
        return len(self.coefficients)

    @property
    def size(self) -> int:
        return 8 * len(self.coefficients) ** 2

    def accumulator(self, features: int, origin: Array | None) -> Products:
        assert origin is None
        return Products(self.coefficients, np.zeros((features, features)))

    def merge(self, parts: Iterable[Array]) -> Array:
        return np.asarray(sum(parts))

    def to_bytes(self, part: Array) -> bytes:
        return part.tobytes()

    def from_bytes(self, buffer: Any) -> Array:
        side = len(self.coefficients)
        return np.frombuffer(buffer, dtype=np.float64).reshape(side, side)


@dataclass(frozen=True, eq=False)
class Products:
    coefficients: Array
    total: Array

    def add(self, block: Block) -> None:
        chances = 1 / (1 + np.exp(-np.asarray(block.matrix @ self.coefficients)))
        weights = np.ones(block.rows) if block.weights is None else block.weights
        squares = weights * (block.labels - chances) ** 2
        self.total[:] += np.asarray(block.matrix.T @ (block.matrix * squares[:, None]))

    def part(self) -> Array:
        return self.total


COEFFICIENTS = np.array([0.5, -1.0, 0.25, 2.0])


def directly(block: Block) -> Array:
    chances = 1 / (1 + np.exp(-block.matrix @ COEFFICIENTS))
    squares = (block.weights if block.weights is not None else 1) * (block.labels - chances) ** 2
    return np.asarray(np.einsum("i,ij,ik->jk", squares, block.matrix, block.matrix))


@pytest.mark.parametrize("threads", [1, 3])
def test_in_memory(threads: int) -> None:
    rows = make_rows(1, 3_000, 4, weighted=True)
    blocks = [rows.take(slice(at, at + 500)) for at in range(0, 3_000, 500)]
    passes = LocalPasses.of(blocks, 4)
    many = LocalPasses(blocks, passes.moments, blocks[0], threads)
    assert_allclose(many.read(OuterProducts(COEFFICIENTS)), directly(rows), rtol=1e-12)


def test_in_tasks_and_merged_on_the_way() -> None:
    """What a worker makes of shipped blocks, and executors of what workers have made."""
    rows, reading = make_rows(2, 900, 4), OuterProducts(COEFFICIENTS)
    parts = []
    for partition in range(3):
        mine = rows.take(slice(300 * partition, 300 * (partition + 1)))
        halves = [mine.take(slice(0, 100)), mine.take(slice(100, 300))]
        batches = [
            pa.record_batch(
                {
                    "partition": pa.array([partition], pa.int32()),
                    "position": pa.array([at], pa.int32()),
                    "run": pa.array([0], pa.int64()),
                    "length": pa.array([-1], pa.int64()),
                    "folder": pa.array([None], pa.string()),
                    "payload": pa.array([half.to_bytes()], pa.binary()),
                }
            )
            for at, half in enumerate(halves)
        ]
        (made,) = ReadBlocks(reading, 4, None, None, True)(iter(batches))
        assert made["position"].to_pylist() == [TOGETHER]
        parts.append(made.append_column("bucket", pa.array([partition // 2], pa.int32())))
    first, second = MergeParts(reading)(parts)
    found = [reading.from_bytes(its["part"][0].as_buffer()) for its in (first, second)]
    assert_allclose(reading.merge(found), directly(rows), rtol=1e-12)


def test_as_spark_jobs(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over blocks in files, read by tasks."""
    from pyspark.sql import functions as F

    from sparklr.packing.source import PackSettings
    from sparklr.passes import jobs
    from sparklr.rows.checks import ColumnNames

    rows = make_rows(3, 600, 4)
    columns = np.column_stack((rows.matrix, rows.labels)).tolist()
    frame = spark.createDataFrame(columns, ["a", "b", "c", "d", "label"]).repartition(3)
    frame = frame.select(F.array("a", "b", "c", "d").alias("features"), "label")
    monkeypatch.setattr(jobs, "useful_threads", lambda _: 1)
    settings = PackSettings(block_bytes=4_096, local_bytes=0)
    with jobs.open_passes(frame, ColumnNames("features", "label"), settings) as passes:
        assert not passes.local
        found = passes.read(OuterProducts(COEFFICIENTS))
    assert_allclose(found, directly(rows), rtol=1e-10)
