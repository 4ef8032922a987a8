"""Walks against the formulas, written once more for dense rows and one rate at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.ground import Ground
from sparklr.objective.walks import Base, Pace, Walked, walk
from sparklr.rows.blocks import Block
from sparklr.solvers.schedules import factors

ROWS, FEATURES, BATCH = 50, 6, 8
PLAIN = Pace(np.array([0.3]), "constant", 1, 4, BATCH, 0.0, False, True, False)
PACES: dict[str, Pace] = {
    "corrected": PLAIN,
    "uncorrected": replace(PLAIN, corrected=False),
    "momentum": replace(PLAIN, momentum=0.8),
    "adagrad": replace(PLAIN, adagrad=True),
    "averaged": replace(PLAIN, averaged=True),
    "schedule": replace(PLAIN, schedule="inverse"),
    "all": replace(
        PLAIN, momentum=0.5, adagrad=True, averaged=True, schedule="cosine", rates=np.array([0.1])
    ),
}


def block_of(classes: int, *, sparse: bool, weighted: bool = True) -> Block:
    random = np.random.default_rng(3)
    matrix = random.standard_normal((ROWS, FEATURES)) * (random.random((ROWS, FEATURES)) < 0.15)
    labels = random.integers(0, classes, ROWS).astype(float)
    weights = random.random(ROWS) + 0.5 if weighted else None
    offsets = random.standard_normal(ROWS) if classes == 2 else None
    kept = sp.csr_matrix(matrix) if sparse else matrix
    return Block(kept, labels, weights, row_offsets=offsets)


def ground_of(classes: int, *, sparse: bool) -> Ground:
    random = np.random.default_rng(4)
    centre = None if sparse else random.standard_normal(FEATURES)
    family, margins = (BINOMIAL, 1) if classes == 2 else (MULTINOMIAL, classes)
    return Ground(family, margins, random.random(FEATURES) + 0.5, centre, True, seed=5)


def base_of(columns: int, rates: int = 1) -> Base:
    random = np.random.default_rng(6)
    points, gradient = random.standard_normal((2, FEATURES + 1, columns)) / 4
    squares = random.random((FEATURES + 1, columns * rates)) / 50
    return Base(points, gradient, squares, np.append(random.random(FEATURES) / 10, 0.0))


def by_hand(block: Block, ground: Ground, pace: Pace, base: Base) -> tuple[Array, Array]:
    """The points and squares after a walk at one rate, with dense rows."""
    x = block.to_dense().matrix
    occurs = np.column_stack((x != 0, np.ones(ROWS))) > 0
    z = np.column_stack(
        ((x - (0.0 if ground.centre is None else ground.centre)) * ground.reach, np.ones(ROWS))
    )
    order = ground.random(block, 1 + pace.epoch).permutation(ROWS)
    count = -(-ROWS // pace.batch)
    batches = [order[a * ROWS // count : (a + 1) * ROWS // count] for a in range(count)]
    touched = np.array(
        [
            np.ones(FEATURES + 1, bool) if ground.centre is not None else occurs[rows].any(axis=0)
            for rows in batches
        ]
    )
    weights = np.ones(ROWS) if block.weights is None else block.weights
    offsets = np.zeros(ROWS) if block.row_offsets is None else block.row_offsets

    def slopes(rows: Array, points: Array) -> Array:
        margins = z[rows] @ points + offsets[rows, None]
        if ground.margins == 1:
            return weights[rows, None] * (1 / (1 + np.exp(-margins)) - block.labels[rows, None])
        chances = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
        return weights[rows, None] * (
            chances - np.eye(ground.margins)[block.labels[rows].astype(int)]
        )

    g, squares, speed, visited = base.points.copy(), base.squares.copy(), 0 * base.points, []
    often = (count / np.maximum(touched.sum(axis=0), 1))[:, None]
    for step, rows in enumerate(batches):
        moves = touched[step]
        q = z[rows].T @ slopes(rows, g) * count / weights.sum()
        if pace.corrected:
            q -= z[rows].T @ slopes(rows, base.points) * count / weights.sum()
            q += often * base.gradient
        e = pace.rates[0] * factors(pace.schedule, pace.epoch, pace.epochs, count)[step]
        if pace.adagrad:
            squares[moves] += q[moves] ** 2
            e = e / np.sqrt(squares + 1e-30)
        speed[moves] = pace.momentum * speed[moves] + (e * q)[moves]
        centre = base.points if pace.corrected else 0 * base.points
        moved = centre + (g - speed - centre) / (1 + e * often * base.l2[:, None])
        g = np.where(moves[:, None], moved, g)
        visited.append(g)
    return (np.mean(visited, axis=0) if pace.averaged else g), squares


def ends(walked: Walked, base: Base) -> tuple[Array, Array]:
    rates = base.squares.shape[1] // base.points.shape[1]
    points, squares = np.tile(base.points, (1, rates)), base.squares.copy()
    points[walked.columns] += walked.points
    squares[walked.columns] += walked.squares
    return points, squares


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
def test_a_walk_is_its_formula(pace: Pace, classes: int, sparse: bool) -> None:
    block, ground = block_of(classes, sparse=sparse), ground_of(classes, sparse=sparse)
    base = base_of(ground.margins)
    found = ends(walk(block, ground, pace, base), base)
    for ours, theirs in zip(found, by_hand(block, ground, pace, base), strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_rates_side_by_side_walk_as_each_alone(sparse: bool) -> None:
    block, ground = block_of(3, sparse=sparse), ground_of(3, sparse=sparse)
    rates = np.array([0.01, 0.2, np.inf, 1.0])  # one goes too far, and spoils no other
    pace = replace(PACES["all"], rates=rates)
    base = base_of(3, len(rates))
    with np.errstate(all="ignore"):
        points, _ = ends(walk(block, ground, pace, base), base)
        for at in (0, 1, 3):
            own = slice(3 * at, 3 * at + 3)
            single = replace(base, squares=base.squares[:, own])
            alone, _ = ends(walk(block, ground, replace(pace, rates=rates[[at]]), single), single)
            assert_allclose(points[:, own], alone, rtol=1e-10, atol=1e-13)
    assert not np.isfinite(points[:, 6:9]).all()


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_at_the_optimum_of_all_rows_no_step_moves(sparse: bool) -> None:
    """Although the block's own optimum is elsewhere."""
    block, ground = block_of(2, sparse=sparse), ground_of(2, sparse=sparse)
    base = replace(base_of(1), gradient=np.zeros((FEATURES + 1, 1)))
    assert not walk(block, ground, PLAIN, base).points.any()
    assert walk(block, ground, PACES["uncorrected"], base).points.any()


