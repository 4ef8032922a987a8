"""The ground of walks: the coordinates of their steps, and which rows take part.

    z_j = (x_j - centre_j) reach_j,  and a last column of ones if there is an intercept
    margins of a row = z' g + its own offset,   slopes w_i r_i, r_i their derivatives of the loss

for points g (q, K C): C margins for each of K rates, side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array, Matrix, is_sparse
from sparklr.objective.class_weights import total_weight, weights_of
from sparklr.objective.families import Family
from sparklr.objective.terms import Terms
from sparklr.rows.blocks import Block, csr

# One of so many rows of each block is held out while rates are compared.
HELD_OUT = 10


@dataclass(frozen=True, eq=False)
class Ground:
    """The coordinates of walks, and which rows take part.

    margins : C
    reach : (p,); zero for a feature that has no coefficient
    centre : (p,), or None if no feature is centred, so that sparse rows stay sparse
    without : the fold whose rows are left out
    factors : (K,), of the labels' weights
    held_out : whether a tenth of each block's rows is held out
    judged : whether the user has held rows out, which come in blocks of their own
    """

    family: Family
    margins: int
    reach: Array
    centre: Array | None
    intercept: bool
    seed: int
    without: int | None = None
    factors: Array | None = None
    held_out: bool = False
    judged: bool = False

    @property
    def size(self) -> int:
        """q, the number of coordinates of one margin."""
        return len(self.reach) + self.intercept

    def split(self, block: Block) -> tuple[Block, Block]:
        """Return the rows of a block to walk on, and those that are held out."""
        if block.held:
            return block.part(0, 0), block
        few = block.rows // HELD_OUT if self.held_out and not self.judged else 0
        if not few:
            return block, block.part(0, 0)
        order = self.random(block, 0).permutation(block.rows)
        return block.take(np.sort(order[few:])), block.take(np.sort(order[:few]))

    def random(self, block: Block, epoch: int) -> np.random.Generator:
        """Return the random numbers of a block and an epoch.

        They depend on nothing but the labels of its rows: a task that runs again, on another
        machine or in another thread, must draw the same.
        """
        labels = crc32(np.ascontiguousarray(block.labels).tobytes())
        source = np.random.SeedSequence([self.seed % 2**64, epoch, block.rows, labels])
        return np.random.Generator(np.random.Philox(source))

    def columns_of(self, matrix: Matrix) -> Matrix:
        """Return z (n, q) of rows x (n, p)."""
        if is_sparse(matrix) and self.centre is None:
            return self._sparse_columns(matrix)
        dense = matrix.toarray() if is_sparse(matrix) else matrix
        z = np.ones((len(dense), self.size))
        features = z[:, : len(self.reach)]
        np.subtract(dense, 0.0 if self.centre is None else self.centre, out=features)
        features *= self.reach
        return z

    def _sparse_columns(self, matrix: sp.csr_matrix) -> sp.csr_matrix:
        values = matrix.data * self.reach[matrix.indices]
        columns, pointers = matrix.indices, matrix.indptr
        if self.intercept:
            values = np.insert(values, pointers[1:], 1.0)
            columns = np.insert(columns, pointers[1:], len(self.reach))
            pointers = pointers + np.arange(len(pointers), dtype=pointers.dtype)
        return csr(values, columns, pointers, self.size)

    def terms(self, z: Matrix, points: Array, rows: Block) -> Terms:
        """Return the losses of rows and their derivatives, at points (q, K C)."""
        margins = np.asarray(z @ points)
        if rows.row_offsets is not None:
            margins += rows.row_offsets[:, None]
        return self.family.terms(margins, rows.labels, points.shape[1] // self.margins)

    def slopes(self, z: Matrix, points: Array, rows: Block) -> Array:
        """Return w_i r_i of rows, (n, K C)."""
        slopes, weights = self.terms(z, points, rows).slopes, weights_of(rows, self.factors)
        return slopes if weights is None else slopes * weights[:, None]

    def weight_of(self, rows: Block) -> float:
        """Return the sum of the weights of rows."""
        return total_weight(rows, self.factors)
