"""Rows that cannot be fitted are refused in words: which column, what, why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.errors import IllegalArgumentException, PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.packing.worker import PackPlan
from sparklr.rows.checks import ColumnNames
from tests.errors import assert_plain
from tests.frames import jobs_started
from tests.packing.batches import BROKEN, pack

pytestmark = pytest.mark.connect

ROWS, NAN = 6, float("nan")
LAST = ROWS - 1  # the row that is spoilt


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
OFFSET = "Column 'offset'"
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
    "offset is text": Bad(
        "weight",
        lambda name: F.col(name).cast("string"),
        (WEIGHT, "string", "offsetCol must be numeric", "Cast"),
        {"offsetCol": "weight"},
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

# Told by the rows: what Spark makes of nulls, types and metadata, and what all rows together tell.
# Each rule by itself is shown below Spark.
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
    "sizes differ": Bad(
        "features",
        last_vector(1, 2, 3),
        (FEATURES, "1 row has", "size", "size 3 instead of 2", "same number"),
    ),
    "fractional label": Bad(
        "label", last("0.5D"), (LABEL, "not whole numbers", "first: 0.5", "StringIndexer")
    ),
    "label beyond the metadata": Bad(
        "label",
        with_one_more_label,
        (LABEL, "beyond the number of classes", "metadata", "first: 2", "correct"),
    ),
    "null weight": Bad(
        "weight", last("null"), (WEIGHT, "1 row has null or NaN", "fillna"), WEIGHTED
    ),
    "null offset": Bad(
        "weight",
        last("null"),
        (WEIGHT, "1 row has null or NaN", "fillna(0.0)"),
        {"offsetCol": "weight"},
    ),
    "offset for three classes": Bad(
        "label",
        last("2"),
        ("offsetCol='weight'", "binomial", "this model is multinomial", "Clear offsetCol"),
        {"offsetCol": "weight"},
    ),
    "class weights for two classes": Bad(
        "label",
        F.col,
        ("classWeights has 3 values", "column 'label' has 2 classes", "one weight per class"),
        {"classWeights": [1.0, 2.0, 3.0]},
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

# Those that `make test` has Spark Connect tell too.
SLICE = ("null element", "label beyond the metadata", "all weights zero")

# Told of the batches of `BROKEN`, each of which breaks one rule.
WORDS = {
    "null features": (FEATURES, "2 rows have null", "dropna"),
    "null element": (FEATURES, "1 row has a null among the features", "at feature 0", "fill"),
    "broken vector": (FEATURES, "1 row has", "damaged", "indices must rise"),
    "size": (FEATURES, "2 rows have", "size 1 instead of 2", "same number"),
    "too wide": (FEATURES, "more than 67108864 features", "size 2147483647", "FeatureHasher"),
    "not finite": (FEATURES, "NaN or infinite", "nan at feature 1", "drop these rows", "Imputer"),
    "no features": (FEATURES, "size 0", "at least one feature"),
    "null label": (LABEL, "2 rows have null or NaN", "dropna"),
    "label not whole": (LABEL, "not whole numbers", "first: 0.5", "StringIndexer"),
    "label negative": (LABEL, "negative", "first: -2", "StringIndexer"),
    "label too large": (LABEL, "beyond the number of classes", "metadata", "first: 3", "correct"),
    "null weight": (WEIGHT, "2 rows have null or NaN", "fillna"),
    "weight negative": (WEIGHT, "negative", "first: -0.25", "0 or more"),
    "weight infinite": (WEIGHT, "infinite", "first: inf", "finite"),
    "null offset": (OFFSET, "1 row has null or NaN", "fillna(0.0)"),
    "offset infinite": (OFFSET, "infinite", "first: -inf", "finite"),
    "null held": ("Column 'held'", "1 row has null", "true (held out) or false (fitted)"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_is_told_in_words(rule: str) -> None:
    rows, _, _ = BROKEN[rule]
    summary = pack([rows], PackPlan(classes=3)).summary
    names = ColumnNames("features", "label", "weight", offset="offset", held="held")
    said = summary.faults.sentence(names)
    for word in WORDS[rule]:
        assert word in said


def refusal(frame: Any, bad: Bad) -> BaseException:
    with pytest.raises(bad.error) as caught:
        LogisticRegressionEstimator(**bad.params).fit(frame)
    assert isinstance(caught.value, IllegalArgumentException)  # as Spark's own raises
    return caught.value


@pytest.mark.parametrize("name", list(BY_SCHEMA))
def test_wrong_columns_are_refused_before_any_job(spark: Any, good: Any, name: str) -> None:
    bad = BY_SCHEMA[name]
    frame, jobs = bad.frame(good), jobs_started(spark)
    assert_plain(refusal(frame, bad), bad.words)
    assert jobs_started(spark) == jobs


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.connect_slice if name in SLICE else ())
        for name in BY_ROWS
    ],
)
def test_wrong_rows_are_refused_as_they_are_packed(spark: Any, good: Any, name: str) -> None:
    bad = BY_ROWS[name]
    jobs = jobs_started(spark)
    assert_plain(refusal(bad.frame(good), bad), bad.words)
    assert jobs_started(spark) > jobs  # or the tests for no job would prove nothing


@pytest.mark.connect_slice
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
    for param in ("featuresCol", "labelCol", "weightCol", "offsetCol")
}


@pytest.mark.connect_slice
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
