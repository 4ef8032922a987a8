"""Record batches, good and broken, and what packing makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array
from sparklr.packing.summaries import PartitionSummary
from sparklr.packing.worker import SCHEMA, SUMMARY, PackPlan, pack_partition
from sparklr.rows.blocks import Block, stack_blocks
from tests.rows.test_arrow import dense_row, sparse_row, vector_column

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True, eq=False)
class Packed:
    """What packing a partition gave."""

    blocks: list[Block]
    small: list[bool]  # of each block
    payloads: list[bytes]
    summary: PartitionSummary

    @property
    def whole(self) -> Block:
        return stack_blocks(self.blocks)


def pack(batches: Sequence[Any], plan: PackPlan | None = None, partition: int = 3) -> Packed:
    """Pack batches, and hold what comes out to what every partition must keep to."""
    rows: list[dict[str, Any]] = []
    for out in pack_partition(iter(batches), partition, plan or PackPlan()):
        assert out.schema == SCHEMA
        rows += out.to_pylist()
    assert {row["partition"] for row in rows} == {partition}
    *blocks, last = rows
    assert (last["position"], last["small"]) == (SUMMARY, True)
    assert [row["position"] for row in blocks] == list(range(len(blocks)))
    summary = PartitionSummary.from_bytes(last["payload"])
    assert (summary.partition, summary.blocks) == (partition, len(blocks))
    payloads = [row["payload"] for row in blocks]
    found = [Block.from_buffer(payload) for payload in payloads]
    return Packed(found, [row["small"] for row in blocks], payloads, summary)


def batch(
    features: Any,
    labels: Any,
    weights: Any = None,
    offsets: Any = None,
    folds: Any = None,
    held: Any = None,
) -> pa.RecordBatch:
    """A record batch; `features` an Arrow column, or a matrix that is to be an array column."""
    if isinstance(features, np.ndarray):
        features = pa.array(features.tolist(), pa.list_(pa.float64()))
    columns = {"features": features, "label": pa.array(labels, pa.float64(), from_pandas=False)}
    more = {"weight": weights, "offset": offsets, "held": held, "fold": folds}
    for name, values in more.items():
        if values is not None:
            columns[name] = pa.array(values, pa.float64(), from_pandas=False)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def as_vectors(matrix: Array, kind: str) -> Any:
    """A matrix as a column of vectors: dense, sparse, or one after the other."""
    rows = []
    for number, row in enumerate(matrix):
        if kind == "dense" or (kind == "mixed" and number % 2):
            rows.append(dense_row(*row))
        else:
            rows.append(sparse_row(len(row), {int(j): row[j] for j in np.flatnonzero(row)}))
    return vector_column(rows)


def cut(rows: pa.RecordBatch, sizes: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows in batches of these sizes over and over; slices, so offsets are not zero."""
    begin = 0
    number = 0
    while begin < rows.num_rows:
        yield rows.slice(begin, sizes[number % len(sizes)])
        begin += sizes[number % len(sizes)]
        number += 1


def numbered(rows: int, features: int = 4) -> tuple[Array, Array]:
    """Features and labels of rows that can be told apart: the first feature is the row's number."""
    random = np.random.default_rng(rows)
    matrix = random.normal(size=(rows, features))
    matrix[:, 0] = np.arange(rows)
    return matrix, np.arange(rows) % 3.0


GOOD = dense_row(1.0, 2.0)
# rule -> a batch that breaks it, how many rows do, and the example that is told
BROKEN: dict[str, tuple[Any, int, str]] = {
    "null features": (batch(vector_column([GOOD, None, None]), [0, 1, 0]), 2, ""),
    "null element": (
        batch(pa.array([[1.0, 2.0], [None, 2.0]], pa.list_(pa.float64())), [0, 1]),
        1,
        "at feature 0",
    ),
    "broken vector": (
        batch(vector_column([GOOD, {**sparse_row(2, {0: 1.0}), "indices": [2]}]), [0, 1]),
        1,
        "",
    ),
    "size": (
        batch(vector_column([GOOD, dense_row(1.0), sparse_row(5, {})]), [0, 1, 1]),
        2,
        "size 1 instead of 2",
    ),
    "too wide": (
        batch(vector_column([sparse_row(2**31 - 1, {5: 1.0})] * 2), [0, 1]),
        2,
        "size 2147483647",
    ),
    "not finite": (
        batch(vector_column([GOOD, sparse_row(2, {1: NAN}), dense_row(INF, 0.0)]), [0, 1, 1]),
        2,
        "nan at feature 1",
    ),
    "no features": (batch(vector_column([dense_row(), sparse_row(0, {})]), [0, 1]), 1, ""),
    "null label": (batch(vector_column([GOOD] * 3), [0, None, NAN]), 2, ""),
    "label not whole": (batch(vector_column([GOOD] * 4), [0, 0.5, INF, -INF]), 3, "0.5"),
    "label negative": (batch(vector_column([GOOD] * 3), [1, -2, -1]), 2, "-2"),
    "label too large": (batch(vector_column([GOOD] * 4), [0, 2, 3, 7]), 2, "3"),
    "null weight": (batch(vector_column([GOOD] * 3), [0, 1, 1], [1, None, NAN]), 2, ""),
    "weight negative": (batch(vector_column([GOOD] * 3), [0, 1, 1], [1, -0.25, -INF]), 2, "-0.25"),
    "weight infinite": (batch(vector_column([GOOD] * 2), [0, 1], [1, INF]), 1, "inf"),
    "null offset": (batch(vector_column([GOOD] * 2), [0, 1], None, [1, None]), 1, ""),
    "offset infinite": (batch(vector_column([GOOD] * 2), [0, 1], [1, 2], [-INF, 0]), 1, "-inf"),
    "null held": (batch(vector_column([GOOD] * 2), [0, 1], held=[1, None]), 1, ""),
}
