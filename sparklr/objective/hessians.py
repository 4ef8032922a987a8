"""Hessians of the losses, summed over rows z_i = [x_i, 1].

    binomial     sum_i c_i z_i z_i'                                (p + 1, p + 1)
    multinomial  sum_i w_i (diag(p_i) - p_i p_i') (x) z_i z_i'     (K (p + 1), K (p + 1))

Both are cross products Z' diag(c) Z. Dense rows take one product of BLAS. Of sparse rows, columns
that many of them store (S, the ones included) are made dense, and the others (R) stay sparse:

    S' diag(c) S   by BLAS                                         |S|^2 multiplications per row
    R' diag(c) S   sparse times dense                              r |S|
    R' diag(c) R   sparse times sparse                             r^2, for r stored values in R

With one-hot rows of a dozen categories in 370 columns these are 600, 75 and 10 multiplications,
where dense rows take 70,000. One in a sparse product costs many times one in BLAS: hence S.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array, BoolArray, IntArray, Matrix, is_sparse
from sparklr.rows.blocks import Block, csr

# Columns that more than this share of the rows store are in S.
OFTEN = 0.1
# What a row costs, in multiplications of BLAS: per stored value that is sorted into S or R, and
# per multiplication in each of the three products. Measured on 100,000 one-hot rows of 365
# features, 24 of them in S, 3 of 12 stored values in R: 28, 7, 9 and 15 ms; dense, 820 ms.
SORTED, OFTEN_OFTEN, RARE_OFTEN, RARE_RARE = 200, 2, 20, 250
# A slice's arrays should stay in a cache, but threads wait for each other at each slice: measured
# with two threads from 5,000 to 80,000 one-hot rows, where 20,000 took the least time.
SLICE_BYTES = 4 * 1024 * 1024
# The cross products of a block are kept if they take at most this many times its memory.
KEPT_SIZE = 3
SLICES = "slices with cross products"
# The first rows of a block show which products are cheaper for all of them.
ROWS_TO_COMPARE = 2_000


class CrossProducts(Protocol):
    """The rows of a matrix, ready for cross products with any weights."""

    def add_binomial(self, hessian: Array, curvature: Array) -> None:
        """hessian += sum_i c_i z_i z_i'."""
        ...

    def add_multinomial(self, hessian: Array, chances: Array, weights: Array | float) -> None:
        """hessian += sum_i w_i (diag(p_i) - p_i p_i') (x) z_i z_i', for chances p (n, K)."""
        ...


def cross_products(matrix: Matrix) -> CrossProducts:
    """Return the rows of a matrix: with sparse products for CSR, with dense ones for an array."""
    return SparseRows(matrix) if is_sparse(matrix) else DenseRows(matrix)


def summed_sparse(matrix: Matrix) -> bool:
    """Whether the Hessian of these rows is cheaper by sparse products than by dense ones."""
    return is_sparse(matrix) and multiplications(matrix) < _dense_multiplications(matrix)


def multiplications(matrix: Matrix) -> float:
    """Return what a row of a binomial Hessian costs, by the cheaper products, in those of BLAS."""
    dense = _dense_multiplications(matrix)
    if not is_sparse(matrix) or not matrix.shape[0]:
        return dense
    some = matrix[:ROWS_TO_COMPARE]
    often = _often(some)
    count, rows = int(often.sum()) + 1, some.shape[0]
    left = np.bincount(_row_of_each(some)[~often[some.indices]], minlength=rows)  # r of each row
    cost = SORTED * some.nnz + RARE_OFTEN * count * left.sum() + RARE_RARE * (left @ left)
    return min(dense, float(OFTEN_OFTEN * count**2 + cost / rows))


def _dense_multiplications(matrix: Matrix) -> float:
    width = int(matrix.shape[1]) + 1
    return float(width * width)


