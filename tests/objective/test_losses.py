"""The losses against sixty-digit arithmetic, at margins of any size."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.objective.losses import (
    binomial_terms,
    multinomial_terms,
    softmax_from_multipliers,
)

# A few units in the last place: what a handful of float64 operations may cost.
EXACT = 2e-15
# On this grid differences of margins are exact, so that no test judges their rounding.
grid = st.integers(-8_000_000, 8_000_000).map(lambda eighths: eighths / 8)
near = st.integers(-320, 320).map(lambda eighths: eighths / 8)
margins = st.one_of(near, grid)

EDGES = [0.0, 1e-300, 1e-9, 0.5, 17.0, 36.5, 37.0, 40.0, 300.0, 700.0, 708.0, 1e4, 1e6]


def exact_binomial(margin: float, label: int) -> tuple[float, float, float]:
    """Loss, d and d' = p (1 - p), with sixty digits."""
    with localcontext() as context:
        context.prec = 60
        wrong = Decimal(margin) if label == 0 else -Decimal(margin)
        e = (-abs(wrong)).exp()
        # ln(1 + e) = e - e^2/2 + ...: the series, where the digits would not hold 1 + e.
        tail = (1 + e).ln() if e > Decimal("1e-25") else e - e * e / 2
        loss = max(wrong, Decimal(0)) + tail
        size = (1 if wrong >= 0 else e) / (1 + e)
        return float(loss), float(size if label == 0 else -size), float(e / (1 + e) ** 2)


def exact_multinomial(row: Sequence[float], label: int) -> tuple[float, list[float]]:
    """Loss and multipliers, with sixty digits after the largest term."""
    with localcontext() as context:
        context.prec = 60
        away = [Decimal(margin) - Decimal(row[label]) for margin in row]
        terms = [a.exp() for a in away]
        total = sum(terms, Decimal(0))
        others = total - terms[label]
        if others < Decimal("1e-25"):
            # 1 + others has lost digits: sum the others by themselves
            others = sum((t for k, t in enumerate(terms) if k != label), Decimal(0))
            loss = others - others * others / 2
        else:
            loss = total.ln()
        slopes = [term / total for term in terms]
        slopes[label] = -others / total
        return float(loss), [float(slope) for slope in slopes]


def assert_relative(found: float, expected: float) -> None:
    """Equal to a few units in the last place; below the smallest normal number, to that."""
    tiny = float(np.finfo(np.float64).tiny)
    assert abs(found - expected) <= EXACT * abs(expected) + tiny, (found, expected)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("margin", EDGES + [-edge for edge in EDGES])
def test_binomial_terms_are_exact_at_the_edges(margin: float, label: int) -> None:
    found = binomial_terms(np.array([[margin]]), np.array([float(label)]))
    for term, expected in zip(found, exact_binomial(margin, label), strict=True):
        assert_relative(float(term[0, 0]), expected)


@given(margin=margins, label=st.integers(0, 1))
def test_binomial_terms_are_exact(margin: float, label: int) -> None:
    found = binomial_terms(np.array([[margin]]), np.array([float(label)]))
    for term, expected in zip(found, exact_binomial(margin, label), strict=True):
        assert_relative(float(term[0, 0]), expected)


@given(row=st.lists(margins, min_size=2, max_size=6), data=st.data())
def test_multinomial_terms_are_exact(row: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(row) - 1), label="label")
    loss, multipliers = multinomial_terms(np.array([[row]]), np.array([label]))
    expected_loss, expected = exact_multinomial(row, label)
    assert_relative(float(loss[0, 0]), expected_loss)
    for found, wanted in zip(multipliers[0, 0], expected, strict=True):
        assert_relative(float(found), wanted)


