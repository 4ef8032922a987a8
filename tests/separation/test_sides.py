"""The reading of a direction's sides: against loops over rows, in pieces, in tasks, and sparse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array, IntArray
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.passes.worker import MergeParts, ReadBlocks
from sparklr.rows.blocks import Block
from sparklr.separation.sides import Sides, SidesOfRows
from tests.problems import make_rows
from tests.separation.exact import comparisons

CASES = [(2, BINOMIAL), (3, MULTINOMIAL)]


def reading_for(classes: int, features: int = 4) -> SidesOfRows:
    """A random direction with three others of the first feature, the second, and the intercept."""
    family = BINOMIAL if classes == 2 else MULTINOMIAL
    margins = family.margins(classes)
    directions = np.zeros((4, margins, features + 1))
    directions[0] = np.random.default_rng(0).normal(size=(margins, features + 1))
    for at, j in enumerate((0, 1, features)):
        directions[1 + at, 0, j] = 1.0
    return SidesOfRows(family, classes, directions, 0, 0.0, 40)


def read(reading: SidesOfRows, *blocks: Block, origin: Array | None = None) -> Sides:
    accumulator = reading.accumulator(blocks[0].features, origin)
    for block in blocks:
        accumulator.add(block)
    return accumulator.part()


def by_row(rows: Block, reading: SidesOfRows) -> tuple[Array, IntArray]:
    """a . d for each row and other label, and the labels, by the definition."""
    classes = reading.classes
    per_class = reading.family.per_class
    compared = comparisons(rows, classes, per_class=per_class, intercept=True)
    kept = np.ones(rows.rows) if rows.weights is None else rows.weights
    moves = (compared @ reading.directions[0].ravel()).reshape(-1, classes - 1)
    return moves, rows.labels[kept > 0].astype(np.int64)


def alike(found: Sides, other: Sides) -> None:
    assert_array_equal(found.counts, other.counts)
    assert_allclose(found.least, other.least, rtol=1e-12)
    assert_array_equal(found.rows.to_dense().matrix, other.rows.to_dense().matrix)
    assert_array_equal(found.rows.labels, other.rows.labels)
    assert_allclose(found.lowest, other.lowest, rtol=1e-12, atol=1e-12)
    assert_allclose(found.highest, other.highest, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("classes", "family"), CASES)
def test_counts(classes: int, family: object) -> None:
    rows = make_rows(1, 500, 4, classes)
    weights = np.where(np.arange(500) % 7 == 0, 0.0, 1.5)
    rows = replace(rows, weights=weights)
    reading = reading_for(classes)
    assert reading.family is family
    found, (moves, labels) = read(reading, rows), by_row(rows, reading)
    assert found.total == len(labels) == np.sum(weights > 0)
    assert found.lowered == np.sum(moves.min(axis=1) < 0)
    assert found.certain == np.sum(moves.min(axis=1) > 0)
    raised = labels[(moves.min(axis=1) >= 0) & (moves.max(axis=1) > 0)]
    assert_array_equal(found.raised, np.bincount(raised, minlength=classes))
    kept = moves[moves.min(axis=1) >= 0]
    assert_allclose(found.least, kept[kept > 0].min(), rtol=1e-12)


@pytest.mark.parametrize(("classes", "family"), CASES)
def test_the_rows_that_are_lowered_most_are_returned(classes: int, family: object) -> None:
    rows, reading = make_rows(2, 500, 4, classes), reading_for(classes)
    assert reading.family is family
    found, (moves, _) = read(reading, rows), by_row(rows, reading)
    worst = np.sort(moves.min(axis=1))[: reading.each]
    assert_allclose(np.sort(found.lowest[:, 0])[: reading.each], worst, rtol=1e-12)
    assert_allclose(by_row(found.rows, reading)[0].min(axis=1), found.lowest[:, 0], rtol=1e-12)
    assert found.against == found.lowered > found.rows.rows
    assert (found.lowest[:, 0] < 0).all()


def test_what_is_zero_up_to_rounding_is_neither_side() -> None:
    """0.1 + 0.2 - 0.3 is not zero in doubles; a row beyond rounding is counted, however little."""
    matrix = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3 - 1e-12], [0.1, 0.2, 0.3 + 1e-12]])
    assert matrix[0] @ [1.0, 1.0, -1.0] != 0
    directions = np.array([[[1.0, 1.0, -1.0, 0.0]]])
    reading = SidesOfRows(BINOMIAL, 2, directions, 0, 0.0, 10)
    found = read(reading, Block(matrix, np.ones(3), None))
    assert (found.lowered, found.raised.sum(), found.against, found.total) == (1, 1, 1, 3)


def test_rows_outside_the_span_speak_against_it() -> None:
    """Rows that d leaves alone and v moves; and with an unseen v, all that it moves."""
    matrix = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    directions = np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    seen = read(SidesOfRows(BINOMIAL, 2, directions, 0, 0.0, 10), Block(matrix, np.ones(5), None))
    assert_array_equal(seen.rows.matrix, matrix[[1, 2]])
    unseen = read(SidesOfRows(BINOMIAL, 2, directions, 1, 0.0, 10), Block(matrix, np.ones(5), None))
    assert_array_equal(unseen.rows.matrix, matrix[[1, 2, 4]])
    assert (seen.against, unseen.against, unseen.lowered) == (2, 3, 0)


def test_rows_within_the_room_are_returned_but_speak_for_it() -> None:
    matrix = np.array([[1.0], [2.0], [3.0]])
    reading = SidesOfRows(BINOMIAL, 2, np.array([[[1.0, 0.0]]]), 0, 2.5, 10)
    found = read(reading, Block(matrix, np.ones(3), None))
    assert_array_equal(found.rows.matrix, matrix[:2])
    assert found.against == 0


@pytest.mark.parametrize("classes", [2, 3])
def test_pieces_and_threads_give_the_same_part(classes: int) -> None:
    rows, reading = make_rows(3, 3_000, 4, classes, weighted=True), reading_for(classes)
    blocks = [rows.take(its) for its in np.array_split(np.arange(3_000), 11)]
    whole = read(reading, rows)
    alike(read(reading, *blocks), whole)
    alike(reading.merge([read(reading, block) for block in blocks]), whole)
    many = LocalPasses(blocks, replace(moments_of(rows), nonzeros=10**9), rows, threads=3)
    alike(many.read(reading), whole)


@pytest.mark.parametrize("classes", [2, 3])
def test_sparse_rows_stay_sparse(classes: int) -> None:
    rows, reading = make_rows(4, 400, 30, classes), reading_for(classes, 30)
    rows.matrix[np.random.default_rng(4).random(rows.matrix.shape) < 0.9] = 0.0
    found = read(reading, rows.with_matrix(sp.csr_matrix(rows.matrix)))
    alike(found, read(reading, rows))
    assert found.rows.sparse


@pytest.mark.parametrize("sparse", [False, True])
def test_an_origin_shifts_the_rows(sparse: bool) -> None:
    rows, reading = make_rows(5, 300, 4), reading_for(2)
    origin = np.array([2.0**30, 0.0, -(2.0**20), 0.0])
    rounded = np.round(rows.matrix * 2**10) / 2**10
    far = rounded + origin
    moved = rows.with_matrix(sp.csr_matrix(far) if sparse else far)
    found, near = read(reading, moved, origin=origin), read(reading, rows.with_matrix(rounded))
    assert_array_equal(found.counts, near.counts)
    assert_allclose(found.lowest, near.lowest, rtol=1e-12)
    assert_array_equal(found.rows.to_dense().matrix - origin, near.rows.matrix)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rows", [300, 0])
def test_the_binary_format(sparse: bool, rows: int) -> None:
    block = make_rows(6, 300, 4, weighted=True, sparse=sparse).take(slice(0, rows))
    reading = reading_for(2)
    part = read(reading, block)
    copy = reading.from_bytes(reading.to_bytes(part))
    alike(copy, part)
    assert copy.rows.rows == part.rows.rows == len(part.lowest)
    assert len(reading.to_bytes(part)) <= reading.size + 1_024


def test_in_tasks_and_merged_on_the_way() -> None:
    rows, reading = make_rows(7, 900, 4, 3), reading_for(3)
    parts = []
    for partition in range(3):
        mine = rows.take(slice(300 * partition, 300 * (partition + 1)))
        batch = pa.record_batch(
            {
                "partition": pa.array([partition], pa.int32()),
                "position": pa.array([0], pa.int32()),
                "run": pa.array([0], pa.int64()),
                "length": pa.array([-1], pa.int64()),
                "folder": pa.array([None], pa.string()),
                "payload": pa.array([mine.to_bytes()], pa.binary()),
            }
        )
        (made,) = ReadBlocks(reading, 4, None, None, True)(iter([batch]))
        parts.append(made.append_column("bucket", pa.array([partition // 2], pa.int32())))
    first, second = MergeParts(reading)(parts)
    found = [reading.from_bytes(its["part"][0].as_buffer()) for its in (first, second)]
    alike(reading.merge(found), read(reading, rows))
