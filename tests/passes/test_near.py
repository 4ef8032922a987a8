"""Files that this process reads itself: Spark keeps nothing of the rows, nor the blocks' names."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import SparkPasses
from tests.frames import collect_garbage, kept
from tests.passes.asking import total
from tests.passes.contract import CASES, opened

NEAR = PackSettings(local_bytes=0, block_bytes=2_000, slots=2, near=True)

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda _: 2)


def test_spark_keeps_nothing_and_files_that_are_lost_are_packed_again(spark: Any) -> None:
    collect_garbage(spark)
    before = kept(spark)
    with opened(spark, CASES["both"](), replace(NEAR, near=False), 2) as case:
        expected = total(case.passes, case.probes("mixed"))
    with opened(spark, CASES["both"](), NEAR, 2) as case:
        passes, probes = case.passes, case.probes("mixed")
        assert isinstance(passes, SparkPasses)
        assert kept(spark) == before
        assert not passes.jobs
        assert_array_equal(total(passes, probes), expected)
        for folder in passes.packing.folders or ():
            shutil.rmtree(folder)
        assert_allclose(total(passes, probes), expected, rtol=1e-12)
        assert passes.packing.kept
        folders = [Path(one) for one in passes.packing.folders or ()]
    assert folders
    assert not any(one.exists() for one in folders)


def test_a_small_partition_is_in_memory_beside_the_files_of_a_large_one(spark: Any) -> None:
    """Three partitions for two slots: one task has twice the rows of the other."""
    rows = CASES["both"]()
    with opened(spark, rows, replace(NEAR, near=False), 3) as case:
        probes = case.probes("mixed")
        expected = total(case.passes, probes)
        passes = case.passes
        assert isinstance(passes, SparkPasses)
        assert passes._mapped is not None
        sizes = [length for _, length in passes._mapped.blocks.names]  # type: ignore[attr-defined]
    with opened(spark, rows, replace(NEAR, local_bytes=sum(sizes)), 3) as case:
        passes = case.passes
        assert isinstance(passes, SparkPasses)
        assert passes._mapped is not None
        names = passes._mapped.blocks.names  # type: ignore[attr-defined]
        assert 0 < sum(length == 0 for _, length in names) < len(names)
        assert_array_equal(total(passes, probes), expected)
