"""The diagonal of a Hessian beside the Hessian itself."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.sums import Probe
from sparklr.passes.diagonals import DiagonalSums
from sparklr.passes.local import read_blocks
from sparklr.passes.readings import MarginHessians
from sparklr.rows.blocks import Block
from tests.problems import make_rows


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("origin", [None, np.array([2.0, -1.0, 0.5])])
def test_sums_are_those_on_the_diagonal_and_in_the_last_row(
    classes: int, sparse: bool, origin: Array | None
) -> None:
    rows = make_rows(3, 90, 3, classes, weighted=True)
    matrix = sp.csr_matrix(rows.matrix) if sparse else rows.matrix
    blocks = [Block(matrix, rows.labels, rows.weights).part(at, at + 45) for at in (0, 45)]
    margins = 1 if classes == 2 else 3
    random = np.random.default_rng(1)
    probe = Probe(
        BINOMIAL if classes == 2 else MULTINOMIAL,
        random.normal(size=(margins, 3)),
        random.normal(size=margins),
        2,
    )
    reading = DiagonalSums(probe)
    squares, firsts = read_blocks(reading, blocks, 3, origin, 1).reshape(2, margins, 4)
    hessians = read_blocks(MarginHessians(probe), blocks, 3, origin, 1)
    assert_allclose(squares, np.diagonal(hessians, axis1=1, axis2=2))
    assert_allclose(firsts, hessians[:, -1])
    assert reading.size == 8 * 2 * margins * 4
