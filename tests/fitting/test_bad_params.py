"""Params that cannot be fitted with are refused in words: which, what rule, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from tests.errors import assert_plain
from tests.frames import jobs_started

pytestmark = pytest.mark.connect

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def good(spark: Any) -> Any:
    """A few rows that can be fitted: two features, two labels."""
    features = array_to_vector(F.array((F.col("id") * 0.7) % 2, F.col("id") / 2))
    label = (F.col("id") % 2).cast("double")
    return spark.range(0, 6, 1, 1).select(features.alias("features"), label.alias("label"))


# Param, value, and what the error must say besides both
OUT_OF_RANGE: list[tuple[str, Any, str]] = [
    ("maxIter", -1, "0 or more"),
    ("regParam", -0.1, "0 or more"),
    ("regParam", NAN, "finite"),
    ("regParam", INF, "finite"),
    ("elasticNetParam", -0.1, "in [0, 1]"),
    ("elasticNetParam", 1.5, "in [0, 1]"),
    ("tol", -1e-6, "0 or more"),
    ("tol", NAN, "finite"),
    ("threshold", 1.5, "in [0, 1]"),
    ("threshold", -0.5, "in [0, 1]"),
    ("thresholds", [0.5], "two or more"),
    ("thresholds", [-1.0, 1.0], "none negative"),
    ("thresholds", [0.0, 0.0], "at most one zero"),
    ("thresholds", [NAN, 1.0], "none negative"),
    ("aggregationDepth", 1, "2 or more"),
    ("maxBlockSizeInMB", -1.0, "0 (automatic) or more"),
    ("family", "poisson", "auto, binomial, multinomial"),
    (
        "solver",
        "adam",
        "auto, newton, l-bfgs, proximal-newton, proximal-bfgs, owl-qn, gd, bfgs, sgd",
    ),
    ("learningRate", 0.0, "'auto' or a number above 0"),
    ("learningRate", "fast", "'auto' or a number above 0"),
    ("schedule", "step", "constant, inverse, inverse-sqrt, exponential"),
    ("batchSize", 0, "1 or more"),
    ("epochs", 0, "1 or more"),
    ("momentum", 1.0, "0 or more, and below 1"),
    ("adaptive", "adam", "auto, adagrad, none"),
    ("inference", "maybe", "auto, always, never"),
    ("separation", "maybe", "warn, error, ignore"),
    ("classWeights", "even", "'balanced' or one positive number per class"),
    ("classWeights", [1.0, 0.0], "'balanced' or one positive number per class"),
    ("classWeights", [1.0, NAN], "'balanced' or one positive number per class"),
    ("biasReduction", "brglm", "none, firth"),
    ("posterior", "vi", "none, laplace, gaussian, sampled, fisher"),
    ("posteriorTol", 0.0, "above 0"),
    ("numDraws", 0, "1 or more"),
    ("decayFactor", 1.5, "in [0, 1]"),
    ("halfLife", 0.0, "above 0"),
    ("timeUnit", "rows", "batches, points"),
    ("intervalLevel", 1.0, "between 0 and 1"),
]


def _by_constructor(_: Any, name: str, value: Any) -> None:
    LogisticRegressionEstimator(**{name: value})


def _by_keyword(estimator: Any, name: str, value: Any) -> None:
    estimator.setParams(**{name: value})


def _by_setter(estimator: Any, name: str, value: Any) -> None:
    getattr(estimator, f"set{name[0].upper()}{name[1:]}")(value)


@pytest.mark.parametrize(("name", "value", "rule"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused(name: str, value: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        LogisticRegressionEstimator(**{name: value})
    assert_plain(caught.value, (f"{name}={value!r}", "must be", rule))


@pytest.mark.parametrize("way", [_by_keyword, _by_setter])
def test_a_refused_value_changes_nothing(way: Any) -> None:
    for name, value in (("regParam", -1.0), ("thresholds", [0.5])):
        estimator = LogisticRegressionEstimator(threshold=0.5, regParam=0.1)
        with pytest.raises(ValueError, match=f"{name}="):
            way(estimator, name, value)
        assert (estimator.getRegParam(), estimator.getThreshold()) == (0.1, 0.5)
        assert estimator.isSet("threshold")
        assert not estimator.isSet("thresholds")


def _set_and_fit(frame: Any, name: str, value: Any) -> None:
    estimator = LogisticRegressionEstimator()
    estimator.set(estimator.getParam(name), value)
    estimator.fit(frame)


@pytest.mark.connect_slice
def test_a_value_out_of_range_is_refused_in_every_way_and_before_any_job(
    spark: Any, good: Any
) -> None:
    estimator, jobs = LogisticRegressionEstimator(), jobs_started(spark)
    wrong = {estimator.regParam: -0.1}
    ways: list[Callable[[], Any]] = [
        lambda: _set_and_fit(good, "regParam", -0.1),
        lambda: estimator.copy(wrong).fit(good),
        lambda: estimator.fit(good, wrong),
        lambda: estimator.fit(good, [wrong]),
    ]
    for way in ways:
        with pytest.raises(ValueError, match="regParam") as caught:
            way()
        assert_plain(caught.value, ("regParam=-0.1", "must be", "0 or more"))
    assert jobs_started(spark) == jobs


@pytest.mark.parametrize(
    ("name", "value"),
    [("regParam", "a"), ("maxIter", 1.5), ("fitIntercept", "yes"), ("family", 3), ("solver", 3),
     ("weightCol", 3), ("thresholds", "ab")],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused(name: str, value: Any) -> None:
    for way in (_by_constructor, _by_keyword):
        with pytest.raises(TypeError, match=name) as caught:
            way(LogisticRegressionEstimator(), name, value)
        assert_plain(caught.value, ("Invalid param value", name))


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ([0.5, 0.5], ("threshold=0.3", "[0.5, 0.5]", "threshold=0.5", "Clear one")),
        ([0.2, 0.3, 0.5], ("threshold=0.3", "[0.2, 0.3, 0.5]", "3 values", "Clear one")),
    ],
)
def test_threshold_and_thresholds_that_disagree_are_refused(
    spark: Any, good: Any, thresholds: list[float], words: tuple[str, ...]
) -> None:
    jobs = jobs_started(spark)
    estimator = LogisticRegressionEstimator(threshold=0.3)
    ways: list[Callable[[], Any]] = [
        lambda: LogisticRegressionEstimator(threshold=0.3, thresholds=thresholds),
        lambda: estimator.copy().setParams(thresholds=thresholds),
        lambda: estimator.fit(good, {estimator.thresholds: thresholds}),
        lambda: estimator.copy()._set(thresholds=thresholds).fit(good),
    ]
    for way in ways:
        with pytest.raises(ValueError, match="threshold") as caught:
            way()
        assert_plain(caught.value, words)
    assert jobs_started(spark) == jobs


@pytest.mark.parametrize(("solver", "other"), [("newton", "proximal-newton"), ("L-BFGS", "owl-qn")])
def test_a_smooth_solver_refuses_an_l1_penalty_before_any_job(
    spark: Any, good: Any, solver: str, other: str
) -> None:
    jobs = jobs_started(spark)
    estimator = LogisticRegressionEstimator(solver=solver, elasticNetParam=0.5)
    words = (f"solver='{solver.lower()}'", "elasticNetParam=0.5", "regParam=0.1", other)
    for fit in (
        lambda: estimator.fit(good, {estimator.regParam: 0.1}),
        lambda: estimator.copy().setRegParam(0.1).fit(good),
    ):
        with pytest.raises(ValueError, match="smooth") as caught:
            fit()
        assert_plain(caught.value, words)
    assert jobs_started(spark) == jobs


def infinite(size: int) -> Any:
    return Vectors.dense([INF] * size)


BAD_BOUNDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "crossed": (
        {
            "lowerBoundsOnCoefficients": DenseMatrix(1, 2, [0.0, 2.0]),
            "upperBoundsOnCoefficients": DenseMatrix(1, 2, [1.0, 1.0]),
        },
        ("lowerBoundsOnCoefficients[0, 1]=2", "upperBoundsOnCoefficients[0, 1]=1"),
    ),
    "crossed intercepts": (
        {
            "lowerBoundsOnIntercepts": Vectors.dense(2.0),
            "upperBoundsOnIntercepts": Vectors.dense(1.0),
        },
        ("lowerBoundsOnIntercepts[0]=2", "upperBoundsOnIntercepts[0]=1"),
    ),
    "sides of different shapes": (
        {
            "lowerBoundsOnCoefficients": DenseMatrix(1, 2, [0.0, 2.0]),
            "upperBoundsOnCoefficients": DenseMatrix(2, 2, [1.0] * 4),
        },
        ("upperBoundsOnCoefficients is 2 x 2", "must be 1 x 2"),
    ),
    "two rows for binomial": (
        {"family": "binomial", "lowerBoundsOnCoefficients": DenseMatrix(2, 2, [0.0] * 4)},
        ("lowerBoundsOnCoefficients is 2 x 2", "must be 1 x "),
    ),
    "two intercepts for binomial": (
        {"family": "binomial", "lowerBoundsOnIntercepts": Vectors.dense(0.0, 0.0)},
        ("lowerBoundsOnIntercepts has 2 values", "must have 1"),
    ),
    "nan": (
        {"lowerBoundsOnCoefficients": DenseMatrix(1, 2, [0.0, NAN])},
        ("lowerBoundsOnCoefficients holds nan", "Correct it"),
    ),
    "impossible": (
        {"lowerBoundsOnIntercepts": infinite(1)},
        ("lowerBoundsOnIntercepts holds inf",),
    ),
    "no intercept": (
        {"fitIntercept": False, "upperBoundsOnIntercepts": Vectors.dense(0.0)},
        ("upperBoundsOnIntercepts is set", "fitIntercept=False"),
    ),
    "solver": (
        {"solver": "newton", "upperBoundsOnCoefficients": DenseMatrix(1, 2, [0.0, 0.0])},
        ("solver='newton'", "bounds", "proximal-newton"),
    ),
}


@pytest.mark.parametrize(("params", "words"), BAD_BOUNDS.values(), ids=BAD_BOUNDS)
def test_bounds_that_cannot_be_met_are_refused_before_any_job(
    spark: Any, good: Any, params: dict[str, Any], words: tuple[str, ...]
) -> None:
    jobs = jobs_started(spark)
    plain = LogisticRegressionEstimator()
    for fit in (
        lambda: LogisticRegressionEstimator(**params).fit(good),
        lambda: plain.fit(good, {plain.getParam(name): value for name, value in params.items()}),
    ):
        with pytest.raises(ValueError, match=r"\w") as caught:
            fit()
        assert_plain(caught.value, words)
    assert jobs_started(spark) == jobs


def test_bounds_of_the_wrong_width_are_refused(spark: Any, good: Any) -> None:
    """After packing where only the rows tell the width, before any job where metadata do."""
    estimator = LogisticRegressionEstimator(
        lowerBoundsOnCoefficients=DenseMatrix(1, 3, [0.0, 0.0, 0.0])
    )
    words = ("lowerBoundsOnCoefficients is 1 x 3", "must be 1 x 2")
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimator.fit(good)
    assert_plain(caught.value, words)
    sized = good.withMetadata("features", {"ml_attr": {"num_attrs": 2}})
    jobs = jobs_started(spark)
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimator.setFamily("binomial").fit(sized)
    assert_plain(caught.value, words)
    assert jobs_started(spark) == jobs


def test_thresholds_that_are_not_one_a_class_are_refused(spark: Any, good: Any) -> None:
    """As with Spark, by the fit: before any job where metadata tell the classes."""
    estimator = LogisticRegressionEstimator(thresholds=[0.2, 0.3, 0.5])
    words = ("thresholds has 3 values", "'label' has 2 classes")
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimator.fit(good)
    assert_plain(caught.value, words)
    jobs = jobs_started(spark)
    with pytest.raises(ValueError, match=r"\w") as caught:
        estimator.fit(good.withMetadata("label", {"ml_attr": {"type": "binary"}}))
    assert_plain(caught.value, words)
    assert jobs_started(spark) == jobs
