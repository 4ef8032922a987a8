"""The packing task: one partition's rows into blocks, and a summary from the same reading.

Arrow batches in, Arrow batches out. There is one row per block, and a last row with the
partition's summary: moments, a random sample, and the faults of the rows. Runs inside Spark's
workers but does not depend on Spark.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, pairwise

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array, BoolArray, Matrix
from sparklr.objective.moments import Moments, moments_of, no_rows
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.packing.summaries import PartitionSummary, smallest_keys
from sparklr.rows.arrow import FeatureRows, read_features, read_numbers
from sparklr.rows.blocks import Block, stack_rows
from sparklr.rows.checks import MOST_COEFFICIENTS, RowFaults

SUMMARY = -1  # the position of a partition's summary row

SCHEMA = pa.schema(
    [
        ("partition", pa.int32()),
        ("position", pa.int32()),  # of the block in its partition, or SUMMARY
        ("run", pa.int64()),  # a random number per packing: Spark may pack a partition twice
        ("small", pa.bool_()),  # whether the partition's blocks all fit `PackPlan.small_bytes`
        ("length", pa.int64()),  # the size of the block in bytes
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


def pack_partition(
    batches: Iterable[pa.RecordBatch],
    partition: int,
    plan: PackPlan,
    store: BlockStore | None = None,
) -> Iterator[pa.RecordBatch]:
    """Pack a partition, whose batches have columns features, label and perhaps weight and fold.

    Blocks that will not come to the driver are written to the store's files. If that succeeds,
    Spark gets only their names.
    """
    packer, names = Packer(partition, plan), _names(partition)
    small, others = _peel(packer.blocks(batches), plan.small_bytes)
    for block in small:
        payload = block.to_bytes()
        yield _row(next(names), True, len(payload), payload)
    lengths: list[int] = []
    for block in others:
        name, pieces = next(names), block.pieces()
        written = store is not None and store.write(name, pieces)
        kept = None if written and not plan.ship_all else b"".join(pieces)
        length = sum(map(len, pieces))
        lengths.append(length if written else -1)
        yield _row(name, False, length, kept)
    last = next(names)
    summary = packer.summary(last.position)
    if lengths and store is not None:
        folders = tuple(store.folders())
        summary = replace(summary, folders=folders, run=last.run, lengths=tuple(lengths))
    # The summary is always marked as small, so that one filter selects it with the small blocks.
    payload = summary.to_bytes()
    yield _row(last._replace(position=SUMMARY), True, len(payload), payload)


def _peel(blocks: Iterator[Block], most: int) -> tuple[list[Block], Iterator[Block]]:
    """Split blocks into small and other: all are small if together they take at most `most` bytes.

    Otherwise no block is small.
    """
    held: deque[Block] = deque()
    size = 0
    for block in blocks:
        held.append(block)
        size += sum(map(len, block.pieces()))
        if size > most:
            return [], chain(_drained(held), blocks)
    return list(held), iter(())


def _drained(blocks: deque[Block]) -> Iterator[Block]:
    """Yield the blocks, and keep no reference to a block that was given."""
    while blocks:
        yield blocks.popleft()


def _names(partition: int) -> Iterator[BlockName]:
    run = uuid.uuid4().int >> 65  # 63 bits
    return (BlockName(partition, position, run) for position in count())


def _row(name: BlockName, small: bool, length: int, payload: bytes | None) -> pa.RecordBatch:
    columns = [[name.partition], [name.position], [name.run], [small], [length], [payload]]
    arrays = [pa.array(item, kind) for item, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Checked rows of one batch."""

    matrix: Matrix
    labels: Array
    weights: Array | None
    folds: Array | None

    def by_fold(self) -> Iterator[tuple[int, _Rows]]:
        """Yield each fold with its rows."""
        if self.folds is None:
            yield 0, self
            return
        for fold in np.unique(self.folds):
            here = self.folds == fold
            weights = None if self.weights is None else self.weights[here]
            yield int(fold), _Rows(self.matrix[here], self.labels[here], weights, None)


class _Waiting:
    """The rows of one fold that are not yet in a block."""

    def __init__(self) -> None:
        self.size = 0
        self._rows: list[_Rows] = []

    def add(self, rows: _Rows) -> None:
        """Add the rows of a batch."""
        self._rows.append(rows)
        matrix = rows.matrix
        stored = matrix.size if isinstance(matrix, np.ndarray) else 2 * matrix.nnz
        self.size += 8 * stored + 16 * matrix.shape[0]

    def block(self, fold: int) -> Block:
        """Return all rows as one block, without weights if all weights are 1."""
        weights = None
        if self._rows[0].weights is not None:
            weights = np.concatenate([rows.weights for rows in self._rows])
            weights = None if (weights == 1.0).all() else weights
        labels = np.concatenate([rows.labels for rows in self._rows])
        return Block(stack_rows([rows.matrix for rows in self._rows]), labels, weights, fold)


