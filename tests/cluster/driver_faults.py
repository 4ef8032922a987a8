"""The fit of `driver_plain`, while executors, Python workers, files and tasks come to harm."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from driver_plain import search
from processes import EXECUTOR, PYTHON_WORKER, matching, parent, wait_until
from pyspark import TaskContext
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from workload import (
    Heard,
    at_pass,
    descend,
    fit,
    folders,
    left,
    local_dirs,
    local_root,
    numbers,
    rows,
    say,
    start,
)

from sparklr.packing.block_files import BlockStore
from sparklr.passes.jobs import SparkPasses


class Harm:
    """The cluster as a fault sees it."""

    def __init__(self, session: SparkSession, root: str) -> None:
        self.session = session
        self.context = session.sparkContext
        self.root = root
        self.done: list[str] = []  # what was done, for the test to see that it was

    def executors(self) -> list[int]:
        """The processes of this application's executors."""
        return matching(EXECUTOR, str(self.context.applicationId))

    def python_workers(self) -> list[int]:
        """Those that one executor has, the first that has any; their parent is its daemon."""
        these = matching(PYTHON_WORKER)
        for executor in self.executors():
            found = [each for each in these if parent(parent(each)) == executor]
            if found:
                return found
        return []

    def ready(self) -> None:
        """Wait until the cluster has two executors, after one was lost too."""
        known = self.context._jsc.sc()
        wait_until(
            lambda: len(self.executors()) == 2 == known.getExecutorMemoryStatus().size() - 1,
            "two executors run",
        )

    def kill(self, numbers: Sequence[int]) -> None:
        """End these processes as the kernel does where memory is short."""
        for number in numbers:
            os.kill(number, signal.SIGKILL)
            self.done.append("killed")

    def kill_in_pass(self, numbers: Sequence[int]) -> None:
        """Let them take tasks that never end, then kill them: so it is always within the pass."""
        for number in numbers:
            os.kill(number, signal.SIGSTOP)
        self.done.append("stopped")
        threading.Thread(target=self._kill_busy, args=(numbers,), daemon=True).start()

    def _kill_busy(self, numbers: Sequence[int]) -> None:
        tracker = self.context.statusTracker()

        def stuck() -> bool:
            stages = [tracker.getStageInfo(each) for each in tracker.getActiveStageIds()]
            return any(
                each is not None and each.numActiveTasks > 0 and each.numCompletedTasks > 0
                for each in stages
            )

        wait_until(stuck, "a task waits for a process that stands still")
        self.kill(numbers)

    def files(self, how: Callable[[Path], None], *, one_executor: bool = False) -> None:
        """Do this to block files: to all, or to those of one executor."""
        these = folders(self.root)
        for folder in these[:1] if one_executor else these:
            for file in Path(folder).iterdir():
                how(file)
                self.done.append("harmed")


def truncate(file: Path) -> None:
    """Cut off the last number."""
    os.truncate(file, file.stat().st_size - 8)


LATE = "-late"  # of the mark that nobody killed the slow attempt


class Again:
    """Rows as they are, where the first attempt of one task comes to harm behind its rows.

    A later attempt leaves a mark, which shows that there was one.
    """

    def __init__(self, mark: str, slow: bool) -> None:
        self.mark, self.slow = mark, slow

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        yield from batches
        context = TaskContext.get()
        assert context is not None
        if context.partitionId() != 1:
            return
        if context.attemptNumber() > 0:
            Path(self.mark).touch()
        elif not self.slow:
            raise OSError("this task fails once")
        else:
            # Until long after the other attempt: Spark ends this one.
            try:
                wait_until(lambda: False, "the task is killed")
            except TimeoutError:
                Path(self.mark + LATE).touch()
                raise


def spoilt(frame: DataFrame, mark: str, *, slow: bool = False) -> DataFrame:
    """The frame, whose rows some task does not give at its first attempt."""
    plain = frame.select(vector_to_array("features").alias("features"), "label")
    return plain.mapInArrow(Again(mark, slow), plain.schema)


def outcome(harm: Harm, name: str, action: Callable[[], Any]) -> None:
    """Run one fault and say how it went; an error is an outcome too."""
    harm.ready()
    heard, before = Heard(), left(harm.session, harm.root)
    harm.done = []
    try:
        found = action()
        passes = int(found.summary.totalIterations) if hasattr(found, "summary") else None
        said = heard.take()
        lost = sorted({*left(harm.session, harm.root)} - {*before})
        say(name, numbers=numbers(found), passes=passes, done=harm.done, said=said, left=lost)
    except Exception:
        say(name, error=traceback.format_exc(), done=harm.done, said=heard.take())
    finally:
        heard.close()


