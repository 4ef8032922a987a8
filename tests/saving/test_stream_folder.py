"""The folder of a stream: the old state, the new one or a sentence, whatever breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sparklr import LogisticRegressionModel
from sparklr.batches.descent import DescentState
from sparklr.batches.facts import StreamFacts
from sparklr.inference.stream_of_model import numbers_of_stream
from sparklr.saving import stream_folder
from sparklr.saving.stream import checksum_of, read_state, state_bytes
from sparklr.saving.stream_folder import Mark, StreamFolder, local_path
from tests.batches.test_descent import learn_all, spec_of
from tests.errors import assert_plain
from tests.posterior.test_stream import stream
from tests.problems import make_rows

STATE = replace(stream([make_rows(1, 60, 3)]), names=("a", "b.c", "ü"))
TEXT = LogisticRegressionModel._of(numbers_of_stream(STATE)).toJson()


def content_of(batch: int) -> bytes:
    """The bytes of a state that tells its batch."""
    return state_bytes(replace(STATE, batches=batch), model=TEXT)


def same(found: StreamFacts, state: StreamFacts) -> bool:
    for one in fields(state):
        assert_array_equal(getattr(found, one.name), getattr(state, one.name))
    return True


@pytest.fixture
def folder(tmp_path: Path) -> StreamFolder:
    """A folder with batches 3 and 4."""
    made = StreamFolder(str(tmp_path / "stream"))
    made.commit(3, content_of(3), None)
    made.commit(4, content_of(4), made.latest())
    return made


def learned(path: Path) -> int:
    """The number of batches in the newest state, which is whole."""
    model = LogisticRegressionModel.loadLatest(str(path / "stream"))
    assert model.coefficients.toArray().tolist() == STATE.coefficients()[0][0].tolist()
    return model.batchesLearned


def test_a_descent_comes_back_to_the_bit() -> None:
    state = replace(learn_all([make_rows(1, 60, 3)], spec_of()).state, names=("a", "b.c", "ü"))
    content = state_bytes(state, model=TEXT)
    assert content == state_bytes(state, model=TEXT)
    found, texts = read_state(content, checksum_of(content), "'it'")
    assert type(found) is type(state)
    assert same(found, state)
    assert texts == {"model": TEXT}


def test_a_state_of_arrays_that_do_not_belong_together_is_refused() -> None:
    descent = learn_all([make_rows(1, 60, 3)], spec_of()).state
    assert isinstance(descent, DescentState)
    for state in (
        replace(descent, squares=descent.squares[1:]),
        replace(descent, reach=descent.reach[1:]),
        replace(descent, scores=descent.scores[1:]),
        replace(STATE, mean=STATE.mean[1:]),
        replace(STATE, precision=STATE.precision[1:]),
    ):
        content = state_bytes(state)
        with pytest.raises(ValueError, match="'it' is damaged: ValueError: its") as refused:
            read_state(content, checksum_of(content), "'it'")
        assert_plain(refused.value, ())


def test_a_state_comes_back_to_the_bit(folder: StreamFolder, tmp_path: Path) -> None:
    assert content_of(4) == content_of(4)
    mark = folder.latest()
    assert mark is not None
    found, texts = folder.read(mark)
    assert same(found, replace(STATE, batches=4))
    assert texts == {"model": TEXT}
    model = LogisticRegressionModel.loadLatest(str(tmp_path / "stream"))
    assert model.featureNames == ["a", "b.c", "ü"]
    assert model.posterior.names == ["a", "b.c", "ü", "(intercept)"]


class KilledError(BaseException):
    """Nothing after it runs, as after a signal."""


def killed_in_commit(folder: StreamFolder, batch: int, moment: int) -> bool:
    """Commit, unless the process ends at this write, flush to the disk or rename, from 1 to 5."""
    steps = 0

    def dying(do: Any) -> Any:
        def step(*given: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == moment:
                raise KilledError
            return do(*given, **named)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", dying(os.fsync))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "mkdir", dying(Path.mkdir))
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        try:
            folder.commit(batch, content_of(batch), folder.latest())
        except KilledError:
            return True
    return False


@pytest.mark.parametrize("moment", range(1, 7))
def test_whoever_is_killed_leaves_the_old_state_or_the_new_one(
    folder: StreamFolder, tmp_path: Path, moment: int
) -> None:
    """At each write, flush to the disk and rename; then the batch is learned again."""
    killed = killed_in_commit(folder, 5, moment)
    assert killed == (moment <= 5)
    assert learned(tmp_path) == (4 if killed else 5)
    if killed:
        folder.commit(5, content_of(5), folder.latest())
    assert learned(tmp_path) == 5


COMMITS = """
import sys
from sparklr.saving.stream_folder import StreamFolder
from tests.saving.test_stream_folder import content_of
folder = StreamFolder(sys.argv[1])
for batch in range(5, 10_000):
    folder.commit(batch, content_of(batch), folder.latest())
    folder.forget(3)
    print(batch, flush=True)
