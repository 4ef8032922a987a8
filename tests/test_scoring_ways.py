"""A frame is scored by Spark's own model, or by Arrow where there is no JVM: with one result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DoubleType,
    IntegerType,
    StructField,
    StructType,
)

from sparklr import LogisticRegressionModel
from sparklr.spark.classic import SparkModelCache

NAN, INF = float("nan"), float("inf")
BINOMIAL = np.array([[0.5, 0.0, -2.0]])
MULTINOMIAL = np.array([[0.5, 0.0, -2.0], [0.0, 1.5, 0.0], [-0.7, 0.3, 0.0]])

# The features of one row in all the ways they can be given; an odd one in each.
ROWS: list[tuple[Any, Any, Any, tuple[Any, bool | None, Any]]] = [
    (Vectors.dense(1, 2, 3), [1.0, 2.0, 3.0], [1, 2, 3], (1.0, True, 3)),
    (Vectors.sparse(3, [0, 2], [1.0, 3.0]), [-1.0, 0.0, 0.1], [0, 0, 0], (-1.0, False, 0)),
    (None, None, None, (None, True, 1)),
    (Vectors.sparse(3, [], []), [0.0, 0.0, 0.0], [-9, 8, 7], (0.0, None, 1)),
    (Vectors.dense(NAN, 1, 1), [NAN, 1.0, 1.0], [1, None, 3], (NAN, True, 1)),
    (Vectors.sparse(3, [1], [NAN]), [1.0, NAN, 1.0], [None, None, None], (1.0, True, None)),
    (Vectors.dense(1, 1, NAN), [1.0, 1.0, NAN], [5, 5, 5], (NAN, False, None)),
    (Vectors.dense(INF, 1, 1), [INF, 1.0, 1.0], [2, 1, 0], (INF, True, 1)),
    (Vectors.dense(-INF, 1, 1), [-INF, 1.0, 1.0], [0, 1, 2], (-INF, False, -1)),
    (Vectors.sparse(3, [1, 2], [INF, 1.0]), [1.0, INF, 1.0], [3, 3, 1], (1e300, True, 7)),
    (Vectors.dense(1, -INF, 1), [1.0, -INF, INF], [1, 2, 1], (-1e300, True, 7)),
    (Vectors.dense(INF, INF, INF), [INF, INF, -INF], [1, 1, 2], (0.1, True, 2**31 - 1)),
    (Vectors.dense(1e307, -1e307, 1e307), [1e307, 1.0, 1e307], [2**31 - 1] * 3, (0.2, False, 5)),
    (Vectors.dense(1e-308, 700, 30), [2.0, None, 1.0], [-(2**31)] * 3, (0.3, False, 9)),
    (Vectors.sparse(3, [0, 1], [0.0, 0.0]), [None, NAN, 1.0], [0, 1, 0], (0.4, True, -9)),
]
KINDS: dict[str, dict[str, Any]] = {
    "vectors": {"featuresCol": "features"},
    "lists of doubles": {"featuresCol": "list"},
    "lists of integers": {"featuresCol": "whole"},
    "columns": {"featuresCols": ["x.0", "x1", "x2"]},
}


@pytest.fixture(scope="module")
def odd(spark: Any) -> Iterator[Any]:
    """Rows with nulls, NaN, infinities and huge numbers."""
    schema = StructType(
        [
            StructField("at", IntegerType()),
            StructField("features", VectorUDT(), True, {"comment": "the user's"}),
            StructField("list", ArrayType(DoubleType())),
            StructField("whole", ArrayType(IntegerType())),
            StructField("x.0", DoubleType()),
            StructField("x1", BooleanType()),
            StructField("x2", IntegerType()),
        ]
    )
    rows = [(at, *row[:3], *row[3]) for at, row in enumerate(ROWS)]
    frame = spark.createDataFrame(rows, schema).coalesce(1).cache()
    frame.count()
    yield frame
    frame.unpersist()


def model_of(
    coefficients: Any, intercepts: Any = None, stored: str = "dense", **params: Any
) -> LogisticRegressionModel:
    """A model of these numbers; more than one row makes it multinomial."""
    values = np.asarray(coefficients, dtype=float)
    rows, columns = values.shape
    matrix: Any
    if stored == "dense":
        matrix = DenseMatrix(rows, columns, values.ravel(), isTransposed=True)
    elif stored == "dense by column":
        matrix = DenseMatrix(rows, columns, values.ravel(order="F"))
    else:
        kept = sp.csc_matrix(values) if stored == "CSC" else sp.csr_matrix(values)
        arrays = kept.indptr, kept.indices, kept.data
        matrix = SparseMatrix(rows, columns, *arrays, isTransposed=stored == "CSR")
    given = np.linspace(-0.3, 0.2, rows) if intercepts is None else intercepts
    model = LogisticRegressionModel(matrix, DenseVector(given), max(rows, 2), rows > 1)
    return model._set(**params)


def collected(frame: Any) -> list[Any]:
    return sorted(frame.collect(), key=lambda row: row.at)


def without_jvm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SparkModelCache, "copy_in", lambda *_: None)


def goes_to_python(frame: Any) -> bool:
    return "ArrowEvalPython" in frame._jdf.queryExecution().executedPlan().toString()


def numbers(rows: list[Any], column: str, width: int) -> tuple[Any, Any]:
    """A column as numbers (n, width), nulls as NaN, and which are null."""
    null = np.array([row[column] is None for row in rows])
    values = [np.full(width, NAN) if row[column] is None else row[column] for row in rows]
    return np.array([np.ravel(value) for value in values], dtype=float), null


def scored_alike(
    patch: pytest.MonkeyPatch, frame: Any, model: LogisticRegressionModel, name: str = ""
) -> list[Any]:
    """The rows with their scores, which are the same by the JVM and by Arrow."""
    by_twin = model.transform(frame)
    with patch.context() as inner:
        without_jvm(inner)
        by_arrow = model.transform(frame)
    assert (goes_to_python(by_twin), goes_to_python(by_arrow)) == (False, True)
    assert by_twin.schema == by_arrow.schema
    twin_rows, arrow_rows = collected(by_twin), collected(by_arrow)
    widths = {"rawPrediction": model.numClasses, "probability": model.numClasses, "prediction": 1}
    for column, width in widths.items():
        twin, twin_null = numbers(twin_rows, column, width)
        arrow, arrow_null = numbers(arrow_rows, column, width)
        assert_array_equal(arrow_null, twin_null, err_msg=f"{name} {column}")
        assert_allclose(arrow, twin, rtol=1e-12, atol=1e-12, err_msg=f"{name} {column}")
    return arrow_rows


@pytest.mark.parametrize("stored", ["dense", "CSR"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_both_ways_give_the_same_however_features_and_coefficients_are_stored(
    odd: Any, monkeypatch: pytest.MonkeyPatch, kind: str, stored: str
) -> None:
    for coefficients in (BINOMIAL, MULTINOMIAL):
        model = model_of(coefficients, stored=stored, **KINDS[kind])
        for row in scored_alike(monkeypatch, odd, model):
            value = [row[name] for name in KINDS[kind].get("featuresCols", ())]
            value = value or row[KINDS[kind].get("featuresCol", "at")]
            missing = value is None or (isinstance(value, list) and None in value)
            for column in ("rawPrediction", "probability", "prediction"):
                assert (row[column] is None) == missing, (kind, row)


@pytest.mark.parametrize("stored", ["dense by column", "CSC"])
def test_coefficients_may_be_stored_by_column(
    odd: Any, monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    """Spark's own fits store one row by row always; the constructor takes what it is given."""
    scored_alike(monkeypatch, odd, model_of(MULTINOMIAL, stored=stored))
    scored_alike(monkeypatch, odd, model_of(BINOMIAL, stored=stored))


