"""Hessians of sparse rows by sparse products: the same numbers as those of dense rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective import hessians
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.hessians import summed_sparse
from sparklr.objective.sums import Probe, Stack, margin_hessians, split_totals
from sparklr.rows.blocks import Block


def sparse_rows(seed: int, rows: int, features: int, stored: int) -> sp.csr_matrix:
    """Rows of so many values each, as categories and a few amounts make them."""
    rng = np.random.default_rng(seed)
    places = np.array([rng.choice(features, stored, replace=False) for _ in range(rows)])
    values = rng.choice([1.0, 1.0, 2.5, -0.5], places.shape)
    pointers = np.arange(0, rows * stored + 1, stored)
    return sp.csr_matrix((values.ravel(), places.ravel(), pointers), shape=(rows, features))


def with_amounts(matrix: sp.csr_matrix, amounts: int) -> sp.csr_matrix:
    """The rows with some more features, stored in all of them, on both sides."""
    values = np.random.default_rng(4).lognormal(size=(matrix.shape[0], amounts))
    return sp.hstack([values[:, :1], matrix, values[:, 1:]], format="csr")


def probe_of(family: Family, classes: int, features: int, order: Literal[0, 1, 2] = 2) -> Probe:
    rng = np.random.default_rng(3)
    margins = 1 if family is BINOMIAL else classes
    return Probe(family, rng.normal(size=(margins, features)), rng.normal(size=margins), order)


def summed(matrix: Array | sp.csr_matrix, probe: Probe, labels: Array, weights: Array) -> Array:
    stack = Stack([probe], matrix.shape[1], None)
    stack.add(Block(matrix, labels, weights))
    return stack.totals()


@pytest.mark.parametrize(("family", "classes"), [(BINOMIAL, 2), (MULTINOMIAL, 3)])
@pytest.mark.parametrize("amounts", [0, 5])
def test_sparse_and_dense_rows_have_the_same_sums(
    family: Family, classes: int, amounts: int
) -> None:
    matrix, rng = sparse_rows(1, 500, 150 - amounts, 6), np.random.default_rng(2)
    matrix = with_amounts(matrix, amounts) if amounts else matrix
    labels, weights = rng.integers(0, classes, 500).astype(float), rng.uniform(0.5, 2, 500)
    assert summed_sparse(matrix)
    probe = probe_of(family, classes, 150)
    sparse, dense = (summed(its, probe, labels, weights) for its in (matrix, matrix.toarray()))
    assert_allclose(sparse, dense, rtol=1e-10, atol=1e-10)
    hessian = split_totals([probe], sparse)[0].hessian
    margins = margin_hessians(probe, Block(matrix, labels, weights), None)
    for k, block in enumerate(margins):
        own = slice(k * 151, (k + 1) * 151)
        assert_allclose(block, hessian[own, own], rtol=1e-10, atol=1e-10)


def test_rows_are_not_made_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes one-hot rows fast: a product of what is stored, not of what is not."""

    def refuse(_: object) -> Array:
        raise AssertionError("a block of sparse rows was made dense")

    monkeypatch.setattr(sp.csr_matrix, "toarray", refuse)
    probe = probe_of(BINOMIAL, 2, 150)
    summed(sparse_rows(1, 500, 150, 6), probe, np.ones(500), np.ones(500))
    with pytest.raises(AssertionError, match="made dense"):
        summed(sparse_rows(1, 500, 150, 40), probe, np.ones(500), np.ones(500))


def test_the_cheaper_product_is_taken() -> None:
    assert summed_sparse(sparse_rows(1, 100, 400, 12))
    assert not summed_sparse(sparse_rows(1, 100, 400, 60))
    assert not summed_sparse(sparse_rows(1, 100, 400, 12).toarray())
    # Products of rare columns grow with the square of what a row stores in them.
    wide = sparse_rows(1, 2_000, 400, 12).tolil()
    wide[:100] = 1.0
    assert not summed_sparse(wide.tocsr())
    # What all rows store costs little: 60 rare values per row are too many, 60 amounts are not.
    assert summed_sparse(with_amounts(sparse_rows(1, 100, 400, 6), 60))


def test_far_features_keep_their_digits() -> None:
    """Sparse products would subtract large numbers there, so the rows are moved, thus dense."""
    rng = np.random.default_rng(5)
    matrix = sparse_rows(1, 400, 150, 6).tolil()
    matrix[:, 0] = (1e8 + rng.normal(size=400))[:, None]
    rows = matrix.tocsr()
    origin = np.zeros(150)
    origin[0] = 1e8
    probe = probe_of(BINOMIAL, 2, 150)
    labels = rng.integers(0, 2, 400).astype(float)
    stack = Stack([probe], 150, origin)
    stack.add(Block(rows, labels, None))
    moved = Stack([probe], 150, None)
    moved.add(Block(rows.toarray() - origin, labels, None))
    assert_allclose(stack.totals(), moved.totals(), rtol=1e-9, atol=1e-9)


def test_a_block_that_stays_in_memory_keeps_its_cross_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    make = hessians.SparseRows.__init__

    def counted(self: hessians.SparseRows, matrix: sp.csr_matrix) -> None:
        made.append(matrix.shape[0])
        make(self, matrix)

    monkeypatch.setattr(hessians.SparseRows, "__init__", counted)
    probe, labels = probe_of(BINOMIAL, 2, 150), np.ones(500)
    block = Block(sparse_rows(1, 500, 150, 6), labels, None)
    once = summed_blocks(probe, block)
    kept = block.remembering()
    assert [*map(len, (summed_blocks(probe, kept), summed_blocks(probe, kept)))] == [len(once)] * 2
    assert_allclose(summed_blocks(probe, kept), once, rtol=0)
    assert made == [500, 500]  # once for each of the two blocks
    # Other rows, or the same ones with other numbers, have none of it.
    assert kept.take(slice(3)).memo is None
    assert kept.with_matrix(kept.matrix).memo is None


def summed_blocks(probe: Probe, block: Block) -> Array:
    stack = Stack([probe], 150, None)
    stack.add(block)
    return stack.totals()