def test_the_mean_of_corrected_directions_is_the_gradient() -> None:
    """A walk with a tiny rate goes by as much as the gradient of all rows says, with n steps."""
    block, ground, base = block_of(2, sparse=False), ground_of(2, sparse=False), base_of(1)
    pace = replace(PLAIN, rates=np.array([1e-9]))
    moved = walk(block, ground, pace, base).points
    assert_allclose(moved, -1e-9 * 7 * base.gradient, rtol=1e-5, atol=1e-17)


def test_a_block_draws_the_same_again_and_another_seed_or_epoch_draws_anew() -> None:
    block, ground = block_of(2, sparse=False), ground_of(2, sparse=False)
    copy = Block.from_buffer(block.to_bytes())
    first = ground.random(block, 1).permutation(ROWS)
    assert (ground.random(copy, 1).permutation(ROWS) == first).all()
    others: list[Any] = [ground.random(block, 2), replace(ground, seed=-1).random(block, 1)]
    others.append(ground.random(block.take(slice(0, ROWS - 1)), 1))
    assert all(list(its.permutation(ROWS)) != list(first) for its in others)


def test_a_tenth_of_a_block_is_held_out_and_always_the_same() -> None:
    block, ground = block_of(2, sparse=True), replace(ground_of(2, sparse=True), held_out=True)
    walked, held = ground.split(block)
    assert (walked.rows, held.rows) == (45, 5)
    together = np.sort(np.concatenate((walked.row_offsets, held.row_offsets)))  # type: ignore[arg-type]
    assert (together == np.sort(block.row_offsets)).all()  # type: ignore[arg-type]
    again = ground.split(Block.from_buffer(block.to_bytes()))[1]
    assert (again.labels == held.labels).all()
    assert (again.row_offsets == held.row_offsets).all()
    few = block.part(0, 9)
    assert [its.rows for its in ground.split(few)] == [9, 0]
