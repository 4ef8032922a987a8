"""Our estimator and model beside Spark's own, live: edges that no table of numbers covers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pyspark
import pytest

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.spark.matrices import compress_matrix, compress_vector
from tests.parity.make_spark import frame_of, read_data
from tests.parity.objective import Array, Setting, objective

OUTPUTS = ("rawPredictionCol", "probabilityCol", "predictionCol")


@pytest.fixture(scope="module")
def frames(spark: Any) -> Iterator[dict[str, Any]]:
    """The data sets of the reference numbers, one as dense and one as sparse vectors, cached."""
    made = {
        "binomial": frame_of(spark, *read_data("binomial")).cache(),
        "multinomial": frame_of(spark, *read_data("multinomial"), sparse=True).cache(),
    }
    yield made
    for frame in made.values():
        frame.unpersist()


def fit_both(frame: Any, *, tight: bool = False, **params: Any) -> tuple[Any, Any]:
    """Our model and Spark's."""
    from pyspark.ml.classification import LogisticRegression

    ours = LogisticRegressionEstimator(**params, **({"tol": 1e-12} if tight else {}))
    theirs = LogisticRegression(**params, **({"tol": 1e-15, "maxIter": 1000} if tight else {}))
    return ours.fit(frame), theirs.fit(frame)


def copied(model: Any) -> LogisticRegressionModel:
    """Our model with the coefficients of Spark's."""
    multinomial = model.coefficientMatrix.numRows == model.interceptVector.size != 1
    return LogisticRegressionModel(
        model.coefficientMatrix, model.interceptVector, model.numClasses, multinomial
    )


def layout(matrix: Any) -> tuple[Any, ...]:
    """How a matrix or vector is stored, its values left out."""
    if not hasattr(matrix, "numRows"):
        return type(matrix), len(matrix), list(getattr(matrix, "indices", []))
    places = [list(getattr(matrix, name, [])) for name in ("colPtrs", "rowIndices")]
    return type(matrix), matrix.numRows, matrix.numCols, bool(matrix.isTransposed), *places


def outputs(model: Any, frame: Any) -> dict[str, Array]:
    """The output columns as arrays."""
    rows = model.transform(frame).collect()
    return {
        "rawPrediction": np.array([row.rawPrediction.toArray() for row in rows]),
        "probability": np.array([row.probability.toArray() for row in rows]),
        "prediction": np.array([row.prediction for row in rows]),
    }


def assert_same_layout(ours: Any, theirs: Any) -> None:
    assert ours.numClasses == theirs.numClasses
    assert ours.numFeatures == theirs.numFeatures
    assert layout(ours.coefficientMatrix) == layout(theirs.coefficientMatrix)
    assert layout(ours.interceptVector) == layout(theirs.interceptVector)


def assert_same_numbers(ours: Any, theirs: Any, tolerance: float) -> None:
    for name in ("coefficientMatrix", "interceptVector"):
        np.testing.assert_allclose(
            getattr(ours, name).toArray(), getattr(theirs, name).toArray(), tolerance, tolerance
        )


def assert_same_outputs(ours: Any, theirs: Any, frame: Any, tolerance: float) -> None:
    mine, other = outputs(ours, frame), outputs(theirs, frame)
    for name in ("rawPrediction", "probability"):
        np.testing.assert_allclose(mine[name], other[name], tolerance, tolerance, err_msg=name)
    # Classes without rows are equally likely: there, rounding decides which one is predicted.
    differing = np.flatnonzero(mine["prediction"] != other["prediction"])
    for row in differing:
        chances = other["probability"][row]
        assert len(chances) > 2, row
        assert chances[int(mine["prediction"][row])] >= chances.max() - tolerance, row


def with_metadata(frame: Any, attributes: dict[str, Any]) -> Any:
    """The frame with these ML attributes on its label."""
    from pyspark.sql import functions as F

    label = F.col("label").alias("label", metadata={"ml_attr": {"name": "label", **attributes}})
    return frame.select("features", label, "weight")


# Classes and labels


@pytest.mark.parametrize("intercept", [True, False])
def test_labels_zero_and_two_make_three_classes(spark: Any, intercept: bool) -> None:
    features, labels, _ = read_data("binomial")
    frame = frame_of(spark, features, 2 * labels)
    params = {"regParam": 0.1, "fitIntercept": intercept}
    ours, theirs = fit_both(frame, tight=True, **params)
    assert ours.numClasses == 3
    assert_same_layout(ours, theirs)
    if not intercept:
        assert_same_numbers(ours, theirs, 1e-6)
    # With one, the intercept of class 1 runs to minus infinity, each method as far as it cares.
    mine, other = outputs(ours, frame), outputs(theirs, frame)
    np.testing.assert_allclose(mine["probability"], other["probability"], atol=1e-6)
    np.testing.assert_array_equal(mine["prediction"], other["prediction"])
    setting = Setting(family="multinomial", **params)
    values = [
        objective(
            model.coefficientMatrix.toArray(), model.interceptVector.toArray(),
            features, 2 * labels, np.ones(len(labels)), setting,
        )
        for model in (ours, theirs)
    ]  # fmt: skip
    assert values[0] <= values[1] * (1 + 1e-9)


