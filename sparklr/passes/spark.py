"""Rows of a DataFrame made ready for passes, and passes as Spark jobs. DataFrame API only.

`open_passes` reads the frame once. Few rows come to the driver in that same job, and passes
over them cost none; many stay on the executors, packed and persisted, and a pass is a job.
Whatever happens inside the `with`, nothing stays persisted after it.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.blocks import Block
from sparklr.objective.moments import Moments, no_rows
from sparklr.objective.sums import Probe
from sparklr.passes.complaints import ColumnNames, Complaints, check_magnitudes
from sparklr.passes.local import LocalPasses
from sparklr.passes.pack import (
    SUMMARY,
    PackPlan,
    PartitionSummary,
    pack_partition,
    smallest_keys,
)
from sparklr.passes.protocol import MEGABYTE, Passes
from sparklr.passes.session import PrivateFrame
from sparklr.passes.store import BlockStore
from sparklr.passes.tasks import PARTIAL, SUMS, RemoveFiles, SumBlocks, merge_buckets

log = logging.getLogger("sparklr")

PACKED = "partition int, position int, small boolean, length long, payload binary"
# Arrow's buffers grow by doubling, so long batches of wide rows copy more than they carry:
# measured on 100 features, batches of 0.1 to 0.5 MB pack three times as fast as Spark's default.
PACK_BATCH_BYTES = 400_000
# Rows a batch where neither the row's width nor a limit in bytes is known.
PACK_BATCH_RECORDS = 128
# Names of blocks a batch, where blocks lie in files: no number matters much.
NAMES_A_BATCH = 1_000
# Rows of the sample: enough that a start from its optimum leaves a few Newton steps.
SAMPLE_ROWS = 10_000


@dataclass(frozen=True)
class Storage:
    """Where blocks live and how sums travel."""

    local_bytes: int = 128 * MEGABYTE  # all blocks together below this come to the driver
    block_bytes: int = 8 * MEGABYTE
    merge_bytes: int = 64 * MEGABYTE  # partials beyond this merge on the executors first
    depth: int = 2  # levels of that merge
    slots: int | None = None  # tasks that can run at once, if known
    files: bool = True  # whether workers may keep copies of blocks in files of their own
    width: int | None = None  # features a row, if the metadata tell
    classes: int | None = None  # likewise


@contextmanager
def open_passes(rows: DataFrame, names: ColumnNames, storage: Storage) -> Iterator[Passes]:
    """Passes over a frame with columns features, label and perhaps weight, in this order.

    `names` are what the user calls these columns, for errors.
    """
    private = PrivateFrame(rows)
    # A partition's share: with unknown slots, small enough for hundreds of partitions.
    share = storage.local_bytes // (storage.slots or 256)
    # Likewise its share of the sample: four times the even one, as partitions differ in size.
    tasks = storage.slots or 64
    plan = PackPlan(
        storage.block_bytes,
        share,
        sample_rows=int(np.clip(4 * SAMPLE_ROWS // tasks, 200, SAMPLE_ROWS)),
        sample_bytes=int(np.clip(64 * MEGABYTE // tasks, MEGABYTE // 4, 16 * MEGABYTE)),
        classes=storage.classes,
    )
    frame = private.frame if storage.slots is None else private.frame.coalesce(storage.slots)
    store = BlockStore(uuid.uuid4().hex)
    packed = frame.mapInArrow(_Pack(plan, store, storage.files), PACKED)
    persisted = _persist(packed)
    passes: Passes | None = None
    try:
        private.batch(records=_pack_records(private, storage.width), size=PACK_BATCH_BYTES)
        passes = _gather(packed, private, names, storage, store)
        if passes.local and persisted:
            packed.unpersist()
            persisted = False
        yield passes
    finally:
        if isinstance(passes, SparkPasses):
            passes.remove_files()
        if persisted:
            packed.unpersist()


def _pack_records(private: PrivateFrame, width: int | None) -> int:
    if width is not None:
        return int(np.clip(PACK_BATCH_BYTES // (8 * max(width, 1)), 1, 10_000))
    return 10_000 if private.limits_bytes else PACK_BATCH_RECORDS


def _persist(frame: DataFrame) -> bool:
    try:
        frame.persist()
    except Exception as reason:  # serverless refuses: the rows are then packed anew each pass
        log.warning("cannot persist the packed rows: %s", str(reason).split("\n", 1)[0])
        return False
    return True


@dataclass(frozen=True)
class _Pack:
    """The packing task.

    The store's token tells two fits of one frame apart: Spark keeps equal plans once, and
    whichever fit ended first would drop the other's blocks.
    """

    plan: PackPlan
    store: BlockStore
    files: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return pack_partition(batches, _partition(), self.plan, self.store if self.files else None)


def _partition() -> int:
    context = TaskContext.get()
    return 0 if context is None else context.partitionId()


def _gather(
    packed: DataFrame,
    private: PrivateFrame,
    names: ColumnNames,
    storage: Storage,
    store: BlockStore,
) -> Passes:
    """Run the packing job; bring home summaries and the blocks of small partitions."""
    with _wording_worker_trouble():
        table = collect_arrow(packed.where("small"))
    positions = table["position"].to_numpy()
    summaries, blocks = [], []
    for at in np.lexsort((positions, table["partition"].to_numpy())):
        payload = table["payload"][int(at)].as_buffer()
        if positions[at] == SUMMARY:
            summaries.append(PartitionSummary.from_bytes(payload.to_pybytes()))
        else:
            blocks.append(Block.from_buffer(payload))
    moments, sample = _judge(summaries, names)
    log.info(
        "packed %d rows of %d features into %d blocks",
        moments.rows, moments.features, sum(summary.blocks for summary in summaries),
    )  # fmt: skip
    if len(blocks) == sum(summary.blocks for summary in summaries):
        return LocalPasses(blocks, moments, sample)
    folders = frozenset(folder for summary in summaries for folder in summary.folders)
    count = sum(summary.blocks for summary in summaries)
    files = _Files(store, folders, count) if folders else None
    stored = packed.where(F.col("position") >= 0)
    return SparkPasses(stored, private, moments, sample, len(summaries), storage, files)


@contextmanager
def _wording_worker_trouble() -> Iterator[None]:
    """Say in a sentence what a worker without our packages says in a page."""
    try:
        yield
    except Exception as trouble:
        text = str(trouble)
        lacking = re.search(r"No module named '(sparklr|numpy|scipy|pandas|pyarrow)'", text)
        if lacking or "PYTHON_VERSION_MISMATCH" in text:
            what = f"have no {lacking[1]}" if lacking else "run another version of Python"
            raise RuntimeError(
                f"Spark's workers {what}. Install sparklr where they run; on one machine, set the "
                f"environment variable PYSPARK_PYTHON to {sys.executable} before the Spark "
                "session starts."
            ) from trouble
        raise


def _judge(summaries: Sequence[PartitionSummary], names: ColumnNames) -> tuple[Moments, Block]:
    """The whole frame's moments and sample, or an error that says what is wrong with its rows."""
    complaints = Complaints()
    features: int | None = None
    moments = no_rows(0)
    for summary in summaries:
        complaints.merge(summary.complaints)
        if summary.features is None:
            continue
        if features is not None and summary.features != features:
            example = f"size {summary.features} instead of {features}"
            complaints.add("size", summary.seen, example)
        elif not complaints:
            features = summary.features
            moments = moments.merge(summary.moments)
    if complaints:
        raise ValueError(complaints.sentence(names))
    if features is None or sum(summary.seen for summary in summaries) == 0:
        raise ValueError("The data set is empty: there are no rows to fit. Pass at least one row.")
    if moments.rows == 0:
        raise ValueError(
            f"{names.subject('weight')}: all weights are zero, so no row counts. "
            "Give at least one row a weight above zero."
        )
    check_magnitudes(moments, names)
    samples = [(summary.keys, summary.sample) for summary in summaries if len(summary.keys)]
    _, sample = smallest_keys(samples, SAMPLE_ROWS)
    return moments, sample


