"""Rows that are separated in a known way, and rows that are noise."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_iris

from sparklr.arrays import Array
from sparklr.rows.blocks import Block

IRIS, SPECIES = load_iris(return_X_y=True)


def noise(seed: int, rows: int, features: int) -> tuple[Array, Array]:
    """Features and labels that have nothing to do with one another."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, features)), (rng.random(rows) < 0.5).astype(float)


def with_flag(seed: int, rows: int, flagged: int, features: int = 3) -> Block:
    """Rows whose first feature is a flag, which only rows with label 1 have."""
    matrix, labels = noise(seed, rows, features)
    matrix[:, 0] = 0.0
    matrix[:flagged, 0], labels[:flagged] = 1.0, 1.0
    return Block(matrix, labels, None)


def rotation(seed: int, size: int) -> Array:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def on_lattice(seed: int, rows: int = 400) -> Block:
    """Integers with label 1 where a + 2 b - 1.5 c > 0, 0 where it is below 0, and either at 0."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-5, 6, size=(rows, 3)).astype(float)
    margins = matrix @ [1.0, 2.0, -1.5]
    labels = np.where(margins == 0, rng.random(rows) < 0.5, margins > 0).astype(float)
    return Block(matrix, labels, None)
