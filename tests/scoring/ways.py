"""Rows with nulls, NaN, infinities and huge numbers, scored by Spark's own model and by Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
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
from tests.made_models import without_jvm

NAN, INF = float("nan"), float("inf")
BINOMIAL = np.array([[0.5, 0.0, -2.0]])
MULTINOMIAL = np.array([[0.5, 0.0, -2.0], [0.0, 1.5, 0.0], [-0.7, 0.3, 0.0]])
OUTPUTS = ("rawPrediction", "probability", "prediction")

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


@contextmanager
def odd_rows(spark: Any) -> Iterator[Any]:
    """A cached frame of `ROWS`."""
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
    """A model of these numbers, stored in this way; more than one row makes it multinomial."""
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


def in_order(frame: Any) -> list[Any]:
    return sorted(frame.collect(), key=lambda row: row.at)


def goes_to_python(frame: Any) -> bool:
    return "ArrowEvalPython" in frame._jdf.queryExecution().executedPlan().toString()


def numbers(rows: list[Any], column: str, width: int) -> tuple[Any, Any]:
    """A column as numbers (n, width), nulls as NaN, and which are null."""
    null = np.array([row[column] is None for row in rows])
    values = [np.full(width, NAN) if row[column] is None else row[column] for row in rows]
    return np.array([np.ravel(value) for value in values], dtype=float), null


class Score(NamedTuple):
    """What a model says of one row."""

    raw: Any
    probability: Any
    prediction: Any


def scored_alike(
    patch: pytest.MonkeyPatch, frame: Any, models: dict[str, LogisticRegressionModel]
) -> dict[str, list[Score]]:
    """The scores by each model, which are the same by the JVM and by Arrow."""
    by_twin = [model.transform(frame) for model in models.values()]
    with patch.context() as inner:
        without_jvm(inner)
        by_arrow = [model.transform(frame) for model in models.values()]
    for twin, arrow in zip(by_twin, by_arrow, strict=True):
        assert (goes_to_python(twin), goes_to_python(arrow)) == (False, True)
        assert twin.schema == arrow.schema
    found = {}
    for (name, model), twins, arrows in zip(
        models.items(), collected(by_twin), collected(by_arrow), strict=True
    ):
        for column, width in zip(OUTPUTS, (model.numClasses, model.numClasses, 1), strict=True):
            twin, twin_null = numbers(twins, column, width)
            arrow, arrow_null = numbers(arrows, column, width)
            assert_array_equal(arrow_null, twin_null, err_msg=f"{name} {column}")
            assert_allclose(arrow, twin, rtol=1e-12, atol=1e-12, err_msg=f"{name} {column}")
        found[name] = [Score(*(row[column] for column in OUTPUTS)) for row in arrows]
    return found


def collected(frames: list[Any]) -> list[list[Any]]:
    """The outputs in each of several scored frames, in the order of their rows; by one job."""
    named = [
        frame.select("at", *OUTPUTS, F.lit(number).alias("frame"))
        for number, frame in enumerate(frames)
    ]
    rows = reduce(lambda one, other: one.union(other), named).collect()
    return [
        sorted((row for row in rows if row.frame == number), key=lambda row: row.at)
        for number in range(len(frames))
    ]
