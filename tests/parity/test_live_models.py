"""Our model beside Spark's own, live: how it is stored, and what it makes of rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pyspark
import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.common import _java2py, _py2java
from pyspark.ml.linalg import DenseMatrix, DenseVector

from sparklr import LogisticRegressionModel
from sparklr.spark.matrices import compress_matrix, compress_vector
from tests.parity.live import (
    assert_same_layout,
    assert_same_numbers,
    assert_same_outputs,
    fit_both,
    layout,
    reference_frames,
)
from tests.parity.make_spark import frame_of, read_data
from tests.tiers import first_and_deep

OUTPUTS = ("rawPredictionCol", "probabilityCol", "predictionCol")


@pytest.fixture(scope="module")
def frames(spark: Any) -> Iterator[dict[str, Any]]:
    with reference_frames(spark) as made:
        yield made


def copied(model: Any) -> LogisticRegressionModel:
    """Our model with the coefficients of Spark's."""
    multinomial = model.coefficientMatrix.numRows == model.interceptVector.size != 1
    return LogisticRegressionModel(
        model.coefficientMatrix, model.interceptVector, model.numClasses, multinomial
    )


# Storage


@pytest.mark.skipif(
    pyspark.__version__ < "4.1", reason="older Spark stores small vectors otherwise"
)
def test_vectors_are_compressed_as_spark_compresses(spark: Any) -> None:
    context = spark.sparkContext
    for size in range(1, 21):
        for stored in range(size + 1):
            values = np.where(np.arange(size) < stored, 1.5, 0.0)
            theirs = _java2py(context, _py2java(context, DenseVector(values)).compressed())
            assert layout(compress_vector(values)) == layout(theirs), (size, stored)


def test_matrices_are_compressed_as_spark_compresses(spark: Any) -> None:
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
    first_and_deep(
        [
            (60, 12, 2, 0.2, "SparseMatrix"),  # wide: by row
            (200, 2, 9, 0.03, "SparseMatrix"),  # tall: by column
            (90, 12, 3, 0.1, "SparseMatrix"),
            (200, 2, 9, 0.0, "DenseMatrix"),
        ],
        first=2,
    ),
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


@pytest.mark.parametrize("kind", ["binomial", "multinomial", "two"])
def test_thresholds_decide_as_sparks(
    frames: dict[str, Any], fitted: dict[str, Any], kind: str
) -> None:
    """All settings of a kind score one frame, one after the other."""
    frame = data_of(frames, kind)
    rows = frame.limit(20).collect()
    scored, single = [frame, frame], []
    settings = [setting for name, setting in SETTINGS if name == kind]
    for at, setting in enumerate(settings):
        theirs = fitted[kind].copy()
        models = copied(theirs), theirs
        for model in models:
            for name, value in setting.items():
                getattr(model, f"set{name[0].upper()}{name[1:]}")(value)
        single.append([models[0].predict(row.features) for row in rows])
        for model in models:
            for name in OUTPUTS:
                model.set(model.getParam(name), f"{at}" if name == "predictionCol" else "")
        scored = [model.transform(its) for model, its in zip(models, scored, strict=True)]
    ours, its = (its.collect() for its in scored)
    for at, setting in enumerate(settings):
        predicted = [row[f"{at}"] for row in ours]
        assert predicted == [row[f"{at}"] for row in its], setting
        assert single[at] == predicted[:20], setting


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
