"""How many tasks pack a frame, and when the driver does."""

from __future__ import annotations

from typing import Any

import pytest

from sparklr.arrays import MEGABYTE
from sparklr.packing.source import NEAR_BYTES, PackSettings, Source
from sparklr.rows.checks import ColumnNames
from sparklr.spark.classic import HeldRows

NAMES = ColumnNames("features", "label")


class Rows:
    """A frame that only tells how its partitions were coalesced."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions

    @property
    def frame(self) -> Rows:
        return self

    def coalesce(self, most: int) -> Rows:
        return Rows(min(most, self.partitions))

    def toArrow(self) -> None:
        """As frames have it since Spark 4.0."""


def source(monkeypatch: pytest.MonkeyPatch, held: int | None, **settings: Any) -> Source:
    """Rows of 20 partitions, of which Spark holds so many."""
    found = None if held is None else HeldRows(held, 1_000, 10_000, True)
    monkeypatch.setattr("sparklr.packing.source.held_rows", lambda _: found)
    private: Any = Rows(held or 20)
    return Source(private, NAMES, PackSettings(**settings))


@pytest.mark.parametrize(
    ("held", "settings", "tasks"),
    [
        (8, {"slots": 2}, 8),
        (16, {"slots": 2}, 16),
        (17, {"slots": 2}, 2),  # so many that their overhead counts
        (2, {"slots": 2}, 2),
        (None, {"slots": 2}, 2),
        (8, {"slots": 2, "near": True}, 2),  # one process has all rows
        (8, {"slots": 2, "width": 900}, 8),
        (8, {"slots": 2, "width": 1_100}, 2),  # Hessians of all tasks would exceed `merge_bytes`
    ],
)
def test_cached_partitions_are_packed_apart(
    monkeypatch: pytest.MonkeyPatch, held: int | None, settings: Any, tasks: int
) -> None:
    found = source(monkeypatch, held, **settings)
    rows: Any = found.frame
    assert (found.tasks, rows.partitions) == (tasks, tasks)


def test_where_slots_are_unknown_partitions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    found = source(monkeypatch, 8)
    rows: Any = found.frame
    assert (found.tasks, rows.partitions) == (None, 8)


@pytest.mark.parametrize(
    ("most_bytes", "local_bytes", "few"),
    [
        (NEAR_BYTES, 128 * MEGABYTE, True),
        (NEAR_BYTES + 1, 128 * MEGABYTE, False),
        (1_001, 1_000, False),
        (None, 128 * MEGABYTE, False),
    ],
)
def test_the_driver_packs_few_rows(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int | None, local_bytes: int, few: bool
) -> None:
    found = source(monkeypatch, 8, slots=2, most_bytes=most_bytes, local_bytes=local_bytes)
    assert found.few is few
    assert found.tasks == (1 if few else 8)


def test_before_spark_4_workers_pack_few_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Rows, "toArrow")
    assert not source(monkeypatch, 8, slots=2, most_bytes=1_000, local_bytes=MEGABYTE).few


@pytest.mark.parametrize(
    ("held", "rows", "small"),
    [
        (8, 1.5 * 10_000 / 8, 16 * MEGABYTE),
        (2, 1.5 * 10_000 / 2, 64 * MEGABYTE),
        (1, 10_000, 64 * MEGABYTE),  # fewer partitions than slots
        (40, 1.5 * 10_000 / 2, 64 * MEGABYTE),  # so many that they are coalesced
        (None, 10_000, 64 * MEGABYTE),  # perhaps all rows are in one partition
    ],
)
def test_cached_partitions_give_little_more_than_the_sample(
    monkeypatch: pytest.MonkeyPatch, held: int | None, rows: float, small: int
) -> None:
    plan = source(monkeypatch, held, slots=2).plan(ship_all=False)
    assert (plan.sample_rows, plan.small_bytes) == (rows, small)
