"""Block files: whole or not at all, this user's alone, and gone when the fit ends."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sparklr.packing import block_files as module
from sparklr.packing.block_files import LOCAL_DIRS, BlockName, BlockStore
from sparklr.packing.worker import RemoveFiles

PAYLOAD = bytes(range(256)) * 40


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two local directories, as a cluster with two disks has."""
    made = [tmp_path / "first", tmp_path / "second"]
    for root in made:
        root.mkdir()
    monkeypatch.setenv(LOCAL_DIRS, ",".join(map(str, made)))
    return made


def name(partition: int, position: int, run: int = 2**62) -> BlockName:
    return BlockName(partition, position, run)


def files_in(roots: list[Path]) -> list[Path]:
    return sorted(path for root in roots for path in root.rglob("*") if path.is_file())


def test_what_is_written_is_read(roots: list[Path]) -> None:
    store = BlockStore("token")
    for partition in range(3):
        for position in range(2):
            assert store.write(name(partition, position), [PAYLOAD])
            found = store.read(name(partition, position), len(PAYLOAD))
            assert found is not None
            assert found[:] == PAYLOAD
    assert len({path.parent for path in files_in(roots)}) == 2


def test_pieces_are_written_one_after_another(roots: list[Path]) -> None:
    BlockStore("token").write(name(0, 0), [PAYLOAD[:10], b"", memoryview(PAYLOAD)[10:]])
    (file,) = files_in(roots)
    assert file.read_bytes() == PAYLOAD


def test_files_and_folders_are_closed_to_others(roots: list[Path]) -> None:
    BlockStore("token").write(name(0, 0), [PAYLOAD])
    (file,) = files_in(roots)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("roots")
def test_another_block_or_another_fit_is_not_found() -> None:
    store = BlockStore("token")
    store.write(name(0, 0), [PAYLOAD])
    assert store.read(name(0, 1), len(PAYLOAD)) is None
    assert store.read(name(2, 0), len(PAYLOAD)) is None
    assert store.read(name(0, 0, run=1), len(PAYLOAD)) is None
    assert BlockStore("other").read(name(0, 0), len(PAYLOAD)) is None


def _truncate(file: Path) -> None:
    file.write_bytes(PAYLOAD[:-1])


def _lengthen(file: Path) -> None:
    file.write_bytes(PAYLOAD + b"x")


def _open_to_others(file: Path) -> None:
    file.chmod(0o644)


def _replace_by_link(file: Path) -> None:
    elsewhere = file.parent / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "harm", [_truncate, _lengthen, _open_to_others, _replace_by_link, Path.unlink]
)
def test_a_file_that_is_not_as_it_was_is_not_believed(roots: list[Path], harm: Any) -> None:
    store = BlockStore("token")
    store.write(name(0, 0), [PAYLOAD])
    harm(files_in(roots)[0])
    assert store.read(name(0, 0), len(PAYLOAD)) is None


def test_a_folder_that_others_made_is_not_used(roots: list[Path]) -> None:
    for root in roots:
        (root / "sparklr-open").mkdir(mode=0o777)
        (root / "sparklr-open").chmod(0o777)
        (root / "real").mkdir(mode=0o700)
        (root / "sparklr-link").symlink_to(root / "real")
    for token in ("open", "link"):
        assert not BlockStore(token).write(name(0, 0), [PAYLOAD])
    assert files_in(roots) == []


