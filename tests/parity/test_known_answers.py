"""Fits whose answers follow from the data: by a formula, by scipy, or from another fit.

Most run without Spark, on rows cut into a few blocks; some through the estimator, with the
rows on the driver and as Spark jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, softmax

from sparklr import LogisticRegressionEstimator
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import family_named
from sparklr.passes.jobs import SparkPasses
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.parity.make_spark import frame_of
from tests.parity.objective import Array, Setting, deviations, minimum, objective

NONE: dict[str, float] = {}
L2 = {"regParam": 0.05}
L1 = {"regParam": 0.02, "elasticNetParam": 1.0}
NET = {"regParam": 0.03, "elasticNetParam": 0.5}
penalties = pytest.mark.parametrize("penalty", [NONE, L2, L1, NET], ids=["none", "L2", "L1", "net"])
smooth = pytest.mark.parametrize("penalty", [NONE, L2], ids=["none", "L2"])
families = pytest.mark.parametrize("classes", [2, 3], ids=["binomial", "multinomial"])
intercepts = pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "origin"])
layouts = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def setting_for(classes: int, **options: Any) -> Setting:
    return Setting(family="binomial" if classes == 2 else "multinomial", **options)


def fit(
    features: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    setting: Setting,
    classes: int = 2,
    blocks: int = 3,
    sparse: bool = False,
    tol: float = 0.0,
    solver: SolverName = "auto",
) -> Fit:
    """Fit rows that are cut into blocks, without Spark; as far as float64 goes, unless told."""
    cuts = np.array_split(np.arange(len(labels)), blocks)
    matrix = sp.csr_matrix(features) if sparse else features
    made = [
        Block(matrix[rows], labels[rows], None if weights is None else weights[rows])
        for rows in cuts
    ]
    passes = LocalPasses.of(made, features.shape[1])
    named = {**vars(setting), "family": family_named(setting.family)}
    fits, _ = fit_all({0: Spec(**named, tol=tol, solver=solver)}, passes, classes)
    return fits[0]


def assert_same(found: Any, wanted: Any, tolerance: float = 1e-7) -> None:
    """Both pairs of coefficients and intercepts, to a share of the largest number in each."""
    for mine, other in zip(found, wanted, strict=True):
        scale = np.abs(other).max(initial=0.0)
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * max(scale, 1e-3))


def numbers(found: Fit) -> tuple[Array, Array]:
    return found.coefficients, found.intercepts


def some_rows(classes: int, rows: int = 90, features: int = 3) -> tuple[Array, Array, Array]:
    """Overlapping classes: features (n, p), labels (n,), weights (n,) between 0.5 and 2."""
    rng = np.random.default_rng(100 * rows + 10 * features + classes)
    matrix = rng.normal(size=(rows, features))
    effects = rng.normal(size=(features, classes))
    labels = (matrix @ effects + rng.gumbel(size=(rows, classes))).argmax(axis=1)
    labels[:classes] = np.arange(classes)
    return matrix, labels.astype(float), rng.choice([0.5, 1.0, 2.0], size=rows)


# Formulas


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


def separable(classes: int, width: int) -> tuple[Array, Array]:
    """Classes around points of a circle through the origin's neighbourhood, far apart."""
    rng = np.random.default_rng(classes + width)
    labels = np.arange(30) % classes
    angle = 2 * np.pi * labels / classes
    features = rng.normal(size=(30, width))
    features[:, :2] = 0.5 * features[:, :2] + 5 * np.column_stack((np.cos(angle), np.sin(angle)))
    return features, labels.astype(float)


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


# The same through the estimator


