"""Passes over block files: the same sums whatever becomes of the files, and none is left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.errors import PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.packing.block_files import BlockStore
from sparklr.packing.job import Packing
from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import SparkPasses, open_passes
from tests.passes.asking import total
from tests.passes.contract import CASES, NAMES, Opened, opened
from tests.tiers import first_and_deep

# Nothing comes to the driver, and every partition has several blocks.
ON_EXECUTORS = PackSettings(local_bytes=0, block_bytes=2_000, slots=2)

pytestmark = pytest.mark.connect


@pytest.fixture(autouse=True)
def _jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by Spark's workers, although the files lie on this machine."""
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda _: 1)


@pytest.fixture
def case(spark: Any, _jobs: None) -> Iterator[Opened]:
    with opened(spark, CASES["both"](), ON_EXECUTORS, 2) as found:
        yield found


@pytest.fixture(scope="module")
def shipped(spark: Any) -> Array:
    """The sums where every block comes from Spark."""
    storage = replace(ON_EXECUTORS, files=False)
    with opened(spark, CASES["both"](), storage, 2) as found:
        assert isinstance(found.passes, SparkPasses)
        assert not found.passes.packing.has_files
        return total(found.passes, found.probes("mixed"))


def passes_of(case: Opened) -> SparkPasses:
    assert isinstance(case.passes, SparkPasses)
    return case.passes


def files_of(case: Opened) -> list[Path]:
    packing = passes_of(case).packing
    assert packing.has_files
    return sorted(file for folder in packing.folders for file in Path(folder).iterdir())