@dataclass(eq=False)
class _Files:
    """The block files of a fit, as the driver knows them."""

    store: BlockStore
    folders: frozenset[str]
    blocks: int
    trusted: bool = True  # until a pass misses most of them


@dataclass(frozen=True, eq=False)
class SparkPasses:
    """Blocks persisted on the executors, with copies in files beside the workers.

    Each pass is one job over the files. Blocks whose file is not found are read once more,
    shipped from what Spark has persisted.
    """

    blocks: DataFrame
    private: PrivateFrame
    moments: Moments
    sample: Block
    partitions: int
    storage: Storage
    files: _Files | None
    local: bool = False

    def total(self, probes: Sequence[Probe]) -> Array:
        """Every task sums its blocks; partials merge in the order of partitions."""
        if self.files is None or not self.files.trusted:
            return self._total(probes, self.blocks, shipped=True)[0]
        total, missing = self._total(probes, self.blocks, shipped=False)
        if missing:
            log.warning("%d block files were not found: Spark ships these blocks", len(missing))
            self.files.trusted = 2 * len(missing) < self.files.blocks
            again = self.blocks.where(reduce(or_, map(_is_block, missing)))
            total += self._total(probes, again, shipped=True)[0]
        return total

    def _total(
        self, probes: Sequence[Probe], blocks: DataFrame, *, shipped: bool
    ) -> tuple[Array, list[tuple[int, int]]]:
        """The sums of these blocks, and (partition, position) of those that were not found."""
        columns = ["partition", "position", "length"]
        if shipped:  # a block a batch: no task ever holds more than one
            columns.append("payload")
        self.private.batch(records=1 if shipped else NAMES_A_BATCH)
        store = self.files.store if self.files is not None else None
        features, origin = self.moments.features, self.moments.origin
        task = SumBlocks(tuple(probes), features, origin, store, shipped)
        partials = blocks.select(*columns).mapInArrow(task, PARTIAL)
        length = sum(probe.length for probe in probes)
        table = collect_arrow(self._merge_tree(partials, 8 * length))
        order = np.argsort(table["partition"].to_numpy(), kind="stable")
        total, missing = np.zeros(length), []
        for at in order:
            position, sums = table["position"][int(at)].as_py(), table["sums"][int(at)]
            if position == SUMS:
                total += np.frombuffer(sums.as_buffer(), dtype=np.float64)
            else:
                missing.append((table["partition"][int(at)].as_py(), position))
        return total, missing

    def remove_files(self) -> None:
        """Remove the block files: from here if they lie on this machine, else by a job."""
        if self.files is None or self.files.store.remove(self.files.folders):
            return
        try:
            # Each task reads a cached partition, so it runs where that partition's files are.
            names = self.blocks.select("partition")
            collect_arrow(names.mapInArrow(RemoveFiles(self.files.store), "partition int"))
        except Exception as reason:
            # Spark removes the executors' folders when they end; a fit need not fail for them.
            log.warning("block files were left: %s", str(reason).split("\n", 1)[0])

    def _merge_tree(self, partials: DataFrame, size: int) -> DataFrame:
        """Merge on the executors while the driver would receive too many or too large partials.

        As Spark's treeAggregate: each of `depth` - 1 levels divides their number by the
        depth-th root of the number of partitions.
        """
        count = self.partitions
        factor = max(math.ceil(count ** (1 / self.storage.depth)), 2)
        for _ in range(self.storage.depth - 1):
            if count * size <= self.storage.merge_bytes or count <= factor:
                break
            count = math.ceil(count / factor)
            bucketed = partials.withColumn("bucket", F.col("partition") % count)
            grouped = bucketed.repartition(count, "bucket")
            partials = grouped.sortWithinPartitions("bucket", "partition").mapInArrow(
                merge_buckets, PARTIAL
            )
        return partials


def _is_block(name: tuple[int, int]) -> Column:
    return (F.col("partition") == name[0]) & (F.col("position") == name[1])


def collect_arrow(frame: DataFrame) -> Any:
    """The frame's rows as one Arrow table on the driver."""
    if hasattr(frame, "toArrow"):  # Spark 4.0
        return frame.toArrow()
    columns = frame.columns
    rows = frame.collect()
    return pa.table({name: [row[name] for row in rows] for name in columns})