@pytest.fixture(params=["driver", "jobs"])
def where(request: Any, spark: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Passes over rows on the driver, or as Spark jobs; fails if it was not as wished."""
    passes = []
    read = SparkPasses.read

    def counted(self: SparkPasses, reading: Any) -> Array:
        passes.append(len(reading.probes))
        return read(self, reading)

    monkeypatch.setattr(SparkPasses, "read", counted)
    if request.param == "jobs":
        spark.conf.set("spark.sparklr.localMB", "0")
    try:
        yield request.param
    finally:
        spark.conf.unset("spark.sparklr.localMB")
    assert bool(passes) == (request.param == "jobs")


def estimate(frame: Any, setting: Setting, **params: Any) -> tuple[Array, Array]:
    """Coefficients and intercepts by the estimator, tightly."""
    model = LogisticRegressionEstimator(**vars(setting), tol=1e-12, **params).fit(frame)
    return model.coefficientMatrix.toArray(), model.interceptVector.toArray()


@families
@pytest.mark.usefixtures("where")
def test_estimator_on_hard_columns(spark: Any, classes: int) -> None:
    """Constant, doubled, far and scaled columns, and rows of weight zero, all at once.

    The doubled columns share the coefficient, so that both together are penalised half.
    """
    features, labels, weights = some_rows(classes)
    features = np.round(features * 2**10) / 2**10
    first, second, third = features.T
    constant = np.full(len(features), 7.0)
    hard = np.column_stack((constant, first + 1e6, second * 1e8, third, third))
    ignored = np.full((2, 5), [8.0, 1e9, -1e9, 1e9, 3.0])  # makes the constant vary
    frame = frame_of(
        spark,
        np.concatenate((ignored, hard)),
        np.concatenate((np.zeros(2), labels)),
        np.concatenate((np.zeros(2), weights)),
    ).repartition(3)
    setting = setting_for(classes, **L2)
    coefficients, offsets = estimate(frame, setting, weightCol="weight")
    wanted = minimum(np.delete(hard, 0, axis=1), labels, weights, setting, classes=classes)
    np.testing.assert_array_equal(coefficients[:, 0], 0.0)
    np.testing.assert_allclose(coefficients[:, 3], coefficients[:, 4], rtol=1e-9)
    spread = deviations(hard, weights)[1:]
    assert_same((coefficients[:, 1:] * spread,), (wanted[0] * spread,), 1e-6)
    margins = [hard @ coefficients.T + offsets, hard[:, 1:] @ wanted[0].T + wanted[1]]
    np.testing.assert_allclose(margins[0], margins[1], atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "sparse"), [(2, False), (3, True)], ids=["binomial-dense", "multinomial-sparse"]
)
@pytest.mark.usefixtures("where")
def test_estimator_on_one_row_a_partition(spark: Any, classes: int, sparse: bool) -> None:
    features, labels, weights = some_rows(classes, 24, 12)
    features[np.random.default_rng(0).random(features.shape) < 0.9 * sparse] = 0.0
    setting = setting_for(classes, **NET)
    frame = frame_of(spark, features, labels, weights, sparse=sparse)
    apart = estimate(frame.repartition(len(labels)), setting, weightCol="weight")
    whole = fit(features, labels, weights, setting=setting, classes=classes, blocks=1)
    assert_same(apart, numbers(whole), 1e-9)


@pytest.mark.usefixtures("where")
def test_estimator_on_separable_rows(spark: Any) -> None:
    from pyspark.ml.classification import LogisticRegression

    features, labels = separable(2, 2)
    frame = frame_of(spark, features, labels)
    ours, theirs = LogisticRegressionEstimator().fit(frame), LogisticRegression().fit(frame)
    values = [
        objective(
            model.coefficientMatrix.toArray(), model.interceptVector.toArray(),
            features, labels, np.ones(len(labels)), Setting(),
        )
        for model in (ours, theirs)
    ]  # fmt: skip
    assert values[0] <= values[1] * (1 + 1e-9)
    assert values[0] < 1e-7
    predicted = [row.prediction for row in ours.transform(frame).collect()]
    np.testing.assert_array_equal(predicted, labels)


@pytest.mark.usefixtures("where")
def test_estimator_with_weights_as_repetitions(spark: Any) -> None:
    features, labels, _ = some_rows(3)
    times = np.where(np.arange(len(labels)) % 3 == 0, 2, 1)
    setting = setting_for(3, **L1, standardization=False)
    weighted = frame_of(spark, features, labels, times.astype(float))
    repeated = frame_of(spark, np.repeat(features, times, axis=0), np.repeat(labels, times))
    assert_same(
        estimate(weighted, setting, weightCol="weight"),
        estimate(repeated.repartition(2), setting),
    )


@pytest.mark.parametrize("label", [0.0, 1.0])
@intercepts
def test_estimator_on_one_row_in_all(spark: Any, label: float, intercept: bool) -> None:
    from pyspark.ml.classification import LogisticRegression

    frame = frame_of(spark, np.array([[1.0, 2.0]]), np.array([label]))
    params = {"fitIntercept": intercept, "regParam": 0.1}
    ours = LogisticRegressionEstimator(**params).fit(frame)
    theirs = LogisticRegression(**params).fit(frame)
    np.testing.assert_array_equal(ours.coefficients.toArray(), 0.0)
    assert ours.intercept == theirs.intercept == (np.inf * (2 * label - 1) if intercept else 0.0)
    assert ours.numClasses == theirs.numClasses
    np.testing.assert_array_equal(ours.coefficients.toArray(), theirs.coefficients.toArray())
