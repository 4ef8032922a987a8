"""The computations of one reading of the rows, as values.

Many algorithms need a sum over rows, or another result that can be computed on pieces of the rows
and merged (Chu et al. 2006, the summation form). A `Reading` defines

    the part of some blocks      an accumulator: `add` a block, then `part`
    the merge of parts           `merge`, in the order of the blocks
    the binary format of a part  `to_bytes`, `from_bytes`

and `Passes.read` computes it, in this process or in Spark's tasks, with blocks that are in memory,
in files, or lost and packed again. A new algorithm is a new reading, and changes none of these.

Three readings are here: the sums of derivatives for solvers, the part of them that preconditioners
need, and the margins of held-out rows. A probe that leaves out a fold is summed over all other
blocks, and evaluated on that fold's rows. Depends on blocks and probes, not on where the blocks
are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import numpy as np

from sparklr.arrays import Array, Buffer
from sparklr.objective.sums import Probe, Stack, Sums, margin_hessians, margins_of
from sparklr.rows.blocks import Block

T = TypeVar("T")
Part = TypeVar("Part")
Part_co = TypeVar("Part_co", covariant=True)

FLOAT_BYTES = 8


class Accumulator(Protocol[Part_co]):
    """Computes the part of the blocks that are added to it."""

    def add(self, block: Block) -> None:
        """Add a block, without keeping views of it: its file may be removed later."""

    def part(self) -> Part_co:
        """Return the part of all blocks so far."""


class Reading(ABC, Generic[Part]):
    """The computation of one reading of all rows; it is frozen, and pickled to workers."""

    # Whether each block has its own part. If not, all blocks of a task share one part, and parts
    # can merge on the executors if they are many or large.
    by_block: ClassVar[bool] = False

    @property
    def reads_held(self) -> bool:
        """Whether held-out rows are read: by default they are not, so that none enters a fit."""
        return False

    def takes(self, block: Block) -> bool:
        """Whether the reading includes a block."""
        return self.reads_held or not block.held

    @property
    def has_hessian(self) -> bool:
        """Whether a Hessian is computed, which some solvers do not need."""
        return False

    @property
    @abstractmethod
    def columns(self) -> int:
        """The number of columns by which the matrix of the rows is multiplied."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The bytes of the largest message: a part, or the reading on its way to the workers."""

    @abstractmethod
    def accumulator(self, features: int, origin: Array | None) -> Accumulator[Part]:
        """Return an empty accumulator for rows of this many features, relative to an origin."""

    @abstractmethod
    def merge(self, parts: Iterable[Part]) -> Part:
        """Merge one or more parts in their order, without changing them."""

    @abstractmethod
    def to_bytes(self, part: Part) -> bytes:
        """Return a part in its binary format."""

    @abstractmethod
    def from_bytes(self, buffer: Buffer) -> Part:
        """Read a part, which may be a view of the buffer: the inverse of `to_bytes`."""

    def pieces(self, limit: int) -> Sequence[Reading[Part]]:
        """Divide this reading into readings of at most `limit` bytes each, if possible."""
        del limit
        return [self]

    def assemble(self, parts: Sequence[Part]) -> Part:
        """Return the part of this reading from the parts of its `pieces`."""
        (part,) = parts
        return part


AnyReading: TypeAlias = Reading[Any]


