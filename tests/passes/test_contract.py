"""Passes over rows in this process and passes as Spark jobs keep one contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.objective.sums import Probe
from sparklr.packing.source import PackSettings
from sparklr.passes import jobs
from sparklr.passes.jobs import SparkPasses
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import read_round
from sparklr.passes.readings import DerivativeSums
from tests.passes.asking import total
from tests.passes.contract import (
    CASES,
    Opened,
    PassesContract,
    Rows,
    assert_sums,
    opened,
    probes_of,
)
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect

# Small blocks, so that a partition has several.
BLOCK_BYTES = 2_000
LOCAL = PackSettings(block_bytes=BLOCK_BYTES, slots=2)
JOBS = PackSettings(local_bytes=0, block_bytes=BLOCK_BYTES, slots=2)


KINDS: dict[str, tuple[PackSettings, type]] = {
    "local": (LOCAL, LocalPasses),  # few rows: they came to the driver
    "jobs": (JOBS, SparkPasses),  # many rows: they stayed on the executors
}
# Whether a case's blocks are sparse.
STORED = {
    "dense": {False},
    "sparse": {True},
    "both": {False, True},
    "far dense": {False},
    "far sparse": {True},
}


def kinds_of_cases() -> list[Any]:
    """Each kind of passes with each case; on Spark Connect in `make test` one case alone."""
    few = {"both": pytest.mark.connect_slice}
    return [pytest.param((kind, name), marks=few.get(name, ())) for kind in KINDS for name in CASES]


@pytest.fixture(scope="module", params=kinds_of_cases(), ids=str)
def case(request: Any, spark: Any) -> Iterator[Opened]:
    """Each case, read by each kind of passes."""
    kind, name = request.param
    storage, expected = KINDS[kind]
    with opened(spark, CASES[name](), storage) as case:
        assert type(case.passes) is expected
        assert case.passes.local == (kind == "local")
        assert (case.passes.moments.origin is not None) == name.startswith("far")
        if isinstance(case.passes, LocalPasses):
            assert {block.sparse for block in case.passes.blocks} == STORED[name]
        yield case


class TestPasses(PassesContract):
    """The whole contract, for all kinds of passes."""


PARTITIONS = 7


@pytest.fixture(scope="module")
def spread(spark: Any) -> Iterator[Opened]:
    """Rows over seven partitions that nothing brings together."""
    storage = replace(JOBS, slots=None)
    with opened(spark, CASES["both"](), storage, PARTITIONS) as case:
        assert isinstance(case.passes, SparkPasses)
        assert case.passes.partitions == PARTITIONS
        yield case


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many partial sums the driver received in each pass."""
    counts: list[int] = []
    collect = jobs.collect_arrow

    def count(frame: Any) -> Any:
        table = collect(frame)
        counts.append(len(table))
        return table

    monkeypatch.setattr(jobs, "collect_arrow", count)
    return counts


@pytest.mark.parametrize(
    ("merge_bytes", "depth", "arriving"),
    first_and_deep(
        [
            (0, 3, 2),  # two levels, by ceil(7^(1/3)) = 2 each
            (0, 2, 3),  # one level, by ceil(7^(1/2)) = 3
            (2**40, 2, 7),  # few and small: straight to the driver
        ]
    ),
)
def test_partial_sums_merge_in_a_tree(
    spread: Opened,
    received: list[int],
    monkeypatch: pytest.MonkeyPatch,
    merge_bytes: int,
    depth: int,
    arriving: int,
) -> None:
    passes = spread.passes
    assert isinstance(passes, SparkPasses)
    storage = replace(passes.source.settings, merge_bytes=merge_bytes, depth=depth)
    monkeypatch.setattr(passes, "source", replace(passes.source, settings=storage))
    probes = spread.probes("mixed")
    first = total(passes, probes)
    assert_sums(first, probes, spread.rows, passes.moments.origin)
    assert total(passes, probes).tobytes() == first.tobytes()
    assert received == [arriving, arriving]


@pytest.mark.deep
@pytest.mark.parametrize("storage", [JOBS, LOCAL], ids=["jobs", "local"])
def test_empty_partitions_add_nothing(spark: Any, storage: PackSettings) -> None:
    whole = CASES["sparse"]()
    few = Rows(whole.matrix[:3], whole.labels[:3], np.array([1.0, 0.0, 2.0]), whole.sparse[:3])
    with opened(spark, few, replace(storage, slots=None), PARTITIONS) as case:
        assert case.passes.moments.rows == 2
        assert_sums(case.total("mixed"), case.probes("mixed"), few, case.passes.moments.origin)


class Recorded:
    """Passes that only note what they are asked."""

    moments = sample = None
    local = True

    def __init__(self) -> None:
        self.parts: list[list[Probe]] = []

    def read(self, reading: DerivativeSums) -> Array:
        self.parts.append(list(reading.probes))
        sums = [np.full(probe.length, id(probe) % 1000.0) for probe in reading.probes]
        return np.concatenate(sums)


def test_a_round_is_split_only_where_its_sums_exceed_the_budget() -> None:
    probes = probes_of("mixed", CASES["dense"]())
    sizes = [8 * probe.length for probe in probes]
    for budget in (0, max(sizes), sum(sizes) // 2, sum(sizes) - 1, sum(sizes)):
        passes: Any = Recorded()
        sums, readings = read_round(passes, probes, budget)
        assert readings == len(passes.parts)
        assert (readings == 1) == (budget >= sum(sizes))
        assert [probe for part in passes.parts for probe in part] == probes
        for part in passes.parts:
            assert len(part) == 1 or 8 * sum(probe.length for probe in part) <= budget
        for probe, its in zip(probes, sums, strict=True):
            assert len(its.flat) == probe.length
            assert (its.flat == id(probe) % 1000.0).all()
