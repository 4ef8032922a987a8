"""What long work shows of itself: a bar where a person looks, and lines of the log beneath it.

Knows no Spark and nothing of fits but how many there are and how far they have come.

The bar is drawn by a thread of its own. The work only notes where it stands, so a stream that
fails or blocks costs it nothing, and the clock moves while one reading takes minutes. Without the
thread, work that takes long before its first round would show nothing at all.
"""

from __future__ import annotations

import contextvars
import logging
import math
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparklr.fitting.outcome import Round

if TYPE_CHECKING:
    from tqdm import tqdm

log = logging.getLogger("sparklr")

# Work that takes no longer than this shows no bar unless it is asked to.
PATIENCE = 2.0
# Seconds between two looks at where the work stands.
EVERY = 0.2
# As long as this an end waits for the bar's last state; a stream that blocks is then left alone.
FAREWELL = 1.0
# No rate and no time left: rounds differ too much for either to mean anything.
FORMAT = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class Progress:
    """Shows where the work inside the `with` stands.

    `verbose`: True shows a bar, False none; None shows one only to a person, in a terminal or a
    notebook, and only once the work has taken a while. The log is told in any case.
    """

    def __init__(self, verbose: bool | None, title: str, *, logs: bool = True) -> None:
        self._title, self._logs = title, logs
        self._watched = _is_watched()
        self._patience = PATIENCE if verbose is None else 0.0
        self._shown = self._watched if verbose is None else verbose
        self._began = 0.0
        # One value, set and read as a whole, so that the drawing thread needs no lock for it.
        self._now: tuple[str, Round | None] = ("", None)
        self._over = threading.Event()
        self._succeeded = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if self._shown and sys.stderr is not None:
            self._began = time.time()
            # A notebook finds the cell that a widget belongs to in the context.
            self._thread = threading.Thread(
                target=contextvars.copy_context().run,
                args=(self._draw,),
                name="sparklr-progress",
                daemon=True,
            )
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._succeeded = kind is None
        self._over.set()
        if self._thread is not None:
            self._thread.join(FAREWELL)

    def stage(self, text: str) -> None:
        """Say what goes on now, if it is not rounds: "packing rows"."""
        self._now = (text, self._now[1])
        if self._logs:
            log.info("%s: %s", self._title, text)

    def round(self, made: Round) -> None:
        """Say that a round was made."""
        self._now = ("", made)
        if self._logs:
            log.info(
                "%s: %d passes, %d of %d fits go on, objective %.10g, residual %.3g",
                self._title, made.passes, made.live, made.members, made.objective, made.residual,
            )  # fmt: skip

    def _draw(self) -> None:
        """The drawing thread: a bar that follows the work until it is over."""
        if self._patience and self._over.wait(self._patience):
            return
        try:
            bar = _open_bar(self._title, self._began)
            self._follow(bar)
            bar.close()
        except (OSError, ValueError, RuntimeError) as reason:
            # The stream is gone, or closed, or a notebook's that has ended. Anything else is a bug
            # in drawing, which Python prints, as it does for any thread: the work goes on.
            log.debug("no progress bar: %s", reason)

    def _follow(self, bar: tqdm[Any]) -> None:
        drawn: tuple[str, Round | None] | None = None
        over = False
        while not over:
            over = self._over.wait(EVERY if drawn else 0.0)
            stage, made = now = self._now
            # Where nobody looks each drawing is one more line of a file, so the clock stands still.
            if over or self._watched or now != drawn:
                if over and self._succeeded:
                    stage, made = "", None if made is None else replace(made, live=0)
                self._paint(bar, stage, made)
                drawn = now

    def _paint(self, bar: tqdm[Any], stage: str, made: Round | None) -> None:
        text = f"{self._title}: {stage}" if stage else self._title
        bar.set_description_str(text, refresh=False)
        if made is not None:
            if bar.total != made.members:
                bar.reset(total=made.members)  # also widens a notebook's bar, but sets the clock
                bar.start_t = self._began
            bar.n = made.members - made.live
            bar.set_postfix_str(describe(made), refresh=False)
        bar.refresh()


def silent() -> Progress:
    """A progress that shows nothing and tells nobody."""
    return Progress(False, "", logs=False)


def describe(made: Round) -> str:
    """A round in a few words, as they stand behind the bar."""
    numbers = {"objective": f"{made.objective:.6g}", "residual": f"{made.residual:.2g}"}
    known = {name: text for name, text in numbers.items() if not math.isnan(getattr(made, name))}
    counts = {"passes": str(made.passes), "live": str(made.live)}
    return ", ".join(f"{name}={text}" for name, text in {**counts, **known}.items())


def _is_watched() -> bool:
    """Whether a person is likely to look: at a terminal, or at a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is not None:
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # None or of a kind that has no such method, or closed
        return False


def _open_bar(title: str, began: float) -> tqdm[Any]:
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        """Without tqdm's thread that watches for bars which hang, and with a lock of its own.

        tqdm's lock would fix the way that the user's program may start processes. And a lock that
        bars share would be held for ever once the stream of one of them has failed.
        """

        monitor_interval = 0
        _lock = threading.RLock()

        def __del__(self) -> None:
            """Nothing: a bar that is not closed by now has a stream that failed."""

    bar = Bar(desc=title, bar_format=FORMAT, file=sys.stderr, dynamic_ncols=True)
    bar.start_t = began
    return bar
