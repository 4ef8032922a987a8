"""The folder of a stream: one folder per batch, and a file that names the newest.

    <path>/batch=12/<checksum>.npz      what was known after batch 12
    <path>/latest                       {"batch": 12, "sha256": "..."}

A file of a batch is written under another name, and gets its own when it is complete. Then `latest`
is replaced by one rename, which makes the batch count: whoever is stopped before has changed
nothing, and whoever reads finds the old state or the new one. The checksum in the name keeps two
programs that write the same batch from mixing their files.

The paths are those of this process: local ones, or of a file system that is mounted.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sparklr.batches.facts import StreamFacts
from sparklr.saving.damage import damage
from sparklr.saving.stream import checksum_of, read_state
from sparklr.saving.values import as_string, as_whole
from sparklr.spark.errors import InvalidTypeError, InvalidValueError

PREFIX = "batch="


@dataclass(frozen=True)
class Mark:
    """What `latest` names: a batch, and the checksum of its file."""

    batch: int
    checksum: str

    @property
    def file(self) -> str:
        """The file, relative to the folder of the stream."""
        return f"{PREFIX}{self.batch}/{self.checksum[:16]}.npz"


def local_path(path: object) -> str:
    """Return the absolute path of a local folder, or refuse what is none."""
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidTypeError(f"path must be the name of a folder, but got {path!r}.")
    parts = urlsplit(str(path))
    if parts.scheme == "file":
        return os.path.abspath(unquote(parts.path))
    if len(parts.scheme) > 1:  # a single letter is a drive
        raise InvalidValueError(
            f"path='{path}' is not a local folder. A state is replaced by a rename, which only a "
            f"file system has: mount '{parts.scheme}:' and give the path where it is mounted."
        )
    return os.path.abspath(path)


class StreamFolder:
    """The states of a stream in a folder."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)

    def latest(self) -> Mark | None:
        """Return what `latest` names; None if there is no such file."""
        file = self._root / "latest"
        try:
            text = file.read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        remedy = ". Restore it, or remove the folder to begin anew."
        with damage(f"'{file}' is damaged: ", remedy):
            found = json.loads(text)
            return Mark(as_whole(found["batch"]), as_string(found["sha256"]))

    def read(self, mark: Mark) -> tuple[StreamFacts, dict[str, str]]:
        """Return the state of a batch, and the texts beside it."""
        file = self._root / mark.file
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            raise ValueError(
                f"'{self._root / 'latest'}' names '{mark.file}', which is not there. Restore it, "
                "or remove the folder to begin anew."
            ) from None
        return read_state(content, mark.checksum, f"'{file}'")

    def batches(self) -> list[int]:
        """Return the batches that have folders, in their order."""
        if not self._root.is_dir():
            return []
        numbers = (one.name.removeprefix(PREFIX) for one in self._root.glob(f"{PREFIX}*"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def commit(self, batch: int, content: bytes, after: Mark | None) -> None:
        """Keep a state, and make it the newest; `after` is what was the newest before it."""
        mark = Mark(batch, checksum_of(content))
        file = self._root / mark.file
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, content)
        text = json.dumps({"batch": batch, "sha256": mark.checksum})
        with _alone(self._root):  # or two programs could both look, and then both write
            if self.latest() != after:
                raise RuntimeError(
                    f"Another program has written to '{self._root}' in the meantime, so batch "
                    f"{batch} is not kept. Give each stream a folder of its own."
                )
            _replace(self._root / "latest", text.encode())

    def forget(self, keep: int) -> None:
        """Remove the folders of all batches but the newest `keep` that count."""
        newest = self.latest()
        before = [its for its in self.batches() if newest is not None and its <= newest.batch]
        for batch in before[:-keep]:
            # What cannot be removed now does no harm, and is tried again after the next batch.
            shutil.rmtree(self._root / f"{PREFIX}{batch}", ignore_errors=True)


def read_latest(path: str) -> tuple[StreamFacts, str]:
    """Return the newest state in the folder of a stream, and its model as JSON text."""
    folder = StreamFolder(local_path(path))
    mark = folder.latest()
    if mark is None:
        raise FileNotFoundError(
            f"There is no model of a stream in '{path}': it has no file 'latest'. Check the path; "
            "it is on the machine where the stream runs, and its first batch may not be learned."
        )
    state, texts = folder.read(mark)
    with damage(f"'{path}/{mark.file}' is damaged: "):
        return state, texts["model"]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other programs out, where the file system has locks; a lock ends with its process."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _replace(file: Path, content: bytes) -> None:
    """Write a file in one step, so that it is never seen in part."""
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with beside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