"""


@pytest.mark.deep
@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_process_that_is_killed_leaves_a_whole_state(
    folder: StreamFolder, tmp_path: Path, after: int
) -> None:
    """By a signal that no process can catch, in the middle of its writing."""
    command = [sys.executable, "-c", COMMITS, str(tmp_path / "stream")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        kept = [int(process.stdout.readline()) for _ in range(after)][-1]
        process.kill()
        kept = max([kept, *map(int, process.stdout.read().split())])
    assert process.returncode == -signal.SIGKILL
    assert learned(tmp_path) in (kept, kept + 1)
    batch = learned(tmp_path) + 1
    folder.commit(batch, content_of(batch), folder.latest())
    assert learned(tmp_path) == batch


def test_of_two_writers_one_is_told(folder: StreamFolder, tmp_path: Path) -> None:
    before = folder.latest()
    other = state_bytes(replace(STATE, batches=5, rows=1), model=TEXT)
    folder.commit(5, content_of(5), before)
    with pytest.raises(RuntimeError, match="Another program has written") as refused:
        folder.commit(5, other, before)
    assert_plain(refused.value, ("a folder of its own",))
    with pytest.raises(RuntimeError, match="so batch 6 is not kept"):
        folder.commit(6, other, before)
    assert learned(tmp_path) == 5


def test_two_writers_at_the_same_moment_do_not_both_succeed(
    folder: StreamFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both look at `latest` before either replaces it, unless the second has to wait."""
    before, look, both = folder.latest(), StreamFolder.latest, Barrier(2)

    def together(its: StreamFolder) -> Mark | None:
        found = look(its)
        with suppress(BrokenBarrierError):
            both.wait(timeout=0.2)
        return found

    def write(batch: int) -> bool:
        try:
            folder.commit(batch, content_of(batch), before)
        except RuntimeError:
            return False
        return True

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(StreamFolder, "latest", together)
        kept = list(pool.map(write, (5, 6)))
    assert sorted(kept) == [False, True]
    assert learned(tmp_path) == (5 if kept[0] else 6)


STEPS = ["learn", "killed", "behind", "forget", "cut", "restored", "no pointer"]


@pytest.mark.deep
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 5)), max_size=12))
def test_whatever_happens_in_whatever_order_no_state_is_wrong(steps: list[tuple[str, int]]) -> None:
    """After each step the folder has the last state that was kept, or says what is damaged."""
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # the disk itself does not fail here
        folder = StreamFolder(f"{path}/stream")
        folder.commit(1, content_of(1), None)
        marks, pointer = [folder.latest()], Path(path, "stream", "latest")
        batch = 1
        for what, moment in steps:
            whole = pointer.exists() and _is_whole(Path(path))
            newest = Path(path, "stream", Mark(batch, checksum_of(content_of(batch))).file)
            if what == "cut" and newest.exists():
                newest.write_bytes(newest.read_bytes()[: -100 * moment])
            elif what == "no pointer":
                pointer.unlink(missing_ok=True)
            elif what == "restored" or not whole:  # as the errors say
                newest.write_bytes(content_of(batch))
                pointer.write_text(
                    json.dumps({"batch": batch, "sha256": checksum_of(content_of(batch))})
                )
            elif what == "learn":
                folder.commit(batch + 1, content_of(batch + 1), folder.latest())
                batch += 1
                marks.append(folder.latest())
            elif what == "killed":
                assert killed_in_commit(folder, batch + 1, moment)
            elif what == "behind" and len(marks) > 1:
                with pytest.raises(RuntimeError, match="Another program has written"):
                    folder.commit(batch + 1, content_of(batch + 1), marks[-2])
            elif what == "forget":
                folder.forget(moment)
            damaged = what in ("cut", "no pointer")
            assert _is_whole(Path(path)) == (not damaged)
            if not damaged:
                assert learned(Path(path)) == batch


