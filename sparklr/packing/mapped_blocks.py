"""Block files that this process can read itself: on one machine, no pass needs a Spark job.

So it is in Spark's local mode, and on a cluster of one node. Knows files and blocks; no Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import overload

from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.rows.blocks import Block


class BlockLostError(LookupError):
    """A block's file is not there, or not as it was."""


@dataclass(frozen=True, eq=False)
class FileBlocks(Sequence[Block]):
    """Blocks in files, mapped into memory at their first use and kept so: mapping costs a pass
    of few columns a third of its time, and the memory is the system's to take back."""

    store: BlockStore
    names: Sequence[tuple[BlockName, int]]  # with the length of the file
    mapped: dict[BlockName, Block] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Block: ...
    @overload
    def __getitem__(self, at: slice) -> FileBlocks: ...
    def __getitem__(self, at: int | slice) -> Block | FileBlocks:
        if isinstance(at, slice):
            return FileBlocks(self.store, self.names[at], self.mapped)
        name, length = self.names[at]
        block = self.mapped.get(name)
        # Looked at each time: reading on where a file was cut short would kill the process.
        if block is None or not self.store.holds(name, length):
            buffer = self.store.read(name, length)
            if buffer is None:
                raise BlockLostError(f"block file {name.file} is not there as it was written")
            block = self.mapped[name] = Block.from_buffer(buffer)
        return block
