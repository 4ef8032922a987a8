"""What long work shows of itself: its bar, and its log."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sparklr.display import progress
from sparklr.display.progress import Progress, describe, silent
from sparklr.fitting.outcome import Round
from tests.waiting import wait_until

TITLE = "logistic regression"
MADE = Round(passes=3, live=2, members=5, objective=0.693147, residual=1.5e-3)


class Terminal(io.StringIO):
    """A stream that says a person looks at it."""

    def isatty(self) -> bool:
        return True


def write_to(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be stderr to bars; pytest itself replaces that of `sys` between fixtures and tests."""
    instead = SimpleNamespace(stderr=stream, modules=sys.modules)
    monkeypatch.setattr(progress, "sys", instead)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    write_to(made, monkeypatch)
    return made


@pytest.fixture(autouse=True)
def _patient_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line is seen, however late the thread that draws it comes to it."""
    monkeypatch.setattr(progress, "FAREWELL", 60.0)


def drawing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "progress" in thread.name]


def test_the_bar_tells_stages_and_rounds(screen: Terminal) -> None:
    with Progress(True, TITLE) as shown:
        shown.stage("packing rows")
        wait_until(lambda: f"{TITLE}: packing rows |" in screen.getvalue())
        shown.round(MADE)
        wait_until(lambda: "3/5" in screen.getvalue())
        told = "passes=3, live=2, objective=0.693147, residual=0.0015]"
        assert told in screen.getvalue()
        shown.stage("evaluating")
    last = screen.getvalue().rpartition("\r")[2]
    assert last.startswith(f"{TITLE} |")
    assert re.search(r"\| 5/5 \[\d\d:\d\d, passes=3, live=0,", last)
    assert last.endswith("\n")
    assert drawing() == []


def test_what_is_not_known_is_not_told() -> None:
    unknown = Round(passes=1, live=1, members=1, objective=2.0, residual=float("nan"))
    assert describe(unknown) == "passes=1, live=1, objective=2"


@pytest.mark.parametrize(
    ("verbose", "where", "seen"),
    [
        (None, "terminal", True),
        (None, "notebook", True),
        (None, "file", False),
        (None, "nowhere", False),
        (False, "terminal", False),
        (True, "file", True),
        (True, "nowhere", False),
    ],
)
def test_who_looks_or_asks_for_it_sees_a_bar(
    monkeypatch: pytest.MonkeyPatch, verbose: bool | None, where: str, seen: bool
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    stream = {"terminal": Terminal(), "nowhere": None}.get(where, io.StringIO())
    write_to(stream, monkeypatch)
    if where == "notebook":
        shell = SimpleNamespace(kernel=object())
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with Progress(verbose, TITLE) as shown:
        shown.round(MADE)
        assert bool(drawing()) == seen
        if seen:
            wait_until(lambda: "3/5" in stream.getvalue())
    assert seen or stream is None or stream.getvalue() == ""


def test_short_work_shows_nothing_unasked(screen: Terminal) -> None:
    with Progress(None, TITLE) as shown:
        shown.round(MADE)
    assert screen.getvalue() == ""
    assert drawing() == []


class Looks(threading.Event):
    """Counts how often the drawing thread has looked whether the work is over."""

    count = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        return super().wait(timeout)


def test_where_nobody_looks_there_is_a_line_per_change_and_none_for_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page, looks = io.StringIO(), Looks()
    write_to(page, monkeypatch)
    monkeypatch.setattr(progress, "EVERY", 0.001)
    bar = Progress(True, TITLE)
    monkeypatch.setattr(bar, "_over", looks)
    with bar as shown:
        shown.round(MADE)
        wait_until(lambda: "3/5" in page.getvalue())
        before, so_far = page.getvalue(), looks.count
        wait_until(lambda: looks.count > so_far + 20)
        assert page.getvalue() == before
    assert "5/5" in page.getvalue()


def test_the_bar_is_closed_after_a_failure(screen: Terminal) -> None:
    failure = KeyboardInterrupt()

    def work() -> None:
        with Progress(True, TITLE) as shown:
            shown.round(MADE)
            raise failure

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert caught.value is failure
    last = screen.getvalue().rpartition("\r")[2]
    assert "| 3/5 [" in last
    assert last.endswith("\n")
    assert drawing() == []


def test_the_clock_starts_with_the_work(screen: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the bar, nor with the first round, which tells how many fits there are."""
    monkeypatch.setattr(progress, "time", SimpleNamespace(time=lambda: time.time() - 7200))
    with Progress(True, TITLE) as shown:
        wait_until(lambda: "[2:00:0" in screen.getvalue())
        shown.round(MADE)
        wait_until(lambda: "3/5 [2:00:0" in screen.getvalue())


def test_the_number_of_fits_may_change(screen: Terminal) -> None:
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
        wait_until(lambda: "3/5" in screen.getvalue())
        shown.round(Round(passes=9, live=1, members=1, objective=0.5, residual=0.1))
        wait_until(lambda: "0/1" in screen.getvalue())


def test_a_bar_brings_no_thread_but_its_own(screen: Terminal) -> None:
    """tqdm would start one that watches all bars, and never ends it."""
    before = set(threading.enumerate())
    with Progress(True, TITLE):
        wait_until(screen.getvalue)
        assert len(set(threading.enumerate()) - before) == 1
    assert set(threading.enumerate()) <= before


class Broken(Terminal):
    """A stream of which every use fails from the given write on."""

    def __init__(self, failure: Exception, good: int) -> None:
        super().__init__()
        self.failure, self.good, self.failed = failure, good, False

    def write(self, text: str) -> int:
        self.good -= 1
        if self.good < 0:
            self.failed = True
            raise type(self.failure)(*self.failure.args)  # anew, or it would keep the bar
        return super().write(text)


@pytest.mark.parametrize("good", [0, 3])
@pytest.mark.parametrize("failure", [OSError(28, "full"), ValueError("closed"), RuntimeError()])
def test_a_broken_stream_fails_neither_the_work_nor_later_bars(
    monkeypatch: pytest.MonkeyPatch, screen: Terminal, failure: Exception, good: int
) -> None:
    broken = Broken(failure, good)
    write_to(broken, monkeypatch)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
        wait_until(lambda: broken.failed)
    write_to(screen, monkeypatch)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
    assert "5/5" in screen.getvalue()


def test_a_stream_that_blocks_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    class Blocked(Terminal):
        def write(self, text: str) -> int:
            free.wait(60)
            return super().write(text)

    write_to(Blocked(), monkeypatch)
    monkeypatch.setattr(progress, "FAREWELL", 0.05)
    with Progress(True, TITLE) as shown:
        shown.round(MADE)
        wait_until(drawing)
    assert drawing() != []
    free.set()
    wait_until(lambda: drawing() == [])


# The log


def test_stages_and_rounds_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sparklr")
    with Progress(False, TITLE) as shown:
        shown.stage("packing rows")
        shown.round(MADE)
    assert [record.getMessage() for record in caplog.records] == [
        "logistic regression: packing rows",
        "logistic regression: 3 passes, 2 of 5 fits running, objective 0.693147, residual 0.0015",
    ]


def test_a_silent_progress_tells_nobody(caplog: pytest.LogCaptureFixture, screen: Terminal) -> None:
    caplog.set_level(logging.INFO, "sparklr")
    with silent() as shown:
        shown.stage("packing rows")
        shown.round(MADE)
    assert caplog.records == []
    assert screen.getvalue() == ""
