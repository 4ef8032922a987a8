"""The two readings of an epoch: their sums, and that these have the same bits in any grouping."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective.families import MULTINOMIAL
from sparklr.objective.ground import Ground
from sparklr.objective.walks import Base, Pace, walk
from sparklr.passes.local import LocalPasses
from sparklr.passes.walks import Survey, Walks, on_grid
from sparklr.passes.worker import MergeParts, ReadBlocks
from sparklr.rows.blocks import Block
from tests.problems import make_rows

CLASSES, FEATURES = 3, 5
GROUND = Ground(MULTINOMIAL, CLASSES, np.linspace(0.5, 1.5, FEATURES), None, True, seed=1)
RATES = np.array([0.05, 0.2])
PACE = Pace(RATES, "constant", 1, 3, 16, 0.0, True, True, False)


def blocks(sparse: bool = False) -> list[Block]:
    rows = make_rows(7, 400, FEATURES, CLASSES, weighted=True, sparse=sparse)
    return [rows.part(begin, begin + 80) for begin in range(0, 400, 80)]


def readings(held_out: bool = True) -> tuple[Survey, Walks]:
    random = np.random.default_rng(2)
    points, gradient = random.standard_normal((2, FEATURES + 1, 2 * CLASSES)) / 5
    squares = random.random((FEATURES + 1, 2 * CLASSES)) / 10
    base = Base(points, gradient, squares, np.append(np.full(FEATURES, 0.01), 0.0))
    ground = replace(GROUND, held_out=held_out)
    return Survey(ground, points, 500.0), Walks(ground, PACE, base, 500.0)


def part_of(reading: Survey | Walks, some: list[Block]) -> Array:
    accumulator = reading.accumulator(FEATURES, None)
    for block in some:
        accumulator.add(block)
    return accumulator.part()


@pytest.mark.parametrize("sparse", [False, True])
def test_a_survey_has_losses_and_gradients_of_rows_by_their_use(sparse: bool) -> None:
    survey, _ = readings()
    every = blocks(sparse)
    found = survey.split(part_of(survey, every))
    for at in range(2):
        own = slice(CLASSES * at, CLASSES * (at + 1))
        uses = [survey.ground.split(block) for block in every]
        losses, weights, gradients = [], [], []
        for rows in zip(*uses, strict=True):
            z = np.vstack([its.to_dense().matrix * GROUND.reach for its in rows])
            z = np.column_stack((z, np.ones(len(z))))
            labels = np.concatenate([its.labels for its in rows]).astype(int)
            w = np.concatenate([its.weights for its in rows if its.weights is not None])
            margins = z @ survey.points[:, own]
            chances = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
            losses.append(-w @ np.log(chances[np.arange(len(z)), labels]))
            weights.append(w.sum())
            gradients.append(z.T @ (w[:, None] * (chances - np.eye(CLASSES)[labels])))
        assert_allclose(found.losses[at], sum(losses) / sum(weights), rtol=1e-9)
        assert_allclose(found.held[at], losses[1] / weights[1], rtol=1e-9)
        assert_allclose(found.gradient[:, own], gradients[0] / weights[0], rtol=1e-8, atol=1e-10)


def test_without_held_out_rows_their_loss_is_that_of_all() -> None:
    survey, _ = readings(held_out=False)
    found = survey.split(part_of(survey, blocks()))
    assert_allclose(found.held, found.losses, rtol=1e-12)


def test_walks_end_at_their_mean_by_weight() -> None:
    _, walks = readings()
    every = blocks()
    rows = [walks.ground.split(block)[0] for block in every]
    weights = np.array([block.total_weight for block in rows])
    walked = [walk(block, walks.ground, PACE, walks.base) for block in rows]
    points, squares = walks.split(part_of(walks, every))
    for found, start, moves in (
        (points, walks.base.points, [its.points for its in walked]),
        (squares, walks.base.squares, [its.squares for its in walked]),
    ):
        mean = np.tensordot(weights, moves, axes=1) / weights.sum()
        assert_allclose(found, start + mean, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("which", [0, 1], ids=["survey", "walks"])
@pytest.mark.parametrize("sparse", [False, True])
def test_sums_have_the_same_bits_in_any_grouping_and_order(which: int, sparse: bool) -> None:
    reading, every = readings()[which], blocks(sparse)
    whole = part_of(reading, every)
    split = [
        part_of(reading, every[3:]),
        part_of(reading, [every[0]]),
        part_of(reading, every[1:3]),
    ]
    assert (reading.merge(split) == whole).all()
    assert (part_of(reading, every[::-1]) == whole).all()
    moments = LocalPasses.of(every, FEATURES)
    for threads in (1, 4):
        assert (replace(moments, threads=threads).read(reading) == whole).all()


@pytest.mark.parametrize("which", [0, 1], ids=["survey", "walks"])
def test_tasks_send_the_same_bits(which: int) -> None:
    reading = readings()[which]
    every = blocks()
    shipped = [
        pa.RecordBatch.from_pydict({
            "partition": pa.array([number], pa.int32()), "position": pa.array([0], pa.int32()),
            "run": pa.array([1], pa.int64()), "length": pa.array([1], pa.int64()),
            "folder": pa.nulls(1, pa.string()),
            "payload": pa.array([block.to_bytes()], pa.binary()),
        })
        for number, block in enumerate(every)
    ]  # fmt: skip
    task = pickle.loads(pickle.dumps(ReadBlocks(reading, FEATURES, None, None, shipped=True)))
    rows = [row for batch in shipped for row in task(iter([batch]))]
    bucketed = [its.append_column("bucket", pa.array([0], pa.int32())) for its in rows]
    (merged,) = MergeParts(reading)(bucketed)
    found = reading.from_bytes(merged.column(2)[0].as_buffer())
    assert (found == part_of(reading, every)).all()
    assert len(reading.to_bytes(found)) <= reading.size


@pytest.mark.parametrize("which", [0, 1], ids=["survey", "walks"])
def test_pieces_for_small_messages_have_the_same_sums(which: int) -> None:
    reading, every = readings()[which], blocks()
    pieces = reading.pieces(reading.size // 2 + 1)
    assert len(pieces) == 2
    assert all(its.size < reading.size for its in pieces)
    parts = [part_of(piece, every) for piece in pieces]  # type: ignore[arg-type]
    assert_allclose(reading.assemble(parts), part_of(reading, every), rtol=1e-9, atol=1e-12)
    assert len(reading.pieces(reading.size)) == 1


def test_a_fold_left_out_takes_no_part() -> None:
    every = blocks()
    marked = [replace(block, fold=number % 2) for number, block in enumerate(every)]
    for reading in readings():
        without = replace(reading, ground=replace(reading.ground, without=1))
        assert (part_of(without, marked) == part_of(reading, every[::2])).all()


def test_one_rate_that_goes_too_far_spoils_no_other() -> None:
    _, walks = readings()
    far = replace(walks, pace=replace(PACE, rates=np.array([0.05, np.inf]), adagrad=False))
    near = replace(walks, pace=replace(PACE, adagrad=False))
    points, same = (its.split(part_of(its, blocks()))[0] for its in (far, near))
    assert_allclose(points[:, :CLASSES], same[:, :CLASSES], rtol=1e-12)
    assert not np.isfinite(points[:, CLASSES:]).all()


def test_numbers_on_the_grid_have_exact_sums() -> None:
    values = np.random.default_rng(3).standard_normal(1_000)
    rounded = on_grid(values)
    assert_allclose(rounded, values, rtol=0, atol=2**-43)
    assert np.cumsum(rounded)[-1] == np.cumsum(np.sort(rounded))[-1]
    assert np.cumsum(values)[-1] != np.cumsum(np.sort(values))[-1]
    assert np.isnan(on_grid(np.array([np.nan])))[0]
