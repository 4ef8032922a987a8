"""One packing of a frame's rows: a Spark job that makes blocks and stores them.

Blocks of small partitions come to the driver in the same job. The other blocks lie in files on the
workers' disks; Spark persists their names, and the blocks for which no file could be written.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparklr.objective.moments import Moments, merge_all
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.packing.mapped_blocks import FileBlocks
from sparklr.packing.source import Source
from sparklr.packing.summaries import PartitionSummary, check_and_merge
from sparklr.packing.worker import SUMMARY, PackPlan, RemoveFiles, pack_partition
from sparklr.rows.blocks import Block
from sparklr.spark.classic import run_job
from sparklr.spark.collect import collect_arrow
from sparklr.spark.connect import is_remote, remove_path
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.refusals import REFUSALS, first_line, warn_once

log = logging.getLogger("sparklr")

PACKED = "partition int, position int, run long, small boolean, length long, payload binary"
# Where to find a block: the columns that a pass by names needs.
NAME = ("partition", "position", "run", "length")
# Spark's own validators use this path for data that they cannot persist.
TEMPORARY_PATH = "SPARKML_TEMP_DFS_PATH"


class Packing:
    """The blocks of a source's rows; `close` frees all that they take."""

    def __init__(
        self,
        source: Source,
        store: BlockStore,
        frame: DataFrame,
        *,
        persisted: bool,
        writes_files: bool,
        path: str | None,
    ) -> None:
        self.store, self.frame = store, frame
        self.kept = persisted or not writes_files  # whether jobs can read the blocks
        self.folders: frozenset[str] | None = None  # not known until the job has ended
        self.read_by_jobs = False  # if so, a job may have packed lost partitions again
        self._source = source
        self._persisted, self._writes_files = persisted, writes_files
        self._path = path  # of the packed rows, if they are saved

    @staticmethod
    def start(source: Source, *, ship_all: bool = False) -> Packing:
        """Plan the packing of a source; Spark persists the result if the platform allows it.

        Where the driver can read all files, it does not: each frame that Spark persists takes a
        stage of its own, which is half of the time of a job of few rows.
        """
        store, settings, rows = BlockStore(uuid.uuid4().hex), source.settings, source.private.frame
        frame = rows if settings.slots is None else rows.coalesce(settings.slots)
        source.private.batch(records=source.batch_records)  # read when Spark plans: at `persist`
        plan = source.plan(ship_all=ship_all)
        packed = frame.mapInArrow(_Pack(plan, store, settings.files), PACKED)
        persisted = plan.names and _persist(packed)
        if persisted or not plan.names:
            return Packing(
                source, store, packed, persisted=persisted, writes_files=settings.files, path=None
            )
        # Each pass packs the rows again, and would also write every block into a file again.
        path = _path_for(store) if is_remote(rows.sparkSession) else None
        packed = frame.mapInArrow(_Pack(plan, store, files=False), PACKED)
        return Packing(source, store, packed, persisted=False, writes_files=False, path=path)

    @property
    def has_files(self) -> bool:
        """Whether any block lies in a file."""
        return bool(self.folders)

    @cached_property
    def blocks(self) -> DataFrame:
        """The names of all blocks, with the blocks that Spark holds; after `gather`."""
        return self.frame.where(F.col("position") >= 0).select(*NAME, "payload")

    @cached_property
    def names(self) -> DataFrame:
        """The names alone. Every pass reads this frame, which Spark has to analyse once only."""
        return self.blocks.select(*NAME)

    def gather(self) -> Gathered:
        """Run the packing job; collect the summaries and the blocks of small partitions."""
        session = self.frame.sparkSession
        with _wording_worker_trouble():
            self._save(session)
            # Without names, all rows are small; a filter would take a stage's time to be compiled.
            frame = self.frame.where("small") if self.kept else self.frame
            table = run_job(session, "sparklr: packing rows", lambda: collect_arrow(frame))
        positions = table["position"].to_numpy()
        summaries, blocks = [], {}
        for at in np.lexsort((positions, table["partition"].to_numpy())):
            payload = table["payload"][int(at)].as_buffer()
            if positions[at] == SUMMARY:
                summaries.append(PartitionSummary.from_bytes(payload.to_pybytes()))
            else:
                name = BlockName(*(table[of][int(at)].as_py() for of in NAME[:3]))
                blocks[name] = Block.from_buffer(payload)
        self.folders = frozenset(folder for its in summaries for folder in its.folders)
        try:
            merged = check_and_merge(summaries, self._source.names)
        except ValueError as fault:
            raise InvalidValueError(str(fault)) from None
        moments = merge_all(merged.folds.values())
        count = sum(its.blocks for its in summaries)
        log.info(
            "packed %d rows of %d features into %d blocks", moments.rows, moments.features, count
        )
        mapped = self._mapped_blocks(summaries, blocks)
        kept = merged.folds if self._source.settings.folded else {}
        seen = sum(its.seen for its in summaries)
        return Gathered(
            moments=moments,
            folds=kept,
            held=merged.held,
            seen=seen,
            sample=merged.sample,
            wider_sample=merged.wider_sample,
            blocks=list(blocks.values()),
            count=count,
            partitions=len(summaries),
            mapped=mapped,
        )

    def _mapped_blocks(
        self, summaries: Sequence[PartitionSummary], here: Mapping[BlockName, Block]
    ) -> FileBlocks | None:
        """Return all blocks if each is here or in a file that this process can read, else None."""
        names = [
            (BlockName(its.partition, position, its.run), length)
            for its in summaries
            for position, length in enumerate(its.lengths)
        ]
        known = len(names) + len(here) == sum(its.blocks for its in summaries) > len(here)
        if not known or min(length for _, length in names) < 0:
            return None
        folders = {its.folders for its in summaries if its.folders}
        if len(folders) > 1:  # there are several machines
            return None
        store = self.store.seen_from_here(*folders)
        if store is None:
            return None
        names += [(name, 0) for name in here]
        return FileBlocks(store, sorted(names), dict(here), frozenset(here))

    def _save(self, session: SparkSession) -> None:
        """Save the packed rows if there is a path, and read them from it from now on."""
        path = self._path
        if path is None:
            return
        # By default a hundred blocks would be in memory before the first is written.
        writer = self.frame.write.option("parquet.block.size.row.check.min", "1")
        save = writer.option("compression", "none").parquet
        run_job(session, "sparklr: saving packed rows", lambda: save(path))
        self.frame = session.read.schema(PACKED).parquet(path)

    def unpersist(self) -> None:
        """Unpersist the packed rows, or remove them if they were saved."""
        if self._persisted:
            self._persisted = False
            self.frame.unpersist()
        path, self._path = self._path, None
        if path is not None:
            try:
                remove_path(self._source.private.frame.sparkSession, path)
            except REFUSALS as reason:
                log.warning("packed rows at '%s' were not removed: %s", path, first_line(reason))

    def close(self) -> None:
        """Remove block files, persisted rows and saved rows."""
        try:
            self._remove_files()
        except REFUSALS as reason:
            # Spark removes the executors' folders when they end, so the fit need not fail.
            log.warning("block files were not removed: %s", first_line(reason))
        finally:
            self.unpersist()

    def _remove_files(self) -> None:
        """Remove files on this machine directly, and files elsewhere by a job.

        If there is a job anyway, its tasks remove the files of this machine too, at the same time.
        """
        if not self._writes_files:
            return
        session = self._source.private.frame.sparkSession
        known = self.folders is not None
        anywhere = bool(self.folders) and (self.read_by_jobs or _may_run_twice(session))
        if known and not anywhere and self.store.remove(self.folders):
            return
        try:
            self._remove_by_job(session)
        finally:
            if known:
                self.store.remove(self.folders)

    def _remove_by_job(self, session: SparkSession) -> None:
        """Remove the files on all executors."""
        # Any executor may have files: of a failed packing, of a task that failed or that Spark
        # ended, or of a partition that a lost executor had before.
        slots = self._source.settings.slots or 64
        names = session.range(0, slots, 1, slots).selectExpr("int(id) as partition")
        if self.folders is not None and self.kept:
            # A task that reads a cached partition runs where its files are, and runs first; the
            # other tasks fill the remaining executors.
            names = self.frame.select("partition").unionAll(names)
        collect_arrow(names.mapInArrow(RemoveFiles(self.store), "partition int"))


