"""Weights by class: each row's weight is multiplied by the factor of its label.

    balanced    f_k = W / (K W_k)        W_k the weight of class k, W = sum_k W_k

for K classes with rows, so that all of them weigh the same and the total stays W. A class without
rows has the factor 1.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.rows.blocks import Block

# The word, or one factor per class.
ClassWeights: TypeAlias = "Literal['balanced'] | tuple[float, ...]"


def class_factors(wanted: ClassWeights, histogram: Array) -> Array:
    """Return the factor of each class (K,), from the weight of each class (K,)."""
    if wanted != "balanced":
        factors = np.ones(len(histogram))  # more classes than values: the others have no rows
        given = np.array(wanted[: len(histogram)], dtype=np.float64)
        factors[: len(given)] = given
        return factors
    seen = histogram > 0
    factors = np.ones(len(histogram))
    factors[seen] = histogram.sum() / (seen.sum() * histogram[seen])
    return factors


def weights_of(rows: Block, factors: Array | None) -> Array | None:
    """Return the weights of rows times the factors of their labels; None if all are 1."""
    if factors is None:
        return rows.weights
    each = factors[rows.labels.astype(np.int64)]
    return each if rows.weights is None else rows.weights * each


def total_weight(rows: Block, factors: Array | None) -> float:
    """Return the sum of these weights."""
    weights = weights_of(rows, factors)
    return float(rows.rows) if weights is None else float(weights.sum())