@pytest.mark.parametrize("lead", [1.0, 20.0, 37.0, 100.0, 600.0])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_row_fitted_well_keeps_relative_precision(lead: float, classes: int) -> None:
    """A loss of 1e-260 is known to as many digits as one of 1, and so is its slope."""
    row = [0.0] * classes
    row[1] = lead
    loss, multipliers = multinomial_terms(np.array([[row]]), np.array([1]))
    expected_loss, expected = exact_multinomial(row, 1)
    assert 0 < expected_loss < classes
    assert float(loss[0, 0]) == pytest.approx(expected_loss, rel=EXACT, abs=0)
    assert float(multipliers[0, 0, 1]) == pytest.approx(expected[1], rel=EXACT, abs=0)
    binomial, slope, curvature = binomial_terms(np.array([[lead]]), np.array([1.0]))
    exact = exact_binomial(lead, 1)
    assert float(binomial[0, 0]) == pytest.approx(exact[0], rel=EXACT, abs=0)
    assert float(slope[0, 0]) == pytest.approx(exact[1], rel=EXACT, abs=0)
    assert float(curvature[0, 0]) == pytest.approx(exact[2], rel=EXACT, abs=0)


@given(row=st.lists(margins, min_size=2, max_size=2), label=st.integers(0, 1))
def test_two_classes_are_the_binomial_of_their_difference(row: list[float], label: int) -> None:
    many, slopes = multinomial_terms(np.array([[row]]), np.array([label]))
    one, slope, _ = binomial_terms(np.array([[row[1] - row[0]]]), np.array([float(label)]))
    assert_relative(float(many[0, 0]), float(one[0, 0]))
    assert_relative(float(slopes[0, 0, 1]), float(slope[0, 0]))
    assert_relative(float(slopes[0, 0, 0]), -float(slope[0, 0]))


@given(row=st.lists(near, min_size=2, max_size=5), shift=grid)
def test_one_number_added_to_all_margins_changes_nothing(row: list[float], shift: float) -> None:
    plain = multinomial_terms(np.array([[row]]), np.array([0]))
    moved = multinomial_terms(np.array([[row]]) + shift, np.array([0]))
    assert_array_equal(plain[0], moved[0])
    assert_array_equal(plain[1], moved[1])


def test_the_largest_margins_stay_finite_and_silent() -> None:
    """No overflow, no warning (warnings are errors here), and no nan."""
    far = np.array([[1e308], [-1e308], [1e6], [-1e6]])
    labels = np.array([0.0, 1.0, 1.0, 0.0])
    for term in binomial_terms(far, labels):
        assert np.isfinite(term).all()
    spread = np.array([[[5e307, -5e307, 0.0]], [[-1e6, 1e6, 1e6]]])
    for array in multinomial_terms(spread, np.array([1, 0])):
        assert np.isfinite(array).all()


def test_each_row_and_column_is_taken_by_itself() -> None:
    rng = np.random.default_rng(0)
    margins_of = 5 * rng.normal(size=(7, 4))
    labels = rng.integers(0, 2, 7).astype(np.float64)
    together = binomial_terms(margins_of, labels)
    for i in range(7):
        for column in range(4):
            alone = binomial_terms(margins_of[i : i + 1, column : column + 1], labels[i : i + 1])
            for whole, part in zip(together, alone, strict=True):
                assert whole[i, column] == part[0, 0]
    many = 5 * rng.normal(size=(7, 4, 3))
    classes = rng.integers(0, 3, 7)
    loss, slopes = multinomial_terms(many, classes)
    for i in range(7):
        for column in range(4):
            one = multinomial_terms(many[i : i + 1, column : column + 1], classes[i : i + 1])
            assert_allclose(loss[i, column], one[0][0, 0], rtol=1e-15)
            assert_allclose(slopes[i, column], one[1][0, 0], rtol=1e-15)


def test_margins_are_not_written_into() -> None:
    rng = np.random.default_rng(1)
    one, many = rng.normal(size=(5, 2)), rng.normal(size=(5, 2, 3))
    one.setflags(write=False)
    many.setflags(write=False)
    binomial_terms(one, np.array([0.0, 1.0, 0.0, 1.0, 1.0]))
    multinomial_terms(many, np.array([0, 1, 2, 0, 1]))


@given(row=st.lists(near, min_size=2, max_size=6), data=st.data())
def test_probabilities_come_back_from_multipliers(row: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(row) - 1), label="label")
    labels = np.array([label])
    _, multipliers = multinomial_terms(np.array([[row]]), labels)
    chances = softmax_from_multipliers(multipliers, labels)[0, 0]
    powers = np.exp(np.array(row) - max(row))
    assert_allclose(chances, powers / powers.sum(), rtol=1e-14, atol=4e-16)
