"""Passes over the rows of a DataFrame, in memory or as Spark jobs. DataFrame API only.

`open_passes` reads the frame once. If the rows are few, they come to the driver in the same job,
and passes over them need no jobs. Many rows stay on the workers as blocks, and a pass is a job.
Whatever happens inside the `with`, nothing is left behind after it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import MEGABYTE
from sparklr.packing.job import Gathered, Packing
from sparklr.packing.mapped_blocks import BlockLostError
from sparklr.packing.source import PackSettings, Source
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes
from sparklr.passes.readings import AnyReading, Reading
from sparklr.passes.threads import useful_threads
from sparklr.passes.worker import PARTIAL, MergeParts, ReadBlocks
from sparklr.rows.blocks import Block
from sparklr.rows.checks import ColumnNames
from sparklr.spark.classic import run_job
from sparklr.spark.collect import collect_arrow
from sparklr.spark.connect import is_remote
from sparklr.spark.private_session import PrivateFrame

log = logging.getLogger("sparklr")

# Tasks at once, where the platform does not say.
UNKNOWN_SLOTS = 64
# Names of blocks per batch, if blocks lie in files: the number hardly matters.
NAMES_A_BATCH = 1_000
# Bytes of blocks that one task may hold at once, if we cannot set the size of a batch.
SHIPPED_BYTES = 64 * MEGABYTE
# Bytes of one message to or from a server of Spark Connect, whose limit is 128 MB.
MESSAGE_BYTES = 96 * MEGABYTE
# At most this many missing blocks are read by name; if more are missing, all blocks are read.
ASKED_BY_NAME = 100


Part = TypeVar("Part")
Name: TypeAlias = tuple[int, int]  # a block's partition and position


@contextmanager
def open_passes(rows: DataFrame, names: ColumnNames, settings: PackSettings) -> Iterator[Passes]:
    """Open passes over a frame with features, label, perhaps weight, offset and fold, in order.

    `names` are the user's names of these columns, for errors.
    """
    source = Source(PrivateFrame(rows), names, settings)
    packing = Packing.start(source)
    passes: SparkPasses | None = None
    try:
        gathered = packing.gather()
        if len(gathered.blocks) == gathered.count:
            packing.unpersist()
            threads = useful_threads(settings.slots)
            blocks = [block.remembering() for block in gathered.blocks]
            yield _local(blocks, gathered, threads)
        else:
            passes = SparkPasses(source, packing, gathered)
            yield passes
    finally:
        (packing if passes is None else passes.packing).close()


class SparkPasses:
    """Passes over blocks in files on the workers' disks; each pass is one job.

    If this process can read all files itself, it does, and no job is needed.

    A block without a file is shipped from Spark's copy. If Spark has no copy (a machine was lost
    with its files, or the files were removed), the rows are packed again. This time Spark also
    keeps every block, so that later losses cost only the lost blocks.
    """

    local = False

    def __init__(self, source: Source, packing: Packing, gathered: Gathered) -> None:
        self.source = source
        self.packing = packing
        self.moments = gathered.moments
        self.folds, self.held = gathered.folds, gathered.held
        self.sample, self._wider_sample = gathered.sample, gathered.wider_sample
        self.partitions = gathered.partitions
        self._count = gathered.count
        self._by_name = packing.has_files  # whether to look for files before anything is shipped
        self._ships_all = False
        self._readings = 0  # number of passes so far, for their descriptions
        self._mapped = self._mapped_passes(gathered)

    def _mapped_passes(self, gathered: Gathered) -> LocalPasses | None:
        """Return passes without jobs if all files are readable and there is a thread per slot."""
        settings = self.source.settings
        threads = useful_threads(settings.slots)
        enough = threads >= (settings.slots or threads + 1)
        if gathered.mapped is None or not enough or not settings.map_files:
            return None
        return _local(gathered.mapped, gathered, threads)

    @property
    def jobs(self) -> bool:
        return self._mapped is None

    @property
    def wider_sample(self) -> Block:
        return self._wider_sample if self.jobs else self.sample

    @property
    def slots(self) -> int:
        return self.source.settings.slots or UNKNOWN_SLOTS

    @property
    def blocks(self) -> DataFrame:
        """The names of all blocks, with the blocks that Spark holds."""
        return self.packing.blocks

    def read(self, reading: Reading[Part]) -> Part:
        """Return the merged parts of all blocks, in the order of partitions."""
        return reading.assemble([self._read(piece) for piece in self._pieces(reading)])

    def _pieces(self, reading: Reading[Part]) -> Sequence[Reading[Part]]:
        """Return the reading or, on Spark Connect, pieces of it that fit into messages."""
        if self._mapped is not None or not is_remote(self.packing.frame.sparkSession):
            return [reading]
        pieces = reading.pieces(MESSAGE_BYTES)
        for piece in pieces:
            if piece.size > MESSAGE_BYTES and not piece.by_block:
                raise ValueError(_too_large(piece))
        return pieces

    def _read(self, reading: Reading[Part]) -> Part:
        """Read all blocks in this process, or else by jobs until no block is missing."""
        self._readings += 1
        while True:
            if self._mapped is not None:
                try:
                    return self._mapped.read(reading)
                except BlockLostError:
                    self._mapped = None
            if self.packing.kept:
                parts, missing = self._read_by_jobs(reading)
                if not missing:
                    # The parts of one partition are in the order of their jobs until sorted.
                    ordered = sorted(parts, key=lambda part: part[:2])
                    return reading.merge(part for _, _, part in ordered)
            self._pack_again()

    def _read_by_jobs(
        self, reading: Reading[Part]
    ) -> tuple[list[tuple[int, int, Part]], list[Name]]:
        """Return parts with partition and position, and the names of lost blocks."""
        blocks = self.packing.names if self._by_name else self.blocks
        parts, missing = self._job(reading, blocks, shipped=not self._by_name)
        if not (missing and self._by_name):
            return parts, missing
        log.warning("%d block files were not found", len(missing))
        self._by_name = 2 * len(missing) < self._count
        if len(missing) > ASKED_BY_NAME or not self._by_name:
            return self._job(reading, self.blocks, shipped=True)
        again = self.blocks.where(_is_among(missing))
        more, missing = self._job(reading, again, shipped=True)
        return parts + more, missing

    def _pack_again(self) -> None:
        if self._ships_all:
            raise RuntimeError(
                "Blocks of rows that Spark had persisted were lost twice. Persist the training "
                "frame before the fit, or raise spark.sparklr.localMB, so that the rows are kept "
                "in the driver's memory."
            )
        log.warning("Spark has no copy of these blocks: the rows are packed again")
        self.packing.close()
        self.packing = Packing.start(self.source, ship_all=True)
        self._ships_all = True
        gathered = self.packing.gather()
        if not gathered.moments.alike(self.moments):
            raise RuntimeError(
                "The training rows changed while they were fitted: a second reading gave other "
                "counts or sums. Persist the frame, or write it to a table, before the fit."
            )
        self.partitions, self._count = gathered.partitions, gathered.count
        self._mapped = self._mapped_passes(gathered)
        self._by_name = self.packing.has_files

    def _job(
        self, reading: Reading[Part], blocks: DataFrame, *, shipped: bool
    ) -> tuple[list[tuple[int, int, Part]], list[Name]]:
        """Run one job over these blocks, which come from Spark or from files.

        Returns parts with partition and position, and the names of blocks that were not found.
        """
        parts = self._merge_tree(self._parts(reading, blocks, shipped=shipped), reading)
        table = self._collect(parts, reading)
        found: list[tuple[int, int, Part]] = []
        missing: list[Name] = []
        for row in range(table.num_rows):
            partition, position = table["partition"][row].as_py(), table["position"][row].as_py()
            if table["part"][row].is_valid:
                part = reading.from_bytes(table["part"][row].as_buffer())
                found.append((partition, position, part))
            else:
                missing.append((partition, position))
        return found, missing

    def _parts(self, reading: Reading[Part], blocks: DataFrame, *, shipped: bool) -> DataFrame:
        """Return the frame of the parts of these blocks."""
        # Shipped, a batch holds one block: no task ever holds more than one.
        self.source.private.batch(records=1 if shipped else NAMES_A_BATCH)
        store = self.packing.store if self.packing.has_files else None
        if shipped and not self.source.private.own:
            blocks = self._spread(blocks)
        task = ReadBlocks(reading, self.moments.features, self.moments.origin, store, shipped)
        self.packing.read_by_jobs = True
        return blocks.mapInArrow(task, PARTIAL)

    def _spread(self, blocks: DataFrame) -> DataFrame:
        """Spread blocks over enough tasks that each holds few blocks, even in one batch."""
        size = self.source.settings.block_bytes
        most = max(SHIPPED_BYTES // size, 1)
        tasks = math.ceil(self._count / most)
        if tasks <= 1 or self.source.private.batch_rows(size) <= most:
            return blocks
        # In a fixed order, so that a fit is repeatable to the bit.
        spread = blocks.repartition(tasks, "partition", "position")
        return spread.sortWithinPartitions("partition", "position")

    def _collect(self, frame: DataFrame, reading: AnyReading) -> Any:
        """Collect the rows of one reading; Spark's UI shows the job with the number of the pass."""
        columns = f"{reading.columns} column{'s' if reading.columns > 1 else ''}"
        what = f"sparklr: pass {self._readings}, {columns}"
        return run_job(frame.sparkSession, what, lambda: collect_arrow(frame))

    def _merge_tree(self, parts: DataFrame, reading: AnyReading) -> DataFrame:
        """Merge partials on the executors if they are too many or too large for the driver.

        As in Spark's treeAggregate, each of `depth` - 1 levels divides their number by the
        depth-th root of the number of partitions.
        """
        if reading.by_block:
            return parts
        count, size = self.partitions, reading.size
        factor = max(math.ceil(count ** (1 / self.source.settings.depth)), 2)
        for _ in range(self.source.settings.depth - 1):
            if count * size <= self.source.settings.merge_bytes or count <= factor:
                break
            count = math.ceil(count / factor)
            bucketed = parts.withColumn("bucket", F.col("partition") % count)
            grouped = bucketed.repartition(count, "bucket")
            ordered = grouped.sortWithinPartitions("bucket", "partition")
            parts = ordered.mapInArrow(MergeParts(reading), PARTIAL)
        return parts


def _local(blocks: Sequence[Block], gathered: Gathered, threads: int) -> LocalPasses:
    """Return passes over blocks that this process holds or can map into memory."""
    found = gathered
    return LocalPasses(
        blocks, found.moments, found.sample, threads, folds=found.folds, held=found.held
    )


def _too_large(reading: AnyReading) -> str:
    what = "a Hessian" if reading.has_hessian else "coefficients"
    advice = "use solver='l-bfgs' or 'owl-qn', " if reading.has_hessian else ""
    return (
        f"A pass needs {what} of {reading.size // MEGABYTE} MB in one message, but the limit on "
        f"Spark Connect is {MESSAGE_BYTES // MEGABYTE} MB. To fit this model, {advice}raise "
        "spark.sparklr.localMB, so that the rows are kept in the client's memory, or fit in a "
        "classic session."
    )


def _is_among(names: Sequence[Name]) -> Column:
    """Return the condition as text: a long chain of `|` is too deep for Spark Connect."""
    return F.expr(" or ".join(f"(partition = {one} and position = {at})" for one, at in names))
