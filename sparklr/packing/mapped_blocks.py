"""Block files that this process can read itself: on one machine, no pass needs a Spark job.

This is the case in Spark's local mode and on a cluster of one node. Depends on files and blocks,
not on Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

from sparklr.arrays import MEGABYTE
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.rows.blocks import Block

# Blocks of so many bytes in all may remember results, which take up to three times their memory.
REMEMBERED = 256 * MEGABYTE


class BlockLostError(LookupError):
    """A block's file is missing or has changed."""


@dataclass(frozen=True, eq=False)
class FileBlocks(Sequence[Block]):
    """Blocks in files, mapped into memory at first use.

    They stay mapped: mapping takes a third of the time of a pass with few columns, and the system
    can reclaim the memory.
    """

    store: BlockStore
    names: Sequence[tuple[BlockName, int]]  # with the length of the file, if there is one
    mapped: dict[BlockName, Block] = field(default_factory=dict)
    here: frozenset[BlockName] = frozenset()  # blocks that came without a file, among `mapped`

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Block: ...
    @overload
    def __getitem__(self, at: slice) -> FileBlocks: ...
    def __getitem__(self, at: int | slice) -> Block | FileBlocks:
        if isinstance(at, slice):
            return FileBlocks(self.store, self.names[at], self.mapped, self.here)
        name, length = self.names[at]
        block = self.mapped.get(name)
        # Checked at each use: reading beyond the end of a truncated file would kill the process.
        if block is None or not (name in self.here or self.store.holds(name, length)):
            buffer = self.store.read(name, length)
            if buffer is None:
                raise BlockLostError(f"block file {name.file} is missing or has changed")
            block = Block.from_buffer(buffer)
            if self._few:
                block = block.remembering()
            self.mapped[name] = block
        return block

    @cached_property
    def _few(self) -> bool:
        return sum(length for _, length in self.names) <= REMEMBERED
