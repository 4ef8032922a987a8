"""The share of Jeffreys' penalty in a gradient, summed over rows.

For the leverages h_i = v_i |A' x~_i|^2 at one point, with curvatures v_i there, and probabilities
p_i at another,

    sum_i h_i (p_i - 1/2) [x_i - o, 1]                                            (p + 1,)

The columns of A are directions in the solver's coordinates, thus linear functions of a row, as
margins are: each has coefficients and an offset. The weights of rows are in v_i.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.sums import HESSIAN_SLICE_BYTES, Probe
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class LeverageProbe(Probe):
    """A probe of one margin whose gradient has the penalty's share.

    lent_coefficients, lent_offsets : (1 + r, p) and (1 + r,), of the point with the leverages, then
        of each column of A
    """

    lent_coefficients: Array = field(default_factory=lambda: np.zeros((1, 0)))
    lent_offsets: Array = field(default_factory=lambda: np.zeros(1))


def penalty_gradient(probe: LeverageProbe, block: Block, origin: Array | None) -> Array:
    """Return the penalty's share of the gradient over the rows of a block."""
    width = max(block.features, len(probe.lent_offsets))
    step = max(HESSIAN_SLICE_BYTES // (8 * width), 64)
    total = np.zeros(block.features + 1)
    for begin in range(0, block.rows, step):
        rows = block.part(begin, begin + step)
        if origin is not None:  # sparse rows too: squares of large shifted numbers would cancel
            rows = rows.to_dense()
            rows = rows.with_matrix(np.asarray(rows.matrix) - origin)
        multipliers = _multipliers(probe, rows)
        total[:-1] += rows.matrix.T @ multipliers
        total[-1] += multipliers.sum()
    return total


def _multipliers(probe: LeverageProbe, rows: Block) -> Array:
    """Return h_i (p_i - 1/2), (n,)."""
    family, labels, matrix = probe.family, rows.labels, rows.matrix
    margins = np.asarray(matrix @ probe.coefficients.T) + probe.offsets
    lent = np.asarray(matrix @ probe.lent_coefficients.T) + probe.lent_offsets
    curvature = family.terms(lent[:, :1], labels, 1).curvatures(0)[:, 0]
    if rows.weights is not None:
        curvature = curvature * rows.weights
    leverages = curvature * np.einsum("ij,ij->i", lent[:, 1:], lent[:, 1:])
    chances = family.terms(margins, labels, 1).slopes[:, 0] + labels
    return np.asarray(leverages * (chances - 0.5))
