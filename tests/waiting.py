"""What makes a fit wait, and what waits for something to become true."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def wait_until(true: Callable[[], Any], seconds: float = 120.0) -> None:
    """Look again and again; an error if it does not become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this should have come to pass"
        time.sleep(0.01)


def waiting(folder: Path, name: str = "fit") -> Callable[[Any], Iterator[Any]]:
    """For `mapInArrow`: rows as they are, but not before the file `free` lets them pass."""
    started, free = folder / f"{name}-started", folder / "free"

    def wait(batches: Any) -> Iterator[Any]:
        started.touch()
        end = time.monotonic() + 120
        while not free.exists() and time.monotonic() < end:
            time.sleep(0.01)
        yield from batches

    return wait


@contextmanager
def interrupts() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """What interrupts this thread as Ctrl-C would, once something is true.

    The context's own handler stops all jobs, not ours alone. Notebooks put Python's in its place
    for each cell, and so does this.
    """
    started: list[threading.Thread] = []
    main = threading.main_thread().ident
    assert main == threading.get_ident()

    def once(true: Callable[[], Any]) -> None:
        def interrupt() -> None:
            wait_until(true)
            signal.pthread_kill(main, signal.SIGINT)

        started.append(threading.Thread(target=interrupt, daemon=True))
        started[-1].start()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield once
    finally:
        for thread in started:
            thread.join(60)
        signal.signal(signal.SIGINT, before)