def test_one_row_scores_as_its_frame_does(odd: Any) -> None:
    for model in (model_of(BINOMIAL), model_of(MULTINOMIAL, stored="CSR")):
        rows = model.transform(odd).where("features IS NOT NULL").collect()
        assert rows
        for row in rows:
            found = model.predictRaw(row.features), model.predictProbability(row.features)
            assert_allclose(found[0], row.rawPrediction, rtol=1e-12, atol=1e-12)
            assert_allclose(found[1], row.probability, rtol=1e-12, atol=1e-12)
            assert model.predict(row.features) == row.prediction, row.features


BINOMIAL_CUTS: dict[str, Callable[[Any], Any]] = {
    "default": lambda model: model,
    "none": lambda model: model.setThreshold(0.0),
    "high": lambda model: model.setThreshold(0.9),
    "all": lambda model: model.setThreshold(1.0),
    "never one": lambda model: model.setThresholds([0.0, 1.0]),
    "always one": lambda model: model.setThresholds([1.0, 0.0]),
    "equal": lambda model: model.setThresholds([0.3, 0.3]),
    "matching": lambda model: model.setThresholds([0.25, 0.75])._set(threshold=0.75),
}
MULTINOMIAL_CUTS: dict[str, Any] = {
    "plain": None,
    "equal": [0.7, 0.7, 0.7],
    "uneven": [0.1, 0.5, 2.0],
    "a zero first": [0.0, 1.0, 1.0],
    "a zero last": [1.0, 1.0, 0.0],
}


