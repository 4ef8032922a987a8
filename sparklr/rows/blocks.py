"""Blocks: rows as one matrix with their labels, weights and offsets, and their binary format.

A dense block has a C-ordered float64 matrix, a sparse block a CSR matrix. The binary format is a
header of sixteen int64 and the buffers one after another, each padded to 64 bytes, so that a
block is read in place, without a copy, from an Arrow buffer or a memory-mapped file.

Depends neither on Spark nor on what the rows are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparklr.arrays import Array, Buffer, IntArray, Matrix, is_sparse, nonzeros

Number = TypeVar("Number", bound=np.generic)

# Below this share of nonzero values, CSR is smaller than dense, and its products are faster.
SPARSE_BELOW = 0.2
ALIGNMENT = 64
MAGIC = 0x53504C5232  # "SPLR2"
HEADER = 16  # int64: magic, sparse, rows, features, stored values, weighted, fold, offset, held


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one fold: matrix (n, p), dense or CSR, labels (n,), weights (n,); None: all are 1.

    `held` rows only judge iterates: they are in no sum that a fit is made of, see `Reading`.

    `memo` is for results that depend on the matrix alone, if the block stays in memory for several
    passes; None if it does not. `row_offsets` (n,) are added to the margins; None: all are 0.
    """

    matrix: Matrix
    labels: Array
    weights: Array | None
    fold: int = 0
    memo: dict[str, object] | None = None
    row_offsets: Array | None = None
    held: bool = False

    @property
    def rows(self) -> int:
        return len(self.labels)

    @property
    def features(self) -> int:
        return int(self.matrix.shape[1])

    @property
    def sparse(self) -> bool:
        return is_sparse(self.matrix)

    @property
    def stored(self) -> int:
        """The number of values that the matrix stores."""
        return int(self.matrix.nnz if is_sparse(self.matrix) else self.matrix.size)

    @property
    def matrix_bytes(self) -> int:
        """The size of the matrix: a sparse value brings the number of its column along."""
        return (12 if self.sparse else 8) * self.stored

    @property
    def total_weight(self) -> float:
        return float(self.rows) if self.weights is None else float(self.weights.sum())

    def take(self, rows: IntArray | slice) -> Block:
        """Return the rows of an index array or slice."""
        return self._of_rows(self.matrix[rows], rows)

    def part(self, begin: int, end: int) -> Block:
        """Return neighbouring rows, as views of the block's arrays."""
        part, matrix = slice(begin, end), self.matrix
        return self._of_rows(_csr_rows(matrix, part) if is_sparse(matrix) else matrix[part], part)

    def _of_rows(self, matrix: Matrix, rows: IntArray | slice) -> Block:
        """Return some rows, of which this is the matrix."""
        weights = None if self.weights is None else self.weights[rows]
        row_offsets = None if self.row_offsets is None else self.row_offsets[rows]
        return Block(
            matrix, self.labels[rows], weights, self.fold, row_offsets=row_offsets, held=self.held
        )

    def with_matrix(self, matrix: Matrix) -> Block:
        """Return the same rows with another matrix (n, q) of features or other values."""
        return replace(self, matrix=matrix, memo=None)

    def remembering(self) -> Block:
        """Return the same rows, for a block that stays in memory for several passes."""
        return replace(self, memo={})

    def detached(self) -> Block:
        """The same matrix, with labels, weights and offsets that are not views of a buffer."""
        weights = None if self.weights is None else self.weights.copy()
        offsets = None if self.row_offsets is None else self.row_offsets.copy()
        labels = self.labels.copy()
        return replace(self, labels=labels, weights=weights, memo=None, row_offsets=offsets)

    def to_dense(self) -> Block:
        """Return the same rows with a dense matrix."""
        return self.with_matrix(self.matrix.toarray()) if is_sparse(self.matrix) else self

    def to_bytes(self) -> bytes:
        """Return the block in its binary format."""
        return b"".join(self.pieces())

    def pieces(self) -> list[memoryview]:
        """Return the bytes of the binary format, in pieces that are views of the arrays."""
        return pieces_of([self])

    @staticmethod
    def from_buffer(buffer: Buffer) -> Block:
        """Read a block without a copy, as views of the buffer: the inverse of `to_bytes`."""
        magic, sparse, rows, features, stored, weighted, fold, offset, held = (
            int(item) for item in np.frombuffer(buffer, dtype=np.int64, count=9)
        )
        if magic != MAGIC:
            raise ValueError("these bytes are not a block: their header is wrong")
        at = HEADER * 8

        def take(kind: type[Number], count: int) -> npt.NDArray[Number]:
            nonlocal at
            array = np.frombuffer(buffer, dtype=kind, count=count, offset=at)
            at += array.nbytes + -array.nbytes % ALIGNMENT
            return array

        labels = take(np.float64, rows)
        weights = take(np.float64, rows) if weighted else None
        row_offsets = take(np.float64, rows) if offset else None
        matrix: Matrix
        if sparse:
            data, columns = take(np.float64, stored), take(np.int32, stored)
            matrix = csr(data, columns, take(np.int64, rows + 1).astype(np.int32), features)
        else:
            matrix = take(np.float64, stored).reshape(rows, features)
        return Block(matrix, labels, weights, fold, row_offsets=row_offsets, held=bool(held))


