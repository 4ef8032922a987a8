"""What cannot be fitted is refused in words: which column or Param, what, why, and what to do."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from tests.frames import jobs_started

ROWS = 6
LAST = ROWS - 1  # the row that is spoilt
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def good(spark: Any) -> Iterator[Any]:
    """A few rows that can be fitted, in one partition."""
    first = (F.col("id") * 0.7) % 2
    rows = spark.range(0, ROWS, 1, 1).select(
        "id",
        array_to_vector(F.array(first, F.col("id") / 2)).alias("features"),
        F.array(first, F.col("id") / 2).alias("list"),
        (F.col("id") % 2).cast("double").alias("label"),
        F.lit(1.0).alias("weight"),
    )
    rows.persist().count()
    yield rows
    rows.unpersist()


def assert_plain(error: BaseException, words: tuple[str, ...]) -> None:
    """The error says these words, in one line, and shows nothing of what is below Python."""
    text = str(error)
    for word in words:
        assert word in text
    for word in ("Py4J", "Traceback", "org.apache", "\n"):
        assert word not in text
    printed = "".join(traceback.format_exception(error))
    for word in ("Py4J", "org.apache", "AnalysisException"):
        assert word not in printed


def last(value: str) -> Callable[[str], Any]:
    """The column with another value, in SQL, in the last row."""
    return lambda name: F.expr(f"CASE WHEN id = {LAST} THEN {value} ELSE {name} END")


def last_vector(*values: float) -> Callable[[str], Any]:
    """A vector column with another vector in the last row."""

    def spoil(name: str) -> Any:
        vector = array_to_vector(F.array(*[F.lit(float(value)) for value in values]))
        return F.when(F.col("id") == LAST, vector).otherwise(F.col(name))

    return spoil


@dataclass(frozen=True)
class Bad:
    """Rows that are refused: a column spoilt, the Params of the fit, and the words to expect."""

    column: str
    spoil: Callable[[str], Any]
    words: tuple[str, ...]
    params: dict[str, Any] = field(default_factory=dict)
    error: type[Exception] = ValueError

    def frame(self, good: Any) -> Any:
        # On Spark Connect `withColumn` would drop the metadata.
        others = [name for name in good.columns if name != self.column]
        return good.select(*others, self.spoil(self.column).alias(self.column))


def with_one_more_label(name: str) -> Any:
    """A third label, in a column whose metadata, as StringIndexer writes them, name two."""
    return last("2")(name).alias(
        name, metadata={"ml_attr": {"type": "nominal", "vals": ["a", "b"]}}
    )


WEIGHTED = {"weightCol": "weight"}
LISTED = {"featuresCol": "list"}
FEATURES, LABEL, WEIGHT = "Column 'features'", "Column 'label'", "Column 'weight'"
NO_VECTOR = ("must be a vector or an array of numbers", "featuresCols")

# Told by the types of the columns alone.
BY_SCHEMA = {
    "features are text": Bad(
        "features", lambda _: F.lit("a"), (FEATURES, "string", *NO_VECTOR), error=TypeError
    ),
    "features are boolean": Bad(
        "features", lambda _: F.lit(True), (FEATURES, "boolean", *NO_VECTOR), error=TypeError
    ),
    "features are one number": Bad(
        "features", lambda _: F.lit(1.0), (FEATURES, "double", *NO_VECTOR), error=TypeError
    ),
    "features are an array of text": Bad(
        "features",
        lambda _: F.array(F.lit("a")),
        (FEATURES, "array<string>", *NO_VECTOR),
        error=TypeError,
    ),
    "features are an array of booleans": Bad(
        "features",
        lambda _: F.array(F.lit(True)),
        (FEATURES, "array<boolean>", *NO_VECTOR),
        error=TypeError,
    ),
    "label is text": Bad(
        "label",
        lambda _: F.lit("a"),
        (LABEL, "string", "labelCol must be numeric", "StringIndexer"),
        error=TypeError,
    ),
    "label is boolean": Bad(
        "label",
        lambda _: F.lit(True),
        (LABEL, "boolean", "labelCol must be numeric", "Cast"),
        error=TypeError,
    ),
    "label is a vector": Bad(
        "label",
        lambda _: F.col("features"),
        (LABEL, "vector", "labelCol must be numeric"),
        error=TypeError,
    ),
    "weight is text": Bad(
        "weight",
        lambda _: F.lit("1"),
        (WEIGHT, "string", "weightCol must be numeric", "Cast"),
        WEIGHTED,
        error=TypeError,
    ),
    "prediction exists": Bad(
        "prediction",
        lambda _: F.lit(1.0),
        ("already", "predictionCol='prediction'", "Drop it", "another name"),
    ),
    "probability exists": Bad(
        "chance",
        lambda _: F.lit(1.0),
        ("already", "probabilityCol='chance'", "Drop it"),
        {"probabilityCol": "chance"},
    ),
    "an output is an input": Bad(
        "label",
        F.col,
        ("already", "rawPredictionCol='features'"),
        {"rawPredictionCol": "features"},
    ),
    "two outputs of one name": Bad(
        "label",
        F.col,
        ("share a name", "'probabilityCol': 'x'", "'predictionCol': 'x'", "Give each its own"),
        {"probabilityCol": "x", "predictionCol": "x"},
    ),
}

# Told by the rows.
BY_ROWS = {
    "null features": Bad(
        "features",
        lambda name: F.when(F.col("id") < LAST, F.col(name)),
        (FEATURES, "1 row has null", "dropna"),
    ),
    "null arrays": Bad("list", last("null"), ("Column 'list'", "1 row has null", "dropna"), LISTED),
    "null element": Bad(
        "list",
        last("array(1D, null)"),
        ("Column 'list'", "1 row has a null among the features", "at feature 1", "fill"),
        LISTED,
    ),
    "NaN feature": Bad(
        "features",
        last_vector(1, NAN),
        (FEATURES, "1 row has NaN or infinite", "nan at feature 1", "Imputer"),
    ),
    "infinite feature": Bad(
        "features",
        last_vector(-INF, 1),
        (FEATURES, "1 row has NaN or infinite", "-inf at feature 0", "drop these rows"),
    ),
    "NaN in an array": Bad(
        "list",
        last("array(double('NaN'), 1D)"),
        ("Column 'list'", "nan at feature 0"),
        LISTED,
    ),
    "sizes differ": Bad(
        "features",
        last_vector(1, 2, 3),
        (FEATURES, "1 row has", "size", "size 3 instead of 2", "same number"),
    ),
    "no features": Bad(
        "features", lambda _: array_to_vector(F.array().cast("array<double>")), (FEATURES, "size 0")
    ),
    "null label": Bad("label", last("null"), (LABEL, "1 row has null or NaN", "dropna")),
    "NaN label": Bad("label", last("double('NaN')"), (LABEL, "1 row has null or NaN", "drop")),
    "negative label": Bad(
        "label", last("-1"), (LABEL, "1 row has negative", "first: -1", "StringIndexer")
    ),
    "fractional label": Bad(
        "label", last("0.5D"), (LABEL, "not whole numbers", "first: 0.5", "StringIndexer")
    ),
    "infinite label": Bad(
        "label", last("double('Infinity')"), (LABEL, "not whole numbers", "first: inf")
    ),
    "label beyond the metadata": Bad(
        "label",
        with_one_more_label,
        (LABEL, "beyond the number of classes", "metadata", "first: 2", "correct"),
    ),
    "null weight": Bad(
        "weight", last("null"), (WEIGHT, "1 row has null or NaN", "fillna"), WEIGHTED
    ),
    "NaN weight": Bad("weight", last("double('NaN')"), (WEIGHT, "null or NaN", "fillna"), WEIGHTED),
    "negative weight": Bad(
        "weight", last("-0.5D"), (WEIGHT, "negative", "first: -0.5", "0 or more"), WEIGHTED
    ),
    "infinite weight": Bad(
        "weight", last("double('Infinity')"), (WEIGHT, "infinite", "first: inf", "finite"), WEIGHTED
    ),
    "all weights zero": Bad(
        "weight", lambda _: F.lit(0), (WEIGHT, "all weights are zero", "above zero"), WEIGHTED
    ),
    "three classes for binomial": Bad(
        "label",
        last("2"),
        ("family='binomial'", "column 'label'", "3", "family='multinomial' or 'auto'"),
        {"family": "Binomial"},
    ),
}


def refusal(frame: Any, bad: Bad) -> BaseException:
    with pytest.raises(bad.error) as caught:
        LogisticRegressionEstimator(**bad.params).fit(frame)
    assert type(caught.value) is bad.error
    return caught.value


@pytest.mark.parametrize("name", list(BY_SCHEMA))
def test_wrong_columns_are_refused_before_any_job(spark: Any, good: Any, name: str) -> None:
    bad = BY_SCHEMA[name]
    frame, jobs = bad.frame(good), jobs_started(spark)
    assert_plain(refusal(frame, bad), bad.words)
    assert jobs_started(spark) == jobs


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("name", list(BY_ROWS))
def test_wrong_rows_are_refused_as_they_are_packed(spark: Any, good: Any, name: str) -> None:
    bad = BY_ROWS[name]
    jobs = jobs_started(spark)
    assert_plain(refusal(bad.frame(good), bad), bad.words)
    assert jobs_started(spark) > jobs  # or the tests for no job would prove nothing


@pytest.mark.usefixtures("nothing_left")
def test_sizes_that_differ_between_partitions_are_refused(spark: Any) -> None:
    wider = F.when(F.col("id") < 3, F.array(F.lit(1.0), "id")).otherwise(F.array("id", "id", "id"))
    label = (F.col("id") % 2).alias("label")
    frame = spark.range(0, 6, 1, 2).select(array_to_vector(wider).alias("features"), label)
    words = (FEATURES, "size 3 instead of 2", "same number")
    assert_plain(refusal(frame, Bad("", F.col, words)), words)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("condition", ["id < 0", "false"])
def test_no_rows_are_refused(good: Any, condition: str) -> None:
    words = ("empty", "no rows", "at least one")
    assert_plain(refusal(good.where(condition), Bad("", F.col, words)), words)


MISSING = {
    param: Bad(
        "label",
        F.col,
        ("Column 'nowhere'", "does not exist", "features, list, label, weight", f"Set {param}"),
        {param: "nowhere"},
    )
    for param in ("featuresCol", "labelCol", "weightCol")
}


@pytest.mark.parametrize("param", list(MISSING))
def test_a_missing_column_is_refused_before_any_job(spark: Any, good: Any, param: str) -> None:
    bad, jobs = MISSING[param], jobs_started(spark)
    assert_plain(refusal(good, bad), bad.words)
    assert jobs_started(spark) == jobs


def test_a_missing_column_is_not_logged_with_sparks_stack_trace(
    good: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since 4.0 PySpark logs each of its errors to stderr, with the JVM's stack trace."""
    logged: list[Any] = []

    def log(error: PySparkException) -> None:
        logged.append(error)

    monkeypatch.setattr(PySparkException, "_log_exception", log, raising=False)
    refusal(good, MISSING["labelCol"])
    assert logged == []


