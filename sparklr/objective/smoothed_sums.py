"""Sums of the binomial loss and its derivatives, as means over a normal distribution of points.

If the coefficients have the distribution N(b, L L'), the margin of a row is N(x'b, |L'x|^2), so
that each row has its means (`normal_margins`). The columns of L are linear functions of a row, as
margins are: each has coefficients and an offset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.class_weights import weights_of
from sparklr.objective.hessians import (
    CrossProducts,
    cross_products,
    sparse_slices,
    summed_sparse,
)
from sparklr.objective.normal_margins import smoothed_terms
from sparklr.objective.sums import (
    HESSIAN_SLICE_BYTES,
    Probe,
    Sums,
    margins_of,
    times_columns,
    transposed_times,
)
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class SmoothedProbe(Probe):
    """A probe of one margin and order 2 whose sums are means over N(b, L L').

    spread_coefficients, spread_offsets : (r, p) and (r,), of each column of L
    """

    spread_coefficients: Array = field(default_factory=lambda: np.zeros((0, 0)))
    spread_offsets: Array = field(default_factory=lambda: np.zeros(0))


def add_smoothed(sums: Sums, probe: SmoothedProbe, block: Block, origin: Array | None) -> None:
    """Add the rows of a block to a probe's sums."""
    gradient = np.zeros(block.features + 1)
    for rows, products in _slices(block, probe, origin):
        margins = margins_of(rows, probe.coefficients.T, probe.offsets)[:, 0]
        spread = times_columns(rows.matrix, probe.spread_coefficients.T).T
        spread += probe.spread_offsets[:, None]
        deviations = np.sqrt(np.einsum("ij,ij->j", spread, spread))
        loss, slopes, curvatures = smoothed_terms(margins, deviations, rows.labels)
        weights = weights_of(rows, probe.factors)
        if weights is not None:
            loss, slopes, curvatures = loss * weights, slopes * weights, curvatures * weights
        sums.value[0] += loss.sum()
        gradient[:-1] += transposed_times(rows.matrix, slopes[:, None])[:, 0]
        gradient[-1] += slopes.sum()
        products.add_binomial(sums.hessian, curvatures)
    sums.gradient[0] += gradient


def _slices(
    block: Block, probe: SmoothedProbe, origin: Array | None
) -> Iterable[tuple[Block, CrossProducts]]:
    """Return slices of the rows relative to the origin, each with its cross products.

    Rows are dense if there is an origin: squares of large shifted numbers would cancel.
    """
    if origin is None and summed_sparse(block.matrix):
        yield from sparse_slices(block)
        return
    step = max(HESSIAN_SLICE_BYTES // (16 * (len(probe.spread_offsets) + 1)), 64)
    for begin in range(0, block.rows, step):
        rows = block.part(begin, begin + step).to_dense()
        if origin is not None:
            rows = rows.with_matrix(np.asarray(rows.matrix) - origin)
        yield rows, cross_products(rows.matrix)
