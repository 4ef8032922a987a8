"""Block files that this process can read itself: on one machine, no pass needs a Spark job.

So it is in Spark's local mode, and on a cluster of one node. Knows files and blocks; no Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from sparklr.blocks import Block
from sparklr.passes.store import BlockName, BlockStore


class BlockLostError(LookupError):
    """A block's file is not there, or not as it was."""


@dataclass(frozen=True, eq=False)
class FileBlocks(Sequence[Block]):
    """Blocks that are mapped into memory while they are used."""

    store: BlockStore
    names: Sequence[tuple[BlockName, int]]  # with the length of the file

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Block: ...
    @overload
    def __getitem__(self, at: slice) -> FileBlocks: ...
    def __getitem__(self, at: int | slice) -> Block | FileBlocks:
        if isinstance(at, slice):
            return FileBlocks(self.store, self.names[at])
        name, length = self.names[at]
        mapped = self.store.read(name, length)
        if mapped is None:
            raise BlockLostError(f"block file {name.file} was not found")
        return Block.from_buffer(mapped)
