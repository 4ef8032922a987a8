"""Fits whose answers follow from another fit: columns added, moved and scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from sparklr.solvers.methods import SolverName
from tests.parity.known import (
    L1,
    L2,
    NONE,
    assert_same,
    families,
    fit,
    intercepts,
    layouts,
    numbers,
    penalties,
    setting_for,
    smooth,
    some_rows,
)
from tests.parity.objective import Setting, minimum, objective

# Columns that add nothing


@families
@penalties
@intercepts
@layouts
def test_constant_columns_have_coefficient_zero(
    classes: int, penalty: dict[str, float], intercept: bool, sparse: bool
) -> None:
    features, labels, weights = some_rows(classes)
    features[::2, 1] = 0.0
    constants = np.full((len(features), 4), [0.0, 5.0, 0.1, -1e6])
    wide = np.column_stack((constants[:, :2], features, constants[:, 2:]))
    setting = setting_for(classes, **penalty, fitIntercept=intercept)
    options: dict[str, Any] = {"setting": setting, "classes": classes, "sparse": sparse}
    found = fit(wide, labels, weights, **options)
    without = fit(features, labels, weights, **options)
    np.testing.assert_array_equal(found.coefficients[:, [0, 1, 5, 6]], 0.0)
    assert_same((found.coefficients[:, 2:5], found.intercepts), numbers(without))


@families
@penalties
@intercepts
@pytest.mark.parametrize("standardization", [True, False], ids=["scaled", "unscaled"])
def test_doubled_columns_share_the_coefficient(
    classes: int, penalty: dict[str, float], intercept: bool, standardization: bool
) -> None:
    """[X, X] has b/2 twice: its L2 penalty is half that of b, its L1 penalty the same."""
    features, labels, weights = some_rows(classes)
    both = np.column_stack((features, features))
    options = {"fitIntercept": intercept, "standardization": standardization}
    single = setting_for(classes, **penalty, **options)
    lasso = single.elasticNetParam > 0
    if single.elasticNetParam == 0.5:  # r/4 b^2 + r/2 |b| on X is the net of 2r/3 r on [X, X]
        double = {"regParam": single.regParam * 1.5, "elasticNetParam": 1 / 3}
    else:
        double = {**penalty, **({} if lasso or not penalty else {"regParam": 0.1})}
    found = fit(both, labels, weights, setting=setting_for(classes, **double, **options),
                classes=classes)  # fmt: skip
    wanted = fit(features, labels, weights, setting=single, classes=classes)
    left, right = found.coefficients[:, :3], found.coefficients[:, 3:]
    assert_same((left + right, found.intercepts), numbers(wanted), 1e-6)
    if not (lasso and single.elasticNetParam == 1.0):  # L1 alone does not care who carries it
        assert_same((left, right), (wanted.coefficients / 2,) * 2, 1e-6)
    values = [
        objective(*numbers(result), matrix, labels, weights, setting)
        for result, matrix, setting in (
            (found, both, setting_for(classes, **double, **options)),
            (wanted, features, single),
        )
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


# Location and scale


@families
@penalties
@layouts
@pytest.mark.parametrize("first_order", [False, True], ids=["second", "first"])
def test_a_far_mean_changes_no_coefficient(
    classes: int, penalty: dict[str, float], sparse: bool, first_order: bool
) -> None:
    """By second derivatives, which shift the rows, and by first, which leave sparse ones alone.

    Sums over rows a million deviations away keep some ten digits: of an objective at its minimum,
    that leaves five of the coefficients.
    """
    features, labels, weights = some_rows(classes)
    features = np.round(features * 2**10) / 2**10  # so that the far columns hold the same numbers
    far = features + np.array([1e6, -1e6, 0.0])
    options: dict[str, Any] = {
        "setting": setting_for(classes, **penalty),
        "classes": classes,
        "sparse": sparse,
    }
    solver: SolverName = "auto"
    if first_order:
        solver = "owl-qn" if "elasticNetParam" in penalty else "l-bfgs"
    tolerance = 3e-5 if first_order else 1e-6
    found = fit(far, labels, weights, solver=solver, **options)
    wanted = fit(features, labels, weights, **options)
    assert_same((found.coefficients,), (wanted.coefficients,), tolerance)
    margins = [
        matrix @ result.coefficients.T + result.intercepts
        for matrix, result in ((far, found), (features, wanted))
    ]
    if classes > 2:  # centred intercepts are not the same thing at another place
        margins = [each - each.mean(axis=1, keepdims=True) for each in margins]
    np.testing.assert_allclose(margins[0], margins[1], atol=tolerance)
    assert found.history[-1] == pytest.approx(wanted.history[-1], rel=1e-9)


@smooth
def test_the_data_of_spark_34448(penalty: dict[str, float]) -> None:
    """A column of 1.0 and some 0.9, on which Spark before 3.2 went wrong: its mean is far off.

    Drawn anew by the report's recipe: odds of exp(0.3 x1 + 0.2 x2 - 4), features not centred.
    """
    rng = np.random.default_rng(34448)
    features = np.column_stack(
        (rng.uniform(-1, 9, 5000), rng.uniform(2, 12, 5000), np.repeat([0.9, 1.0], [500, 4500]))
    )
    chances = expit(features[:, :2] @ [0.3, 0.2] - 4.0)
    labels = (rng.random(5000) < chances).astype(float)
    setting = Setting(**penalty)
    found = fit(features, labels, setting=setting, tol=1e-6)
    assert_same(numbers(found), minimum(features, labels, np.ones(5000), setting), 1e-3)
    tight = fit(features, labels, setting=setting)
    assert_same(numbers(tight), minimum(features, labels, np.ones(5000), setting), 1e-6)
    if not penalty:
        np.testing.assert_allclose(found.coefficients[0, :2], [0.3, 0.2], atol=0.05)


@families
@intercepts
@pytest.mark.parametrize("penalty", [NONE, L2, L1], ids=["none", "L2", "L1"])
def test_scaled_coefficients_follow_the_scale_of_the_features(
    classes: int, intercept: bool, penalty: dict[str, float]
) -> None:
    features, labels, weights = some_rows(classes)
    scale = np.array([1e-8, 1.0, 1e8])
    options: dict[str, Any] = {
        "setting": setting_for(classes, **penalty, fitIntercept=intercept),
        "classes": classes,
    }
    found = fit(features * scale, labels, weights, **options)
    wanted = fit(features, labels, weights, **options)
    assert_same((found.coefficients * scale, found.intercepts), numbers(wanted))


@families
@intercepts
def test_without_standardization_and_penalty_the_scale_is_followed_too(
    classes: int, intercept: bool
) -> None:
    features, labels, weights = some_rows(classes)
    scale = np.array([1e-8, 1.0, 1e8])
    setting = setting_for(classes, standardization=False, fitIntercept=intercept)
    found = fit(features * scale, labels, weights, setting=setting, classes=classes)
    wanted = fit(features, labels, weights, setting=setting, classes=classes)
    assert_same((found.coefficients * scale, found.intercepts), numbers(wanted))


@families
@intercepts
def test_without_standardization_l2_frees_large_features_and_holds_small_ones(
    classes: int, intercept: bool
) -> None:
    """The feature of scale 1e8 is as good as free; that of 1e-8 has b = -slope / regParam."""
    features, labels, weights = some_rows(classes, features=2)
    scale = np.array([1e-8, 1e8])
    options: dict[str, Any] = {"fitIntercept": intercept}
    setting = setting_for(classes, **L2, standardization=False, **options)
    found = fit(features * scale, labels, weights, setting=setting, classes=classes)
    alone = fit(
        features[:, 1:], labels, weights, setting=setting_for(classes, **options), classes=classes
    )
    assert_same((found.coefficients[:, 1:] * 1e8, found.intercepts), numbers(alone), 1e-7)
    margins = features[:, 1:] @ alone.coefficients.T + alone.intercepts
    if classes == 2:
        away = expit(margins) - labels[:, None]
    else:
        away = softmax(margins, axis=1) - (labels[:, None] == np.arange(classes))
    slope = (away * (weights / weights.sum())[:, None]).T @ features[:, :1] * 1e-8
    assert_same((found.coefficients[:, :1] * 1e8,), (-slope / 0.05 * 1e8,), 1e-6)
