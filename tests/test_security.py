"""What others may put in our way: links, folders, files that are no models; and no code is run."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sparklr.packing.block_files import LOCAL_DIRS, BlockName, BlockStore
from tests.source import MODULES, parse

PAYLOAD = bytes(range(256)) * 8
NAME = BlockName(0, 0, 2**62)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one local directory."""
    made = tmp_path / "local"
    made.mkdir()
    monkeypatch.setenv(LOCAL_DIRS, str(made))
    return made


@pytest.fixture
def written(root: Path) -> tuple[BlockStore, Path]:
    """A store with one block, and the block's file."""
    store = BlockStore("token")
    assert store.write(NAME, [PAYLOAD])
    (file,) = (root / "sparklr-token").iterdir()
    return store, file


def _folder_by_link(file: Path) -> None:
    elsewhere = file.parent.with_name("elsewhere")
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)


def _folder_opened(file: Path) -> None:
    file.parent.chmod(0o755)


def _second_name(file: Path) -> None:
    os.link(file, file.parent.with_name("another-name"))


def _by_link(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def _fifo(file: Path) -> None:
    """Which would be waited for without an end."""
    file.unlink()
    os.mkfifo(file, 0o600)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


HARMS = [_folder_by_link, _folder_opened, _second_name, _by_link, _directory]


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_not_as_it_was_written_is_not_read(
    written: tuple[BlockStore, Path], harm: Callable[[Path], None]
) -> None:
    store, file = written
    assert store.holds(NAME, len(PAYLOAD))
    harm(file)
    assert store.read(NAME, len(PAYLOAD)) is None
    assert not store.holds(NAME, len(PAYLOAD))


def test_a_pipe_in_a_blocks_place_is_not_waited_for(written: tuple[BlockStore, Path]) -> None:
    store, file = written
    _fifo(file)
    assert not store.holds(NAME, len(PAYLOAD))
    assert store.read(NAME, len(PAYLOAD)) is None


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_writing_never_goes_through_a_link(root: Path, link: Callable[..., None]) -> None:
    """A name that is taken is replaced, and what it stood for stays as it was."""
    victim = root / "victim"
    victim.write_bytes(b"precious")
    store = BlockStore("token")
    folder = root / "sparklr-token"
    folder.mkdir(mode=0o700)
    link(victim, folder / NAME.file)
    assert store.write(NAME, [PAYLOAD])
    assert victim.read_bytes() == b"precious"
    assert store.holds(NAME, len(PAYLOAD))


def test_a_folder_of_another_users_is_not_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "sparklr-token").mkdir(mode=0o700)
    other = os.geteuid() + 1
    monkeypatch.setattr("sparklr.packing.block_files.os.geteuid", lambda: other)
    assert not BlockStore("token").write(NAME, [PAYLOAD])
    assert list((root / "sparklr-token").iterdir()) == []


def test_files_are_closed_whatever_the_mask(root: Path) -> None:
    before = os.umask(0)
    try:
        assert BlockStore("token").write(NAME, [PAYLOAD])
    finally:
        os.umask(before)
    (file,) = (root / "sparklr-token").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_removing_a_link_leaves_what_it_points_to(root: Path) -> None:
    victim = root / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    (root / "sparklr-token").symlink_to(victim)
    BlockStore("token").remove()
    assert (victim / "precious").exists()


# what could run code that a file or a message holds
UNSAFE_MODULES = {"pickle", "cloudpickle", "marshal", "shelve", "dill", "joblib", "runpy", "code",
                  "subprocess", "ctypes"}  # fmt: skip
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "unsafe_load"}


def calls(module: str) -> set[str]:
    """Names of all that a module calls as a function of Python's own or by a dotted name."""
    found = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                found.add(called.id)
            elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                found.add(f"{called.value.id}.{called.attr}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_no_module_can_run_what_it_reads(module: str) -> None:
    imported = {
        name.split(".")[0] if not name.startswith("pyspark") else name.rpartition(".")[2]
        for node in ast.walk(parse(module))
        for name in (
            [one.name for one in node.names] + ([node.module] if node.module else [])
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported & UNSAFE_MODULES == set()
    used = calls(module)
    assert used & UNSAFE_CALLS == set()
    assert not {name for name in used if name.startswith("os.")} & {"os.system", "os.popen"}


@pytest.mark.parametrize("module", MODULES)
def test_arrays_are_read_without_pickles(module: str) -> None:
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("allow_pickle") == "False"
