"""One-hot rows, the commonest kind of tabular data: rare levels, and few positives among them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block

LEVELS = (3, 5, 8, 12, 25, 50, 80, 200)
AMOUNTS = 4


def one_hot_rows(
    seed: int, rows: int, *, positives: float = 0.01, levels: tuple[int, ...] = LEVELS
) -> Block:
    """Columns of categories with Zipf's frequencies, the last level dropped, and some amounts.

    The share of `positives` is that of a row drawn at random; it differs much from level to level.
    """
    rng = np.random.default_rng(seed)
    margins, columns, width = np.zeros(rows), [], 0
    for count in levels:
        share = 1 / np.arange(1, count + 1) ** 1.3
        level = rng.choice(count, size=rows, p=share / share.sum())
        margins += rng.normal(size=count)[level]
        columns.append(np.where(level < count - 1, width + level, -1))
        width += count - 1
    amounts = rng.lognormal(size=(rows, AMOUNTS))
    margins += 0.3 * amounts @ rng.normal(size=AMOUNTS)
    places = np.column_stack(columns)
    row, at = np.nonzero(places >= 0)
    ones = sp.csr_matrix((np.ones(len(row)), (row, places[row, at])), shape=(rows, width))
    matrix = sp.hstack([ones, sp.csr_matrix(amounts)], format="csr")
    chances = 1 / (1 + np.exp(-margins - intercept_for(margins, positives)))
    return Block(matrix, (rng.random(rows) < chances).astype(np.float64), None)


def intercept_for(margins: Array, share: float) -> float:
    """What to add to margins so that on average so many rows are positive, by bisection."""
    low, high = -100.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        if (1 / (1 + np.exp(-np.clip(margins + middle, -500, 500)))).mean() > share:
            high = middle
        else:
            low = middle
    return middle


def with_sample(block: Block, rows: int, seed: int = 5) -> LocalPasses:
    """Passes over the block that know a random sample of so many of its rows."""
    chosen = np.random.default_rng(seed).choice(block.rows, rows, replace=False)
    moments = moments_of(block)
    return LocalPasses([block], moments, block.take(np.sort(chosen)))
