"""What a worker does in a pass: sum its blocks, and merge what others have summed.

Arrow batches in, Arrow batches out; no Spark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array
from sparklr.objective.sums import Probe
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.passes.readings import Totals, held_out_margins
from sparklr.passes.threads import one_blas_thread
from sparklr.rows.blocks import Block

# Sums of a partition, at position SUMS; or no sums: a block that was not found.
PARTIAL = "partition int, position int, sums binary"
SUMS = -1


@dataclass(frozen=True, eq=False)
class _ReadBlocks:
    """One reading of this partition's blocks, which are shipped as payload or lie in files.

    Batches have columns partition, position, run and length, and payload if shipped. What is
    shipped is put into files for the next pass; what is not there is named.
    """

    probes: tuple[Probe, ...]
    features: int
    origin: Array | None
    store: BlockStore | None
    shipped: bool

    def _blocks(
        self, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[tuple[BlockName, Block | None]]:
        for batch in batches:
            for row in range(batch.num_rows):
                name = BlockName(*(batch.column(at)[row].as_py() for at in range(3)))
                buffer = self._buffer(name, batch, row)
                yield name, None if buffer is None else Block.from_buffer(buffer)

    def _buffer(self, name: BlockName, batch: pa.RecordBatch, row: int) -> Any:
        if self.shipped and batch.column(4)[row].is_valid:
            payload = batch.column(4)[row].as_buffer()
            if self.store is not None:
                self.store.write(name, [payload])
            return payload
        length = batch.column(3)[row].as_py()
        return None if self.store is None else self.store.read(name, length)


class SumBlocks(_ReadBlocks):
    """The sums of this partition's blocks."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        totals = Totals(self.probes, self.features, self.origin)
        partition = None
        # One thread a task: Spark already runs a task on every core.
        with one_blas_thread():
            for name, block in self._blocks(batches):
                partition = name.partition
                if block is None:
                    yield _row(partition, name.position, None)
                else:
                    totals.add(block)
        if partition is not None:
            yield _row(partition, SUMS, totals.flat().tobytes())


class ScoreBlocks(_ReadBlocks):
    """Labels, weights and margins of each block, as a block of its fold, by the block's name."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with one_blas_thread():
            for name, block in self._blocks(batches):
                scores = None
                if block is not None:
                    margins = held_out_margins(block, self.probes, self.origin)
                    scored = Block(margins, block.labels, block.weights, block.fold)
                    scores = scored.to_bytes()
                yield _row(name.partition, name.position, scores)


def merge_buckets(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add up neighbouring sums of one bucket; they come sorted by bucket and partition."""
    current: int | None = None
    total: Array = np.zeros(0)
    for batch in batches:
        for row in range(batch.num_rows):
            partition, position, sums, bucket = (batch.column(at)[row] for at in range(4))
            if not sums.is_valid:
                yield _row(partition.as_py(), position.as_py(), None)
                continue
            numbers = np.frombuffer(sums.as_buffer(), dtype=np.float64)
            if bucket.as_py() == current:
                total += numbers
                continue
            if current is not None:
                yield _row(current, SUMS, total.tobytes())
            current, total = bucket.as_py(), numbers.copy()
    if current is not None:
        yield _row(current, SUMS, total.tobytes())


def _row(partition: int, position: int, sums: bytes | None) -> pa.RecordBatch:
    columns = [
        pa.array([partition], pa.int32()),
        pa.array([position], pa.int32()),
        pa.array([sums], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["partition", "position", "sums"])