@pytest.mark.usefixtures("nothing_left")
def test_what_is_refused_by_its_schema_leaves_nothing(good: Any) -> None:
    for bad in [*BY_SCHEMA.values(), *MISSING.values()]:
        refusal(bad.frame(good), bad)


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
    ("solver", "sgd", "auto, newton, l-bfgs, proximal-newton, owl-qn"),
]


def _by_constructor(_: Any, name: str, value: Any) -> None:
    LogisticRegressionEstimator(**{name: value})


def _by_keyword(estimator: Any, name: str, value: Any) -> None:
    estimator.setParams(**{name: value})


def _by_setter(estimator: Any, name: str, value: Any) -> None:
    getattr(estimator, f"set{name[0].upper()}{name[1:]}")(value)


@pytest.mark.parametrize("way", [_by_constructor, _by_keyword, _by_setter])
@pytest.mark.parametrize(("name", "value", "rule"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_where_it_is_set(
    way: Any, name: str, value: Any, rule: str
) -> None:
    estimator = LogisticRegressionEstimator(threshold=0.5)
    with pytest.raises(ValueError, match=name) as caught:
        way(estimator, name, value)
    assert_plain(caught.value, (f"{name}={value!r}", "must be", rule))
    assert estimator.isSet("threshold")
    assert not estimator.isSet(name) or estimator.getOrDefault(name) == 0.5


def _set_and_fit(frame: Any, name: str, value: Any) -> None:
    estimator = LogisticRegressionEstimator()
    estimator.set(estimator.getParam(name), value)
    estimator.fit(frame)


@pytest.mark.parametrize(("name", "value", "rule"), OUT_OF_RANGE)
def test_a_value_out_of_range_that_slipped_in_is_refused_before_any_job(
    spark: Any, good: Any, name: str, value: Any, rule: str
) -> None:
    """Spark's `set` and param maps ask nobody whether a value is allowed."""
    estimator, jobs = LogisticRegressionEstimator(), jobs_started(spark)
    wrong = {estimator.getParam(name): value}
    ways: list[Callable[[], Any]] = [
        lambda: _set_and_fit(good, name, value),
        lambda: estimator.copy(wrong).fit(good),
        lambda: estimator.fit(good, wrong),
        lambda: estimator.fit(good, [wrong]),
    ]
    for way in ways:
        with pytest.raises(ValueError, match=name) as caught:
            way()
        assert_plain(caught.value, (f"{name}={value!r}", "must be", rule))
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
