"""The tasks of a pass: read blocks, and merge the parts of other tasks.

Arrow batches in, Arrow batches out. Depends neither on Spark nor on what the reading is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from sparklr.arrays import Array
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.passes.readings import AnyReading
from sparklr.passes.threads import one_blas_thread
from sparklr.rows.blocks import Block

# The part of one block, or of all blocks of a partition at position TOGETHER. A null part means
# that the block was not found.
PARTIAL = "partition int, position int, part binary"
TOGETHER = -1


@dataclass(frozen=True, eq=False)
class ReadBlocks:
    """One reading of this partition's blocks, which are shipped as payload or lie in files.

    Batches have columns partition, position, run and length, and payload if shipped. Shipped blocks
    are written to files for the next pass. Blocks that are not found are returned by name.
    """

    reading: AnyReading
    features: int
    origin: Array | None
    store: BlockStore | None
    shipped: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the parts of this partition, and the names of blocks that were not found."""
        reading, partition = self.reading, None
        together = reading.accumulator(self.features, self.origin)
        # One thread per task: Spark already runs a task on every core.
        with one_blas_thread():
            for name, block in self._blocks(batches):
                partition = name.partition
                if block is None:
                    yield _row(partition, name.position, None)
                elif not reading.takes(block):
                    continue
                elif reading.by_block:
                    alone = reading.accumulator(self.features, self.origin)
                    alone.add(block)
                    yield _row(partition, name.position, reading.to_bytes(alone.part()))
                else:
                    together.add(block)
        if partition is not None and not reading.by_block:
            yield _row(partition, TOGETHER, reading.to_bytes(together.part()))

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


@dataclass(frozen=True, eq=False)
class MergeParts:
    """Merge the parts of each bucket; rows come sorted by bucket and partition."""

    reading: AnyReading

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield one part per bucket, and the names of missing blocks."""
        missing: list[tuple[int, int]] = []
        for bucket, rows in groupby(_rows(batches), key=lambda row: row[3]):
            found: list[Any] = []
            for partition, position, part, _ in rows:
                if part is None:
                    missing.append((partition, position))
                    continue
                found.append(self.reading.from_bytes(part))
                if len(found) == 2:  # no more than two parts in memory at a time
                    found = [self.reading.merge(found)]
            if found:
                yield _row(bucket, TOGETHER, self.reading.to_bytes(found[0]))
        for partition, position in missing:
            yield _row(partition, position, None)


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, int, Any, int]]:
    """Yield partition, position, part (None if the block is missing) and bucket of each row."""
    for batch in batches:
        for row in range(batch.num_rows):
            partition, position, part, bucket = (batch.column(at)[row] for at in range(4))
            buffer = part.as_buffer() if part.is_valid else None
            yield partition.as_py(), position.as_py(), buffer, bucket.as_py()


def _row(partition: int, position: int, part: bytes | None) -> pa.RecordBatch:
    columns = [
        pa.array([partition], pa.int32()),
        pa.array([position], pa.int32()),
        pa.array([part], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["partition", "position", "part"])
