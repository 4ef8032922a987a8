"""Spark's workers leave what they imported out of later collections; other processes do not."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from sparklr.packing import garbage
from sparklr.packing.worker import PackPlan, pack_partition
from sparklr.passes.readings import DerivativeSums
from sparklr.passes.worker import ReadBlocks


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is asked of the garbage collector, which does nothing here."""
    seen: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: seen.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: seen.append("freeze"))
    garbage._spare_once.cache_clear()
    yield seen
    garbage._spare_once.cache_clear()


def work() -> None:
    """A task that packs no rows, and one that reads no blocks."""
    list(pack_partition([], 0, PackPlan()))
    list(ReadBlocks(DerivativeSums(()), 1, None, None, False)(iter(())))


def test_a_worker_that_is_used_again_does_so_once(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a collection, as what is garbage now would stay."""
    monkeypatch.setenv(garbage.REUSED, "1")
    work()
    work()
    assert done == ["collect", "freeze"]


def test_any_other_process_does_not(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(garbage.REUSED, raising=False)
    work()
    assert done == []


def test_either_task_does_so(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(garbage.REUSED, "1")
    list(ReadBlocks(DerivativeSums(()), 1, None, None, False)(iter(())))
    assert done == ["collect", "freeze"]
