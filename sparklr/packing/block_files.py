"""Block files: packed blocks on the workers' disks, so that a pass need not ship them.

A file is trusted only if it is a plain file that belongs to this user and has the length that
Spark has recorded. If a file cannot be written or found, the block is taken from Spark. The files
lie in the executor's local directory, which Spark removes when the executor ends, in a folder
named by the fit's token, which the fit removes when it ends.

Works on files and bytes only, without Spark and without blocks.
"""

from __future__ import annotations

import logging
import mmap
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

log = logging.getLogger("sparklr")

# Spark sets this variable in its Python workers: one folder, or several for several disks.
LOCAL_DIRS = "SPARK_LOCAL_DIRS"
# Bytes to leave free: Spark spills to the same disks, and tasks that cannot spill fail.
RESERVE = 2**30


class BlockName(NamedTuple):
    """The name of a block. Spark may pack a partition twice, in another order, and keep one run."""

    partition: int
    position: int
    run: int

    @property
    def file(self) -> str:
        return f"{self.partition}-{self.position}-{self.run:x}.block"


@dataclass(frozen=True)
class BlockStore:
    """The block files of one fit on this machine; the token cannot be guessed."""

    token: str
    roots: tuple[str, ...] = ()  # the local directories; if empty, those in LOCAL_DIRS

    def seen_from_here(self, folders: Iterable[str]) -> BlockStore | None:
        """Return the store for this process if the workers' folders are on this machine."""
        paths = [Path(folder) for folder in folders]
        if not paths or not all(one.name == self._folder_name and one.is_dir() for one in paths):
            return None
        return BlockStore(self.token, tuple(str(one.parent) for one in paths))

    def _roots(self) -> Sequence[str]:
        return self.roots or [one for one in os.environ.get(LOCAL_DIRS, "").split(",") if one]

    def write(self, name: BlockName, pieces: Sequence[Any]) -> bool:
        """Write a block's bytes; return False, with nothing left behind, if that fails."""
        folder = self._folder(name.partition)
        if folder is None:
            return False
        temporary = folder / f".{uuid.uuid4().hex}"
        try:
            if name.position == 0:  # a task that Spark has given up must not make it again
                folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_own(folder):
                raise PermissionError(f"'{folder}' is not a private folder of this user")
            if shutil.disk_usage(folder).free < sum(map(len, pieces)) + RESERVE:
                raise OSError(f"the disk of '{folder}' is nearly full")
            _write_new(temporary, pieces)
            # In one step: a reader sees the whole file or no file.
            temporary.replace(folder / name.file)
        except OSError as reason:
            log.warning("a block file was not written, so Spark holds its block: %s", reason)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True

    def folder(self, name: BlockName) -> str | None:
        """Return the folder that this worker writes a block into."""
        folder = self._folder(name.partition)
        return None if folder is None else str(folder)

    def read(self, name: BlockName, length: int, known: str | None = None) -> mmap.mmap | None:
        """Return a block of this length as mapped memory; None if there is no such file.

        The folder that is known of the block may be of another worker on this machine.
        """
        folder = self._folder(name.partition)
        if known is not None and Path(known).name == self._folder_name:
            folder = Path(known)
        if folder is None or length == 0 or not _is_own(folder):
            return None
        try:
            handle = os.open(folder / name.file, READ_ONLY)
        except OSError:
            return None
        try:
            found = os.fstat(handle)
            if not _is_block(found, length):
                return None
            return mmap.mmap(handle, length, flags=MAPPING, prot=mmap.PROT_READ)
        except OSError:
            return None
        finally:
            os.close(handle)

    def holds(self, name: BlockName, length: int) -> bool:
        """Whether a plain file of this user and of this length holds the block."""
        folder = self._folder(name.partition)
        if folder is None or not _is_own(folder):
            return False
        try:
            found = (folder / name.file).lstat()
        except OSError:
            return False
        return _is_block(found, length)

    def folders(self) -> list[str]:
        """Return the folders that this worker writes files into."""
        return [str(Path(root) / self._folder_name) for root in self._roots()]

    def remove(self, folders: Iterable[str] | None = None) -> bool:
        """Remove this fit's folders, by default this worker's; False if one is not found here."""
        given = self.folders() if folders is None else list(folders)
        here = [one for one in given if Path(one).name == self._folder_name and Path(one).is_dir()]
        for folder in here:
            shutil.rmtree(_out_of_reach(Path(folder)), ignore_errors=True)
        return len(here) == len(given)

    @property
    def _folder_name(self) -> str:
        return f"sparklr-{self.token}"

    def _folder(self, partition: int) -> Path | None:
        roots = self._roots()
        return Path(roots[partition % len(roots)]) / self._folder_name if roots else None


def _out_of_reach(folder: Path) -> Path:
    """Rename a folder, so that tasks that still write into it no longer find it."""
    if not _is_own(folder):
        return folder
    try:
        return folder.rename(folder.with_name(f".{uuid.uuid4().hex}"))
    except OSError:
        return folder


# Without O_NONBLOCK, opening a pipe in place of a file would block.
READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
# Reading all pages at once saves a page fault per 4 KB.
MAPPING = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


def _is_own(folder: Path) -> bool:
    """Whether this is a folder, not a link to one, of this user and closed to all others."""
    try:
        return _private(folder.lstat(), stat.S_ISDIR)
    except OSError:
        return False


def _is_block(found: os.stat_result, length: int) -> bool:
    """Whether this is a plain private file with one name only and of this length."""
    return _private(found, stat.S_ISREG) and found.st_nlink == 1 and found.st_size == length


def _private(found: os.stat_result, kind: object) -> bool:
    """Whether this is of the given kind, belongs to this user and is closed to all others."""
    mine = found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return mine and bool(kind(found.st_mode))  # type: ignore[operator]


def _write_new(path: Path, pieces: Sequence[Any]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as file:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[file.write(left) :]
