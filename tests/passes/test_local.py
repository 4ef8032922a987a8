"""Sums in threads: the same as in one, and BLAS's threads as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from threadpoolctl import threadpool_info

from sparklr.objective.families import BINOMIAL
from sparklr.objective.sums import Probe
from sparklr.packing import mapped_blocks
from sparklr.packing.block_files import BlockName, BlockStore
from sparklr.packing.mapped_blocks import BlockLostError, FileBlocks
from sparklr.passes import local, threads
from sparklr.passes.local import LocalPasses
from sparklr.passes.threads import one_blas_thread, useful_threads
from sparklr.rows.blocks import Block
from tests.passes.asking import total

PROBE = Probe(BINOMIAL, np.full((1, 3), 0.2), np.array([0.1]), 2)


def make_blocks(count: int = 7) -> list[Block]:
    rng = np.random.default_rng(0)
    return [
        Block(rng.normal(size=(20, 3)), rng.integers(0, 2, 20).astype(float), None)
        for _ in range(count)
    ]


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_threads_change_no_sum(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "WORK_A_THREAD", 1)
    alone = LocalPasses.of(make_blocks(), 3)
    many = LocalPasses(alone.blocks, alone.moments, alone.sample, count)
    before = blas_threads()
    first = total(many, [PROBE])
    assert_allclose(first, total(alone, [PROBE]), rtol=1e-12, atol=1e-12)
    assert total(many, [PROBE]).tobytes() == first.tobytes()
    assert blas_threads() == before


def test_the_last_to_leave_gives_blas_its_threads_back() -> None:
    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) == {1}
        with one_blas_thread():
            pass
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_no_more_threads_than_slots_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: range(4), raising=False)
    assert [useful_threads(slots) for slots in (None, 1, 3, 64)] == [1, 1, 3, 4]


def test_blocks_are_read_from_files(tmp_path: Path) -> None:
    store, names = BlockStore("t", (str(tmp_path),)), []
    blocks = make_blocks()
    for position, block in enumerate(blocks):
        names.append((BlockName(0, position, 5), len(block.to_bytes())))
        assert store.write(names[-1][0], block.pieces())
    seen = store.seen_from_here(store.folders())
    assert seen is not None
    assert store.seen_from_here([str(tmp_path / "sparklr-other")]) is None
    files = FileBlocks(seen, names)
    alone = LocalPasses.of(blocks, 3)
    mapped = LocalPasses(files, alone.moments, alone.sample)
    assert total(mapped, [PROBE]).tobytes() == total(alone, [PROBE]).tobytes()
    assert len(files[2:]) == len(blocks) - 2
    assert files[1] is files[1]
    file = next(tmp_path.glob("*/0-1-5.block"))
    whole = file.read_bytes()
    with file.open("r+b") as short:
        short.truncate(8)
    with pytest.raises(BlockLostError, match=r"0-1-5\.block"):
        total(mapped, [PROBE])
    file.write_bytes(whole)
    assert total(mapped, [PROBE]).tobytes() == total(alone, [PROBE]).tobytes()
    store.remove()
    with pytest.raises(BlockLostError, match=r"0-0-5\.block"):
        total(mapped, [PROBE])


def test_blocks_that_came_without_a_file_are_read_beside_files(tmp_path: Path) -> None:
    store, blocks = BlockStore("t", (str(tmp_path),)), make_blocks()
    names = [BlockName(position, 0, 5) for position in range(len(blocks))]
    here = {name: block for name, block in zip(names, blocks, strict=True) if name.partition % 2}
    lengths = [0 if name in here else len(blocks[name.partition].to_bytes()) for name in names]
    for name in set(names) - set(here):
        assert store.write(name, blocks[name.partition].pieces())
    files = FileBlocks(store, list(zip(names, lengths, strict=True)), dict(here), frozenset(here))
    alone = LocalPasses.of(blocks, 3)
    mapped = LocalPasses(files, alone.moments, alone.sample)
    assert total(mapped, [PROBE]).tobytes() == total(alone, [PROBE]).tobytes()
    assert [files[1:][0] is blocks[1], files[1] is blocks[1]] == [True, True]
    store.remove()
    with pytest.raises(BlockLostError, match=r"0-0-5\.block"):
        total(mapped, [PROBE])


@pytest.mark.parametrize(("room", "kept"), [(2**20, True), (1, False)])
def test_few_mapped_blocks_keep_what_their_hessians_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, kept: bool
) -> None:
    monkeypatch.setattr(mapped_blocks, "REMEMBERED", room)
    matrix = sp.random(5_000, 100, density=0.02, format="csr", random_state=1)
    block = Block(matrix, np.ones(5_000), None)
    store, name = BlockStore("t", (str(tmp_path),)), BlockName(0, 0, 5)
    store.write(name, block.pieces())
    files = FileBlocks(store.seen_from_here(store.folders()), [(name, len(block.to_bytes()))])
    alone = LocalPasses.of([block], 100)
    probe = Probe(BINOMIAL, np.zeros((1, 100)), np.zeros(1), 2)
    total(LocalPasses(files, alone.moments, alone.sample), [probe])
    assert bool(files[0].memo) == kept