@pytest.mark.parametrize("weightless", [1, 2])
def test_a_class_without_weight_counts_only_below_the_largest(spark: Any, weightless: int) -> None:
    features, labels, weights = read_data("multinomial")
    weights = np.where(labels == weightless, 0.0, weights)
    frame = frame_of(spark, features, labels, weights)
    params = {"weightCol": "weight", "regParam": 0.05, "fitIntercept": False}
    ours, theirs = fit_both(frame, tight=True, **params)
    assert ours.numClasses == (3 if weightless == 1 else 2)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    assert_same_outputs(ours, theirs, frame, 1e-6)


def test_rows_of_weight_zero_do_not_move_the_fit(spark: Any) -> None:
    features, labels, weights = read_data("multinomial")
    weights = np.where(np.arange(len(labels)) % 3 == 0, 0.0, weights)
    moved = np.where(weights[:, None] == 0, 1e6, features)  # would be noticed
    params = {"weightCol": "weight", "regParam": 0.05, "elasticNetParam": 0.5}
    ours, theirs = fit_both(frame_of(spark, moved, labels, weights), tight=True, **params)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    kept = weights > 0
    frame = frame_of(spark, features[kept], labels[kept], weights[kept])
    without = LogisticRegressionEstimator(**params, tol=1e-12).fit(frame)
    assert_same_numbers(ours, without, 1e-12)


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize(
    "params", [{"family": "multinomial"}, {"regParam": 0.1, "elasticNetParam": 0.5}], ids=str
)
def test_a_single_label_makes_an_infinite_intercept(
    spark: Any, label: int, params: dict[str, Any]
) -> None:
    features, _, _ = read_data("binomial")
    frame = frame_of(spark, features[:20], np.full(20, float(label)))
    ours, theirs = fit_both(frame, **params)
    np.testing.assert_array_equal(ours.coefficientMatrix.toArray(), 0.0)
    assert_same_numbers(ours, theirs, 0.0)
    assert ours.summary.objectiveHistory == list(theirs.summary.objectiveHistory) == [0.0]
    assert ours.summary.totalIterations == theirs.summary.totalIterations == 0
    assert_same_outputs(ours, theirs, frame, 0.0)
    assert_same_layout(ours, theirs)


@pytest.mark.parametrize("label", [0, 2])
def test_a_single_label_without_intercept_is_fitted(spark: Any, label: int) -> None:
    features, _, _ = read_data("binomial")
    frame = frame_of(spark, features, np.full(len(features), float(label)))
    ours, theirs = fit_both(frame, tight=True, fitIntercept=False, regParam=0.05)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    assert_same_outputs(ours, theirs, frame, 1e-6)


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ({"type": "nominal", "num_vals": 4}, 4),
        ({"type": "nominal", "vals": ["a", "b", "c"]}, 3),
        ({"type": "binary"}, 2),
    ],
)
def test_metadata_may_name_more_classes_than_there_are_labels(
    frames: dict[str, Any], attributes: dict[str, Any], classes: int
) -> None:
    frame = with_metadata(frames["binomial"], attributes)
    ours, theirs = fit_both(frame, tight=True, regParam=0.1, fitIntercept=False)
    assert ours.numClasses == classes
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)


def test_a_single_label_of_two_in_the_metadata_is_predicted(spark: Any) -> None:
    """Here we depart: Spark takes the sign from the number of classes, and predicts the other."""
    features, _, _ = read_data("binomial")
    plain = frame_of(spark, features[:20], np.zeros(20), np.ones(20))
    frame = with_metadata(plain, {"type": "nominal", "vals": ["no", "yes"]})
    ours, theirs = fit_both(frame)
    assert (ours.intercept, theirs.intercept) == (-np.inf, np.inf)
    assert ours.predict(features[0]) == 0.0


def test_metadata_may_not_name_fewer_classes(frames: dict[str, Any]) -> None:
    from pyspark.ml.classification import LogisticRegression

    frame = with_metadata(frames["multinomial"], {"type": "nominal", "num_vals": 2})
    for estimator in (LogisticRegressionEstimator(), LogisticRegression()):
        with pytest.raises(Exception, match="label"):
            estimator.fit(frame)


