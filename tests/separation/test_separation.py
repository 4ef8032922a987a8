"""Whether rows are separated: sets with known answers, and random sets by an exact programme."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog

from sparklr.objective.families import BINOMIAL
from sparklr.rows.blocks import Block
from sparklr.separation import search as module
from sparklr.separation.search import find_separation
from tests.problems import make_rows
from tests.separation.exact import comparisons, infinite, kind_of, movable, passes_over, search
from tests.separation.sets import IRIS, SPECIES, noise, on_lattice, rotation, with_flag
from tests.tiers import first_and_deep

NAMES = ["a", "b", "c"]


def test_a_flag_of_one_row() -> None:
    found = search(with_flag(0, 79, 1))
    assert (found.kind, found.features, found.intercept) == ("quasi-complete", (0,), False)
    assert (found.rows, found.labels, found.total, found.readings) == (1, (0, 1), 79, 0)
    assert_array_equal(found.direction, [[1, 0, 0, 0]])
    assert found.sentence(["NV", "PI", "EH"]) == (
        "wherever 'NV' is above 0 the label is 1 (1 of 79 rows): "
        "its coefficient has no finite estimate"
    )


def test_an_oblique_direction_in_a_rotated_frame() -> None:
    rows, turn = with_flag(1, 200, 20), rotation(1, 3)
    found = search(rows.with_matrix(rows.matrix @ turn))
    assert (found.kind, found.rows, found.features) == ("quasi-complete", 20, (0, 1, 2))
    assert not found.intercept
    direction = turn[0] / abs(turn[0]).max()
    assert_allclose(found.direction[0], np.append(direction, 0.0), rtol=1e-12)


def test_an_oblique_direction_of_small_integers_is_exact() -> None:
    rows = on_lattice(2)
    found = search(rows)
    assert_array_equal(found.direction, [[0.5, 1.0, -0.75, 0.0]])
    assert found.kind == "quasi-complete"
    assert 0 < found.total - found.rows == np.sum(rows.matrix @ [1.0, 2.0, -1.5] == 0)


def test_complete() -> None:
    matrix, _ = noise(3, 60, 3)
    found = search(Block(matrix, (matrix[:, 1] > 0.25).astype(float), None))
    assert (found.kind, found.rows, found.total) == ("complete", 60, 60)
    assert (found.features, found.intercept) == ((0, 1, 2), True)
    assert_array_equal(found.direction[0, [0, 1, 2]], [0, 1, 0])
    below, above = matrix[matrix[:, 1] <= 0.25, 1].max(), matrix[matrix[:, 1] > 0.25, 1].min()
    assert below < -found.direction[0, -1] < above


def test_none() -> None:
    found = search(Block(*noise(4, 60, 3), None))
    assert (found.kind, found.features, found.readings) == ("none", (), 0)
    assert found.sentence(NAMES) == "no separation: the estimate exists"


def test_a_coefficient_that_konis_programme_calls_finite() -> None:
    """Ten rows gain by a and lose by b, one gains by b: maximise sum a . d with |d| <= 1, b = 0."""
    gains = np.repeat([[1.0, -1.0], [0.0, 1.0]], (10, 1), axis=0)
    overlap = np.repeat([[0.0, 0.0]], 8, axis=0)
    third = np.concatenate((np.zeros(11), [1.0, -1.0, 2.0, -2.0, 1.0, -1.0, 3.0, -3.0]))
    matrix = np.column_stack((np.concatenate((gains, overlap)), third))
    labels = np.concatenate((np.ones(11), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]))
    rows = Block(matrix, labels, None)
    compared = comparisons(rows, 2, per_class=False, intercept=False)[:, :3]
    once = linprog(-compared.sum(axis=0), A_ub=-compared, b_ub=np.zeros(19), bounds=(-1, 1))
    assert once.x[1] == 0.0
    assert_array_equal(infinite(compared), [True, True, False])
    found = search(rows, intercept=False)
    assert (found.kind, found.features, found.rows) == ("quasi-complete", (0, 1), 11)
    assert found.direction[0, 0] > found.direction[0, 1] > 0


def test_classes_of_which_one_is_apart() -> None:
    found = search(Block(IRIS, SPECIES.astype(float), None), 3)
    assert (found.kind, found.features, found.rows) == ("quasi-complete", (0, 1, 2, 3), 150)
    assert not found.direction[1:].any()
    assert "the label is 0 (50 of 150 rows)" in found.sentence(list("abcd"))
    assert search(Block(IRIS, (SPECIES == 0) * 1.0, None)).kind == "complete"
    assert search(Block(IRIS, (SPECIES == 1) * 1.0, None)).kind == "none"


def test_classes_that_are_all_apart() -> None:
    matrix, _ = noise(5, 300, 3)
    found = search(Block(matrix, matrix.argmax(axis=1).astype(float), None), 3)
    assert (found.kind, found.rows, found.intercept) == ("complete", 300, True)


def test_classes_that_overlap() -> None:
    assert search(make_rows(6, 400, 3, 4), 4).kind == "none"


@pytest.mark.parametrize(("allowed", "rule"), [([1], "is 1"), ([0, 1], "is not 2")])
def test_a_flag_that_excludes_classes(allowed: list[int], rule: str) -> None:
    rows = make_rows(7, 300, 3, 3)
    rows.matrix[:, 0] = np.arange(300) < 30
    rows.labels[:30] = np.resize(allowed, 30)
    found = search(rows, 3)
    assert (found.kind, found.features, found.rows) == ("quasi-complete", (0,), 30)
    assert f"wherever 'a' is above 0 the label {rule} (30 of 300 rows)" in found.sentence(NAMES)


def test_a_class_without_rows() -> None:
    found = search(make_rows(8, 200, 2, 3), 4)
    assert (found.kind, found.rows) == ("quasi-complete", 200)
    assert found.sentence(NAMES) == (
        "no row has the label 3: the coefficients of 'a' and 'b' have no finite estimates"
    )


def test_sparse_levels_of_a_category() -> None:
    """With an intercept and all levels: none is determined, but only two must be infinite."""
    rng = np.random.default_rng(9)
    level, labels = rng.integers(0, 40, 3_000), (rng.random(3_000) < 0.3).astype(float)
    labels[level == 3], labels[level == 17] = 1.0, 0.0
    matrix = sp.csr_matrix((np.ones(3_000), (np.arange(3_000), level)), shape=(3_000, 40))
    found = search(Block(matrix, labels, None), sample=1_000)
    assert (found.kind, found.features, found.intercept) == ("quasi-complete", (3, 17), False)
    assert_array_equal(found.direction[0, [3, 17]], [1, -1])
    assert found.labels == (np.sum(level == 17), np.sum(level == 3))


@pytest.mark.parametrize("sparse", [False, True])
def test_features_far_from_zero(sparse: bool) -> None:
    """Means of 2^20 deviations: an integer direction is found as if they were at zero."""
    rows = on_lattice(10)
    far = rows.matrix + 2.0**20 * np.array([3, -4, 0])
    found = search(rows.with_matrix(sp.csr_matrix(far) if sparse else far))
    near = search(rows)
    assert (found.kind, found.features, found.labels) == (near.kind, near.features, near.labels)
    assert_allclose(found.direction[0, :3], near.direction[0, :3], rtol=1e-12)
    noisy = make_rows(10, 300, 3)
    assert search(noisy.with_matrix(noisy.matrix + 2.0**20)).kind == "none"


def test_rows_without_weight_are_no_rows() -> None:
    rows = with_flag(11, 100, 5)
    rows.labels[0] = 0.0
    assert search(rows).kind == "none"
    weights = np.ones(100)
    weights[0] = 0.0
    found = search(Block(rows.matrix, rows.labels, weights), sample=50)
    assert (found.kind, found.rows, found.total) == ("quasi-complete", 4, 99)


def test_a_sample_may_have_rows_without_weight() -> None:
    rows = with_flag(11, 100, 5)
    rows.labels[0] = 0.0
    rows = replace(rows, weights=np.where(np.arange(100) == 0, 0.0, 1.0))
    passes = passes_over(rows)
    passes = replace(passes, inner=replace(passes.inner, sample=rows))
    found = find_separation(passes, BINOMIAL, 2, intercept=True)
    assert (found.kind, found.rows, found.readings) == ("quasi-complete", 4, 0)


def test_near_a_simple_fraction_is_not_that_fraction() -> None:
    """The direction (1/2 + 5e-8, 1): along (1/2, 1) some rows would be lowered."""
    rng = np.random.default_rng(12)
    slope = 0.5 + 5e-8
    second = rng.integers(1, 9, size=200) * rng.choice([-1.0, 1.0], size=200)
    first = np.where(np.arange(200) < 100, -second / slope, rng.normal(size=200))
    margins = slope * first + second
    labels = np.where(np.arange(200) < 100, rng.random(200) < 0.5, margins > 0).astype(float)
    found = search(Block(np.column_stack((first, second)), labels, None))
    assert (found.kind, found.rows) == ("quasi-complete", 100)
    assert_allclose(found.direction, [[slope, 1.0, 0.0]], rtol=1e-12)


def test_without_an_intercept_lines_pass_through_zero() -> None:
    matrix = np.linspace(1.0, 2.0, 20)[:, None]
    rows = Block(matrix, (matrix[:, 0] > 1.5).astype(float), None)
    assert search(rows, intercept=False).kind == "none"
    found = search(rows)
    assert (found.kind, found.intercept) == ("complete", True)
    assert found.sentence(["a"]) == (
        "wherever 'a' is above 1.5 the label is 1 (10 of 20 rows), and wherever it is below 1.5 "
        "the label is 0 (10 of 20 rows): no coefficient has a finite estimate"
    )
    assert search(rows.with_matrix(matrix - 1.5), intercept=False).kind == "complete"


def test_a_single_label() -> None:
    found = search(Block(noise(12, 30, 2)[0], np.ones(30), None))
    assert (found.kind, found.intercept) == ("complete", True)
    assert found.sentence(NAMES) == (
        "all 30 rows have the label 1: no coefficient has a finite estimate"
    )


def test_collinear_features_are_chosen_and_not_infinite() -> None:
    rows = with_flag(13, 200, 20)
    rows.matrix[:, 2] = 2 * rows.matrix[:, 1]
    assert search(rows).features == (0,)
    rows.matrix[:, 2] = 2 * rows.matrix[:, 0]
    assert search(rows).features in ((0,), (2,))


def random_rows(seed: int) -> tuple[Block, int, bool]:
    """Few rows of few features, of any kind: with ties, repeated or rare features, two classes or
    three, an intercept or none."""
    rng = np.random.default_rng(seed)
    count, features, classes = rng.integers(5, 50), rng.integers(1, 5), int(rng.integers(2, 4))
    matrix = rng.normal(size=(count, features))
    if rng.random() < 0.5:
        matrix = rng.integers(-2, 3, size=(count, features)).astype(float)
    if rng.random() < 0.3:
        matrix[:, 0] = rng.random(count) < 0.2
    slopes = rng.integers(-2, 3, size=(features, classes))
    blur = rng.choice([0.0, 0.2, 1.0]) * rng.gumbel(size=(count, classes))
    labels = (matrix @ slopes + blur).argmax(axis=1).astype(float)
    labels[:classes] = np.arange(classes)
    if rng.random() < 0.3:
        matrix = matrix @ rotation(seed, features) * 2.0 ** rng.integers(-8, 9, size=features)
    return Block(matrix, labels, None), classes, bool(rng.random() < 0.7)


@pytest.mark.parametrize("part", first_and_deep(range(8)))
def test_random_sets_as_by_a_programme_on_all_rows(part: int) -> None:
    """25 sets that are separated and 25 that are not, half of them beyond the sample; 8 times."""
    wanted = {"none": 25, "separated": 25}
    for seed in range(200 * part, 200 * (part + 1)):
        rows, classes, intercept = random_rows(seed)
        per_class = classes > 2
        compared = comparisons(rows, classes, per_class=per_class, intercept=intercept)
        moved = movable(compared)
        group = "separated" if moved.any() else "none"
        if wanted[group] == 0:
            continue
        wanted[group] -= 1
        few = rows.rows // 3 if seed % 2 else None
        found = search(rows, classes, intercept=intercept, sample=few)
        assert (found.kind, found.reason) == (kind_of(moved), ""), seed
        if moved.any():  # the direction raises all that any direction raises
            moves = compared @ found.direction.ravel()
            sizes = abs(compared) @ abs(found.direction).ravel()
            assert_array_equal(moves > 1e-10 * sizes, moved, err_msg=str(seed))
        if not moved.any() or seed % 3:  # the programmes of each coefficient take long
            continue
        free = compared[:, : -(rows.features + 1)] if per_class else compared
        free = free if intercept else np.delete(free, np.s_[rows.features :: rows.features + 1], 1)
        if np.linalg.matrix_rank(free) == free.shape[1]:
            its = infinite(free).reshape(-1, rows.features + intercept).any(axis=0)
            infinite_features = tuple(np.flatnonzero(its[: rows.features]))
            assert found.features == infinite_features, seed
            assert found.intercept == (bool(its[-1]) if intercept else False), seed
    assert wanted == {"none": 0, "separated": 0}


def with_rare_flag(seed: int, rows: int, features: int, flagged: int) -> Block:
    """Rows of which a few, somewhere, have a flag, which is the last feature."""
    block = make_rows(seed, rows, features)
    its = np.random.default_rng(seed).choice(rows, flagged, replace=False)
    block.matrix[:, -1] = 0.0
    block.matrix[its, -1], block.labels[its] = 1.0, 1.0
    return block


def test_a_flag_that_the_sample_does_not_show() -> None:
    rows = with_rare_flag(14, 5_000, 3, 6)
    found = search(rows, sample=50)
    assert (found.kind, found.features, found.rows) == ("quasi-complete", (2,), 6)
    assert 1 <= found.readings <= 3
    rows.labels[np.flatnonzero(rows.matrix[:, -1])[3]] = 0.0
    found = search(rows, sample=50)
    assert (found.kind, found.readings) == ("none", 1)


def test_few_readings_find_a_rare_flag_among_fifty_features() -> None:
    found = search(with_rare_flag(15, 20_000, 50, 5), sample=2_000)
    assert (found.kind, found.features, found.rows) == ("quasi-complete", (49,), 5)
    assert found.readings <= 2  # at most 5 are promised


def test_the_sample_alone_proves_that_rows_overlap() -> None:
    assert search(make_rows(16, 5_000, 10), sample=1_000).readings == 0


@pytest.mark.deep
def test_fifty_rare_flags_take_few_readings() -> None:
    rng = np.random.default_rng(17)
    matrix = np.zeros((20_000, 50))
    for j in range(50):
        matrix[rng.choice(20_000, 15, replace=False), j] = 1.0
    labels = (rng.random(20_000) < 0.3).astype(float)
    labels[matrix[:, [3, 4, 5]].any(axis=1)] = 1.0
    found = search(Block(sp.csr_matrix(matrix), labels, None), sample=2_000)
    assert (found.kind, found.features) == ("quasi-complete", (3, 4, 5))
    assert found.readings <= 3


@pytest.mark.deep
def test_complete_separation_of_many_rows_takes_some_readings() -> None:
    matrix = np.random.default_rng(18).normal(size=(20_000, 50))
    labels = (matrix[:, :5].sum(axis=1) > 0.5).astype(float)
    found = search(Block(matrix, labels, None), sample=2_000)
    assert (found.kind, len(found.features)) == ("complete", 50)
    assert found.readings <= 6


@pytest.mark.parametrize(
    ("bound", "value", "reason"),
    [
        ("MOST_READINGS", 0, "0 readings of the rows were not enough"),
        ("MOST_COORDINATES", 3, "4 coefficients are more than the 3 of the largest linear"),
        ("MOST_VALUES", 100, "a linear programme on 1000 rows is too large"),
        ("MOST_WORK", 4_000, "the linear programmes were too many"),
    ],
)
def test_at_a_bound_the_answer_is_not_known(
    bound: str, value: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, value)
    monkeypatch.setattr(module._Search, "_first_rows", lambda *_: 2_000)
    found = search(with_rare_flag(19, 3_000, 3, 4), sample=1_000)
    assert found.kind == "unknown"
    assert f"it is not known whether the rows are separated: {reason}" in found.sentence(NAMES)


def test_families() -> None:
    """Two classes with a margin each are separated as two classes with one margin are."""
    for seed in (30, 31):
        rows = with_flag(seed, 100, 10)
        one, each = search(rows), search(rows, multinomial=True)
        assert (one.kind, one.features, one.labels) == (each.kind, each.features, each.labels)
        assert BINOMIAL.margins(2) == len(one.direction) == 1
        assert_array_equal(one.direction[0], each.direction[1] - each.direction[0])
