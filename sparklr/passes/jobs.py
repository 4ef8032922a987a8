"""Rows of a DataFrame made ready for passes, and passes as Spark jobs. DataFrame API only.

`open_passes` reads the frame once. Few rows come to the driver in that same job, and passes
over them cost none; many stay beside the workers, packed, and a pass is a job. Whatever happens
inside the `with`, nothing is left behind after it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import add, or_
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import MEGABYTE, Array
from sparklr.objective.sums import Probe
from sparklr.packing.job import Gathered, Packing, PackSettings, Source
from sparklr.packing.mapped_blocks import BlockLostError
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes, batches, sums_bytes
from sparklr.passes.readings import join_columns
from sparklr.passes.threads import useful_threads
from sparklr.passes.worker import PARTIAL, SUMS, ScoreBlocks, SumBlocks, merge_buckets
from sparklr.rows.blocks import Block
from sparklr.rows.checks import ColumnNames
from sparklr.spark.classic import run_job
from sparklr.spark.collect import collect_arrow
from sparklr.spark.connect import is_remote
from sparklr.spark.private_session import PrivateFrame

log = logging.getLogger("sparklr")

# Names of blocks a batch, where blocks lie in files: no number matters much.
NAMES_A_BATCH = 1_000
# Bytes of blocks that one task may hold at once, where the size of a batch is not ours to set.
SHIPPED_BYTES = 64 * MEGABYTE
# Of what goes to a server of Spark Connect and comes back at once: it allows 128 MB.
MESSAGE_BYTES = 96 * MEGABYTE
# So many missing blocks can be asked for by name; where more are missing, all are read.
ASKED_BY_NAME = 100


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Name: TypeAlias = tuple[int, int]  # a block's partition and position


class _Job(Protocol[T_co]):
    """A reading of some blocks by tasks, and the names of those that were not found."""

    def __call__(self, blocks: DataFrame, *, shipped: bool) -> tuple[T_co, list[Name]]: ...


@contextmanager
def open_passes(rows: DataFrame, names: ColumnNames, settings: PackSettings) -> Iterator[Passes]:
    """Passes over a frame with columns features, label and perhaps weight and fold, in this order.

    `names` are what the user calls these columns, for errors.
    """
    source = Source(PrivateFrame(rows), names, settings)
    packing = Packing.start(source)
    passes: SparkPasses | None = None
    try:
        gathered = packing.gather()
        if len(gathered.blocks) == gathered.count:
            packing.unpersist()
            threads = useful_threads(settings.slots)
            yield LocalPasses(
                gathered.blocks, gathered.moments, gathered.sample, threads, gathered.folds
            )
        else:
            passes = SparkPasses(source, packing, gathered)
            yield passes
    finally:
        (packing if passes is None else passes.packing).close()


class SparkPasses:
    """Blocks in files beside the workers; each pass is one job over these.

    Where this process can read all the files itself, it does, and no job is needed.

    A block without a file is shipped from what Spark holds of it. If it holds nothing (a machine
    was lost with its files, or somebody removed them), the rows are packed again, and this time
    Spark also keeps every block, so that whatever is lost later costs no more than itself.
    """

    local = False

    def __init__(self, source: Source, packing: Packing, gathered: Gathered) -> None:
        self.source = source
        self.packing = packing
        self.moments = gathered.moments
        self.folds = gathered.folds
        self.sample = gathered.sample
        self.partitions = gathered.partitions
        self._count = gathered.count
        self._by_name = packing.has_files  # whether to look for files before anything is shipped
        self._ships_all = False
        self._readings = 0  # passes so far, to name them
        self._mapped = self._mapped_passes(gathered)

    def _mapped_passes(self, gathered: Gathered) -> LocalPasses | None:
        """Passes without jobs, if all files are at hand and threads are as good as tasks."""
        threads = useful_threads(self.source.settings.slots)
        if gathered.mapped is None or threads < (self.source.settings.slots or threads + 1):
            return None
        return LocalPasses(gathered.mapped, self.moments, self.sample, threads, self.folds)

    @property
    def blocks(self) -> DataFrame:
        """Every block's names, and what Spark holds of it."""
        return self.packing.frame.where(F.col("position") >= 0)

    def total(self, probes: Sequence[Probe]) -> Array:
        """Every task sums its blocks; partials merge in the order of partitions."""
        parts = self._messages(probes, lambda probe: max(sums_bytes(probe), _probe_bytes(probe)))
        return np.concatenate([self._total_of(part) for part in parts])

    def _total_of(self, probes: Sequence[Probe]) -> Array:
        self._readings += 1
        return self._complete(
            lambda passes: passes.total(probes), partial(self._total, probes), add
        )

    def held_out(self, probes: Sequence[Probe]) -> list[Block]:
        """Every task scores its blocks; they come in the order of partitions."""

        def size_of(probe: Probe) -> int:
            fold = None if probe.without is None else self.folds.get(probe.without)
            rows = 0 if fold is None else fold.rows
            return max(8 * probe.margins * rows, _probe_bytes(probe))

        parts = [self._held_out_of(part) for part in self._messages(probes, size_of)]
        return [join_columns(blocks) for blocks in zip(*parts, strict=True)]

    def _messages(
        self, probes: Sequence[Probe], size_of: Callable[[Probe], int]
    ) -> list[Sequence[Probe]]:
        """Probes that go together: on Spark Connect, so many as its messages can hold."""
        if self._mapped is not None or not is_remote(self.packing.frame.sparkSession):
            return [probes]
        for probe in probes:
            if size_of(probe) > MESSAGE_BYTES and probe.without is None:
                raise ValueError(_too_large(probe, size_of(probe)))
        return list(batches(probes, MESSAGE_BYTES, size_of))

    def _held_out_of(self, probes: Sequence[Probe]) -> list[Block]:
        self._readings += 1
        found = self._complete(
            lambda passes: {(0, at): scored for at, scored in enumerate(passes.held_out(probes))},
            partial(self._held_out, probes),
            or_,
        )
        return [found[name] for name in sorted(found)]

    def _complete(
        self, by_mapped: Callable[[LocalPasses], T], job: _Job[T], join: Callable[[T, T], T]
    ) -> T:
        """One reading of all blocks: by this process, or else by jobs until none is missing."""
        if self._mapped is not None:
            try:
                return by_mapped(self._mapped)
            except BlockLostError:
                self._mapped = None
        result, missing = job(self.blocks, shipped=not self._by_name)
        if missing and self._by_name:
            log.warning("%d block files were not found", len(missing))
            self._by_name = 2 * len(missing) < self._count
            if len(missing) > ASKED_BY_NAME or not self._by_name:
                result, missing = job(self.blocks, shipped=True)
            else:
                again = self.blocks.where(_is_among(missing))
                more, missing = job(again, shipped=True)
                result = join(result, more)
        if not missing:
            return result
        self._pack_again()
        return self._complete(by_mapped, job, join)

    def _pack_again(self) -> None:
        if self._ships_all:
            raise RuntimeError(
                "Blocks of rows that Spark had persisted are gone, twice. Persist the training "
                "frame before fitting, or set spark.sparklr.localMB so high that the rows fit "
                "into the driver's memory."
            )
        log.warning("Spark holds no copy of these blocks: the rows are packed again")
        self.packing.close()
        self.packing = Packing.start(self.source, ship_all=True)
        self._ships_all = True
        gathered = self.packing.gather()
        if not gathered.moments.alike(self.moments):
            raise RuntimeError(
                "The training rows changed while they were fitted: read a second time, they have "
                "other sums. Persist the frame, or write it to a table, before fitting."
            )
        self.partitions, self._count = gathered.partitions, gathered.count
        self._mapped = self._mapped_passes(gathered)
        self._by_name = self.packing.has_files

    def _total(
        self, probes: Sequence[Probe], blocks: DataFrame, *, shipped: bool
    ) -> tuple[Array, list[Name]]:
        """The sums of these blocks, and the names of those that were not found."""
        length = sum(probe.length for probe in probes)
        partials = self._job(SumBlocks, probes, blocks, shipped=shipped)
        table = self._collect(self._merge_tree(partials, 8 * length), probes)
        order = np.argsort(table["partition"].to_numpy(), kind="stable")
        total, missing = np.zeros(length), []
        for at in order:
            position, sums = table["position"][int(at)].as_py(), table["sums"][int(at)]
            if position == SUMS:
                total += np.frombuffer(sums.as_buffer(), dtype=np.float64)
            else:
                missing.append((table["partition"][int(at)].as_py(), position))
        return total, missing

    def _held_out(
        self, probes: Sequence[Probe], blocks: DataFrame, *, shipped: bool
    ) -> tuple[dict[Name, Block], list[Name]]:
        """What is left of these blocks, and the names of those that were not found."""
        table = self._collect(self._job(ScoreBlocks, probes, blocks, shipped=shipped), probes)
        found: dict[Name, Block] = {}
        missing = []
        for row in range(table.num_rows):
            name = table["partition"][row].as_py(), table["position"][row].as_py()
            if table["sums"][row].is_valid:
                found[name] = Block.from_buffer(table["sums"][row].as_buffer())
            else:
                missing.append(name)
        return found, missing

    def _job(
        self,
        task: type[SumBlocks] | type[ScoreBlocks],
        probes: Sequence[Probe],
        blocks: DataFrame,
        *,
        shipped: bool,
    ) -> DataFrame:
        """What a task makes of these blocks, which come from Spark or lie in files."""
        columns = ["partition", "position", "run", "length"]
        if shipped:  # a block a batch: no task ever holds more than one
            columns.append("payload")
        self.source.private.batch(records=1 if shipped else NAMES_A_BATCH)
        store = self.packing.store if self.packing.has_files else None
        if shipped and not self.source.private.own:
            blocks = self._spread(blocks)
        features, origin = self.moments.features, self.moments.origin
        made = task(tuple(probes), features, origin, store, shipped)
        self.packing.read_by_jobs = True
        return blocks.select(*columns).mapInArrow(made, PARTIAL)

    def _spread(self, blocks: DataFrame) -> DataFrame:
        """Blocks over so many tasks that none holds many at once, whatever a batch may hold."""
        size = self.source.settings.block_bytes
        most = max(SHIPPED_BYTES // size, 1)
        tasks = math.ceil(self._count / most)
        if tasks <= 1 or self.source.private.batch_rows(size) <= most:
            return blocks
        # In one order, so that a fit repeats to the bit.
        spread = blocks.repartition(tasks, "partition", "position")
        return spread.sortWithinPartitions("partition", "position")

    def _collect(self, frame: DataFrame, probes: Sequence[Probe]) -> Any:
        """The rows of one reading's job, which Spark's pages show under this pass."""
        columns = sum(probe.margins for probe in probes)
        what = f"sparklr: pass {self._readings}, {columns} column{'s' if columns > 1 else ''}"
        return run_job(frame.sparkSession, what, lambda: collect_arrow(frame))

    def _merge_tree(self, partials: DataFrame, size: int) -> DataFrame:
        """Merge on the executors while the driver would receive too many or too large partials.

        As Spark's treeAggregate: each of `depth` - 1 levels divides their number by the
        depth-th root of the number of partitions.
        """
        count = self.partitions
        factor = max(math.ceil(count ** (1 / self.source.settings.depth)), 2)
        for _ in range(self.source.settings.depth - 1):
            if count * size <= self.source.settings.merge_bytes or count <= factor:
                break
            count = math.ceil(count / factor)
            bucketed = partials.withColumn("bucket", F.col("partition") % count)
            grouped = bucketed.repartition(count, "bucket")
            partials = grouped.sortWithinPartitions("bucket", "partition").mapInArrow(
                merge_buckets, PARTIAL
            )
        return partials


def _probe_bytes(probe: Probe) -> int:
    return int(probe.coefficients.nbytes + probe.offsets.nbytes)


def _too_large(probe: Probe, size: int) -> str:
    what = "a Hessian" if probe.order > 1 else "coefficients"
    advice = "use solver='l-bfgs' or 'owl-qn', " if probe.order > 1 else ""
    return (
        f"A pass would need {what} of {size // MEGABYTE} MB in one message, and Spark Connect "
        f"takes {MESSAGE_BYTES // MEGABYTE} MB. To fit this model, {advice}set "
        "spark.sparklr.localMB so high that the rows fit into the client's memory, or fit in a "
        "classic session."
    )


def _is_among(names: Sequence[Name]) -> Column:
    """As text: a chain of many `|` would be too deep for a message of Spark Connect."""
    return F.expr(" or ".join(f"(partition = {one} and position = {at})" for one, at in names))