def test_an_empty_weight_column_is_no_weight_column(frames: dict[str, Any]) -> None:
    ours, theirs = fit_both(frames["binomial"], tight=True, weightCol="")
    assert_same_numbers(ours, theirs, 1e-6)
    plain = LogisticRegressionEstimator(tol=1e-12).fit(frames["binomial"])
    assert_same_numbers(ours, plain, 0.0)


# The start


@pytest.mark.parametrize(
    ("data", "params"),
    [
        ("binomial", {}),
        ("binomial", {"weightCol": "weight", "regParam": 0.1}),
        ("binomial", {"fitIntercept": False}),
        ("binomial", {"family": "multinomial", "weightCol": "weight"}),
        ("multinomial", {"regParam": 0.1, "elasticNetParam": 1.0}),
        ("multinomial", {"weightCol": "weight"}),
        ("multinomial", {"fitIntercept": False}),
    ],
)
def test_no_iteration_returns_the_start(
    frames: dict[str, Any], data: str, params: dict[str, Any]
) -> None:
    ours, theirs = fit_both(frames[data], maxIter=0, **params)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-13)
    np.testing.assert_allclose(
        ours.summary.objectiveHistory, list(theirs.summary.objectiveHistory), 1e-13
    )
    assert ours.summary.totalIterations == theirs.summary.totalIterations == 0
    assert_same_outputs(ours, theirs, frames[data], 1e-13)


# Storage


@pytest.mark.skipif(
    pyspark.__version__ < "4.1", reason="older Spark stores small vectors otherwise"
)
def test_vectors_are_compressed_as_spark_compresses(spark: Any) -> None:
    from pyspark.ml.common import _java2py, _py2java
    from pyspark.ml.linalg import DenseVector

    context = spark.sparkContext
    for size in range(1, 21):
        for stored in range(size + 1):
            values = np.where(np.arange(size) < stored, 1.5, 0.0)
            theirs = _java2py(context, _py2java(context, DenseVector(values)).compressed())
            assert layout(compress_vector(values)) == layout(theirs), (size, stored)


def test_matrices_are_compressed_as_spark_compresses(spark: Any) -> None:
    from pyspark.ml.common import _java2py, _py2java
    from pyspark.ml.linalg import DenseMatrix

    context, rng = spark.sparkContext, np.random.default_rng(5)
    for rows, columns in product((1, 2, 3, 7), (1, 3, 5, 7, 12)):
        for share in (0.0, 0.1, 0.3, 0.6, 1.0):
            values = np.where(rng.random((rows, columns)) < share, 1.5, 0.0)
            dense = DenseMatrix(rows, columns, values.ravel().tolist(), isTransposed=True)
            theirs = _java2py(context, _py2java(context, dense).compressed())
            ours = compress_matrix(values)
            assert layout(ours) == layout(theirs), values
            np.testing.assert_array_equal(ours.values, theirs.values)


@pytest.mark.parametrize(
    ("rows", "features", "classes", "penalty", "stored"),
    [
        (60, 12, 2, 0.2, "SparseMatrix"),  # wide: by row
        (90, 12, 3, 0.1, "SparseMatrix"),
        (200, 2, 9, 0.03, "SparseMatrix"),  # tall: by column
        (200, 2, 9, 0.0, "DenseMatrix"),
    ],
)
def test_models_are_stored_as_spark_stores_them(
    spark: Any, rows: int, features: int, classes: int, penalty: float, stored: str
) -> None:
    rng = np.random.default_rng(rows + features)
    matrix = rng.normal(size=(rows, features))
    labels = (np.arange(rows) % classes).astype(float)
    matrix[:, 0] += labels * (labels < 2)
    frame = frame_of(spark, matrix, labels)
    ours, theirs = fit_both(frame, tight=True, regParam=penalty, elasticNetParam=1.0)
    assert type(ours.coefficientMatrix).__name__ == stored
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    if classes == 2:
        assert layout(ours.coefficients) == layout(theirs.coefficients)
        assert ours.intercept == pytest.approx(theirs.intercept, rel=1e-6)


def test_a_multinomial_model_has_no_single_row_of_coefficients(frames: dict[str, Any]) -> None:
    for model in fit_both(frames["binomial"], family="multinomial", maxIter=0):
        for name in ("coefficients", "intercept"):
            with pytest.raises(Exception, match=r"[Mm]ultinomial"):
                getattr(model, name)


# Predictions


@pytest.fixture(scope="module")
def fitted(frames: dict[str, Any]) -> dict[str, Any]:
    """Spark's own fits: binomial, multinomial, and multinomial of two classes."""
    from pyspark.ml.classification import LogisticRegression

    return {
        "binomial": LogisticRegression().fit(frames["binomial"]),
        "multinomial": LogisticRegression(regParam=0.02, elasticNetParam=1.0).fit(
            frames["multinomial"]
        ),
        "two": LogisticRegression(family="multinomial").fit(frames["binomial"]),
    }