def struck(
    harm: Harm, strike: Callable[[], None], *passes: int, by: Callable[[DataFrame], Any] = fit
) -> Callable[[], Any]:
    """A fit that is struck before these passes."""

    def action() -> Any:
        with at_pass(lambda _: strike(), *passes) as seen:
            model = by(rows(harm.session))
        assert len(seen) >= max(passes)
        return model

    return action


def common(harm: Harm) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Faults on a cluster with Spark's own settings."""
    session = harm.session

    def one_executor() -> None:
        harm.kill(harm.executors()[:1])

    def in_pass() -> None:
        harm.kill_in_pass(harm.executors()[:1])

    def grid() -> Any:
        with at_pass(lambda _: one_executor(), 3):
            return search(session).bestModel

    def whole_folders() -> None:
        for folder in folders(harm.root):
            shutil.rmtree(folder)
            harm.done.append("harmed")

    def fails_once() -> Any:
        mark = str(Path(harm.root) / "failed-once")
        model = fit(spoilt(rows(session), mark))
        harm.done.append("again" if Path(mark).exists() else "")
        return model

    def on_all_files(how: Callable[[Path], None]) -> Callable[[], None]:
        return lambda: harm.files(how)

    yield "an executor killed between passes", struck(harm, one_executor, 2)
    yield "an executor killed in a pass", struck(harm, in_pass, 2)
    yield "all executors killed", struck(harm, lambda: harm.kill(harm.executors()), 2)
    yield "an executor killed twice", struck(harm, lambda: (harm.ready(), one_executor()), 2, 3)
    yield "an executor killed in a grid", grid
    yield (
        "a Python worker killed in a pass",
        struck(harm, lambda: harm.kill_in_pass(harm.python_workers()), 2),
    )
    yield "an executor killed in a walk", struck(harm, in_pass, 4, by=descend)  # of its 2nd epoch
    yield "files deleted", struck(harm, on_all_files(Path.unlink), 2)
    yield "files truncated", struck(harm, on_all_files(truncate), 2)
    yield (
        "files of one executor deleted",
        struck(harm, lambda: harm.files(Path.unlink, one_executor=True), 2),
    )
    yield "files deleted twice", struck(harm, on_all_files(Path.unlink), 2, 3)
    yield "folders deleted", struck(harm, whole_folders, 2)
    yield "a task that fails once", fails_once


def speculative(harm: Harm) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Faults where Spark runs slow tasks twice."""
    session = harm.session

    def slow_packing() -> Any:
        mark = str(Path(harm.root) / "slow")
        model = fit(spoilt(rows(session), mark, slow=True))
        twice = Path(mark).exists() and not Path(mark + LATE).exists()
        harm.done.append("twice" if twice else "one after the other")
        return model

    def stand_still() -> None:
        for number in harm.python_workers():
            os.kill(number, signal.SIGSTOP)
            harm.done.append("stopped")

    def ended_attempt() -> Any:
        """One executor keeps all rows; the other has a folder, and no part of them."""
        before, roots = folders(harm.root), set[str]()

        def both_known() -> bool:
            roots.update(local_dirs(session))
            return len(roots) == 2

        def strike(passes: SparkPasses) -> None:
            made = BlockStore(passes.packing.store.token, tuple(roots)).folders()
            for folder in made:
                Path(folder).mkdir(mode=0o700, exist_ok=True)
            harm.done.extend("made" for folder in made)

        # A task that must begin a worker first is run again where one is at hand.
        wait_until(both_known, "a task runs on each executor")
        with at_pass(strike, 2):
            model = fit(rows(session).coalesce(1))
        # By then Spark may have ended the task that removes it, for one that ran elsewhere.
        wait_until(lambda: {*folders(harm.root)} <= {*before}, "the folders are removed")
        return model

    yield "a slow packing task, run twice", slow_packing
    yield "a slow task of a pass, run twice", struck(harm, stand_still, 2)
    yield "files of an attempt that was ended", ended_attempt


SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.multiplier": "1.1",
    # Longer than any task but those that are made slow, a worker's start included.
    "spark.speculation.minTaskRuntime": "5s",
}


def main(kind: str, only: Sequence[str]) -> None:
    session = start(**(SPECULATION if kind == "speculation" else {}))
    harm = Harm(session, local_root())
    faults = speculative if kind == "speculation" else common
    for name, action in faults(harm):
        if not only or name in only:
            outcome(harm, name, action)
    session.stop()
    wait_until(lambda: not folders(harm.root), "Spark removes its executors' directories")
    say("after", left=folders(harm.root))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