class SumsOfRows(Reading[Array]):
    """The computation of an array of sums over rows: parts merge by addition."""

    def merge(self, parts: Iterable[Array]) -> Array:
        first, *others = parts
        total = first.copy()
        for part in others:
            total += part
        return total

    def to_bytes(self, part: Array) -> bytes:
        return part.tobytes()

    def from_bytes(self, buffer: Buffer) -> Array:
        return np.frombuffer(buffer, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class DerivativeSums(SumsOfRows):
    """The reading of every probe's sums, one after another in one array (`split_totals`)."""

    probes: tuple[Probe, ...]

    @property
    def reads_held(self) -> bool:
        return any(probe.held for probe in self.probes)

    @property
    def has_hessian(self) -> bool:
        return any(probe.order > 1 for probe in self.probes)

    @property
    def columns(self) -> int:
        return sum(probe.margins for probe in self.probes)

    @property
    def size(self) -> int:
        return sum(max(sums_bytes(probe), probe_bytes(probe)) for probe in self.probes)

    def accumulator(self, features: int, origin: Array | None) -> DerivativeTotals:
        return DerivativeTotals(self.probes, features, origin)

    def pieces(self, limit: int) -> Sequence[DerivativeSums]:
        runs = batches(self.probes, limit, lambda probe: max(sums_bytes(probe), probe_bytes(probe)))
        return [DerivativeSums(tuple(run)) for run in runs]

    def assemble(self, parts: Sequence[Array]) -> Array:
        return np.concatenate(parts)


class DerivativeTotals:
    """The sums of probes over the blocks added so far."""

    def __init__(self, probes: Sequence[Probe], features: int, origin: Array | None) -> None:
        self._probes, self._features, self._origin = tuple(probes), features, origin
        self._sums = [Sums.of(probe, np.zeros(probe.length)) for probe in self._probes]
        self._stacks: dict[tuple[int, ...], Stack] = {}

    def add(self, block: Block) -> None:
        """Add a block to the probes that sum over its rows."""
        chosen = tuple(i for i, its in enumerate(self._probes) if its.counts(block))
        if not chosen:
            return
        if chosen not in self._stacks:
            probes, sums = [self._probes[i] for i in chosen], [self._sums[i] for i in chosen]
            self._stacks[chosen] = Stack(probes, self._features, self._origin, sums)
        self._stacks[chosen].add(block)

    def part(self) -> Array:
        """Return every probe's sums, one after another in one array."""
        for stack in self._stacks.values():
            stack.finish()
        return np.concatenate([sums.flat for sums in self._sums]) if self._sums else np.zeros(0)


@dataclass(frozen=True, eq=False)
class MarginHessians(SumsOfRows):
    """The reading of each margin's own block of a probe's Hessian, (C, p + 1, p + 1)."""

    probe: Probe

    @property
    def has_hessian(self) -> bool:
        return True

    @property
    def columns(self) -> int:
        return self.probe.margins

    @property
    def size(self) -> int:
        width = int(self.probe.coefficients.shape[1]) + 1
        return max(FLOAT_BYTES * self.probe.margins * width * width, probe_bytes(self.probe))

    def accumulator(self, features: int, origin: Array | None) -> MarginHessianTotals:
        return MarginHessianTotals(self.probe, features, origin)


class MarginHessianTotals:
    """Each margin's block of the Hessian over the blocks of rows added so far."""

    def __init__(self, probe: Probe, features: int, origin: Array | None) -> None:
        self._probe, self._origin = probe, origin
        self._total = np.zeros((probe.margins, features + 1, features + 1))

    def add(self, block: Block) -> None:
        """Add a block."""
        self._total += margin_hessians(self._probe, block, self._origin)

    def part(self) -> Array:
        """Return the blocks of the Hessian, (C, p + 1, p + 1)."""
        return self._total


@dataclass(frozen=True, eq=False)
class HeldOutMargins(Reading[list[Block]]):
    """The reading of held-out margins: each block with the margins of probes without its fold."""

    by_block = True

    probes: tuple[Probe, ...]
    fold_rows: Mapping[int, int]  # the number of rows in each fold

    @property
    def reads_held(self) -> bool:
        return True  # a fit has seen no row of the fold that it leaves out

    @property
    def columns(self) -> int:
        return sum(probe.margins for probe in self.probes)

    @property
    def size(self) -> int:
        return sum(map(self._size_of, self.probes))

    def _size_of(self, probe: Probe) -> int:
        rows = 0 if probe.without is None else self.fold_rows.get(probe.without, 0)
        return max(FLOAT_BYTES * probe.margins * rows, probe_bytes(probe))

    def accumulator(self, features: int, origin: Array | None) -> ScoredBlocks:
        del features
        return ScoredBlocks(self.probes, origin)

    def merge(self, parts: Iterable[list[Block]]) -> list[Block]:
        return [block for part in parts for block in part]

    def to_bytes(self, part: list[Block]) -> bytes:
        (block,) = part
        return block.to_bytes()

    def from_bytes(self, buffer: Buffer) -> list[Block]:
        return [Block.from_buffer(buffer)]

    def pieces(self, limit: int) -> Sequence[HeldOutMargins]:
        runs = batches(self.probes, limit, self._size_of)
        return [HeldOutMargins(tuple(run), self.fold_rows) for run in runs]

    def assemble(self, parts: Sequence[list[Block]]) -> list[Block]:
        return [_join_columns(blocks) for blocks in zip(*parts, strict=True)]


class ScoredBlocks:
    """Blocks with margins instead of features, in the order in which they were added."""

    def __init__(self, probes: Sequence[Probe], origin: Array | None) -> None:
        self._probes, self._origin = tuple(probes), origin
        self._blocks: list[Block] = []

    def add(self, block: Block) -> None:
        """Compute the margins of a block's rows."""
        margins = held_out_margins(block, self._probes, self._origin)
        scored = replace(block, matrix=margins, memo=None, row_offsets=None)  # they are in them
        self._blocks.append(scored.detached())

    def part(self) -> list[Block]:
        """Return the blocks so far."""
        return self._blocks


def _join_columns(blocks: Sequence[Block]) -> Block:
    """Join the margins from several readings of the same rows into one block."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    margins = np.concatenate([block.matrix for block in blocks], axis=1)
    return first.with_matrix(margins)


def held_out_margins(block: Block, probes: Sequence[Probe], origin: Array | None) -> Array:
    """Return the margins (n, columns) of a block's rows for all probes that leave its fold out."""
    judged = [probe for probe in probes if probe.without == block.fold]
    if not judged:
        return np.zeros((block.rows, 0))
    coefficients = np.concatenate([probe.coefficients for probe in judged]).T
    offsets = np.concatenate([probe.offsets for probe in judged])
    matrix = block.matrix
    if origin is not None and block.sparse:  # sparse rows stay where they are
        offsets = offsets - origin @ coefficients
    elif origin is not None:
        matrix = matrix - origin
    return margins_of(block.with_matrix(matrix), coefficients, offsets)


def sums_bytes(probe: Probe) -> int:
    """Return the size of a probe's sums in bytes."""
    return probe.length * FLOAT_BYTES


def probe_bytes(probe: Probe) -> int:
    """Return the size of a probe in bytes on its way to the workers."""
    return int(probe.coefficients.nbytes + probe.offsets.nbytes)


def batches(items: Iterable[T], budget: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield runs of neighbours within the budget; an item that exceeds it is a run of its own."""
    batch: list[T] = []
    size = 0
    for item in items:
        needed = size_of(item)
        if batch and size + needed > budget:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += needed
    if batch:
        yield batch
