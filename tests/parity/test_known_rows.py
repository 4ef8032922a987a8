"""Fits whose answers follow from another fit: rows weighted, renamed and cut into blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.parity.known import (
    assert_same,
    families,
    fit,
    intercepts,
    layouts,
    numbers,
    penalties,
    setting_for,
    some_rows,
)
from tests.parity.objective import Setting

# Weights and classes


@pytest.mark.parametrize("strength", [0.1, 1e-4, 1e-8])
@pytest.mark.parametrize("standardization", [True, False], ids=["scaled", "unscaled"])
def test_l2_alone_centres_coefficients_over_the_classes(
    strength: float, standardization: bool
) -> None:
    """Shifting all classes' coefficients leaves the loss: the smallest squares have mean zero."""
    features, labels, weights = some_rows(3)
    setting = setting_for(3, regParam=strength, standardization=standardization)
    scale = np.array([1e-3, 1.0, 1e3])
    found = fit(features * scale, labels, weights, setting=setting, classes=3)
    means, largest = found.coefficients.mean(axis=0), np.abs(found.coefficients).max(axis=0)
    assert (np.abs(means) <= 1e-6 * largest).all()


@families
@penalties
@intercepts
def test_a_weight_of_two_is_the_row_twice(
    classes: int, penalty: dict[str, float], intercept: bool
) -> None:
    """Without standardization: the standard deviation does tell a weight from a repetition."""
    features, labels, _ = some_rows(classes)
    times = np.where(np.arange(len(labels)) % 3 == 0, 2, 1)
    setting = setting_for(classes, **penalty, fitIntercept=intercept, standardization=False)
    weighted = fit(features, labels, times.astype(float), setting=setting, classes=classes)
    repeated = fit(
        np.repeat(features, times, axis=0), np.repeat(labels, times), setting=setting,
        classes=classes,
    )  # fmt: skip
    assert_same(numbers(weighted), numbers(repeated))


@families
def test_a_weight_of_two_is_the_row_twice_up_to_the_deviation(classes: int) -> None:
    """With standardization as well, once regParam makes up for the two denominators."""
    features, labels, _ = some_rows(classes)
    times = np.where(np.arange(len(labels)) % 3 == 0, 2, 1)
    total, squares = times.sum(), (times**2).sum()
    ratio = (total - squares / total) / (total - 1)  # repeated variance / weighted variance
    weighted = fit(
        features, labels, times.astype(float), setting=setting_for(classes, regParam=0.1 * ratio),
        classes=classes,
    )  # fmt: skip
    repeated = fit(
        np.repeat(features, times, axis=0), np.repeat(labels, times),
        setting=setting_for(classes, regParam=0.1), classes=classes,
    )  # fmt: skip
    assert_same(numbers(weighted), numbers(repeated))


@families
@penalties
def test_only_the_ratios_of_weights_count(classes: int, penalty: dict[str, float]) -> None:
    features, labels, weights = some_rows(classes)
    setting = setting_for(classes, **penalty)
    for factor in (1e-6, 1e6):
        scaled = fit(features, labels, factor * weights, setting=setting, classes=classes)
        assert_same(
            numbers(scaled),
            numbers(fit(features, labels, weights, setting=setting, classes=classes)),
        )


@penalties
@intercepts
def test_renaming_classes_permutes_their_coefficients(
    penalty: dict[str, float], intercept: bool
) -> None:
    features, labels, weights = some_rows(3)
    setting = setting_for(3, **penalty, fitIntercept=intercept)
    found = fit(features, labels, weights, setting=setting, classes=3)
    order = np.array([2, 0, 1])  # the new name of each class
    renamed = fit(features, order[labels.astype(int)].astype(float), weights, setting=setting,
                  classes=3)  # fmt: skip
    assert_same((renamed.coefficients[order], renamed.intercepts[order]), numbers(found))


@penalties
@intercepts
def test_swapping_two_classes_turns_the_sign(penalty: dict[str, float], intercept: bool) -> None:
    features, labels, weights = some_rows(2)
    setting = Setting(**penalty, fitIntercept=intercept)
    found = fit(features, labels, weights, setting=setting)
    swapped = fit(features, 1 - labels, weights, setting=setting)
    assert_same((-swapped.coefficients, -swapped.intercepts), numbers(found))


@intercepts
@penalties
def test_two_classes_multinomial_share_the_binomial_coefficients(
    penalty: dict[str, float], intercept: bool
) -> None:
    """Rows -b/2 and b/2: twice (b/2)^2 is half of b^2, and twice |b/2| is |b|."""
    features, labels, weights = some_rows(2)
    binomial = Setting(**penalty, fitIntercept=intercept)
    ridge = binomial.regParam * (1 - binomial.elasticNetParam)
    lasso = binomial.regParam * binomial.elasticNetParam
    doubled = 2 * ridge + lasso
    multinomial = Setting(
        "multinomial", doubled, lasso / doubled if doubled else 0.0, fitIntercept=intercept
    )
    one = fit(features, labels, weights, setting=binomial)
    two = fit(features, labels, weights, setting=multinomial)
    difference = two.coefficients[1] - two.coefficients[0]
    assert_same((difference[None, :],), (one.coefficients,), 1e-7)
    apart = two.intercepts[1] - two.intercepts[0]
    assert apart == pytest.approx(one.intercepts[0], rel=1e-7, abs=1e-9)
    if lasso == 0 or ridge > 0:
        assert_same((two.coefficients[:1],), (-one.coefficients / 2,), 1e-7)


# Blocks


@families
@penalties
@layouts
def test_how_rows_are_cut_does_not_matter(
    classes: int, penalty: dict[str, float], sparse: bool
) -> None:
    features, labels, weights = some_rows(classes, 40)
    options: dict[str, Any] = {
        "setting": setting_for(classes, **penalty),
        "classes": classes,
        "sparse": sparse,
    }
    whole = fit(features, labels, weights, blocks=1, **options)
    single = fit(features, labels, weights, blocks=len(labels), **options)
    assert_same(numbers(single), numbers(whole), 1e-9)


@families
@penalties
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_row_without_intercept_says_nothing(
    classes: int, penalty: dict[str, float], label: float
) -> None:
    setting = setting_for(classes, **penalty, fitIntercept=False)
    found = fit(np.array([[1.0, 2.0]]), np.array([label]), setting=setting, classes=classes,
                blocks=1)  # fmt: skip
    np.testing.assert_array_equal(found.coefficients, 0.0)
    np.testing.assert_array_equal(found.intercepts, 0.0)
    assert found.history[0] == pytest.approx(np.log(classes))
