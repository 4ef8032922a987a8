"""A model scores arrays, tables and rows by itself, without Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from pyspark.ml.linalg import DenseVector, Vectors

from tests.made_models import fitted_model, several_models

ALONE = """
import json
import sys
import numpy as np
import pandas as pd
import scipy.sparse as sp
from pyspark import SparkContext
from pyspark.sql import SparkSession
from sparklr import LogisticRegressionModel

matrix = np.array([[1.0, 0.0, 3.0], [0.0, -2.0, 0.5]])
for text, expected in json.load(sys.stdin):
    model = LogisticRegressionModel.fromJson(text)
    rows = np.array(expected)
    for given in (matrix, sp.csr_matrix(matrix), sp.csc_matrix(matrix), matrix.tolist()):
        np.testing.assert_allclose(model.predictProbability(given), rows, rtol=1e-15)
        assert model.predictRaw(given).shape == rows.shape
        assert model.predict(given).shape == (2,)
    one = model.predictProbability([1.0, 0.0, 3.0]).toArray()
    np.testing.assert_allclose(one, rows[0], rtol=1e-15)
    assert model.predict(matrix[1]) == model.predict(matrix)[1]
    assert model.copy().featureNames == model.featureNames
    assert LogisticRegressionModel.fromJson(model.toJson()).toJson() == text
    names = model.numbers.names
    rows = matrix if names is None else pd.DataFrame(matrix, columns=names)
    model.toSklearn().predict(rows)
assert SparkSession.getActiveSession() is None
assert SparkContext._active_spark_context is None and SparkContext._gateway is None
print("alone")
"""


def test_json_is_read_and_scores_without_a_spark_session() -> None:
    matrix = np.array([[1.0, 0.0, 3.0], [0.0, -2.0, 0.5]])
    models = [several_models()[name] for name in ("binary", "ternary")]
    given = [(model.toJson(), model.predictProbability(matrix).tolist()) for model in models]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE],
        input=json.dumps(given), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "alone\n"


def test_one_row_gives_a_vector_and_a_table_an_array() -> None:
    values = [1.0, 0.0, 3.0]
    rows: list[Any] = [
        values, tuple(values), np.array(values), np.array(values, dtype=np.float32), [1, 0, 3],
        Vectors.dense(values), Vectors.sparse(3, [0, 2], [1.0, 3.0]), pd.Series(values),
    ]  # fmt: skip
    tables: list[Any] = [
        [values], np.array([values]), np.array([[1, 0, 3]]), sp.csr_matrix([values]),
        sp.coo_matrix([values]), sp.csc_matrix([[1, 0, 3]]), sp.csr_array([values]),
        pd.DataFrame([values]), np.asfortranarray([values]),
    ]  # fmt: skip
    for model in (several_models()[name] for name in ("binary", "ternary")):
        classes = model.numClasses
        raw, probability = model.predictRaw(values), model.predictProbability(values)
        assert_allclose(probability.toArray().sum(), 1.0)
        for row in rows:
            for value, expected in (
                (model.predictRaw(row), raw), (model.predictProbability(row), probability)
            ):  # fmt: skip
                assert type(value) is DenseVector
                assert_allclose(value, expected, rtol=1e-15)
            assert type(model.predict(row)) is float
        for table in tables:
            assert type(model.predictRaw(table)) is np.ndarray
            assert_allclose(model.predictRaw(table), [raw], rtol=1e-15)
            assert_allclose(model.predictProbability(table), [probability], rtol=1e-15)
            assert model.predict(table).tolist() == [model.predict(values)]
        for empty in (np.empty((0, 3)), sp.csr_matrix((0, 3))):
            assert model.predictRaw(empty).shape == (0, classes)
            assert model.predictProbability(empty).shape == (0, classes)
            assert model.predict(empty).shape == (0,)


@pytest.mark.parametrize(
    "value",
    [[1.0, 2.0], [], 1.0, np.ones((2, 4)), sp.eye(2), Vectors.sparse(4, {}), [[1.0], [2.0]]],
)
def test_rows_of_the_wrong_width_are_refused(value: Any) -> None:
    binary = several_models()["binary"]
    for predict in (binary.predict, binary.predictRaw, binary.predictProbability):
        with pytest.raises(ValueError, match=r"has \d features, but the model was fitted on 3\."):
            predict(value)


def test_an_array_of_three_dimensions_is_refused_for_what_it_is() -> None:
    with pytest.raises(ValueError, match=r"dimension|shape|\(2, 2, 3\)"):
        several_models()["binary"].predict(np.ones((2, 2, 3)))


ROW = {"age": 1.0, "dose": 0.0, "weight": 3.0}


@pytest.mark.parametrize("given", [pd.DataFrame([ROW, ROW]), pd.Series(ROW)], ids=["frame", "row"])
def test_pandas_columns_are_found_by_name(given: pd.DataFrame | pd.Series) -> None:
    """In whichever order they stand: by their places the scores would be wrong in silence."""
    model = fitted_model([[1.0, -0.5, 2.0]], [0.1], names=tuple(ROW))
    expected = model.predictProbability(list(ROW.values())).toArray()
    found = np.asarray(model.predictProbability(given[["weight", "age", "dose"]]))
    assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-15)


@pytest.mark.parametrize("kind", [pd.DataFrame, pd.Series])
def test_pandas_labels_that_are_no_features_are_refused(kind: Any) -> None:
    model = fitted_model([[1.0, -0.5, 2.0]], [0.1], names=tuple(ROW))
    given = pd.DataFrame([ROW]).rename(columns={"dose": "doses"})
    given = given if kind is pd.DataFrame else given.iloc[0]
    with pytest.raises(ValueError, match=f"The {kind.__name__} has no 'dose'.*age, dose, weight"):
        model.predict(given)
    with pytest.raises(ValueError, match="features of this model have no names"):
        fitted_model([[1.0, -0.5, 2.0]], [0.1]).predictRaw(given)


def test_a_series_of_numbers_alone_is_a_row() -> None:
    model = fitted_model([[1.0, -0.5, 2.0]], [0.1])
    assert model.predictRaw(pd.Series([1.0, 0.0, 3.0])) == model.predictRaw([1.0, 0.0, 3.0])
