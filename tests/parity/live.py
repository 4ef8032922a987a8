"""Our estimator and model beside Spark's own, live: what both tests of it share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pyspark.ml.classification import LogisticRegression

from sparklr import LogisticRegressionEstimator
from tests.parity.make_spark import frame_of, read_data
from tests.parity.objective import Array


@contextmanager
def reference_frames(spark: Any) -> Iterator[dict[str, Any]]:
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
    ours = LogisticRegressionEstimator(**params, **({"tol": 1e-12} if tight else {}))
    theirs = LogisticRegression(**params, **({"tol": 1e-15, "maxIter": 1000} if tight else {}))
    return ours.fit(frame), theirs.fit(frame)


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
