"""Held-out rows in readings: only those that ask for them get them, in any place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL
from sparklr.objective.sums import Probe
from sparklr.passes.local import read_blocks
from sparklr.passes.readings import DerivativeSums, HeldOutMargins, MarginHessians
from sparklr.passes.worker import PARTIAL, ReadBlocks
from sparklr.rows.blocks import Block
from tests.problems import make_rows

FITTED = [make_rows(seed, 20, 3) for seed in (1, 2)]
HELD = [replace(make_rows(seed, 15, 3), held=True) for seed in (3, 4)]
BLOCKS = [FITTED[0], HELD[0], FITTED[1], HELD[1]]
PROBE = Probe(BINOMIAL, np.full((1, 3), 0.3), np.array([0.2]), 1)


def by_task(reading: DerivativeSums | HeldOutMargins | MarginHessians) -> list[bytes]:
    """The parts of a task that is shipped all blocks."""
    columns = [
        pa.array([0] * len(BLOCKS), pa.int32()),
        pa.array(range(len(BLOCKS)), pa.int32()),
        pa.array([7] * len(BLOCKS), pa.int64()),
        pa.array([0] * len(BLOCKS), pa.int64()),
        pa.array([block.to_bytes() for block in BLOCKS], pa.binary()),
    ]
    names = ["partition", "position", "run", "length", "payload"]
    batches: Iterator[pa.RecordBatch] = iter([pa.RecordBatch.from_arrays(columns, names=names)])
    assert PARTIAL.count(",") == 2
    rows = [out.to_pylist() for out in ReadBlocks(reading, 3, None, None, True)(batches)]
    return [row["part"] for part in rows for row in part]


def sums_over(blocks: list[Block], probe: Probe) -> Array:
    return read_blocks(DerivativeSums((replace(probe, held=False),)), blocks, 3, None, 1)


@pytest.mark.parametrize("held", [False, True])
def test_a_probe_counts_rows_of_its_own_kind(held: bool) -> None:
    plain = [replace(block, held=False) for block in (HELD if held else FITTED)]
    expected = sums_over(plain, PROBE)
    reading = DerivativeSums((replace(PROBE, held=held),))
    assert_allclose(read_blocks(reading, BLOCKS, 3, None, 1), expected, rtol=1e-12)
    (part,) = by_task(reading)
    assert_allclose(reading.from_bytes(part), expected, rtol=1e-12)


def test_both_kinds_in_one_reading_are_those_alone() -> None:
    both = DerivativeSums((PROBE, replace(PROBE, held=True)))
    alone = [read_blocks(DerivativeSums((probe,)), BLOCKS, 3, None, 1) for probe in both.probes]
    (part,) = by_task(both)
    for found in (read_blocks(both, BLOCKS, 3, None, 1), both.from_bytes(part)):
        assert_allclose(found, np.concatenate(alone), rtol=1e-12)


def test_a_reading_that_says_nothing_does_not_see_them() -> None:
    reading = MarginHessians(PROBE)
    expected = read_blocks(reading, FITTED, 3, None, 1)
    assert_allclose(read_blocks(reading, BLOCKS, 3, None, 1), expected, rtol=1e-12)
    (part,) = by_task(reading)
    assert_allclose(reading.from_bytes(part), expected.ravel(), rtol=1e-12)


def test_margins_of_a_fold_are_of_all_its_rows() -> None:
    reading = HeldOutMargins((replace(PROBE, order=0, without=0),), {0: 70})
    found = read_blocks(reading, BLOCKS, 3, None, 1)
    assert [block.rows for block in found] == [20, 15, 20, 15]
    assert all(block.features == 1 for block in found)
    assert len(by_task(reading)) == len(BLOCKS)
