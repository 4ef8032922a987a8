"""What travels between client, server and workers stays within what each can take at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sparklr.objective.families import MULTINOMIAL
from sparklr.objective.sums import Probe
from sparklr.packing.source import PackSettings
from sparklr.passes import jobs
from sparklr.passes.jobs import SparkPasses
from sparklr.spark.private_session import BYTES_PER_BATCH, RECORDS_PER_BATCH
from tests.passes.asking import held_out, total
from tests.passes.contract import CASES, Opened, assert_sums, opened
from tests.spark.test_private_session import changed

# Every block is shipped: none lies in a file.
SHIPPED = PackSettings(local_bytes=0, block_bytes=2_000, slots=2, files=False)


@pytest.fixture(scope="module")
def case(spark: Any) -> Iterator[Opened]:
    with opened(spark, CASES["both"](), SHIPPED) as found:
        yield found


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each job gave the client."""
    counts: list[int] = []
    collect = jobs.collect_arrow

    def count(frame: Any) -> Any:
        counts.append(len(table := collect(frame)))
        return table

    monkeypatch.setattr(jobs, "collect_arrow", count)
    return counts


def test_many_missing_blocks_are_asked_for_in_one_message(case: Opened) -> None:
    names = [(row.partition, row.position) for row in passes_of(case).blocks.collect()]
    others = [(partition, 10_000) for partition in range(jobs.ASKED_BY_NAME - 2)]
    asked = passes_of(case).blocks.where(jobs._is_among([*others, *names[:2]]))
    assert sorted((row.partition, row.position) for row in asked.collect()) == sorted(names[:2])


def passes_of(case: Opened) -> SparkPasses:
    assert isinstance(case.passes, SparkPasses)
    return case.passes


@pytest.mark.parametrize(
    ("records", "most_bytes", "spread"),
    [
        ("10000", "2147483647", True),  # as before Spark 4.1: bytes have no bound
        ("10000", "4000", False),
        ("10000", "3kb", False),
        ("2", "2147483647", False),
    ],
)
def test_no_task_holds_more_blocks_than_it_should(
    spark: Any,
    case: Opened,
    received: list[int],
    monkeypatch: pytest.MonkeyPatch,
    records: str,
    most_bytes: str,
    spread: bool,
) -> None:
    """By the size of Arrow batches, or else by more tasks."""
    passes = passes_of(case)
    monkeypatch.setattr(jobs, "SHIPPED_BYTES", 4_000)
    with changed(spark, {RECORDS_PER_BATCH: records, BYTES_PER_BATCH: most_bytes}):
        probes = case.probes("three columns")
        first = total(passes, probes)
        assert_sums(first, probes, case.rows, passes.moments.origin)
        assert_array_equal(total(passes, probes), first)
    assert len(received) == 2
    assert {count > passes.partitions for count in received} == {spread}


def test_probes_go_in_as_many_messages_as_they_need(
    case: Opened, received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, probes = passes_of(case), case.probes("mixed")
    largest = max(8 * probe.length for probe in probes)
    monkeypatch.setattr(jobs, "MESSAGE_BYTES", largest)
    assert_sums(total(passes, probes), probes, case.rows, passes.moments.origin)
    assert 1 < len(received) < len(probes)
    monkeypatch.setattr(jobs, "MESSAGE_BYTES", largest - 1)
    with pytest.raises(ValueError, match=r"a Hessian of .* use solver='l-bfgs' or 'owl-qn'"):
        total(passes, probes)


def test_held_out_scores_come_in_as_many_messages_as_they_need(
    case: Opened, received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = passes_of(case)
    folds = {0: passes.moments}
    monkeypatch.setattr(passes, "folds", folds)
    probes = [replace(probe, without=0) for probe in case.probes("forty columns")]
    whole = held_out(passes, probes)
    one = 8 * probes[0].margins * passes.moments.rows
    monkeypatch.setattr(jobs, "MESSAGE_BYTES", 3 * one)
    parts = held_out(passes, probes)
    assert len(received) == 1 + -(-len(probes) // 3)
    for found, expected in zip(parts, whole, strict=True):
        assert_array_equal(found.matrix, expected.matrix)
        assert_array_equal(found.labels, expected.labels)


def test_coefficients_beyond_a_message_are_refused_before_the_job(
    case: Opened, received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MESSAGE_BYTES", 100)
    probe = Probe(MULTINOMIAL, np.zeros((3, 8)), np.zeros(3), 0)
    with pytest.raises(ValueError, match=r"coefficients of .* or fit in a classic session\.$"):
        total(passes_of(case), [probe])
    assert received == []