def test_a_full_disk_leaves_no_piece(roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(path: Path, pieces: Any) -> None:
        path.write_bytes(pieces[0][:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write_new", fill)
    assert not BlockStore("token").write(name(0, 0), [PAYLOAD])
    assert files_in(roots) == []


def test_some_room_is_left_on_the_disk(roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESERVE", 2**62)
    assert not BlockStore("token").write(name(0, 0), [PAYLOAD])
    assert files_in(roots) == []


@pytest.mark.parametrize("value", ["", None])
def test_without_a_local_directory_there_are_no_files(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(LOCAL_DIRS, raising=False)
    if value is not None:
        monkeypatch.setenv(LOCAL_DIRS, value)
    store = BlockStore("token")
    assert not store.write(name(0, 0), [PAYLOAD])
    assert store.read(name(0, 0), len(PAYLOAD)) is None
    assert store.folders() == []


def test_removing_leaves_other_fits_alone(roots: list[Path]) -> None:
    mine, other = BlockStore("mine"), BlockStore("other")
    for partition in range(2):
        mine.write(name(partition, 0), [PAYLOAD])
        other.write(name(partition, 0), [PAYLOAD])
    assert mine.remove()
    assert {path.parent.name for path in files_in(roots)} == {"sparklr-other"}


def test_only_folders_of_its_own_are_removed(roots: list[Path]) -> None:
    store, victim = BlockStore("mine"), roots[0] / "victim"
    victim.mkdir()
    store.write(name(0, 0), [PAYLOAD])
    assert not store.remove([str(victim), *store.folders(), "/nowhere/sparklr-mine"])
    assert victim.is_dir()
    assert files_in(roots) == []


def test_a_folder_that_was_removed_is_not_made_again(roots: list[Path]) -> None:
    """By a task that Spark gave up, and that has not ended yet."""
    store = BlockStore("token")
    store.write(name(0, 0), [PAYLOAD])
    store.remove()
    assert not store.write(name(0, 1), [PAYLOAD])
    assert not any(list(root.iterdir()) for root in roots)


def test_removing_ends_with_a_folder_that_is_written_into(
    roots: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here right after its files were listed, so that the folder is not empty in the end."""
    store, scandir = BlockStore("token"), os.scandir
    store.write(name(0, 0), [PAYLOAD])

    def listed(folder: Any) -> Any:
        found = list(scandir(folder))
        store.write(name(0, 1), [PAYLOAD])
        return nullcontext(found)

    monkeypatch.setattr(os, "scandir", listed)
    store.remove()
    monkeypatch.undo()
    assert not any(list(root.iterdir()) for root in roots)


def test_what_is_mapped_outlives_its_file(roots: list[Path]) -> None:
    """A task goes on reading what another fit's end, or a cleaner, has just removed."""
    store = BlockStore("token")
    store.write(name(0, 0), [PAYLOAD])
    found = store.read(name(0, 0), len(PAYLOAD))
    store.remove()
    assert files_in(roots) == []
    assert found is not None
    assert found[:] == PAYLOAD


@pytest.mark.usefixtures("roots")
def test_another_worker_of_the_machine_reads_a_block_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = BlockStore("token")
    store.write(name(0, 0), [PAYLOAD])
    folder = store.folder(name(0, 0))
    monkeypatch.setenv(LOCAL_DIRS, str(tmp_path))
    assert store.read(name(0, 0), len(PAYLOAD)) is None
    found = store.read(name(0, 0), len(PAYLOAD), folder)
    assert found is not None
    assert found[:] == PAYLOAD
    assert BlockStore("other").read(name(0, 0), len(PAYLOAD), folder) is None  # another fit's


def test_a_worker_removes_its_files_and_those_in_folders_that_are_named(
    roots: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = BlockStore("token"), BlockStore("other")
    for each in (store, other):
        each.write(name(0, 0), [PAYLOAD])
    columns = {"partition": [0, 0], "folder": [store.folder(name(0, 0)), None]}
    monkeypatch.setenv(LOCAL_DIRS, str(tmp_path / "here"))
    (tmp_path / "here").mkdir()
    store.write(name(1, 0), [PAYLOAD])
    assert list(RemoveFiles(store)(iter([pa.record_batch(columns)]))) == []
    assert [path.parent.name for path in files_in([*roots, tmp_path / "here"])] == ["sparklr-other"]