@pytest.mark.connect_slice
def test_every_block_lies_in_a_file_and_no_block_is_shipped(
    case: Opened, shipped: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = passes_of(case)
    assert len(files_of(case)) == passes.blocks.count() > 4
    assert passes.blocks.where("payload is not null").count() == 0
    asked: list[bool] = []
    job = SparkPasses._job

    def spy(self: SparkPasses, *args: Any, **how: Any) -> Any:
        asked.append(how["shipped"])
        return job(self, *args, **how)

    monkeypatch.setattr(SparkPasses, "_job", spy)
    assert_array_equal(total(passes, case.probes("mixed")), shipped)
    assert asked == [False]


@pytest.mark.connect_slice
def test_files_on_this_machine_are_read_without_jobs(
    spark: Any, shipped: Array, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until one of them is gone: then jobs do."""
    monkeypatch.setattr("sparklr.passes.jobs.useful_threads", lambda slots: slots)
    monkeypatch.setattr("sparklr.passes.local.WORK_A_THREAD", 1)
    with opened(spark, CASES["both"](), ON_EXECUTORS, 2) as case:
        passes, probes = passes_of(case), case.probes("mixed")
        job = SparkPasses._job
        monkeypatch.setattr(SparkPasses, "_job", _no_job)
        scale = np.abs(shipped).max()
        first = total(passes, probes)
        assert_allclose(first, shipped, rtol=1e-12, atol=1e-12 * scale)
        assert total(passes, probes).tobytes() == first.tobytes()
        monkeypatch.setattr(SparkPasses, "_job", job)
        _delete_one(files_of(case))
        with caplog.at_level(logging.WARNING, "sparklr"):
            assert_allclose(total(passes, probes), shipped, rtol=1e-12, atol=1e-12 * scale)
        assert "packed again" in caplog.text


def _no_job(*_: Any, **__: Any) -> Any:
    raise AssertionError("a job was run")


def _delete_all(files: list[Path]) -> None:
    for file in files:
        file.unlink()


def _delete_one(files: list[Path]) -> None:
    files[1].unlink()


def _truncate_two(files: list[Path]) -> None:
    for file in files[:2]:
        file.write_bytes(file.read_bytes()[:-8])


def _delete_folder(files: list[Path]) -> None:
    _delete_all(files)
    files[0].parent.rmdir()


@pytest.mark.parametrize(
    "harm", first_and_deep([_truncate_two, _delete_all, _delete_one, _delete_folder])
)
def test_files_harmed_between_passes_change_no_sum(
    case: Opened,
    shipped: Array,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[list[Path]], None],
) -> None:
    """First the rows are packed again; what is lost then, Spark still has."""
    passes, probes = passes_of(case), case.probes("mixed")
    scale = np.abs(shipped).max()

    def check(*complaints: str) -> None:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "sparklr"):
            assert_allclose(total(passes, probes), shipped, rtol=1e-12, atol=1e-12 * scale)
        assert len(caplog.messages) == len(complaints)
        for said, message in zip(complaints, caplog.messages, strict=True):
            assert said in message

    check()
    folders = passes.packing.folders
    harm(files_of(case))
    check("not found", "packed again")
    assert not any(Path(folder).exists() for folder in folders)
    check()
    before = files_of(case)
    harm(before)
    check("not found")
    assert files_of(case) == before  # what was shipped lies in files again
    check()


def test_rows_that_change_between_two_readings_are_refused(
    case: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = passes_of(case)
    _delete_one(files_of(case))
    heavier = replace(passes.moments, weight=1.001 * passes.moments.weight)
    monkeypatch.setattr(passes, "moments", heavier)
    with pytest.raises(RuntimeError, match="rows changed while they were fitted"):
        total(passes, case.probes("mixed"))


def test_partials_and_what_was_not_found_pass_the_merge_tree(
    case: Opened, shipped: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = passes_of(case)
    tree = replace(passes.source.settings, merge_bytes=0, depth=2)
    monkeypatch.setattr(passes, "source", replace(passes.source, settings=tree))
    monkeypatch.setattr(passes, "partitions", 7)
    _delete_one(files_of(case))
    scale = np.abs(shipped).max()
    assert_allclose(total(passes, case.probes("mixed")), shipped, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.connect_slice
def test_where_no_file_can_be_written_blocks_are_shipped(
    spark: Any, shipped: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers read the class as it is here: they import it anew."""
    store = BlockStore("../no-such-folder/x")
    monkeypatch.setattr("sparklr.packing.job.BlockStore", lambda _: store)
    with opened(spark, CASES["both"](), ON_EXECUTORS, 2) as case:
        passes = passes_of(case)
        assert_allclose(total(passes, case.probes("mixed")), shipped, rtol=1e-12)
        assert passes.blocks.where("payload is null").count() == 0


@pytest.mark.connect_slice
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_files_are_gone_after_the_fit(
    spark: Any, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed from here, or, where the driver does not see the folders, by a job."""
    with opened(spark, CASES["both"](), ON_EXECUTORS, 2) as case:
        files = files_of(case)
        assert all(file.is_file() for file in files)
        if elsewhere:
            passes_of(case).packing.folders |= {"/no/such/machine"}
            monkeypatch.setattr(BlockStore, "remove", lambda *_: False)  # in the driver alone
    assert not any(file.exists() for file in files)
    assert not any(file.parent.exists() for file in files)


@pytest.mark.connect_slice
def test_a_failure_leaves_no_file(spark: Any) -> None:
    files: list[Path] = []

    def interrupt() -> None:
        with opened(spark, CASES["both"](), ON_EXECUTORS, 2) as case:
            files.extend(files_of(case))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert files
    assert not any(file.parent.exists() for file in files)


def test_files_go_even_if_the_job_that_removes_them_fails(
    spark: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise PySparkException("no executor is left")

    with opened(spark, CASES["both"](), ON_EXECUTORS, 2) as case:
        total(case.passes, case.probes("mixed"))
        files = files_of(case)
        monkeypatch.setattr(Packing, "_remove_by_job", fail)
    assert "block files were not removed: no executor is left" in caplog.text
    assert files
    assert not any(file.parent.exists() for file in files)


def test_packing_that_fails_leaves_no_file(
    spark: Any, case: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last row breaks, long after the first blocks were written."""
    root = files_of(case)[0].parent.parent
    label = F.when(F.col("id") == 19_999, F.raise_error(F.lit("a broken row"))).otherwise(0.0)
    features = F.unwrap_udt(array_to_vector(F.array(F.rand(1), F.rand(2))))
    rows = spark.range(0, 20_000, 1, 1).select(features.alias("features"), label.alias("label"))
    before = set(root.glob("sparklr-*"))
    seen: list[Path] = []
    close = Packing.close

    def look(self: Packing) -> None:
        seen.extend(
            file for folder in set(root.glob("sparklr-*")) - before for file in folder.iterdir()
        )
        close(self)  # the worker may write on meanwhile, and must not make the folder again

    monkeypatch.setattr(Packing, "close", look)
    with pytest.raises(Exception, match="a broken row"), open_passes(rows, NAMES, ON_EXECUTORS):
        pass
    assert seen
    assert set(root.glob("sparklr-*")) == before
