"""Blocks: what goes onto the wire comes back, without a copy, and dense or sparse by density."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from sparklr.arrays import Array
from sparklr.rows.blocks import SPARSE_BELOW, Block, csr, stack_blocks, stack_rows
from sparklr.rows.blocks import pieces_of as pieces_of_blocks

ALIGNMENT = 64  # bytes: a cache line, and what Arrow promises
SHAPES = [(7, 5), (1, 1), (13, 1), (1, 9), (0, 4)]


def make_block(rows: int, features: int, *, sparse: bool, weighted: bool) -> Block:
    """A block of random numbers, about a third of them zeros; with weights and offsets or none."""
    random = np.random.default_rng([rows, features])
    matrix = random.normal(size=(rows, features)) * (random.random((rows, features)) < 0.7)
    labels = random.integers(0, 3, rows).astype(float)
    weights = random.random(rows) if weighted else None
    offsets = random.normal(size=rows) if weighted else None
    stored = sp.csr_matrix(matrix) if sparse else matrix
    return Block(stored, labels, weights, row_offsets=offsets)


def dense(matrix: Any) -> Array:
    return matrix.toarray() if sp.issparse(matrix) else matrix


def arrays_of(block: Block) -> dict[str, Array]:
    """The arrays a block is made of, by name."""
    found = {"labels": block.labels}
    if block.weights is not None:
        found["weights"] = block.weights
    if block.row_offsets is not None:
        found["offsets"] = block.row_offsets
    if block.sparse:
        return found | {"data": block.matrix.data, "columns": block.matrix.indices}
    return found | {"matrix": block.matrix}


def aligned(payload: bytes) -> Any:
    """These bytes at an address that is a multiple of the alignment, as Arrow allocates."""
    buffer = pa.allocate_buffer(len(payload))
    np.frombuffer(buffer, dtype=np.uint8)[:] = np.frombuffer(payload, dtype=np.uint8)
    return buffer


def assert_same(block: Block, other: Block) -> None:
    assert (block.rows, block.features, block.sparse) == (other.rows, other.features, other.sparse)
    assert_array_equal(dense(block.matrix), dense(other.matrix))
    assert_array_equal(block.labels, other.labels)
    assert (block.weights is None) == (other.weights is None)
    if block.weights is not None:
        assert_array_equal(block.weights, other.weights)
    assert (block.row_offsets is None) == (other.row_offsets is None)
    if block.row_offsets is not None:
        assert_array_equal(block.row_offsets, other.row_offsets)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize(("rows", "features"), SHAPES)
def test_a_block_survives_its_journey(
    rows: int, features: int, sparse: bool, weighted: bool
) -> None:
    block = make_block(rows, features, sparse=sparse, weighted=weighted)
    assert_same(Block.from_buffer(block.to_bytes()), block)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_reading_copies_nothing(sparse: bool, weighted: bool) -> None:
    block = make_block(50, 6, sparse=sparse, weighted=weighted)
    buffer = block.to_bytes()
    there = np.frombuffer(buffer, dtype=np.uint8)
    for name, array in arrays_of(Block.from_buffer(buffer)).items():
        assert np.shares_memory(array, there), name


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_every_array_is_aligned(sparse: bool, weighted: bool) -> None:
    payload = make_block(11, 3, sparse=sparse, weighted=weighted).to_bytes()
    assert len(payload) % ALIGNMENT == 0
    for name, array in arrays_of(Block.from_buffer(aligned(payload))).items():
        assert array.ctypes.data % ALIGNMENT == 0, name


def test_numbers_travel_to_the_bit() -> None:
    numbers = np.array([[0.0, -0.0, np.nan, np.inf], [-np.inf, 5e-324, 1e308, 0.1]])
    back = Block.from_buffer(Block(numbers, np.zeros(2), None).to_bytes())
    assert back.matrix.tobytes() == numbers.tobytes()


@pytest.mark.parametrize("turned", [np.asfortranarray, lambda matrix: matrix[::-1, ::-1]])
def test_a_matrix_in_any_memory_order_arrives_row_by_row(turned: Any) -> None:
    matrix = turned(np.arange(12.0).reshape(4, 3))
    back = Block.from_buffer(Block(matrix, np.arange(4.0), None).to_bytes())
    assert back.matrix.flags.c_contiguous
    assert_array_equal(back.matrix, matrix)


def test_slices_of_a_block_travel_as_well() -> None:
    for sparse in (False, True):
        block = make_block(20, 4, sparse=sparse, weighted=True)
        part = block.take(slice(3, 17, 2))
        assert_same(Block.from_buffer(part.to_bytes()), part)


@pytest.mark.parametrize("spoil", [lambda b: b"\x00" * len(b), lambda b: b[8:] + b[:8]])
def test_bytes_that_are_no_block_are_refused(spoil: Any) -> None:
    payload = make_block(4, 3, sparse=False, weighted=False).to_bytes()
    with pytest.raises(ValueError, match="not a block"):
        Block.from_buffer(spoil(payload))


def test_bytes_cut_short_are_refused() -> None:
    payload = make_block(4, 3, sparse=False, weighted=False).to_bytes()
    for length in (0, 32, len(payload) - ALIGNMENT):
        with pytest.raises(ValueError, match="buffer"):
            Block.from_buffer(payload[:length])


def test_a_block_knows_its_weight() -> None:
    block = make_block(6, 2, sparse=False, weighted=True)
    assert block.weights is not None
    assert block.total_weight == block.weights.sum()
    assert Block(block.matrix, block.labels, None).total_weight == 6.0


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("rows", [slice(2, 5), np.array([5, 0, 3])], ids=["slice", "indices"])
def test_taking_rows_takes_labels_and_weights_along(sparse: bool, rows: Any) -> None:
    block = make_block(6, 4, sparse=sparse, weighted=True)
    part = block.take(rows)
    assert part.sparse == sparse
    assert_array_equal(dense(part.matrix), dense(block.matrix)[rows])
    assert_array_equal(part.labels, block.labels[rows])
    assert block.weights is not None
    assert_array_equal(part.weights, block.weights[rows])
    assert block.row_offsets is not None
    assert_array_equal(part.row_offsets, block.row_offsets[rows])


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_neighbouring_rows_and_copies_have_their_offsets(sparse: bool) -> None:
    block = make_block(6, 4, sparse=sparse, weighted=True)
    assert_same(block.part(2, 5), block.take(slice(2, 5)))
    copy = block.detached()
    assert_same(copy, block)
    assert copy.row_offsets is not block.row_offsets


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_rows_without_an_offset_have_zero_among_others(sparse: bool) -> None:
    block = make_block(6, 4, sparse=sparse, weighted=True)
    assert block.row_offsets is not None
    plain = replace(block, row_offsets=None)
    expected = np.concatenate((block.row_offsets, np.zeros(6)))
    assert_array_equal(stack_blocks([block, plain]).row_offsets, expected)
    there = Block.from_buffer(b"".join(pieces_of_blocks([block, plain])))
    assert_array_equal(there.row_offsets, expected)
    assert stack_blocks([plain, plain]).row_offsets is None
    assert len(plain.to_bytes()) == len(block.to_bytes()) - ALIGNMENT  # no column if there is none


def test_csr_takes_the_very_arrays() -> None:
    whole = sp.csr_matrix(np.eye(4))
    made = csr(whole.data, whole.indices, whole.indptr, 4)
    assert made.data is whole.data
    assert made.indices is whole.indices
    assert_array_equal(made.toarray(), np.eye(4))


def pieces_of(share: float, kinds: str) -> tuple[list[Any], Array]:
    """As many pieces of 10 x 10 as kinds, d or s, with this share of values that are not zero."""
    matrices = []
    for number in range(len(kinds)):
        flat = np.zeros(100)
        flat[np.random.default_rng(number).permutation(100)[: round(100 * share)]] = 1.0 + number
        matrices.append(flat.reshape(10, 10))
    pieces = [
        sp.csr_matrix(matrix) if kind == "s" else matrix
        for kind, matrix in zip(kinds, matrices, strict=True)
    ]
    return pieces, np.concatenate(matrices)


@pytest.mark.parametrize("kinds", ["d", "s", "ddd", "sss", "dsd", "sd"])
@pytest.mark.parametrize("share", [0.0, 0.05, SPARSE_BELOW - 0.01, SPARSE_BELOW, 0.5, 1.0])
def test_stacked_rows_are_dense_or_sparse_by_what_they_hold(kinds: str, share: float) -> None:
    pieces, whole = pieces_of(share, kinds)
    stacked = stack_rows(pieces)
    assert sp.issparse(stacked) == (share < SPARSE_BELOW)
    assert_array_equal(dense(stacked), whole)
    if not sp.issparse(stacked):
        assert stacked.flags.c_contiguous
        assert stacked.dtype == np.float64


def test_density_is_that_of_all_pieces_together() -> None:
    full, empty = np.ones((10, 10)), sp.csr_matrix((30, 10))
    assert not sp.issparse(stack_rows([full, empty]))
    assert sp.issparse(stack_rows([full, empty, empty]))


def test_one_dense_piece_is_not_copied() -> None:
    piece = np.ones((5, 5))
    assert stack_rows([piece]) is piece
