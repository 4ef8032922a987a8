"""Packing without Spark: record batches in, blocks out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.objective.moments import Moments, moments_of
from sparklr.packing.block_files import BlockStore
from sparklr.packing.summaries import PartitionSummary
from sparklr.packing.worker import SUMMARY, PackPlan, pack_partition
from sparklr.rows.blocks import Block
from tests.packing.batches import as_vectors, batch, cut, numbered, pack


def dense(matrix: Any) -> Array:
    return matrix.toarray() if sp.issparse(matrix) else matrix


def assert_same_moments(moments: Moments, expected: Moments) -> None:
    for name, value in expected.to_arrays().items():
        assert_allclose(moments.to_arrays()[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("density", [0.05, 0.9])
@pytest.mark.parametrize("kind", ["array", "dense", "sparse", "mixed"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_blocks_hold_the_rows_with_weight_above_zero(
    kind: str, density: float, weighted: bool
) -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(300, 8)) * (random.random((300, 8)) < density)
    labels = random.integers(0, 3, 300).astype(float)
    weights = random.choice([0.0, 0.5, 1.0, 2.0], 300) if weighted else None
    column = matrix if kind == "array" else as_vectors(matrix, kind)
    plan = PackPlan(block_bytes=2_000)
    packed = pack(list(cut(batch(column, labels, weights), [17, 1, 40])), plan)
    kept = np.ones(300, dtype=bool) if weights is None else weights > 0
    each = np.ones(300) if weights is None else weights
    assert len(packed.blocks) > 1
    assert {block.sparse for block in packed.blocks} == {density < 0.2}
    assert_array_equal(dense(packed.whole.matrix), matrix[kept])
    assert_array_equal(packed.whole.labels, labels[kept])
    given = np.concatenate(
        [np.ones(b.rows) if b.weights is None else b.weights for b in packed.blocks]
    )
    assert_array_equal(given, each[kept])
    assert packed.summary.features == 8
    assert packed.summary.seen == 300
    assert not packed.summary.faults
    rows = Block(matrix[kept], labels[kept], each[kept])
    assert_same_moments(packed.summary.moments, moments_of(rows))


def test_weights_that_are_all_one_are_left_out() -> None:
    matrix, labels = numbered(20)
    packed = pack([batch(matrix, labels, np.ones(20))])
    assert [block.weights for block in packed.blocks] == [None]
    assert_array_equal(packed.whole.matrix, matrix)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_rows_keep_their_offsets(weighted: bool) -> None:
    random = np.random.default_rng(2)
    matrix, labels = numbered(60)
    offsets, folds = random.normal(size=60), random.integers(0, 3, 60).astype(float)
    weights = random.choice([0.0, 0.5, 2.0], 60) if weighted else None
    rows = batch(matrix, labels, weights, offsets, folds)
    packed = pack(list(cut(rows, [17, 9])), PackPlan(block_bytes=500, folded=True))
    kept = np.ones(60, dtype=bool) if weights is None else weights > 0
    assert {block.fold for block in packed.blocks} == {0, 1, 2}
    for fold in range(3):
        of_fold = [block for block in packed.blocks if block.fold == fold]
        there = kept & (folds == fold)
        assert_array_equal(np.concatenate([it.matrix for it in of_fold]), matrix[there])
        assert_array_equal(np.concatenate([it.row_offsets for it in of_fold]), offsets[there])
    moments = packed.summary.moments
    each = np.ones(60) if weights is None else weights
    assert moments.offset_mean == pytest.approx(np.average(offsets, weights=each), rel=1e-12)
    assert moments.offset_minimum == offsets[kept].min()
    assert moments.offset_maximum == offsets[kept].max()
    sample = {tuple(row) for row in np.column_stack((matrix, offsets))}
    sampled = packed.summary.sample
    assert {tuple(row) for row in np.column_stack((sampled.matrix, sampled.row_offsets))} <= sample


def test_offsets_that_are_all_zero_are_left_out() -> None:
    matrix, labels = numbered(20)
    packed = pack([batch(matrix, labels, offsets=np.zeros(20))])
    assert [block.row_offsets for block in packed.blocks] == [None]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_offsets_must_be_finite(value: float) -> None:
    matrix, labels = numbered(20)
    rule = "null offset" if np.isnan(value) else "offset infinite"
    weights = np.zeros(20)  # rows of weight zero are checked as well
    packed = pack([batch(matrix, labels, weights, np.where(np.arange(20) == 3, value, 1.0))])
    assert packed.summary.faults.counts == {rule: 1}


@pytest.mark.parametrize("sizes", [[7], [64, 1], [1_000]], ids=str)
@pytest.mark.parametrize("kind", ["array", "sparse"])
def test_blocks_are_about_as_large_as_planned(kind: str, sizes: list[int]) -> None:
    matrix, labels = numbered(1_000, 20)
    if kind == "sparse":
        matrix[:, 3:] = 0.0
    column = matrix if kind == "array" else as_vectors(matrix, kind)
    planned = 8_000
    packed = pack(list(cut(batch(column, labels), sizes)), PackPlan(block_bytes=planned))
    assert all(block.sparse == (kind == "sparse") for block in packed.blocks)
    *most, last = (len(payload) for payload in packed.payloads)
    assert len(most) >= 3
    assert min(most) > 0.5 * planned
    assert max([*most, last]) < 2 * planned


def test_a_row_wider_than_a_block_is_a_block() -> None:
    matrix, labels = numbered(5, 100)
    for sizes in ([1], [5]):
        packed = pack(list(cut(batch(matrix, labels), sizes)), PackPlan(block_bytes=64))
        assert [block.rows for block in packed.blocks] == [1] * 5
        assert_array_equal(packed.whole.matrix, matrix)


def test_many_tiny_batches_make_few_blocks() -> None:
    matrix, labels = numbered(500)
    rows = batch(matrix, labels)
    nothing = rows.slice(0, 0)
    batches = [piece for row in cut(rows, [1]) for piece in (nothing, row)]
    packed = pack(batches, PackPlan(block_bytes=8_000))
    assert len(packed.blocks) < 5
    assert_array_equal(packed.whole.matrix, matrix)
    assert_array_equal(packed.whole.labels, labels)


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_an_empty_partition_has_a_summary_only(batches: int) -> None:
    matrix, labels = numbered(1)
    packed = pack([batch(matrix, labels).slice(0, 0)] * batches)
    summary = packed.summary
    assert packed.blocks == []
    assert (summary.features, summary.seen, summary.moments.rows) == (None, 0, 0)
    assert (summary.sample.rows, len(summary.keys), bool(summary.faults)) == (0, 0, False)


def test_rows_of_weight_zero_are_seen_but_not_packed() -> None:
    matrix, labels = numbered(10)
    packed = pack([batch(matrix, labels, np.zeros(10))])
    assert packed.blocks == []
    assert (packed.summary.seen, packed.summary.moments.rows) == (10, 0)
    assert packed.summary.features == 4
    assert packed.summary.sample.rows == 0


@pytest.mark.parametrize("spare", [-1, 0])
def test_a_partition_is_small_as_a_whole_or_not_at_all(spare: int) -> None:
    matrix, labels = numbered(400)
    rows = list(cut(batch(matrix, labels), [10]))
    plan = PackPlan(block_bytes=2_000)
    size = sum(len(payload) for payload in pack(rows, plan).payloads)
    packed = pack(rows, PackPlan(block_bytes=2_000, small_bytes=size + spare))
    assert len(packed.blocks) > 4
    assert packed.small == [spare == 0] * len(packed.blocks)
    assert_array_equal(packed.whole.matrix, matrix)


def test_nothing_is_small_where_nothing_may_be() -> None:
    matrix, labels = numbered(50)
    assert pack([batch(matrix, labels)], PackPlan(small_bytes=0)).small == [False]


def test_where_spark_need_not_know_names_only_the_summary_comes_out(tmp_path: Path) -> None:
    rows = batch(np.arange(600.0).reshape(300, 2), np.arange(300) % 2.0)
    store = BlockStore("t", (str(tmp_path),))
    plan = PackPlan(block_bytes=1_000, small_bytes=0, names=False)
    (out,) = pack_partition(iter([rows]), 0, plan, store)
    (last,) = out.to_pylist()
    assert last["position"] == SUMMARY
    summary = PartitionSummary.from_bytes(last["payload"])
    assert summary.blocks == len(summary.lengths) > 1
    assert sorted(summary.lengths) == sorted(file.stat().st_size for file in tmp_path.glob("*/*"))


def test_a_small_partition_comes_out_whole_all_the_same() -> None:
    rows = batch(np.arange(600.0).reshape(300, 2), np.arange(300) % 2.0)
    packed = pack([rows], PackPlan(block_bytes=1_000, names=False))
    assert_array_equal(dense(packed.whole.matrix), np.arange(600.0).reshape(300, 2))


def test_held_out_rows_are_in_blocks_of_their_own_and_in_no_moments_or_sample() -> None:
    matrix, labels = numbered(40)
    weights, held = np.arange(40) % 5.0, np.arange(40) % 3 == 0
    folds = np.arange(40) % 2
    rows = batch(matrix, labels, weights, folds=folds, held=held.astype(float))
    packed = pack(list(cut(rows, [7])), PackPlan(folded=True))
    kept = weights > 0
    for block in packed.blocks:
        here = kept & (held == block.held) & (folds == block.fold)
        assert_array_equal(block.matrix, matrix[here])
    assert len(packed.blocks) == 4
    summary = packed.summary
    for flag, parts in ((False, summary.folds), (True, summary.held)):
        for fold, its in parts.items():
            assert its.rows == np.count_nonzero(kept & (held == flag) & (folds == fold))
    numbers = summary.sample.matrix[:, 0].astype(int)
    assert sorted(numbers) == np.flatnonzero(kept & ~held).tolist()