@dataclass(frozen=True, eq=False, kw_only=True)
class Gathered:
    """The results of the packing job on the driver."""

    moments: Moments
    folds: Mapping[int, Moments]  # the moments of each fold's rows, if rows have folds
    held: Mapping[int, Moments]  # the same of held-out rows, which are not in the others
    seen: int  # number of rows, including those of weight 0
    sample: Block
    wider_sample: Block
    blocks: list[Block]  # the blocks of small partitions
    count: int  # number of blocks of all partitions
    partitions: int
    mapped: FileBlocks | None  # all blocks, if their files lie on this machine


def _persist(frame: DataFrame) -> bool:
    try:
        frame.persist()
    except REFUSALS as reason:  # for example, on serverless
        warn_once(f"cannot persist the packed rows: {first_line(reason)}")
        return False
    return True


def _path_for(store: BlockStore) -> str | None:
    """Return the path to save packed rows that Spark does not persist, if the user has set one."""
    parent = os.environ.get(TEMPORARY_PATH)
    if parent:
        return f"{parent.rstrip('/')}/sparklr-{store.token}"
    warn_once(
        "the rows are packed again for each pass. To save them once per fit instead, set the "
        f"environment variable {TEMPORARY_PATH} to a path that the cluster can write to."
    )
    return None


@dataclass(frozen=True)
class _Pack:
    """The packing task.

    The store's token makes the plans of two fits of one frame differ: Spark persists equal plans
    only once, and the fit that ended first would drop the blocks of the other.
    """

    plan: PackPlan
    store: BlockStore
    files: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return pack_partition(batches, _partition(), self.plan, self.store if self.files else None)


def _may_run_twice(session: SparkSession) -> bool:
    """Whether Spark starts slow tasks a second time, and ends the slower of the two."""
    return session.conf.get("spark.speculation", "false") == "true"


def _partition() -> int:
    context = TaskContext.get()
    return 0 if context is None else context.partitionId()


@contextmanager
def _wording_worker_trouble() -> Iterator[None]:
    """Raise a short error if the workers lack our packages or run another Python version."""
    try:
        yield
    except REFUSALS as trouble:
        text = str(trouble)
        lacking = re.search(r"No module named '(sparklr|numpy|scipy|pandas|pyarrow)'", text)
        if lacking or "PYTHON_VERSION_MISMATCH" in text:
            what = f"cannot import {lacking[1]}" if lacking else "run another version of Python"
            raise RuntimeError(
                f"Spark's workers {what}. Install sparklr where they run; on one machine, set the "
                f"environment variable PYSPARK_PYTHON to {sys.executable} before the Spark "
                "session starts."
            ) from trouble
        raise