def pieces_of(blocks: Sequence[Block]) -> list[memoryview]:
    """Return the bytes of one block with all rows, as views: dense matrices are not copied."""
    if any(block.sparse for block in blocks):
        blocks = [stack_blocks(blocks)]
    first, weights, offsets = blocks[0], _weights_of(blocks), _offsets_of(blocks)
    header = np.zeros(HEADER, dtype=np.int64)
    header[:9] = (
        MAGIC, first.sparse, sum(block.rows for block in blocks), first.features,
        sum(block.stored for block in blocks), weights is not None, first.fold,
        offsets is not None, first.held,
    )  # fmt: skip
    parts: list[list[npt.NDArray[np.generic]]] = [[header], [block.labels for block in blocks]]
    parts += [[each] for each in (weights, offsets) if each is not None]
    parts += _buffers(blocks)
    pieces = []
    for part in parts:
        arrays = [np.ascontiguousarray(array) for array in part]
        pieces += [array.reshape(-1).view(np.uint8).data for array in arrays]
        pieces.append(memoryview(bytes(-sum(array.nbytes for array in arrays) % ALIGNMENT)))
    return [piece for piece in pieces if len(piece)]


def _buffers(blocks: Sequence[Block]) -> list[list[npt.NDArray[np.generic]]]:
    """Return the arrays of a sparse block's matrix, or the matrices of dense blocks."""
    matrix = blocks[0].matrix
    if not is_sparse(matrix):
        return [[np.asarray(block.matrix, dtype=np.float64) for block in blocks]]
    pointers = matrix.indptr.astype(np.int64, copy=False)
    columns = matrix.indices.astype(np.int32, copy=False)
    return [[matrix.data], [columns], [pointers]]


def _weights_of(blocks: Sequence[Block]) -> Array | None:
    """Return the weights of all rows; None if all are 1."""
    if all(block.weights is None for block in blocks):
        return None
    each = (np.ones(its.rows) if its.weights is None else its.weights for its in blocks)
    return np.concatenate(list(each))


def _offsets_of(blocks: Sequence[Block]) -> Array | None:
    """Return the offsets of all rows; None if all are 0."""
    if all(block.row_offsets is None for block in blocks):
        return None
    each = (np.zeros(its.rows) if its.row_offsets is None else its.row_offsets for its in blocks)
    return np.concatenate(list(each))


def csr(
    data: Array, columns: npt.NDArray[np.int32], pointers: npt.NDArray[np.int32], features: int
) -> sp.csr_matrix:
    """Return a CSR matrix of these arrays themselves: scipy's constructor may copy or check."""
    matrix = sp.csr_matrix((len(pointers) - 1, features), dtype=np.float64)
    matrix.data, matrix.indices, matrix.indptr = data, columns, pointers
    return matrix


def _csr_rows(matrix: sp.csr_matrix, rows: slice) -> sp.csr_matrix:
    """Return rows as views of the matrix's arrays: scipy's own slices are copies."""
    pointers = matrix.indptr[rows.start : rows.stop + 1]
    stored = slice(pointers[0], pointers[-1])
    from_zero = pointers - pointers[0]
    return csr(matrix.data[stored], matrix.indices[stored], from_zero, matrix.shape[1])


def stack_rows(pieces: Sequence[Matrix]) -> Matrix:
    """Return the rows of all pieces as one matrix, dense or CSR by the share of nonzero values."""
    if not any(sp.issparse(piece) for piece in pieces):
        dense = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        share = nonzeros(dense) / max(dense.size, 1)
        return dense if share >= SPARSE_BELOW else sp.csr_matrix(dense)
    rows = [sp.csr_matrix(piece) for piece in pieces]
    sparse = rows[0] if len(rows) == 1 else sp.vstack(rows, format="csr")
    size = sparse.shape[0] * sparse.shape[1]
    if sparse.nnz >= SPARSE_BELOW * size:
        return np.ascontiguousarray(sparse.toarray())
    return sparse


def stack_blocks(blocks: Sequence[Block]) -> Block:
    """Return the rows of all blocks as one block, of the first block's fold and use."""
    if len(blocks) == 1:
        return blocks[0]
    matrix = stack_rows([block.matrix for block in blocks])
    labels = np.concatenate([block.labels for block in blocks])
    weights, offsets = _weights_of(blocks), _offsets_of(blocks)
    first = blocks[0]
    return Block(matrix, labels, weights, first.fold, row_offsets=offsets, held=first.held)
