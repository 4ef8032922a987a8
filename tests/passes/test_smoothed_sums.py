"""Sums that are means over a normal distribution, against means of plain sums over its points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL
from sparklr.objective.smoothed_sums import SmoothedProbe
from sparklr.objective.sums import Probe, split_totals
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import DerivativeSums
from sparklr.passes.smoothed_sums import SmoothedSums
from sparklr.rows.blocks import Block
from tests.problems import make_rows

FEATURES = 4


def probe_of(rng: np.random.Generator, columns: int, size: float = 0.4) -> SmoothedProbe:
    return SmoothedProbe(
        BINOMIAL,
        rng.normal(size=(1, FEATURES)),
        rng.normal(size=1),
        2,
        spread_coefficients=size * rng.normal(size=(columns, FEATURES)),
        spread_offsets=size * rng.normal(size=columns),
    )


def over_points(probe: SmoothedProbe, passes: LocalPasses) -> Array:
    """The means over z of sums at the points b + L z: Gauss-Hermite in two dimensions."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    total = np.zeros(probe.length)
    for first, left in zip(nodes, weights, strict=True):
        for second, right in zip(nodes, weights, strict=True):
            z = np.array([first, second])
            coefficients = probe.coefficients + z @ probe.spread_coefficients
            offsets = probe.offsets + z @ probe.spread_offsets
            plain = Probe(BINOMIAL, coefficients, offsets, 2, probe.without, probe.factors)
            total += left * right * passes.read(DerivativeSums((plain,)))
    return total / weights.sum() ** 2


def far_away(block: Block) -> Block:
    """The same rows with one feature a hundred deviations from zero, so that it has an origin."""
    matrix = block.to_dense().matrix + np.array([0.0, 100.0, 0.0, 0.0])
    return block.with_matrix(np.asarray(matrix))


@pytest.mark.parametrize("kind", ["dense", "sparse", "weighted", "far", "offsets", "factors"])
def test_sums_are_means_over_points(kind: str) -> None:
    rng = np.random.default_rng(1)
    block = make_rows(2, 60, FEATURES, weighted=kind == "weighted", sparse=kind == "sparse")
    if kind == "far":
        block = far_away(block)
    if kind == "offsets":
        block = replace(block, row_offsets=rng.normal(size=60))
    probe = probe_of(rng, 2)
    if kind == "factors":
        probe = replace(probe, factors=np.array([0.5, 3.0]))
    passes = LocalPasses.of([block.part(0, 25), block.part(25, 60)], FEATURES)
    assert (passes.moments.origin is not None) == (kind == "far")
    found = passes.read(SmoothedSums((probe,)))
    assert_allclose(found, over_points(probe, passes), rtol=1e-6, atol=1e-7)


def test_without_a_spread_they_are_plain_sums() -> None:
    rng = np.random.default_rng(3)
    passes = LocalPasses.of([make_rows(4, 50, FEATURES)], FEATURES)
    probe = probe_of(rng, 3, size=0.0)
    plain = Probe(BINOMIAL, probe.coefficients, probe.offsets, 2)
    found = passes.read(SmoothedSums((probe,)))
    assert_allclose(found, passes.read(DerivativeSums((plain,))), rtol=1e-12, atol=1e-12)


def test_one_hot_rows_are_summed_sparse_to_the_same() -> None:
    """Wide enough that sparse products are cheaper, unlike above."""
    rng = np.random.default_rng(5)
    places = rng.integers(0, 200, size=(300, 2)) + np.array([0, 200])
    matrix = sp.csr_matrix((np.ones(600), places.ravel(), np.arange(0, 601, 2)), shape=(300, 400))
    block = Block(matrix, rng.integers(0, 2, size=300).astype(float), None)
    spread = 0.1 * rng.normal(size=(5, 400))
    probe = SmoothedProbe(
        BINOMIAL,
        rng.normal(size=(1, 400)),
        np.zeros(1),
        2,
        spread_coefficients=spread,
        spread_offsets=np.ones(5),
    )
    sparse = LocalPasses.of([block], 400).read(SmoothedSums((probe,)))
    dense = LocalPasses.of([block.to_dense()], 400).read(SmoothedSums((probe,)))
    assert_allclose(sparse, dense, atol=1e-10)


def test_several_probes_share_a_reading_each_without_its_fold() -> None:
    rng = np.random.default_rng(6)
    block = make_rows(7, 40, FEATURES)
    folds = [replace(block.part(0, 20), fold=0), replace(block.part(20, 40), fold=1)]
    passes = LocalPasses.of(folds, FEATURES)
    probes = [replace(probe_of(rng, 2), without=1), probe_of(rng, 3)]
    reading = SmoothedSums(tuple(probes))
    first, second = split_totals(probes, passes.read(reading))
    one = LocalPasses.of(folds[:1], FEATURES)
    left = replace(probes[0], without=None)
    assert_allclose(first.flat, one.read(SmoothedSums((left,))))
    assert_allclose(second.flat, passes.read(SmoothedSums((probes[1],))))
    pieces = reading.pieces(1)
    assert [piece.probes for piece in pieces] == [(probes[0],), (probes[1],)]
    parts = [passes.read(piece) for piece in pieces]
    assert_allclose(reading.assemble(parts), passes.read(reading))
    assert reading.columns == 3 + 4
    assert reading.size >= 8 * sum(probe.length for probe in probes)