def _is_whole(path: Path) -> bool:
    """Whether there is a state; else the reason is a sentence."""
    try:
        learned(path)
    except (ValueError, FileNotFoundError) as reason:
        assert_plain(reason, ())
        return False
    return True


@given(data=st.data())
def test_no_damage_is_read_as_a_state(data: Any) -> None:
    """Cut off, or with some bytes changed: the checksum is another."""
    content = content_of(4)
    if data.draw(st.booleans()):
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        changed = bytearray(content)
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(0, len(content) - 1))
            changed[at] ^= data.draw(st.integers(1, 255))
        damaged = bytes(changed)
        if damaged == content:
            return
    with pytest.raises(ValueError, match="'file' is damaged") as refused:
        read_state(damaged, checksum_of(content), "'file'")
    assert_plain(refused.value, ())
    try:  # and what somebody has made so that the checksum agrees is a state or a sentence
        read_state(damaged, checksum_of(damaged), "'file'")
    except ValueError as reason:
        assert_plain(reason, ("'file' is damaged",))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"batch": 4}', '{"batch": "4", "sha256": ""}', "\xff", '{"sha256": 1}'],
)
def test_a_damaged_pointer_is_a_sentence(folder: StreamFolder, tmp_path: Path, text: str) -> None:
    (tmp_path / "stream" / "latest").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"'.*latest' is damaged") as refused:
        folder.latest()
    assert_plain(refused.value, ("remove the folder to begin anew",))


@pytest.mark.usefixtures("folder")
def test_what_latest_names_must_be_there(tmp_path: Path) -> None:
    pointer = tmp_path / "stream" / "latest"
    pointer.write_text(json.dumps({"batch": 9, "sha256": "0" * 64}))
    with pytest.raises(ValueError, match="which is not there"):
        learned(tmp_path)
    (tmp_path / "stream" / Mark(4, checksum_of(content_of(4))).file).write_bytes(content_of(3))
    pointer.write_text(json.dumps({"batch": 4, "sha256": checksum_of(content_of(4))}))
    with pytest.raises(ValueError, match="its checksum is another"):
        learned(tmp_path)
    pointer.unlink()
    with pytest.raises(FileNotFoundError, match="no model of a stream"):
        learned(tmp_path)


def test_old_batches_are_removed_but_the_newest(folder: StreamFolder, tmp_path: Path) -> None:
    for batch in range(5, 9):
        folder.commit(batch, content_of(batch), folder.latest())
    (tmp_path / "stream" / "batch=9").mkdir()  # begun, but not kept
    folder.forget(2)
    assert folder.batches() == [7, 8, 9]
    folder.forget(1)
    assert folder.batches() == [8, 9]
    assert learned(tmp_path) == 8


def test_paths_are_those_of_folders() -> None:
    assert local_path("file:///a/b%20c") == "/a/b c"
    assert local_path("/a/../b") == "/b"
    assert local_path("here") == os.path.abspath("here")
    for path in ("hdfs://host/a", "s3a://bucket/a", "dbfs:/a"):
        with pytest.raises(ValueError, match="is not a local folder") as refused:
            local_path(path)
        assert_plain(refused.value, ("mount",))
    for nothing in ("", None, 3):
        with pytest.raises(TypeError, match="must be the name of a folder"):
            local_path(nothing)


@pytest.mark.usefixtures("folder")
def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    names = sorted(one.name for one in (tmp_path / "stream").rglob("*"))
    files = [Mark(b, checksum_of(content_of(b))).file.split("/")[1] for b in (3, 4)]
    assert names == sorted([*files, "batch=3", "batch=4", "latest"])
    assert stream_folder.PREFIX == "batch="
    assert np.isfinite(STATE.precision).all()
