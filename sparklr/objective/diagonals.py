"""The diagonal of a Hessian without the Hessian: sums of a number per coefficient.

For a margin k, with the second derivatives h_ikk of the losses, the sums are

    sum_i w_i h_ikk [x_i - o, 1]^2      and      sum_i w_i h_ikk [x_i - o, 1]

by which `Scaling.diagonal` finds the diagonal in other coordinates.
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array, is_sparse
from sparklr.objective.class_weights import weights_of
from sparklr.objective.sums import SLICE_BYTES, Probe, margins_of
from sparklr.rows.blocks import Block


def diagonal_sums(probe: Probe, block: Block, origin: Array | None) -> Array:
    """Return both sums over a block's rows, (2, C, p + 1)."""
    sums = np.zeros((2, probe.margins, block.features + 1))
    step = max(SLICE_BYTES // (8 * max(block.features, 1)), 64)
    for begin in range(0, block.rows, block.rows if block.sparse else step):
        sums += _of_slice(probe, block if block.sparse else block.part(begin, begin + step), origin)
    return sums


def _of_slice(probe: Probe, rows: Block, origin: Array | None) -> Array:
    matrix, offsets = rows.matrix, probe.offsets
    if origin is not None and rows.sparse:  # sparse rows stay where they are
        offsets = offsets - probe.coefficients @ origin
    elif origin is not None:
        matrix = matrix - origin
    margins = margins_of(rows.with_matrix(matrix), probe.coefficients.T, offsets)
    curvatures = probe.family.terms(margins, rows.labels, 1).curvatures(0)
    weights = weights_of(rows, probe.factors)
    if weights is not None:
        curvatures = curvatures * weights[:, None]
    total = curvatures.sum(axis=0)[:, None]
    squared = matrix.multiply(matrix) if is_sparse(matrix) else np.square(matrix)
    squares, firsts = np.asarray((squared.T @ curvatures).T), np.asarray((matrix.T @ curvatures).T)
    if origin is not None and rows.sparse:
        squares = squares - 2 * origin * firsts + origin**2 * total
        firsts = firsts - origin * total
    return np.stack((np.hstack((squares, total)), np.hstack((firsts, total))))
