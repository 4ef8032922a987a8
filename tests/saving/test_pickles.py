"""A model pickled, in a function of the user's, and copied."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pyspark import cloudpickle
from pyspark.ml.classification import LogisticRegression as SparkEstimator
from pyspark.sql.pandas.functions import pandas_udf

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.made_models import assert_same_model


@pytest.fixture(scope="module")
def binary(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(featuresCols=["x0", "x1", "x2"], threshold=0.3).fit(two)


@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_a_model_can_be_pickled_after_it_scored(
    two: Any, binary: LogisticRegressionModel, pickler: Any
) -> None:
    assert binary.hasSummary
    expected = binary.transform(two).collect()
    text = pickler.dumps(binary)
    assert len(text) < 20_000
    found = pickle.loads(text)
    assert_same_model(found, binary)
    assert not found.hasSummary
    assert found.transform(two).collect() == expected
    assert binary.hasSummary


def test_a_model_serves_in_a_function_of_the_users(
    two: Any, binary: LogisticRegressionModel
) -> None:
    binary.transform(two)  # its handle of the JVM must not go along

    @pandas_udf("double")  # type: ignore[call-overload]
    def score(x0: pd.Series, x1: pd.Series, x2: pd.Series) -> pd.Series:
        return pd.Series(binary.predictProbability(np.column_stack((x0, x1, x2)))[:, 1])

    rows = binary.transform(two).select("probability", score("x0", "x1", "x2").alias("mine"))
    for row in rows.limit(20).collect():
        assert_allclose(row.mine, row.probability[1], rtol=1e-13)


def test_a_copy_keeps_the_summary_as_sparks_does(two: Any, binary: LogisticRegressionModel) -> None:
    assert binary.copy().hasSummary
    assert binary.copy({binary.threshold: 0.9}).summary.objectiveHistory
    assert SparkEstimator(maxIter=1).fit(two).copy().hasSummary