def data_of(frames: dict[str, Any], kind: str) -> Any:
    return frames["multinomial" if kind == "multinomial" else "binomial"]


@pytest.mark.parametrize("kind", ["binomial", "multinomial", "two"])
def test_the_same_coefficients_give_the_same_outputs(
    frames: dict[str, Any], fitted: dict[str, Any], kind: str
) -> None:
    theirs = fitted[kind]
    ours, frame = copied(theirs), data_of(frames, kind)
    assert_same_outputs(ours, theirs, frame, 1e-13)
    for row in frame.limit(3).collect():
        assert ours.predict(row.features) == theirs.predict(row.features)
        for name in ("predictRaw", "predictProbability"):
            mine, other = getattr(ours, name)(row.features), getattr(theirs, name)(row.features)
            np.testing.assert_allclose(mine.toArray(), other.toArray(), 1e-13)


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    *(("binomial", {"threshold": value}) for value in (0.0, 0.35, 0.8, 1.0)),
    *(("binomial", {"thresholds": values}) for values in ([0.3, 0.7], [0.0, 1.0], [2.0, 0.0])),
    ("two", {"threshold": 0.9}),  # ignored
    ("two", {"thresholds": [0.3, 0.7]}),
    ("multinomial", {}),
    *(
        ("multinomial", {"thresholds": values})
        for values in ([0.2, 0.3, 0.5], [5.0, 1.0, 0.0], [0.0, 1.0, 1.0])
    ),
]


@pytest.mark.parametrize(("kind", "setting"), SETTINGS, ids=str)
def test_thresholds_decide_as_sparks(
    frames: dict[str, Any], fitted: dict[str, Any], kind: str, setting: dict[str, Any]
) -> None:
    theirs = fitted[kind].copy()
    ours = copied(theirs)
    for model in (ours, theirs):
        for name, value in setting.items():
            getattr(model, f"set{name[0].upper()}{name[1:]}")(value)
    frame = data_of(frames, kind)
    predictions = [
        [row.prediction for row in model.transform(frame).select("prediction").collect()]
        for model in (ours, theirs)
    ]
    assert predictions[0] == predictions[1]
    rows = frame.limit(20).collect()
    assert [ours.predict(row.features) for row in rows] == predictions[0][:20]


@pytest.mark.parametrize("kind", ["binomial", "multinomial"])
@pytest.mark.parametrize("wanted", list(product([True, False], repeat=3)), ids=str)
def test_any_output_column_can_be_left_out(
    frames: dict[str, Any], fitted: dict[str, Any], kind: str, wanted: tuple[bool, ...]
) -> None:
    setting = [0.2, 0.3, 0.5] if kind == "multinomial" else [0.3, 0.7]
    theirs = fitted[kind].copy().setThresholds(setting)
    ours = copied(theirs).setThresholds(setting)
    for name, kept in zip(OUTPUTS, wanted, strict=True):
        for model in (ours, theirs):
            model.set(model.getParam(name), name.removesuffix("Col") if kept else "")
    frame = data_of(frames, kind)
    mine, other = ours.transform(frame), theirs.transform(frame)
    assert mine.columns == other.columns
    for field, its in zip(mine.schema, other.schema, strict=True):
        assert (field.name, field.dataType) == (its.name, its.dataType)
        assert field.metadata == its.metadata, field.name
    if wanted[2]:
        predicted = [[row.prediction for row in made.collect()] for made in (mine, other)]
        assert predicted[0] == predicted[1]


@pytest.mark.parametrize("kind", ["binomial", "multinomial"])
def test_output_columns_have_sparks_types(
    frames: dict[str, Any], fitted: dict[str, Any], kind: str
) -> None:
    """But for one: our prediction may be null, for null features, where Spark's scoring fails."""
    frame = data_of(frames, kind)
    theirs = fitted[kind].transform(frame).schema
    assert not theirs["prediction"].nullable
    theirs["prediction"].nullable = True
    assert copied(fitted[kind]).transform(frame).schema == theirs


def test_output_metadata_of_a_single_class(spark: Any) -> None:
    features, _, _ = read_data("binomial")
    frame = frame_of(spark, features[:20], np.zeros(20))
    for family in ("binomial", "multinomial"):
        ours, theirs = fit_both(frame, family=family)
        for field, its in zip(
            ours.transform(frame).schema, theirs.transform(frame).schema, strict=True
        ):
            assert field.metadata == its.metadata, field.name