def test_both_ways_decide_by_thresholds_alike(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        name: [
            row.prediction for row in scored_alike(monkeypatch, odd, cut(model_of(BINOMIAL)), name)
        ]
        for name, cut in BINOMIAL_CUTS.items()
    }
    ones = {name: sum(one or 0 for one in values) for name, values in found.items()}
    assert ones["never one"] == ones["all"] == 0
    assert ones["always one"] == ones["none"] > ones["default"] == ones["equal"] > 0
    assert ones["default"] >= ones["matching"] >= ones["high"]


def test_both_ways_decide_by_thresholds_of_three_classes_alike(
    odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for name, cut in MULTINOMIAL_CUTS.items():
        rows = scored_alike(monkeypatch, odd, model_of(MULTINOMIAL, thresholds=cut), name)
        found[name] = [row.prediction for row in rows if row.at < 2]
    assert found["a zero first"] == [0.0, 0.0]
    assert found["a zero last"] == [2.0, 2.0]
    assert found["equal"] == found["plain"]


ZEROS = np.zeros((3, 3))
# The models of a single label, and stranger ones.
INFINITE = {
    "all zero": model_of(ZEROS[:1], [-INF]),
    "all one": model_of(ZEROS[:1], [INF], stored="CSR"),
    "sloped": model_of(BINOMIAL, [INF]),
    "all two": model_of(ZEROS, [0.0, 0.0, INF], stored="CSC"),
    "all two, cut": model_of(ZEROS, [0.0, 0.0, INF], thresholds=[0.0, 1.0, 1.0]),
    "never two": model_of(MULTINOMIAL, [0.0, 0.5, -INF], stored="CSR"),
    "all tied": model_of(ZEROS, [INF, INF, INF]),
    "none likely": model_of(ZEROS, [-INF, -INF, -INF]),
    "two tied": model_of(MULTINOMIAL, [-INF, INF, INF]),
}


def test_both_ways_score_alike_where_intercepts_are_infinite(
    odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {n: scored_alike(monkeypatch, odd, model, n)[0] for n, model in INFINITE.items()}
    assert first["all one"].probability == DenseVector([0.0, 1.0])
    assert first["all two"].probability == DenseVector([0.0, 0.0, 1.0])
    assert [first[name].prediction for name in ("all zero", "all one", "all two")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("way", "kind"), [("jvm", "dense"), ("jvm", "sparse"), ("jvm", "list"), ("arrow", "sparse")]
)
def test_rows_of_the_wrong_width_are_refused_in_words(
    spark: Any, monkeypatch: pytest.MonkeyPatch, way: str, kind: str
) -> None:
    value: Any = {
        "dense": Vectors.dense(1.0, 2.0),
        "sparse": Vectors.sparse(2, [0], [1.0]),
        "list": [1.0, 2.0],
    }[kind]
    frame = spark.createDataFrame([(value,)], ["features"])
    if way == "arrow":
        without_jvm(monkeypatch)
    scored = model_of(BINOMIAL).transform(frame)
    # Spark 3.5 passes on what Java threw.
    with pytest.raises((PySparkException, Py4JJavaError)) as caught:
        scored.collect()
    assert "A row has 2 features, but the model was fitted on 3. Transform" in str(caught.value)


def test_a_wrong_width_in_the_schema_is_refused_at_once(odd: Any) -> None:
    narrow = odd.select(F.col("features").alias("features", metadata={"ml_attr": {"num_attrs": 2}}))
    with pytest.raises(ValueError, match="'features' has 2 features, but the model was fitted on"):
        model_of(BINOMIAL).transform(narrow)
    with pytest.raises(ValueError, match="'x1, x2' has 2 features, but the model was fitted on 3"):
        model_of(BINOMIAL, featuresCols=["x1", "x2"]).transform(odd)


@pytest.mark.parametrize("way", ["jvm", "arrow"])
@pytest.mark.parametrize("left_out", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_the_users_columns_stay_and_only_the_wanted_ones_are_added(
    odd: Any, monkeypatch: pytest.MonkeyPatch, way: str, left_out: tuple[int, ...]
) -> None:
    if way == "arrow":
        without_jvm(monkeypatch)
    names = ["rawPrediction", "probability", "prediction"]
    model = model_of(MULTINOMIAL)
    for at in left_out:
        model._set(**{f"{names[at]}Col": ""})
    scored = model.transform(odd)
    assert scored.columns == odd.columns + [n for at, n in enumerate(names) if at not in left_out]
    assert scored.schema.fields[: len(odd.columns)] == odd.schema.fields
    assert scored.schema["features"].metadata == {"comment": "the user's"}
    for name in scored.columns[len(odd.columns) :]:
        attributes = scored.schema[name].metadata["ml_attr"]
        label = {"type": "nominal", "num_vals": 3}
        assert attributes == (label if name == "prediction" else {"num_attrs": 3})


def test_outputs_are_those_of_all_columns_where_some_are_left_out(
    odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model_of(MULTINOMIAL, thresholds=[0.1, 0.5, 2.0])
    alone = whole.copy()._set(rawPredictionCol="", probabilityCol="", predictionCol="a.b")
    for way in ("jvm", "arrow"):
        if way == "arrow":
            without_jvm(monkeypatch)
        rows = alone.transform(whole.transform(odd)).collect()
        assert [row["a.b"] for row in rows] == [row["prediction"] for row in rows]


def test_param_maps_of_transform_count_and_leave_the_model_alone(odd: Any) -> None:
    model, calm = model_of(BINOMIAL), odd.where("at < 2")
    assert_array_equal(numbers(model.transform(calm).collect(), "prediction", 1)[0], 0)
    for given, expected in (
        ({model.threshold: 0.0}, 1.0),
        ({model.thresholds: [1.0, 0.0]}, 1.0),
        ({model.threshold: 0.9}, 0.0),
    ):
        assert {row.prediction for row in model.transform(calm, given).collect()} == {expected}
    assert not model.isSet(model.threshold)
    three = model_of(MULTINOMIAL)
    cut = three.transform(calm, {three.thresholds: [1.0, 1.0, 0.0], three.predictionCol: "p"})
    assert {row.p for row in cut.collect()} == {2.0}
    assert not three.isSet(three.thresholds)
    with pytest.raises(ValueError, match="disagree"):
        model.transform(calm, {model.threshold: 0.9, model.thresholds: [0.5, 0.5]})


def test_a_changed_threshold_counts_at_once_and_not_backwards(odd: Any) -> None:
    model, calm = model_of(MULTINOMIAL), odd.where("at < 2")
    before = model.setThresholds([0.0, 1.0, 1.0]).transform(calm)
    after = model.setThresholds([1.0, 1.0, 0.0]).transform(calm)
    assert {row.prediction for row in after.collect()} == {2.0}
    assert {row.prediction for row in before.collect()} == {0.0}
    model.clear(model.thresholds)
    cleared = [row.prediction for row in collected(model.transform(calm))]
    assert cleared == [model.predict(row[0]) for row in ROWS[:2]]


def test_transforms_of_one_model_at_once_do_not_disturb_each_other(odd: Any) -> None:
    model = model_of(BINOMIAL)
    calm = odd.where("features IS NOT NULL AND at < 4")
    cuts = [0.0, 0.05, 0.3, 0.5, 0.8, 1.0] * 2
    chances = [row.probability[1] for row in collected(model.transform(calm))]
    model = model_of(BINOMIAL)  # one whose JVM model is yet to be made, by all at once

    def predictions(cut: float) -> list[float]:
        scored = model.transform(calm, {model.threshold: cut, model.probabilityCol: ""})
        return [row.prediction for row in collected(scored)]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(predictions, cuts))
    assert found == [[float(chance > cut) for chance in chances] for cut in cuts]
    assert len({tuple(one) for one in found}) > 2


def test_one_jvm_model_serves_many_transforms(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = SparkModelCache._make

    def counted(self: SparkModelCache, context: Any) -> Any:
        made.append(self)
        return make(self, context)

    monkeypatch.setattr(SparkModelCache, "_make", counted)
    model = model_of(BINOMIAL)
    for cut in (0.2, 0.8):
        model.setThreshold(cut).transform(odd)
    assert len(made) == 1


def test_transform_works_where_the_jvm_refuses(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong on the way to the JVM's model, Arrow takes over."""

    def refuse(*_: Any) -> Any:
        raise RuntimeError("class org.apache.spark.ml is not whitelisted\nat a.b.c")

    model = model_of(MULTINOMIAL)
    expected = model.transform(odd).where("at = 0").collect()
    monkeypatch.setattr(SparkModelCache, "_make", refuse)
    again = model_of(MULTINOMIAL).transform(odd)
    assert goes_to_python(again)
    assert again.where("at = 0").first().prediction == expected[0].prediction