def _row_of_each(matrix: sp.csr_matrix) -> IntArray:
    """Return the row of each stored value."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def sparse_slices(block: Block) -> Iterable[tuple[Block, CrossProducts]]:
    """Return slices of a block of sparse rows, each with its cross products.

    Half of a Hessian's time goes into making these, so a block that is read again keeps them.
    """
    if block.memo is not None and SLICES in block.memo:
        return cast("list[tuple[Block, CrossProducts]]", block.memo[SLICES])
    step = sparse_step(block)
    rows = (block.part(begin, begin + step) for begin in range(0, block.rows, step))
    slices = ((its, SparseRows(its.matrix)) for its in rows)
    if block.memo is None:
        return slices
    made = list(slices)
    if sum(products.bytes for _, products in made) <= KEPT_SIZE * block.matrix_bytes:
        block.memo[SLICES] = made
    return made


def sparse_step(block: Block) -> int:
    """Return the number of rows in a slice whose Hessian is summed sparse.

    The arrays made of them should stay in a cache, and the products be worth the sum over the
    Hessian's entries that each slice ends with.
    """
    stored = block.stored / max(block.rows, 1)
    return max(int(SLICE_BYTES / (16 * (stored + 1))), block.features**2 // 64, 64)


class DenseRows:
    """Rows of an array (n, p)."""

    def __init__(self, matrix: Array) -> None:
        self._matrix = matrix

    def add_binomial(self, hessian: Array, curvature: Array) -> None:
        root = np.sqrt(curvature)
        rows = self._matrix * root[:, None]
        # numpy sees A'A and computes one triangle only; with the ones as another column, lines of
        # memory would be cut, and a row would take a fifth more time.
        hessian[:-1, :-1] += rows.T @ rows
        mixed = root @ rows
        hessian[-1, :-1] += mixed
        hessian[:-1, -1] += mixed
        hessian[-1, -1] += curvature.sum()

    def add_multinomial(self, hessian: Array, chances: Array, weights: Array | float) -> None:
        count, classes = chances.shape
        width = self._matrix.shape[1] + 1
        weighted = np.asarray(chances.T * np.sqrt(weights)).T
        rows = np.ones((count, width))
        rows[:, :-1] = self._matrix
        joint = (weighted[:, :, None] * rows[:, None, :]).reshape(count, classes * width)
        hessian -= joint.T @ joint
        for k in range(classes):
            block = slice(k * width, (k + 1) * width)
            self.add_binomial(hessian[block, block], chances[:, k] * weights)


class SparseRows:
    """Rows in CSR (n, p): often stored columns S dense, the rare ones R sparse."""

    def __init__(self, matrix: sp.csr_matrix) -> None:
        rows, features = matrix.shape
        often = _often(matrix)
        self._often = np.append(np.flatnonzero(often), features)  # the ones stand last
        self._rare = np.flatnonzero(~often)
        count = len(self._often) - 1
        place = np.empty(features, dtype=np.int32)
        place[self._often[:-1]] = np.arange(count)
        place[self._rare] = np.arange(count, features)
        # By column, those of S first: each part of that matrix is then a slice of its arrays.
        columns = csr(matrix.data, place[matrix.indices], matrix.indptr, features).tocsc()
        ends = columns.indptr
        self._dense = np.zeros((rows, count + 1))
        self._dense[:, -1] = 1.0
        for j in range(count):
            stored = slice(ends[j], ends[j + 1])
            self._dense[columns.indices[stored], j] = columns.data[stored]
        rest = slice(ends[count], None)
        pointers = ends[count:] - ends[count]
        self._columns = csr(columns.data[rest], columns.indices[rest], pointers, rows)  # R'
        self._rows = self._columns.T.tocsr()  # R

    @property
    def bytes(self) -> int:
        """The size of the arrays."""
        return int(self._dense.nbytes + 2 * (self._rows.data.nbytes + self._rows.indices.nbytes))

    def add_binomial(self, hessian: Array, curvature: Array) -> None:
        often, rare, columns = self._often, self._rare, self._columns
        weighted = self._dense * curvature[:, None]
        hessian[np.ix_(often, often)] += self._dense.T @ weighted
        mixed = columns @ weighted
        hessian[np.ix_(rare, often)] += mixed
        hessian[np.ix_(often, rare)] += mixed.T
        values = columns.data * curvature[columns.indices]
        scaled = csr(values, columns.indices, columns.indptr, columns.shape[1])
        places = (scaled @ self._rows).tocoo()  # which has one value at most for each place
        hessian[rare[places.row], rare[places.col]] += places.data

    def add_multinomial(self, hessian: Array, chances: Array, weights: Array | float) -> None:
        classes = chances.shape[1]
        width = len(hessian) // classes
        blocks = [slice(k * width, (k + 1) * width) for k in range(classes)]
        for k, row in enumerate(blocks):
            for other, column in enumerate(blocks[: k + 1]):
                curvature = ((k == other) - chances[:, other]) * chances[:, k] * weights
                block = np.zeros((width, width))
                self.add_binomial(block, curvature)
                hessian[row, column] += block
                if other < k:
                    hessian[column, row] += block


def _often(matrix: sp.csr_matrix) -> BoolArray:
    """Return which columns many rows store."""
    rows, features = matrix.shape
    return np.asarray(np.bincount(matrix.indices, minlength=features) > OFTEN * rows)
