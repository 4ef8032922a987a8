"""The packing task: one partition's rows into blocks, and a summary from the same reading.

Arrow batches in, Arrow batches out. There is one row per block, and a last row with the
partition's summary: moments, a random sample, and the faults of the rows. Runs inside Spark's
workers but does not depend on Spark.
"""

from __future__ import annotations

import gc
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, count, pairwise
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array, BoolArray
from sparklr.objective.moments import Moments, moments_of, no_rows
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.packing.sample import RandomSample
from sparklr.packing.summaries import PartitionSummary
from sparklr.packing.waiting import WaitingRows
from sparklr.rows.arrow import FeatureRows, read_numbers, split_features
from sparklr.rows.blocks import Block, pieces_of, stack_blocks, stack_rows
from sparklr.rows.checks import MOST_COEFFICIENTS, RowFaults

SUMMARY = -1  # the position of a partition's summary row

Use: TypeAlias = tuple[bool, int]  # whether rows are held out, and their fold

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("position", pa.int32()),  # of the block in its partition, or SUMMARY
        ("run", pa.int64()),  # a random number per packing: Spark may pack a partition twice
        ("small", pa.bool_()),  # whether the partition's blocks all fit `PackPlan.small_bytes`
        ("length", pa.int64()),  # the size of the block in bytes
        ("folder", pa.string()),  # of its file, if it lies in one
        ("payload", pa.binary()),  # the block, or null if it lies in a file
    ]
)


@dataclass(frozen=True)
class PackPlan:
    """How to pack; the plan is the same for every partition."""

    block_bytes: int = 8 * 2**20
    small_bytes: int = 64 * 2**20
    sample_rows: int = 10_000
    sample_bytes: int = 16 * 2**20
    classes: int | None = None  # from the label column's metadata
    folded: bool = False  # whether the last column is the fold of each row
    ship_all: bool = False  # whether Spark also gets the blocks that lie in files
    names: bool = True  # whether Spark gets rows for the blocks that are not small


def pack_partition(
    batches: Iterable[pa.RecordBatch],
    partition: int,
    plan: PackPlan,
    store: BlockStore | None = None,
) -> Iterator[pa.RecordBatch]:
    """Pack a partition, of columns features, label and perhaps weight, offset, held and fold.

    Blocks that will not come to the driver are written to the store's files. If that succeeds,
    Spark gets only their names.
    """
    packer, names = Packer(partition, plan), _names(partition)
    small, others = _peel(packer.blocks(batches), plan.small_bytes)
    for pieces in small:
        payload = b"".join(pieces)
        yield _row(next(names), True, len(payload), None, payload)
    lengths: list[int] = []
    for pieces in others:
        name, length = next(names), sum(map(len, pieces))
        written = store is not None and store.write(name, pieces)
        lengths.append(length if written else -1)
        if plan.names:
            kept = None if written and not plan.ship_all else b"".join(pieces)
            folder = store.folder(name) if store is not None and written else None
            yield _row(name, False, length, folder, kept)
    last = next(names)
    summary = packer.summary(last.position)
    if lengths and store is not None:
        folders = tuple(store.folders())
        summary = replace(summary, folders=folders, run=last.run, lengths=tuple(lengths))
    # The summary is always marked as small, so that one filter selects it with the small blocks.
    payload = summary.to_bytes()
    yield _row(last._replace(position=SUMMARY), True, len(payload), None, payload)


def _peel(
    blocks: Iterator[list[memoryview]], most: int
) -> tuple[list[list[memoryview]], Iterator[list[memoryview]]]:
    """Split blocks into small and other: all are small if together they take at most `most` bytes.

    Otherwise no block is small.
    """
    held: deque[list[memoryview]] = deque()
    size = 0
    for pieces in blocks:
        held.append(pieces)
        size += sum(map(len, pieces))
        if size > most:
            return [], chain(_drained(held), blocks)
    return list(held), iter(())


def _drained(blocks: deque[list[memoryview]]) -> Iterator[list[memoryview]]:
    """Yield the blocks, and keep no reference to a block that was given."""
    while blocks:
        yield blocks.popleft()


