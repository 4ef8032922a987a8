"""Sums over rows: stacked or alone, in slices or whole, from any origin, against plain formulas."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.objective import sums
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.objective.sums import Probe, Stack, Sums, split_totals
from sparklr.rows.blocks import Block, Matrix

seeds = st.integers(0, 2**32 - 1)
kinds = st.tuples(
    st.sampled_from(["binomial", "multinomial 2", "multinomial 3", "multinomial 5"]),
    st.sampled_from([0, 1, 2]),
)
storage = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])

Kind = tuple[str, int]


def make_probe(rng: np.random.Generator, kind: Kind, features: int) -> Probe:
    name, order = kind
    family: Family = BINOMIAL if name == "binomial" else MULTINOMIAL
    columns = 1 if name == "binomial" else int(name.split()[1])
    coefficients = rng.normal(size=(columns, features))
    return Probe(family, coefficients, rng.normal(size=columns), order)  # type: ignore[arg-type]


def make_block(
    rng: np.random.Generator, rows: int, features: int, *, sparse: bool, weighted: bool
) -> Block:
    """Rows with labels 0 and 1, which every loss here has."""
    matrix: Matrix = rng.normal(size=(rows, features))
    if sparse:
        matrix = sp.csr_matrix(matrix * (rng.random((rows, features)) < 0.4))
    labels = rng.integers(0, 2, rows).astype(np.float64)
    return Block(matrix, labels, rng.uniform(0.1, 3, rows) if weighted else None)


def with_more(rng: np.random.Generator, block: Block, probe: Probe) -> tuple[Block, Probe]:
    """The rows with offsets, and the probe with factors of labels."""
    factors = rng.uniform(0.5, 2, max(probe.margins, 2))
    offsets = rng.normal(size=block.rows)
    return replace(block, row_offsets=offsets), replace(probe, factors=factors)


def add_up(probes: list[Probe], blocks: list[Block], origin: Array | None = None) -> list[Sums]:
    stack = Stack(probes, blocks[0].features, origin)
    for block in blocks:
        stack.add(block)
    return split_totals(probes, stack.totals())


def plain_sums(probe: Probe, block: Block, origin: Array) -> tuple[float, Array, Array]:
    """Value, gradient and Hessian row by row, as the formulas have them."""
    dense = block.matrix.toarray() if block.sparse else block.matrix
    weights = np.ones(block.rows) if block.weights is None else block.weights
    if probe.factors is not None:
        weights = weights * probe.factors[block.labels.astype(int)]
    moves = np.zeros(block.rows) if block.row_offsets is None else block.row_offsets
    columns, width = probe.margins, block.features + 1
    value, gradient = 0.0, np.zeros((columns, width))
    hessian = np.zeros((columns * width, columns * width))
    for x, label, weight, moved in zip(dense - origin, block.labels, weights, moves, strict=True):
        margins = probe.offsets + probe.coefficients @ x + moved
        if probe.family is BINOMIAL:
            chance = 1 / (1 + np.exp(-margins))
            value += weight * float(np.log1p(np.exp(margins[0])) - label * margins[0])
            slopes, curvature = chance - label, np.diag(chance * (1 - chance))
        else:
            chance = np.exp(margins) / np.exp(margins).sum()
            value -= weight * float(np.log(chance[int(label)]))
            slopes = chance - (np.arange(columns) == label)
            curvature = np.diag(chance) - np.outer(chance, chance)
        row = np.append(x, 1.0)
        gradient += weight * np.outer(slopes, row)
        hessian += weight * np.kron(curvature, np.outer(row, row))
    return value, gradient, hessian


def assert_sums(found: Sums, expected: Sums, tolerance: float = 1e-12) -> None:
    for name in ("value", "gradient", "hessian"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.shape == other.shape
        scale = np.abs(other).max(initial=0)
        assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale, err_msg=name)


@storage
@given(seed=seeds, weighted=st.booleans(), kind=kinds, features=st.integers(1, 4))
def test_sums_are_the_formulas(
    sparse: bool, seed: int, weighted: bool, kind: Kind, features: int
) -> None:
    rng = np.random.default_rng(seed)
    block = make_block(rng, 9, features, sparse=sparse, weighted=weighted)
    probe, origin = make_probe(rng, kind, features), rng.normal(size=features)
    if seed % 2:
        block, probe = with_more(rng, block, probe)
    for start, given_origin in ((np.zeros(features), None), (origin, origin)):
        (found,) = add_up([probe], [block], given_origin)
        value, gradient, hessian = plain_sums(probe, block, start)
        assert found.value[0] == pytest.approx(value, rel=1e-12)
        if probe.order > 0:
            assert_allclose(found.gradient, gradient, atol=1e-11)
        if probe.order > 1:
            assert_allclose(found.hessian, hessian, atol=1e-11)
        assert found.gradient.size == (gradient.size if probe.order > 0 else 0)
        assert found.hessian.size == (hessian.size if probe.order > 1 else 0)


@storage
@given(seed=seeds, weighted=st.booleans(), far=st.booleans(), chosen=st.lists(kinds, max_size=9))
def test_a_stack_of_probes_sums_each_as_if_alone(
    sparse: bool, seed: int, weighted: bool, far: bool, chosen: list[Kind]
) -> None:
    """Whatever the mixture of orders, losses and numbers of columns, and in whatever order."""
    rng = np.random.default_rng(seed)
    block = make_block(rng, 30, 3, sparse=sparse, weighted=weighted)
    origin = rng.normal(size=3) if far else None
    probes = [make_probe(rng, kind, 3) for kind in chosen]
    for probe, together in zip(probes, add_up(probes, [block], origin), strict=True):
        (alone,) = add_up([probe], [block], origin)
        assert_sums(together, alone)


@storage
@given(
    seed=seeds,
    weighted=st.booleans(),
    chosen=st.lists(kinds, min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_rows_in_pieces_sum_to_the_whole(
    sparse: bool, seed: int, weighted: bool, chosen: list[Kind], cuts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    block = make_block(rng, 200, 3, sparse=sparse, weighted=weighted)
    probes = [make_probe(rng, kind, 3) for kind in chosen]
    ends = [0, *sorted(cuts), 200]
    pieces = [block.take(slice(a, b)) for a, b in pairwise(ends)]
    for parts, whole in zip(add_up(probes, pieces), add_up(probes, [block]), strict=True):
        assert_sums(parts, whole)


@storage
def test_the_length_of_slices_does_not_matter(
    sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    block = make_block(rng, 1000, 6, sparse=sparse, weighted=True)
    names = ("binomial", "multinomial 3")
    for orders in ((0, 1), (0, 1, 2)):
        probes = [make_probe(rng, (name, order), 6) for name in names for order in orders]
        whole = add_up(probes, [block])
        with monkeypatch.context() as patch:
            patch.setattr(sums, "SLICE_BYTES", 1)
            patch.setattr(sums, "HESSIAN_SLICE_BYTES", 1)
            sliced = add_up(probes, [block])
        for some, all_at_once in zip(sliced, whole, strict=True):
            assert_sums(some, all_at_once)


@storage
@given(seed=seeds, weighted=st.booleans(), kind=kinds)
def test_the_origin_changes_nothing_but_what_features_count_from(
    sparse: bool, seed: int, weighted: bool, kind: Kind
) -> None:
    """The same margins from another origin: sums over x - o are those over x, moved by o."""
    rng = np.random.default_rng(seed)
    block = make_block(rng, 25, 3, sparse=sparse, weighted=weighted)
    probe, origin = make_probe(rng, kind, 3), rng.normal(size=3)
    shifted = Probe(
        probe.family,
        probe.coefficients,
        probe.offsets + probe.coefficients @ origin,
        probe.order,
    )
    (plain,) = add_up([probe], [block])
    (moved,) = add_up([shifted], [block], origin)
    change = np.eye(4)  # [x - o, 1] = change @ [x, 1]
    change[:3, 3] = -origin
    assert_allclose(moved.value, plain.value, rtol=1e-12)
    if probe.order > 0:
        assert_allclose(moved.gradient, plain.gradient @ change.T, atol=1e-11)
    if probe.order > 1:
        both = np.kron(np.eye(probe.margins), change)
        assert_allclose(moved.hessian, both @ plain.hessian @ both.T, atol=1e-10)


@storage
@pytest.mark.parametrize("order", [1, 2])
def test_the_origin_saves_the_digits_of_far_features(sparse: bool, order: int) -> None:
    """Features at 1e6 deviations, counted from there, give the sums of centred features."""
    rng = np.random.default_rng(4)
    near = np.round(rng.normal(size=(60, 2)) * 2**10) / 2**10  # so that adding 1e6 is exact
    labels = rng.integers(0, 2, 60).astype(np.float64)
    origin = np.array([1e6, 0.0])
    probe = make_probe(rng, ("binomial", order), 2)
    far = sp.csr_matrix(near + origin) if sparse else near + origin
    (found,) = add_up([probe], [Block(far, labels, None)], origin)
    (expected,) = add_up([probe], [Block(near, labels, None)])
    # Sparse rows stay where they are below order 2, so their margins keep ten digits only.
    assert_sums(found, expected, 1e-8 if sparse and order < 2 else 1e-12)


@given(seed=seeds, kind=kinds)
def test_probes_with_different_factors_stand_side_by_side(seed: int, kind: Kind) -> None:
    rng = np.random.default_rng(seed)
    block = make_block(rng, 30, 3, sparse=False, weighted=True)
    probe = make_probe(rng, kind, 3)
    moved, other = with_more(rng, block, probe)
    probes = [probe, other, replace(other, factors=2 * other.factors)]  # type: ignore[operator]
    for one, found in zip(probes, add_up(probes, [moved]), strict=True):
        (alone,) = add_up([one], [moved])
        assert_sums(found, alone)


@given(seed=seeds, kind=kinds)
def test_a_weight_is_as_many_rows(seed: int, kind: Kind) -> None:
    rng = np.random.default_rng(seed)
    block = make_block(rng, 12, 3, sparse=False, weighted=False)
    times = rng.integers(0, 4, 12)
    weighted = Block(block.matrix, block.labels, times.astype(np.float64))
    probe = make_probe(rng, kind, 3)
    (by_weight,) = add_up([probe], [weighted])
    (by_rows,) = add_up([probe], [block.take(np.repeat(np.arange(12), times))])
    assert_sums(by_weight, by_rows)


@storage
def test_dense_and_csr_sum_alike(sparse: bool) -> None:
    rng = np.random.default_rng(5)
    block = make_block(rng, 80, 5, sparse=True, weighted=True)
    dense = Block(block.matrix.toarray(), block.labels, block.weights)
    origin = rng.normal(size=5) if sparse else None
    probes = [
        make_probe(rng, (name, order), 5)
        for name in ("multinomial 3", "binomial")
        for order in (1, 0)
    ]
    probes_of = [probes, [*probes, make_probe(rng, ("multinomial 2", 2), 5)]]
    for some in probes_of:
        for one, other in zip(
            add_up(some, [block], origin), add_up(some, [dense], origin), strict=True
        ):
            assert_sums(one, other)


def test_totals_can_be_read_while_rows_are_added() -> None:
    rng = np.random.default_rng(6)
    block = make_block(rng, 20, 2, sparse=False, weighted=False)
    probes = [make_probe(rng, ("binomial", order), 2) for order in (2, 1, 0)]
    stack = Stack(probes, 2, None)
    assert_array_equal(stack.totals(), np.zeros(sum(probe.length for probe in probes)))
    for _ in range(2):
        stack.add(block)
        once = stack.totals()
    assert_array_equal(stack.totals(), once)
    assert_allclose(once, 2 * np.concatenate([s.flat for s in add_up(probes, [block])]))


def test_no_probes_and_no_rows() -> None:
    stack = Stack([], 2, None)
    stack.add(Block(np.ones((3, 2)), np.zeros(3), None))
    assert stack.totals().shape == (0,)
    rng = np.random.default_rng(7)
    probe = make_probe(rng, ("multinomial 3", 2), 2)
    empty = Block(np.zeros((0, 2)), np.zeros(0), None)
    (found,) = add_up([probe], [empty])
    assert_array_equal(found.flat, np.zeros(1 + 9 + 81))


def test_rows_without_features_have_an_intercept_still() -> None:
    block = Block(np.zeros((4, 0)), np.array([0.0, 1.0, 1.0, 1.0]), None)
    probe = Probe(BINOMIAL, np.zeros((1, 0)), np.zeros(1), 2)
    (found,) = add_up([probe], [block])
    assert found.value[0] == pytest.approx(4 * np.log(2))
    assert_allclose(found.gradient, [[-1.0]])
    assert_allclose(found.hessian, [[1.0]])


@given(seed=seeds, chosen=st.lists(kinds, max_size=5))
def test_split_totals_is_the_inverse(seed: int, chosen: list[Kind]) -> None:
    probes = [make_probe(np.random.default_rng(seed), kind, 2) for kind in chosen]
    flat = np.arange(float(sum(probe.length for probe in probes)))
    parts = split_totals(probes, flat)
    assert_array_equal(np.concatenate([np.zeros(0), *(part.flat for part in parts)]), flat)
    for probe, part in zip(probes, parts, strict=True):
        inner = [part.value, part.gradient.ravel(), part.hessian.ravel()]
        assert_array_equal(np.concatenate(inner), part.flat)
        assert tuple(array.size for array in inner) == probe.lengths
        assert part.value.base is not None, "a view, so that sums merge by adding flat arrays"


def test_rows_and_probes_are_not_written_into() -> None:
    rng = np.random.default_rng(8)
    probes = [make_probe(rng, (name, 2), 3) for name in ("binomial", "multinomial 3")]
    origin = rng.normal(size=3)
    for sparse in (False, True):
        block = make_block(rng, 10, 3, sparse=sparse, weighted=True)
        assert block.weights is not None
        inner = block.matrix.data if block.sparse else block.matrix
        frozen = [inner, block.labels, block.weights, origin]
        frozen += [array for probe in probes for array in (probe.coefficients, probe.offsets)]
        for array in frozen:
            array.setflags(write=False)
        add_up(probes, [block], origin)


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
@pytest.mark.parametrize("kind", ["binomial", "multinomial 3"])
@storage
@pytest.mark.parametrize("few", [True, False], ids=["one product", "each margin"])
def test_margin_hessians_are_the_diagonal_blocks(
    sparse: bool, kind: str, far: bool, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "FEW_FEATURES", 32 if few else 0)
    rng = np.random.default_rng(4)
    block = make_block(rng, 700, 6, sparse=sparse, weighted=True)
    probe = make_probe(rng, (kind, 2), 6)
    block, probe = with_more(rng, block, probe)
    origin = rng.normal(size=6) if far else None
    (whole,) = add_up([probe], [block], origin)
    found = sums.margin_hessians(probe, block, origin)
    assert found.shape == (probe.margins, 7, 7)
    for k, its in enumerate(found):
        part = slice(7 * k, 7 * k + 7)
        assert_allclose(its, whole.hessian[part, part], rtol=1e-9, atol=1e-9)
