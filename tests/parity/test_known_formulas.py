"""Fits whose answers follow from the data by a formula, or by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from tests.parity.known import (
    L2,
    assert_same,
    families,
    fit,
    intercepts,
    numbers,
    penalties,
    separable,
    setting_for,
    some_rows,
)
from tests.parity.objective import Setting, deviations, minimum, objective


@intercepts
@penalties
def test_without_varying_features_the_intercept_is_the_log_odds(
    intercept: bool, penalty: dict[str, float]
) -> None:
    features, labels = np.full((10, 2), [3.0, 0.0]), np.repeat([0.0, 1.0], [7, 3])
    setting = Setting(**penalty, fitIntercept=intercept)
    found = fit(features, labels, setting=setting)
    np.testing.assert_array_equal(found.coefficients, 0.0)
    assert found.intercepts[0] == pytest.approx(np.log(3 / 7) if intercept else 0.0, rel=1e-12)


def test_a_two_by_two_table_gives_the_log_odds_ratio() -> None:
    # Rows of exposed and not, with counts as weights.
    features, labels = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.0, 1.0, 0.0, 1.0])
    counts = np.array([40.0, 10.0, 15.0, 25.0])
    found = fit(features, labels, counts, setting=Setting(), blocks=2)
    assert found.coefficients[0, 0] == pytest.approx(np.log((25 / 15) / (10 / 40)), rel=1e-9)
    assert found.intercepts[0] == pytest.approx(np.log(10 / 40), rel=1e-9)


def test_a_table_of_three_classes_gives_centred_log_shares() -> None:
    features = np.repeat([[0.0], [1.0]], 3, axis=0)
    labels, counts = np.tile([0.0, 1.0, 2.0], 2), np.array([5.0, 20.0, 10.0, 30.0, 6.0, 12.0])
    setting = Setting(family="multinomial")
    found = fit(features, labels, counts, setting=setting, classes=3, blocks=2)
    logs = np.log(counts.reshape(2, 3))
    logs -= logs.mean(axis=1, keepdims=True)
    assert_same((found.coefficients[:, 0], found.intercepts), (logs[1] - logs[0], logs[0]))


@families
@penalties
@intercepts
def test_the_slope_vanishes_at_the_solution(
    classes: int, penalty: dict[str, float], intercept: bool
) -> None:
    """Karush, Kuhn and Tucker, with more features than rows where there is a penalty."""
    rows, width = (30, 45) if penalty else (90, 3)
    features, labels, weights = some_rows(classes, rows, width)
    setting = setting_for(classes, **penalty, fitIntercept=intercept)
    found = fit(features, labels, weights, setting=setting, classes=classes)
    margins = features @ found.coefficients.T + found.intercepts
    if classes == 2:
        away = expit(margins) - labels[:, None]
    else:
        away = softmax(margins, axis=1) - (labels[:, None] == np.arange(classes))
    shares = weights / weights.sum()
    if intercept:
        np.testing.assert_allclose(shares @ away, 0.0, atol=1e-8)
    spread = deviations(features, weights)
    scaled, slope = found.coefficients * spread, (away * shares[:, None]).T @ (features / spread)
    slope += setting.regParam * (1 - setting.elasticNetParam) * scaled
    lasso = setting.regParam * setting.elasticNetParam
    np.testing.assert_allclose(slope[scaled != 0], -lasso * np.sign(scaled[scaled != 0]), atol=1e-8)
    assert (np.abs(slope[scaled == 0]) <= lasso + 1e-8).all()
    if lasso:
        assert (scaled == 0).any()
        assert (scaled != 0).any()


# More features than rows, and separable rows


@families
@intercepts
def test_more_features_than_rows_with_l2_matches_scipy(classes: int, intercept: bool) -> None:
    features, labels, weights = some_rows(classes, 25, 40)
    setting = setting_for(classes, **L2, fitIntercept=intercept)
    found = fit(features, labels, weights, setting=setting, classes=classes)
    wanted = minimum(features, labels, weights, setting, classes=classes)
    assert_same(numbers(found), wanted, 1e-6)


@families
@intercepts
def test_more_features_than_rows_with_l2_lies_in_the_rows_span(
    classes: int, intercept: bool
) -> None:
    """The representer theorem: B = A X in scaled columns, A = (y - p) w / (W regParam)."""
    features, labels, weights = some_rows(classes, 25, 40)
    setting = setting_for(classes, **L2, fitIntercept=intercept)
    found = fit(features, labels, weights, setting=setting, classes=classes)
    margins = features @ found.coefficients.T + found.intercepts
    if classes == 2:
        away = labels[:, None] - expit(margins)
    else:
        away = (labels[:, None] == np.arange(classes)) - softmax(margins, axis=1)
    spread = deviations(features, weights)
    dual = away * (weights / weights.sum() / setting.regParam)[:, None]
    assert_same(((dual.T @ (features / spread)),), (found.coefficients * spread,), 1e-7)


@families
@intercepts
@pytest.mark.parametrize("width", [2, 36], ids=["tall", "wide"])
@pytest.mark.parametrize("tol", [1e-6, 1e-12], ids=["default", "tight"])
def test_separable_rows_without_penalty(
    classes: int, intercept: bool, width: int, tol: float
) -> None:
    features, labels = separable(classes, width)
    setting = setting_for(classes, fitIntercept=intercept)
    found = fit(features, labels, setting=setting, classes=classes, tol=tol)
    assert np.isfinite(found.coefficients).all()
    assert np.isfinite(found.intercepts).all()
    margins = features @ found.coefficients.T + found.intercepts
    if classes == 2:
        margins = np.column_stack((np.zeros(len(margins)), margins))
    chances = softmax(margins, axis=1)
    np.testing.assert_array_equal(chances.argmax(axis=1), labels)
    assert chances[np.arange(len(labels)), labels.astype(int)].min() > 0.99
    assert objective(*numbers(found), features, labels, np.ones(len(labels)), setting) < 1e-7


@families
@pytest.mark.parametrize("width", [2, 36], ids=["tall", "wide"])
@pytest.mark.parametrize("strength", [1e-4, 0.1])
def test_separable_rows_with_l2_match_scipy(classes: int, width: int, strength: float) -> None:
    features, labels = separable(classes, width)
    weights = np.ones(len(labels))
    setting = setting_for(classes, regParam=strength)
    found = fit(features, labels, setting=setting, classes=classes)
    assert_same(numbers(found), minimum(features, labels, weights, setting, classes=classes), 1e-6)
