"""Rows that wait to be packed: whole batches, until they fill a block."""

from __future__ import annotations

from sparklr.rows.blocks import Block, stack_blocks

# So many bytes of dense rows are summarised at a time: they are still in a core's cache.
CACHED_BYTES = 2**20


class WaitingRows:
    """The rows of one fold that are not yet in a block: whole batches, summarised or not."""

    def __init__(self) -> None:
        self.summarised: list[Block] = []
        self.size = 0  # of all rows, in bytes
        self._new: list[Block] = []
        self._new_size = 0

    def add(self, rows: Block) -> None:
        """Add the rows of a batch."""
        size = (16 if rows.sparse else 8) * rows.stored + rows.rows * (
            16 if rows.row_offsets is None else 24
        )
        self._new.append(rows)
        self._new_size += size
        self.size += size

    def ripe(self, block_bytes: int) -> bool:
        """Whether the new rows are enough to summarise them.

        Dense rows are summarised while they are in a cache. With sparse rows each summary takes
        time in proportion to the features, so these wait until they fill a block.
        """
        dense = not any(rows.sparse for rows in self._new)
        return self._new_size >= (min(CACHED_BYTES, block_bytes) if dense else block_bytes)

    def take_new(self) -> Block | None:
        """Return the rows that are not yet summarised, as one block; they now count as such."""
        if not self._new:
            return None
        block = stack_blocks(self._new)
        self._new, self._new_size = [], 0
        self.summarised.append(block)
        return block
