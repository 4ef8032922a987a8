"""What one reading of the rows computes, as a value.

Many algorithms ask the same thing of their data: a sum over rows, or something else that pieces of
the rows make apart and that merges (Chu et al. 2006, the summation form). A `Reading` says

    what is made of some blocks     an accumulator: `add` a block, then `part`
    how parts merge                 `merge`, in the order of the blocks
    how a part travels              `to_bytes`, `from_bytes`

and `Passes.read` computes it, in this process or by Spark's tasks, with blocks that are at hand, in
files, or lost and made anew. A new algorithm is a new reading, and touches none of these.

Two readings live here: the sums of derivatives that solvers ask for, and the margins of held-out
rows. A probe that leaves out a fold is summed over all other blocks, and only that fold's rows tell
how good it is. Knows blocks and probes; not where blocks lie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np

from sparklr.arrays import Array, Buffer
from sparklr.objective.sums import Probe, Stack, Sums
from sparklr.rows.blocks import Block

T = TypeVar("T")
Part = TypeVar("Part")
Part_co = TypeVar("Part_co", covariant=True)

FLOAT_BYTES = 8


class Accumulator(Protocol[Part_co]):
    """What a reading makes of the blocks that are added to it."""

    def add(self, block: Block) -> None:
        """Take a block into account; nothing of it may be held on to, as its file may go."""

    def part(self) -> Part_co:
        """What the blocks so far have given."""


class Reading(ABC, Generic[Part]):
    """What one reading of all rows computes; frozen, and it travels to workers by pickle."""

    # Whether each block has a part of its own. Else a task's blocks share one, so that parts can
    # merge on the executors already, where they are many or large.
    by_block: ClassVar[bool] = False

    @property
    def has_hessian(self) -> bool:
        """Whether a Hessian is computed, which some solvers do without."""
        return False

    @property
    @abstractmethod
    def columns(self) -> int:
        """How many columns the matrix of the rows is multiplied with."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The bytes of the largest message: a part that comes, or what goes to the workers."""

    @abstractmethod
    def accumulator(self, features: int, origin: Array | None) -> Accumulator[Part]:
        """An empty accumulator for rows of so many features, counted from an origin."""

    @abstractmethod
    def merge(self, parts: Iterable[Part]) -> Part:
        """One part of at least one, in their order; it may not change them."""

    @abstractmethod
    def to_bytes(self, part: Part) -> bytes:
        """A part as it travels."""

    @abstractmethod
    def from_bytes(self, buffer: Buffer) -> Part:
        """The inverse of `to_bytes`; may be a view of the buffer."""

    def pieces(self, limit: int) -> Sequence[Reading[Part]]:
        """Readings of no more than `limit` bytes each, as far as this one can be divided."""
        del limit
        return [self]

    def assemble(self, parts: Sequence[Part]) -> Part:
        """The part of this reading, from those of its `pieces`."""
        (part,) = parts
        return part


@dataclass(frozen=True, eq=False)
class DerivativeSums(Reading[Array]):
    """The sums of every probe, one after another in one array: for `split_totals`."""

    probes: tuple[Probe, ...]

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
        """Add a block to the probes for which it counts."""
        chosen = tuple(i for i, its in enumerate(self._probes) if its.without != block.fold)
        if not chosen:
            return
        if chosen not in self._stacks:
            probes, sums = [self._probes[i] for i in chosen], [self._sums[i] for i in chosen]
            self._stacks[chosen] = Stack(probes, self._features, self._origin, sums)
        self._stacks[chosen].add(block)

    def part(self) -> Array:
        """Every probe's sums, one after another in one array."""
        for stack in self._stacks.values():
            stack.finish()
        return np.concatenate([sums.flat for sums in self._sums]) if self._sums else np.zeros(0)


@dataclass(frozen=True, eq=False)
class HeldOutMargins(Reading[list[Block]]):
    """Each block with margins instead of features: those of the probes that leave its fold out."""

    by_block = True

    probes: tuple[Probe, ...]
    fold_rows: Mapping[int, int]  # how many rows each fold has

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
        """Score a block's rows."""
        margins = held_out_margins(block, self._probes, self._origin)
        self._blocks.append(block.with_matrix(margins).detached())

    def part(self) -> list[Block]:
        """The blocks so far."""
        return self._blocks


def _join_columns(blocks: Sequence[Block]) -> Block:
    """One block of the margins that several readings gave for the same rows."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    margins = np.concatenate([block.matrix for block in blocks], axis=1)
    return first.with_matrix(margins)


def held_out_margins(block: Block, probes: Sequence[Probe], origin: Array | None) -> Array:
    """The margins (n, columns) of the block's rows for all probes that leave its fold out."""
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
    margins: Array = np.asarray(matrix @ coefficients)
    margins += offsets
    return margins


def sums_bytes(probe: Probe) -> int:
    """What a probe's sums take."""
    return probe.length * FLOAT_BYTES


def probe_bytes(probe: Probe) -> int:
    """What a probe takes on its way to the workers."""
    return int(probe.coefficients.nbytes + probe.offsets.nbytes)


def batches(items: Iterable[T], budget: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Runs of neighbours that fit the budget; an item too large by itself goes alone."""
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