def _names(partition: int) -> Iterator[BlockName]:
    run = uuid.uuid4().int >> 65  # 63 bits
    return (BlockName(partition, position, run) for position in count())


def _row(
    name: BlockName, small: bool, length: int, folder: str | None, payload: bytes | None
) -> pa.RecordBatch:
    columns = [*([one] for one in name), [small], [length], [folder], [payload]]
    arrays = [pa.array(item, kind) for item, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _by_use(rows: Block, held: Array | None, folds: Array | None) -> list[Block]:
    """Return the rows of each fold, those that are held out apart from the others."""
    parts = [rows]
    if held is not None:
        each = ((flag, held == flag) for flag in np.unique(held))
        parts = [replace(rows.take(chosen), held=bool(flag)) for flag, chosen in each]
    if folds is None:
        return parts
    by_flag = [folds] if held is None else [folds[held == flag] for flag in np.unique(held)]
    return [
        replace(part.take(its == fold), fold=int(fold))
        for part, its in zip(parts, by_flag, strict=True)
        for fold in np.unique(its)
    ]


class Packer:
    """Packs one partition's rows into blocks and computes their summary."""

    def __init__(self, partition: int, plan: PackPlan) -> None:
        self._partition = partition
        self._plan = plan
        self._features: int | None = None
        self._faults = RowFaults()
        self._moments: dict[Use, Moments] = {}
        self._seen = 0
        self._waiting: dict[Use, WaitingRows] = {}
        seed = [20_001, partition]
        self._sample = RandomSample(seed, plan.sample_rows, plan.sample_bytes)

    def blocks(self, batches: Iterable[pa.RecordBatch]) -> Iterator[list[memoryview]]:
        """Yield the bytes of blocks of about `block_bytes`; after a fault, rows are only counted.

        The bytes are views of batches where these are dense: so many numbers are not copied twice.
        """
        for batch in batches:
            rows = self._checked_rows(batch)
            if self._faults:
                self._waiting.clear()
                continue
            for those in rows:
                use = those.held, those.fold
                waiting = self._waiting.setdefault(use, WaitingRows())
                waiting.add(those)
                if waiting.ripe(self._plan.block_bytes):
                    self._summarise(waiting)
                if waiting.size >= self._plan.block_bytes:
                    yield from self._flush(use)
        for use in sorted(self._waiting):
            yield from self._flush(use)

    def _summarise(self, waiting: WaitingRows) -> None:
        new = waiting.take_new()
        if new is None:
            return
        use = new.held, new.fold
        here, known = moments_of(new), self._moments.get(use)
        self._moments[use] = here if known is None else known.merge(here)
        if not new.held:
            self._sample.add(new)

    def _flush(self, use: Use) -> Iterator[list[memoryview]]:
        """Yield the waiting rows of one use as blocks not much larger than `block_bytes`."""
        waiting = self._waiting.pop(use)
        self._summarise(waiting)
        rows = waiting.summarised
        pieces = max(1, round(sum(its.matrix_bytes for its in rows) / self._plan.block_bytes))
        if pieces == 1:
            yield pieces_of(rows)
            return
        whole = stack_blocks(rows)
        for begin, end in pairwise(np.linspace(0, whole.rows, pieces + 1).astype(int)):
            if begin < end:
                yield whole.take(slice(begin, end)).pieces()

    def _checked_rows(self, batch: pa.RecordBatch) -> list[Block]:
        """Return the rows of each fold with weight above zero; none if a fault was found."""
        features, columns = split_features(batch)
        labels = read_numbers(columns[0])
        last = len(columns) - self._plan.folded
        folds = read_numbers(columns[last]) if self._plan.folded else None
        moved, judged = (name in batch.schema.names for name in ("offset", "held"))
        offsets = read_numbers(batch.column("offset")) if moved else None
        held = read_numbers(batch.column("held")) if judged else None
        weights = read_numbers(columns[1]) if last - moved - judged > 1 else None
        self._seen += len(labels)
        self._check_features(features)
        self._check_labels(labels)
        if weights is not None:
            self._check_weights(weights)
        if offsets is not None:
            self._check("null offset", offsets, np.isnan(offsets))
            self._check("offset infinite", offsets, np.isinf(offsets))
        if held is not None:
            self._check("null held", held, np.isnan(held))
        if self._faults or len(labels) == 0:
            return []
        if weights is not None and not (weights > 0).all():
            kept = weights > 0
            if not kept.any():
                return []
            features, labels, weights = features.keep(kept), labels[kept], weights[kept]
            folds = None if folds is None else folds[kept]
            offsets = None if offsets is None else offsets[kept]
            held = None if held is None else held[kept]
        if weights is not None and (weights == 1.0).all():
            weights = None
        if offsets is not None and not offsets.any():
            offsets = None
        matrix = stack_rows([features.matrix(self._features or 0)])
        return _by_use(Block(matrix, labels.copy(), weights, row_offsets=offsets), held, folds)

    def _check_features(self, rows: FeatureRows) -> None:
        add = self._faults.add
        add("null features", int(rows.null.sum()))
        add("broken vector", int(rows.broken.sum()))
        if rows.null_element.any():
            add("null element", int(rows.null_element.sum()), rows.first_null_element())
        present = np.flatnonzero(~rows.null)
        if len(present) == 0:
            return
        if self._features is None:
            self._features = int(rows.sizes[present[0]])
        if self._features == 0:
            add("no features", int((rows.sizes[present] == 0).sum()))
        wide = present[rows.sizes[present] > MOST_COEFFICIENTS]
        add("too wide", len(wide), f"size {rows.sizes[wide[0]]}" if len(wide) else "")
        other = present[rows.sizes[present] != self._features]
        if len(other):
            example = f"size {rows.sizes[other[0]]} instead of {self._features}"
            add("size", len(other), example)
        bad = rows.not_finite() & ~rows.null_element
        if bad.any():
            add("not finite", int(bad.sum()), rows.first_not_finite())

    def _check_labels(self, labels: Array) -> None:
        self._check("null label", labels, np.isnan(labels))
        with np.errstate(invalid="ignore"):
            whole = np.floor(labels) == labels
        finite = np.isfinite(labels)
        self._check("label not whole", labels, ~np.isnan(labels) & (~whole | ~finite))
        self._check("label negative", labels, finite & whole & (labels < 0))
        if self._plan.classes is not None:
            self._check("label too large", labels, finite & whole & (labels >= self._plan.classes))

    def _check_weights(self, weights: Array) -> None:
        self._check("null weight", weights, np.isnan(weights))
        self._check("weight negative", weights, weights < 0)
        self._check("weight infinite", weights, weights == np.inf)

    def _check(self, rule: str, values: Array, broken: BoolArray) -> None:
        if broken.any():
            value = values[broken][0]
            self._faults.add(rule, int(broken.sum()), "" if np.isnan(value) else f"{value:g}")

    def summary(self, blocks: int) -> PartitionSummary:
        """Return the summary, after all rows have been read."""
        features = self._features
        # If there are faults, only these are reported: the width may be one of the faults.
        width = 0 if self._faults else features or 0
        nothing = Block(np.zeros((0, width)), np.zeros(0), None)
        found = None if self._faults else self._sample.rows()
        keys, sample = (np.zeros(0), nothing) if found is None else found
        known = {} if self._faults else self._moments
        folds = {fold: its for (held, fold), its in known.items() if not held}
        return PartitionSummary(
            self._partition,
            features,
            blocks,
            self._seen,
            folds or {0: no_rows(width)},
            sample,
            keys,
            self._faults,
            held={fold: its for (held, fold), its in known.items() if held},
        )


@cache
def freeze_imports() -> None:
    """Leave what this worker has imported out of collections of garbage, from the first task on.

    Spark collects all garbage after each task, which takes 60 ms with numpy, scipy, pandas and
    pyarrow, and the worker's next task waits for that.
    """
    gc.freeze()


@dataclass(frozen=True)
class RemoveFiles:
    """Remove a fit's files: this worker's, and those in the folders named here; gives no rows."""

    store: BlockStore

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        freeze_imports()
        for batch in batches:
            known = {folder for folder in batch.column(1).to_pylist() if folder is not None}
            self.store.remove()
            self.store.remove(known)
        yield from ()
