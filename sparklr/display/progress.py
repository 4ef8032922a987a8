"""Progress of long work: a bar in a terminal or a notebook, and log messages.

This module does not use Spark; of fits it only knows their number and how far they are.

A separate thread draws the bar. The work only records its state, so a stream that fails or blocks
does not affect it, and the clock moves on during a pass of minutes. Without the thread, work that
takes long before its first round would show nothing at all.
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

# Seconds of work before a bar appears, unless `verbose` is True.
PATIENCE = 2.0
# Seconds between two checks of the state of the work.
EVERY = 0.2
# The most seconds to wait at the end for the last drawing of the bar, as its stream may block.
FAREWELL = 1.0
# Without rate and remaining time: rounds differ too much for useful estimates.
FORMAT = "{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class Progress:
    """Shows the progress of the work inside a `with` block.

    `verbose`: True shows a bar and False shows no bar; None shows a bar only in a terminal or a
    notebook, where a person may look, and only for long work. Messages are logged in any case.
    """

    def __init__(self, verbose: bool | None, title: str, *, logs: bool = True) -> None:
        self._title, self._logs = title, logs
        self._watched = _is_watched()
        self._patience = PATIENCE if verbose is None else 0.0
        self._shown = self._watched if verbose is None else verbose
        self._began = 0.0
        # One tuple, set and read as a whole, so that the drawing thread needs no lock.
        self._now: tuple[str, Round | None] = ("", None)
        self._over = threading.Event()
        self._succeeded = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if self._shown and sys.stderr is not None:
            self._began = time.time()
            # A notebook finds the cell of a widget through the context.
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
        """Show and log the current stage outside of rounds, for example "packing rows"."""
        self._now = (text, self._now[1])
        if self._logs:
            log.info("%s: %s", self._title, text)

    def round(self, made: Round) -> None:
        """Show and log that a round is finished."""
        self._now = ("", made)
        if self._logs:
            log.info(
                "%s: %d passes, %d of %d fits running, objective %.10g, residual %.3g",
                self._title, made.passes, made.live, made.members, made.objective, made.residual,
            )  # fmt: skip

    def _draw(self) -> None:
        """Draw the bar until the work is over; runs in the drawing thread."""
        if self._patience and self._over.wait(self._patience):
            return
        try:
            bar = _open_bar(self._title, self._began)
            self._follow(bar)
            bar.close()
        except (OSError, ValueError, RuntimeError) as reason:
            # The stream is gone or closed, or its notebook has ended. Other errors are bugs in
            # drawing; Python prints them, as for any thread, and the work continues.
            log.debug("no progress bar: %s", reason)

    def _follow(self, bar: tqdm[Any]) -> None:
        drawn: tuple[str, Round | None] | None = None
        over = False
        while not over:
            over = self._over.wait(EVERY if drawn else 0.0)
            stage, made = now = self._now
            # In a file each drawing adds a line, so there the clock alone causes no drawing.
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
                bar.reset(total=made.members)  # also widens a notebook's bar, but resets the clock
                bar.start_t = self._began
            bar.n = made.members - made.live
            bar.set_postfix_str(describe(made), refresh=False)
        bar.refresh()


def silent() -> Progress:
    """Return a progress that shows and logs nothing."""
    return Progress(False, "", logs=False)


def describe(made: Round) -> str:
    """Return a short description of a round, to show behind the bar."""
    numbers = {"objective": f"{made.objective:.6g}", "residual": f"{made.residual:.2g}"}
    known = {name: text for name, text in numbers.items() if not math.isnan(getattr(made, name))}
    counts = {"passes": str(made.passes), "live": str(made.live)}
    return ", ".join(f"{name}={text}" for name, text in {**counts, **known}.items())


def _is_watched() -> bool:
    """Whether a person is likely to see a bar: in a terminal or in a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is not None:
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # None, closed, or a stream without this method
        return False


def _open_bar(title: str, began: float) -> tqdm[Any]:
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        """A bar without tqdm's monitor thread for hanging bars, and with its own lock.

        tqdm's lock would fix the way in which the user's program can start processes. And a lock
        shared by bars would be held for ever after the stream of one bar has failed.
        """

        monitor_interval = 0
        _lock = threading.RLock()

        def __del__(self) -> None:
            """Do nothing: a bar that is still open now has a stream that failed."""

    bar = Bar(desc=title, bar_format=FORMAT, file=sys.stderr, dynamic_ncols=True)
    bar.start_t = began
    return bar
