"""How much memory the driver, its JVM and the Python workers hold at most, seen from /proc."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
MB = 2**20
INTERVAL = 0.2  # seconds between two looks


@dataclass(frozen=True)
class Peak:
    """Megabytes resident at most; workers are counted one by one, shared pages included."""

    driver: float = 0.0
    jvm: float = 0.0
    workers: float = 0.0

    def over(self, other: Peak) -> Peak:
        """The larger of each."""
        return Peak(
            max(self.driver, other.driver),
            max(self.jvm, other.jvm),
            max(self.workers, other.workers),
        )


class MemoryWatch:
    """Looks at the process tree every fifth of a second, while a `with` lasts."""

    def __init__(self) -> None:
        self.peak = Peak()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MemoryWatch:
        if PROC.exists():
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self.peak = self.peak.over(look(os.getpid()))
            if self._ended.wait(INTERVAL):
                return


def look(root: int) -> Peak:
    """What a driver, the Java processes below it and the Python processes below those hold."""
    parents, names = _processes()
    jvm = workers = 0.0
    for process, name in names.items():
        if process == root or root not in _ancestors(process, parents):
            continue
        if name == "java":
            jvm += _resident(process)
        elif any(names.get(above) == "java" for above in _ancestors(process, parents)):
            workers += _resident(process)
    return Peak(_resident(root), jvm, workers)


def _processes() -> tuple[dict[int, int], dict[int, str]]:
    """Each process's parent and name."""
    parents, names = {}, {}
    for entry in os.listdir(PROC):
        if not entry.isdigit():
            continue
        try:
            # 4242 (a name, maybe with spaces) S 4241 ...
            front, back = (PROC / entry / "stat").read_text().rsplit(")", 1)
        except OSError:  # it has ended
            continue
        names[int(entry)] = front.split("(", 1)[1]
        parents[int(entry)] = int(back.split()[1])
    return parents, names


def _ancestors(process: int, parents: dict[int, int]) -> list[int]:
    found = []
    while process := parents.get(process, 0):
        found.append(process)
    return found


def _resident(process: int) -> float:
    try:
        pages = int((PROC / str(process) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MB