class Packer:
    """Packs one partition's rows into blocks and computes their summary."""

    def __init__(self, partition: int, plan: PackPlan) -> None:
        self._partition = partition
        self._plan = plan
        self._features: int | None = None
        self._faults = RowFaults()
        self._moments: dict[int, Moments] = {}
        self._seen = 0
        self._waiting: dict[int, _Waiting] = {}
        self._samples: list[tuple[Array, Block]] = []
        self._random = np.random.default_rng([20_001, partition])

    def blocks(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Block]:
        """Yield blocks of about `block_bytes`; after a first fault, rows are only counted."""
        for batch in batches:
            rows = self._checked_rows(batch)
            if self._faults:
                self._waiting.clear()
                continue
            for fold, those in () if rows is None else rows.by_fold():
                waiting = self._waiting.setdefault(fold, _Waiting())
                waiting.add(those)
                if waiting.size >= self._plan.block_bytes:
                    yield from self._flush(fold)
        for fold in sorted(self._waiting):
            yield from self._flush(fold)

    def _flush(self, fold: int) -> Iterator[Block]:
        """Yield a fold's waiting rows as blocks not much larger than `block_bytes` or one row."""
        whole = self._waiting.pop(fold).block(fold)
        pieces = max(1, round(whole.matrix_bytes / self._plan.block_bytes))
        ends = np.linspace(0, whole.rows, pieces + 1).astype(int)
        for begin, end in pairwise(ends):
            if begin == end:
                continue
            block = whole if pieces == 1 else whole.take(slice(begin, end))
            here = moments_of(block)
            known = self._moments.get(fold)
            self._moments[fold] = here if known is None else known.merge(here)
            self._draw(block)
            yield block

    def _checked_rows(self, batch: pa.RecordBatch) -> _Rows | None:
        """Return the rows with weight above zero; None if no rows are left or a fault was found."""
        features = read_features(batch.column(0))
        labels = read_numbers(batch.column(1))
        count = batch.num_columns - self._plan.folded
        folds = read_numbers(batch.column(count)) if self._plan.folded else None
        weights = read_numbers(batch.column(2)) if count > 2 else None
        self._seen += len(labels)
        self._check_features(features)
        self._check_labels(labels)
        if weights is not None:
            self._check_weights(weights)
        if self._faults or len(labels) == 0:
            return None
        if weights is not None and not (weights > 0).all():
            kept = weights > 0
            if not kept.any():
                return None
            features, labels, weights = features.keep(kept), labels[kept], weights[kept]
            folds = None if folds is None else folds[kept]
        return _Rows(features.matrix(self._features or 0), labels.copy(), weights, folds)

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

    def _draw(self, block: Block) -> None:
        """Give each row a random key and keep the rows with the smallest keys."""
        keys = self._random.random(block.rows)
        most = self._most(block)
        if block.rows > most:
            chosen = np.sort(np.argpartition(keys, most)[:most])
            keys, block = keys[chosen], block.take(chosen)
        self._samples.append((keys, block))
        if sum(len(keys) for keys, _ in self._samples) > 2 * most:
            self._samples = [smallest_keys(self._samples, most)]

    def _most(self, block: Block) -> int:
        by_bytes = int(self._plan.sample_bytes * block.rows / max(block.matrix_bytes, 1))
        return max(1, min(self._plan.sample_rows, by_bytes))

    def summary(self, blocks: int) -> PartitionSummary:
        """Return the summary, after all rows have been read."""
        features = self._features
        # If there are faults, only these are reported: the width may be one of the faults.
        width = 0 if self._faults else features or 0
        nothing = Block(np.zeros((0, width)), np.zeros(0), None)
        keys, sample = np.zeros(0), nothing
        if self._samples and not self._faults:
            keys, sample = smallest_keys(self._samples, self._most(self._samples[-1][1]))
        folds = {0: no_rows(width)} if self._faults or not self._moments else self._moments
        return PartitionSummary(
            self._partition, features, blocks, self._seen, folds, sample, keys, self._faults
        )


@dataclass(frozen=True)
class RemoveFiles:
    """Remove a fit's files from the machine of each task; gives no rows."""

    store: BlockStore

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            self.store.remove()
        yield from ()
