"""The reading of Firth's method against the formulas, on dense and on sparse rows."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from pyspark import cloudpickle
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL
from sparklr.objective.leverages import LeverageProbe
from sparklr.objective.sums import Probe, split_totals
from sparklr.passes.leverage_sums import LeverageSums, sums_of
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import DerivativeSums
from sparklr.passes.worker import MergeParts, ReadBlocks
from sparklr.rows.blocks import Block
from tests.problems import make_rows

RANDOM = np.random.default_rng(5)
POINT, LENT = RANDOM.normal(size=(1, 4)) / 2, RANDOM.normal(size=(4, 4)) / 2
OFFSET, LENT_OFFSETS = np.array([0.3]), RANDOM.normal(size=4)


def probe(order: int, without: int | None = None) -> LeverageProbe:
    assert order in (1, 2)
    return LeverageProbe(
        BINOMIAL,
        POINT,
        OFFSET,
        2 if order == 2 else 1,
        without,
        lent_coefficients=LENT,
        lent_offsets=LENT_OFFSETS,
    )


def expected(rows: Block, origin: Array | None) -> Array:
    """The gradient with the penalty's share, (p + 1,)."""
    matrix = rows.to_dense().matrix - (0.0 if origin is None else origin)
    weights = np.ones(rows.rows) if rows.weights is None else rows.weights
    chances = expit(matrix @ POINT[0] + OFFSET[0])
    lent = matrix @ LENT.T + LENT_OFFSETS
    v = weights * expit(lent[:, 0]) * expit(-lent[:, 0])
    leverages = v * (lent[:, 1:] ** 2).sum(axis=1)
    each = weights * (chances - rows.labels) + leverages * (chances - 0.5)
    return np.append(matrix.T @ each, each.sum())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_the_sums_are_those_of_the_formulas(sparse: bool, weighted: bool, far: bool) -> None:
    rows = make_rows(3, 700, 4, weighted=weighted, sparse=sparse)
    if far:  # so that the passes have an origin
        moved = rows.to_dense().matrix + np.array([2.0**20, 0, 0, 0])
        rows = rows.with_matrix(sp.csr_matrix(moved) if sparse else moved)
    passes = LocalPasses.of([rows.take(slice(0, 300)), rows.take(slice(300, 700))], 4)
    origin = passes.moments.origin
    assert (origin is not None) == far
    plain = Probe(BINOMIAL, POINT, OFFSET, 2)
    reading = LeverageSums((probe(2), plain, probe(1)))
    both, without, first = split_totals(reading.probes, passes.read(reading))
    assert_allclose(both.gradient[0], expected(rows, origin), rtol=1e-9, atol=1e-9)
    assert_allclose(first.gradient[0], both.gradient[0], rtol=1e-12)
    # All else is as without the penalty.
    (alone,) = split_totals([plain], passes.read(DerivativeSums((plain,))))
    assert_allclose(without.flat, alone.flat, rtol=1e-12)
    assert_allclose(both.hessian, alone.hessian, rtol=1e-12)
    assert_allclose(both.value, alone.value, rtol=1e-12)
    assert np.abs(both.gradient - alone.gradient).max() > 0.1


def test_rows_of_a_fold_are_left_out() -> None:
    rows = make_rows(4, 300, 4)
    blocks = [replace(rows.take(slice(100 * at, 100 * at + 100)), fold=at) for at in range(3)]
    reading = LeverageSums((probe(2, without=1),))
    (sums,) = split_totals(reading.probes, LocalPasses.of(blocks, 4).read(reading))
    kept = rows.take(np.r_[0:100, 200:300])
    assert_allclose(sums.gradient[0], expected(kept, None), rtol=1e-10)


def test_pieces_and_threads_give_the_same_sums() -> None:
    rows = make_rows(6, 4_000, 4)
    blocks = [rows.take(slice(at, at + 500)) for at in range(0, 4_000, 500)]
    passes = LocalPasses.of(blocks, 4)
    whole = sums_of([probe(2), probe(1), probe(2)])
    assert isinstance(whole, LeverageSums)
    one = passes.read(whole)
    pieces = whole.pieces(whole.size // 3)
    assert len(pieces) > 1
    assert_allclose(whole.assemble([passes.read(its) for its in pieces]), one, rtol=1e-12)
    many = LocalPasses(blocks, passes.moments, blocks[0], 4)
    assert_allclose(many.read(whole), one, rtol=1e-12)
    assert_allclose(whole.from_bytes(whole.to_bytes(one)), one, rtol=0)


def test_in_tasks_and_merged_on_the_way() -> None:
    """What workers make of shipped blocks, with the reading as it arrives there."""
    rows, whole = make_rows(8, 600, 4, weighted=True), LeverageSums((probe(2), probe(1)))
    reading = pickle.loads(cloudpickle.dumps(whole))
    parts = []
    for partition in range(2):
        mine = rows.take(slice(300 * partition, 300 * (partition + 1)))
        columns = {
            "partition": pa.array([partition], pa.int32()),
            "position": pa.array([0], pa.int32()),
            "run": pa.array([0], pa.int64()),
            "length": pa.array([-1], pa.int64()),
            "folder": pa.array([None], pa.string()),
            "payload": pa.array([mine.to_bytes()], pa.binary()),
        }
        task = ReadBlocks(reading, 4, None, None, True)
        (made,) = task(iter([pa.record_batch(columns)]))
        parts.append(made.append_column("bucket", pa.array([0], pa.int32())))
    (merged,) = MergeParts(reading)(parts)
    found = reading.from_bytes(merged["part"][0].as_buffer())
    sums, _ = split_totals(whole.probes, found)
    assert_allclose(sums.gradient[0], expected(rows, None), rtol=1e-10)


def test_without_leverages_it_is_the_plain_reading() -> None:
    assert type(sums_of([Probe(BINOMIAL, POINT, OFFSET, 2)])) is DerivativeSums
