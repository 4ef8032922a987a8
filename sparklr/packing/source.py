"""The rows of a packing, and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.sql import DataFrame

from sparklr.arrays import MEGABYTE
from sparklr.packing.summaries import SAMPLE_ROWS, WIDER_ROWS
from sparklr.packing.worker import PackPlan
from sparklr.rows.checks import ColumnNames
from sparklr.spark.classic import HeldRows, held_rows
from sparklr.spark.private_session import PrivateFrame

# The overhead of a batch is about 50 microseconds in Python: larger batches gain nothing.
PACK_BATCH_BYTES = 1_600_000
# The least number of rows per batch, also used if their width is not known: rows so wide that a
# batch would have fewer rows are nearly always sparse.
FEWEST_RECORDS = 1_000
# The size of all blocks from which files are faster than the way through Spark to the driver, if
# the driver can read them: measured from 8 to 120 MB, which took half the time in files.
NEAR_BYTES = 16 * MEGABYTE
# Up to so many cached partitions per slot are packed by a task each: a task takes some 30 ms beside
# its rows.
MOST_TASKS = 8
# The share of each cached partition in the sample, in even shares.
SPARE = 1.5


@dataclass(frozen=True)
class PackSettings:
    """Settings of a packing: where blocks are stored, and how sums are merged."""

    local_bytes: int = 128 * MEGABYTE  # if all blocks take less, they come to the driver
    block_bytes: int = 8 * MEGABYTE
    merge_bytes: int = 64 * MEGABYTE  # if all partials take more, executors merge them first
    depth: int = 2  # levels of that merge
    slots: int | None = None  # tasks that can run at once, if known
    files: bool = True  # whether workers may keep blocks in files
    map_files: bool = True  # whether the driver may sum blocks in files that it can read
    wider: bool = False  # whether a wider sample is drawn, because a reading is probably a job
    width: int | None = None  # number of features, if the metadata have it
    classes: int | None = None  # number of classes, if the metadata have it
    folded: bool = False  # whether the last column is the fold of each row
    near: bool = False  # whether the driver can read all workers' files: Spark keeps nothing then
    most_bytes: int | None = None  # of all rows, if known


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to pack: features, label, perhaps weight, offset, held and fold, in this order."""

    private: PrivateFrame
    names: ColumnNames  # the user's names of the columns, for errors
    settings: PackSettings

    @cached_property
    def tasks(self) -> int | None:
        """The number of packing tasks, if known: one per slot, or one per cached partition.

        One task per slot has the least overhead. But Spark's `coalesce` looks at machines only:
        where executors share one, a task would take cached rows out of other executors.
        """
        if self.few:
            return 1
        slots, held = self.settings.slots, self._held
        if slots is None or self.settings.near or held is None:
            return slots
        # Each task has a part of its own in a pass, and merging these takes time too.
        parts = held.partitions * 8 * ((self.settings.width or 0) + 1) ** 2
        apart = slots < held.partitions <= MOST_TASKS * slots
        return held.partitions if apart and parts <= self.settings.merge_bytes else slots

    @cached_property
    def _held(self) -> HeldRows | None:
        return held_rows(self.private.frame)

    @property
    def few(self) -> bool:
        """Whether the rows are known to be so few that the driver packs them.

        A job without Python takes half of the time of one with it, and starts no Python workers.
        Its rows come as Arrow batches since Spark 4.0.
        """
        most = self.settings.most_bytes
        if most is None or not hasattr(self.private.frame, "toArrow"):
            return False
        return most <= min(NEAR_BYTES, self.settings.local_bytes)

    @property
    def frame(self) -> DataFrame:
        """The rows, with one partition per packing task."""
        rows, slots = self.private.frame, self.settings.slots
        if slots is None or self.few or self.tasks != slots:
            return rows
        return rows.coalesce(slots)

    def plan(self, *, ship_all: bool) -> PackPlan:
        """Return how to pack every partition."""
        # The share of a partition: if tasks are unknown, small enough for hundreds of partitions.
        share = self.settings.local_bytes // (self.tasks or 256)
        # Its share of the sample: more than an even share, because partitions differ in size, and
        # there may be fewer of them than slots where Spark does not hold them.
        spare, tasks = 4.0, self.tasks or 64
        if not self.few and self._held is not None:
            spare, tasks = SPARE, min(tasks, self._held.partitions)
        rows = WIDER_ROWS if self.settings.wider else SAMPLE_ROWS
        return PackPlan(
            self.settings.block_bytes,
            share,
            sample_rows=int(np.clip(spare * rows // tasks, 200, rows)),
            sample_bytes=int(np.clip(64 * MEGABYTE // tasks, MEGABYTE // 4, 16 * MEGABYTE)),
            classes=self.settings.classes,
            folded=self.settings.folded,
            ship_all=ship_all,
            names=ship_all or not (self.settings.near and self.settings.files),
        )

    @property
    def batch_records(self) -> int:
        """The number of rows per Arrow batch of the packing job."""
        width = self.settings.width
        if width is None:
            return FEWEST_RECORDS
        return int(np.clip(PACK_BATCH_BYTES // (8 * max(width, 1)), FEWEST_RECORDS, 10_000))
