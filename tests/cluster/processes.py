"""Processes on this machine, as Linux's /proc tells of them; for the tests and their drivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

EXECUTOR = "CoarseGrainedExecutorBackend"
PYTHON_WORKER = "pyspark.daemon"


def commands() -> Iterator[tuple[int, str]]:
    """Every process's id and command line; zombies have none."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:  # it has just ended
                continue
            yield int(folder.name), line.decode(errors="replace").strip()


def matching(*words: str) -> list[int]:
    """The processes whose command line has all of these words."""
    return sorted(number for number, line in commands() if all(word in line for word in words))


def parent(number: int) -> int:
    """A process's parent; 0 if the process has ended."""
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def wait_until(true: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
    """Look again and again; an error that says what did not happen."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} seconds")
        time.sleep(0.02)
