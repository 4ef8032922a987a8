"""Block files: packed blocks beside the worker, so that a pass need not ship them.

A file is believed if it is a plain file of this user's and of the length that Spark knows, and
whoever cannot write or find one does without. The files lie in the executor's own local
directory, which Spark removes when the executor ends, in a folder named by the fit's token,
which the fit removes when it ends.

Knows files and bytes only; no Spark, no blocks.
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

# Where Spark tells its Python workers to put files; several if the cluster has several disks.
LOCAL_DIRS = "SPARK_LOCAL_DIRS"
# Bytes to leave free: Spark spills to the same disks, and a task that cannot spill fails.
RESERVE = 2**30


class BlockName(NamedTuple):
    """Which block: Spark may pack a partition twice, in another order, and keeps one run's."""

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
    roots: tuple[str, ...] = ()  # the local directories; those that Spark tells if none

    def seen_from_here(self, folders: Iterable[str]) -> BlockStore | None:
        """The store for a reader who is no worker; None if the workers' folders are elsewhere."""
        paths = [Path(folder) for folder in folders]
        if not paths or not all(one.name == self._folder_name and one.is_dir() for one in paths):
            return None
        return BlockStore(self.token, tuple(str(one.parent) for one in paths))

    def _roots(self) -> Sequence[str]:
        return self.roots or [one for one in os.environ.get(LOCAL_DIRS, "").split(",") if one]

    def write(self, name: BlockName, pieces: Sequence[Any]) -> bool:
        """Keep a block's bytes; False, with nothing left behind, if that cannot be done here."""
        folder = self._folder(name.partition)
        if folder is None:
            return False
        temporary = folder / f".{uuid.uuid4().hex}"
        try:
            if name.position == 0:  # an attempt that Spark gave up must not make it once more
                folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_own(folder):
                raise PermissionError(f"'{folder}' is not a folder of this user's own")
            if shutil.disk_usage(folder).free < sum(map(len, pieces)) + RESERVE:
                raise OSError(f"the disk of '{folder}' is nearly full")
            _write_new(temporary, pieces)
            # In one step: a reader sees a whole file or none.
            temporary.replace(folder / name.file)
        except OSError as reason:
            log.warning("a block file was not written, its block stays in Spark: %s", reason)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True

    def read(self, name: BlockName, length: int) -> mmap.mmap | None:
        """A block of this length as mapped memory; None if it is not to be had."""
        folder = self._folder(name.partition)
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
        """Whether a block's file is there, a plain one of this user's and of this length."""
        folder = self._folder(name.partition)
        if folder is None or not _is_own(folder):
            return False
        try:
            found = (folder / name.file).lstat()
        except OSError:
            return False
        return _is_block(found, length)

    def folders(self) -> list[str]:
        """The folders that this worker puts files into."""
        return [str(Path(root) / self._folder_name) for root in self._roots()]

    def remove(self, folders: Iterable[str] | None = None) -> bool:
        """Remove this fit's folders, by default this worker's; False if one is not to be seen."""
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
    """A folder by another name: whoever still writes into it finds it no more."""
    if not _is_own(folder):
        return folder
    try:
        return folder.rename(folder.with_name(f".{uuid.uuid4().hex}"))
    except OSError:
        return folder


# A pipe in a file's place would be waited for.
READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
# Reading the pages in at once saves a fault for every 4 KB of them.
MAPPING = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


def _is_own(folder: Path) -> bool:
    """Whether a folder is one, and no link to one; this user's, and closed to all others."""
    try:
        return _private(folder.lstat(), stat.S_ISDIR)
    except OSError:
        return False


def _is_block(found: os.stat_result, length: int) -> bool:
    """Whether a file is plain, of this user's alone and known by one name, and of this length."""
    return _private(found, stat.S_ISREG) and found.st_nlink == 1 and found.st_size == length


def _private(found: os.stat_result, kind: object) -> bool:
    """Whether a file or folder is of this kind, this user's, and closed to all others."""
    mine = found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return mine and bool(kind(found.st_mode))  # type: ignore[operator]


def _write_new(path: Path, pieces: Sequence[Any]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as file:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[file.write(left) :]
