"""Executors killed, files harmed, disks full, tasks run twice: the same coefficients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from numpy.testing import assert_allclose

from tests.cluster.conftest import may_mount
from tests.cluster.loopback import SCRIPTS, Cluster

pytestmark = pytest.mark.cluster

RELATIVE = 1e-12


class Fault(NamedTuple):
    """What the driver did, so that the fault is known to have come, and what sparklr said of it."""

    done: set[str]
    said: tuple[str, ...] = ()
    stays: bool = False  # whether folders may stay until the session ends
    same: str = "dense"  # the outcome of `driver_plain` that it must not change
    exact: bool = False  # whether the numbers must be the same to the bit


AGAIN = ("block files were not found", "the rows are packed again")
FAULTS = {
    "an executor killed between passes": Fault({"killed"}),
    "an executor killed in a pass": Fault({"stopped", "killed"}),
    "all executors killed": Fault({"killed"}),
    "an executor killed twice": Fault({"killed"}),
    "an executor killed in a grid": Fault({"killed"}, same="grid"),
    "a Python worker killed in a pass": Fault({"stopped", "killed"}),
    "an executor killed in a walk": Fault({"stopped", "killed"}, same="sgd", exact=True),
    "files deleted": Fault({"harmed"}, AGAIN),
    "files truncated": Fault({"harmed"}, AGAIN),
    "files of one executor deleted": Fault({"harmed"}, AGAIN),
    "files deleted twice": Fault({"harmed"}, (*AGAIN, "block files were not found")),
    "folders deleted": Fault({"harmed"}, AGAIN),
    "a task that fails once": Fault({"again"}),
}
SPECULATION = {
    "a slow packing task, run twice": Fault({"twice"}, stays=True),
    # Whether the second attempt is sent elsewhere, and misses the files, is Spark's choice; so is
    # whether a task of the packing that follows is run twice.
    "a slow task of a pass, run twice": Fault({"stopped"}, stays=True),
    "files of an attempt that was ended": Fault({"made"}, same="one partition"),
}


@pytest.fixture(scope="module")
def faults(cluster: Cluster, roots: Path) -> dict[str, Any]:
    """What the driver found while all of that happened, one after another."""
    return cluster.run("driver_faults.py", "common", LOCAL_ROOT=str(roots))


@pytest.fixture(scope="module")
def speculation(cluster: Cluster, roots: Path) -> dict[str, Any]:
    """Likewise where Spark runs slow tasks twice."""
    return cluster.run("driver_faults.py", "speculation", LOCAL_ROOT=str(roots))


@pytest.fixture(scope="module")
def limited(cluster: Cluster, roots: Path, limited_python: Path) -> dict[str, Any]:
    """Likewise where workers cannot write block files, and executors have little memory."""
    arguments = "limit", str(limited_python)
    return cluster.run("driver_disk.py", *arguments, LOCAL_ROOT=str(roots))


@pytest.fixture(scope="module")
def full(cluster: Cluster, roots: Path, tmp_path_factory: Any) -> dict[str, Any]:
    """Likewise where an executor's directory is a file system of its own, which fills up."""
    if not may_mount(tmp_path_factory.mktemp("mount")):
        pytest.skip("this user may not mount a file system")
    return cluster.run("driver_disk.py", "full", LOCAL_ROOT=str(roots))


def check(outcome: dict[str, Any], fault: Fault, expected: dict[str, Any]) -> None:
    """The fault came, was noticed as it should be, and changed no number."""
    assert "error" not in outcome, outcome["error"]
    assert set(outcome["done"]) == fault.done
    # A task that runs elsewhere than its files may add a line of its own.
    lines = iter(outcome["said"])
    assert all(any(text in line for line in lines) for text in fault.said), outcome["said"]
    relative = 0.0 if fault.exact else RELATIVE
    assert_allclose(outcome["numbers"], expected[fault.same]["numbers"], rtol=relative)
    assert [one for one in outcome["left"] if not (fault.stays and one.startswith("/"))] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_nothing(
    faults: dict[str, Any], expected: dict[str, Any], name: str
) -> None:
    check(faults[name], FAULTS[name], expected)


@pytest.mark.parametrize("name", SPECULATION)
def test_a_task_run_twice_changes_nothing(
    speculation: dict[str, Any], expected: dict[str, Any], name: str
) -> None:
    check(speculation[name], SPECULATION[name], expected)


def test_where_no_file_can_be_written_spark_holds_the_blocks(
    limited: dict[str, Any], expected: dict[str, Any]
) -> None:
    outcome = limited["no file can be written"]
    held, blocks = outcome["shipped"]
    assert held == blocks > 4
    assert outcome["files"] == 0
    assert_allclose(outcome["numbers"], expected["dense"]["numbers"], rtol=RELATIVE)
    assert outcome["left"] == []


def test_blocks_that_memory_does_not_hold_go_to_disk(
    limited: dict[str, Any], expected: dict[str, Any]
) -> None:
    outcome = limited["little memory"]
    held, blocks = outcome["shipped"]
    assert held == blocks > 4
    assert sum(outcome["on disk"]) > 0
    assert_allclose(outcome["numbers"], expected["many"]["numbers"], rtol=RELATIVE)
    assert outcome["left"] == []


def test_a_cached_frame_that_memory_does_not_hold(
    limited: dict[str, Any], expected: dict[str, Any]
) -> None:
    outcome = limited["frame evicted"]
    whole = [cached == partitions for cached, partitions in outcome["partitions"]]
    assert sum(whole) == 1  # the packed rows, on disk, and not the frame
    # Which partitions a task packs depends on where Spark holds them, and with them the sample in
    # which the fit begins: it ends within the tolerance of the same optimum.
    assert_allclose(outcome["numbers"], expected["many"]["numbers"], rtol=1e-6, atol=1e-6)
    assert outcome["left"] == []


def test_a_disk_that_fills_up(full: dict[str, Any], expected: dict[str, Any]) -> None:
    """The first blocks were written, those beyond the reserve were not, then nothing is free."""
    outcome = full["a full disk"]
    held, blocks = outcome["shipped"]
    assert 0 < held < blocks
    assert all(count > 0 for count in outcome["files"])
    assert outcome["free"] == 0
    assert_allclose(outcome["numbers"], expected["dense"]["numbers"], rtol=RELATIVE)
    assert outcome["left"] == []


def test_every_fault_is_documented() -> None:
    """And what the page names is there."""
    page = (SCRIPTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    section = page.partition("## On a cluster")[2].partition("\n## ")[0]
    assert set(re.findall(r"\[([^\]`]+)\]`", section)) == {*FAULTS, *SPECULATION}
    for name in re.findall(r"::(test_\w+)", section):
        assert callable(globals()[name])


@pytest.mark.parametrize("run", ["faults", "speculation", "limited", "full"])
def test_no_folder_is_left_after_the_session(request: Any, run: str) -> None:
    assert request.getfixturevalue(run)["after"]["left"] == []
