"""What the first version saved; made by tests/saved/make.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml.linalg import DenseVector, SparseMatrix, Vectors

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.saving.files import FORMAT
from sparklr.spark.errors import InvalidValueError
from tests.made_models import values_of

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("spark")]

INF = float("inf")
SAVED = Path(__file__).parents[1] / "saved"


def test_a_saved_estimator_of_format_1_is_loaded() -> None:
    loaded = LogisticRegressionEstimator.load(str(SAVED / "format-1" / "estimator"))
    assert loaded.uid == "estimator_1"
    found = values_of(loaded)[0]
    start = json.loads(found.pop("initialModel"))
    assert found == {
        "featuresCols": ["age", "dose", "a.b"],
        "labelCol": "ill",
        "weightCol": "weight",
        "regParam": 0.1,
        "maxIter": 17,
        "tol": 1e-9,
        "standardization": False,
        "threshold": 0.25,
        "solver": "auto",
        "lowerBoundsOnCoefficients": [[0.0, -INF, -1.5]],
        "upperBoundsOnCoefficients": [[INF, 0.0, 0.1]],
        "lowerBoundsOnIntercepts": [-2.0],
        "upperBoundsOnIntercepts": [INF],
    }
    assert (start["uid"], start["coefficients"]) == ("binomial_1", [[0.5, -1.25, 0.1]])
    assert loaded.getInitialModel().featureNames == ["age", "dose", "a.b"]
    assert loaded.getElasticNetParam() == 0.0


def test_a_saved_binomial_model_of_format_1_is_loaded_and_scores(spark: Any) -> None:
    loaded = LogisticRegressionModel.load(str(SAVED / "format-1" / "binomial"))
    assert repr(loaded) == "LogisticRegressionModel: uid=binomial_1, numClasses=2, numFeatures=3"
    assert loaded.coefficients == DenseVector([0.5, -1.25, 0.1])
    assert loaded.intercept == 0.75
    assert loaded.featureNames == ["age", "dose", "a.b"]
    assert (loaded.getThreshold(), loaded.getRegParam()) == (0.3, 0.01)
    frame = spark.createDataFrame([(1.0, 2.0, 10.0)], ["age", "dose", "a.b"])
    scored = loaded.transform(frame).first()
    assert scored.rawPrediction.toArray() == pytest.approx([0.25, -0.25])
    assert scored.probability[1] == pytest.approx(0.4378234991142019)
    assert scored.prediction == 1.0


@pytest.mark.connect_slice
def test_a_saved_multinomial_model_of_format_1_is_loaded_and_scores(spark: Any) -> None:
    loaded = LogisticRegressionModel.load(str(SAVED / "format-1" / "multinomial"))
    assert (loaded.uid, loaded.numClasses, loaded.numFeatures) == ("multinomial_1", 3, 40)
    matrix = loaded.coefficientMatrix
    assert isinstance(matrix, SparseMatrix)
    places = {(0, 3): 0.1, (1, 7): -2.0, (2, 7): 1e-300, (2, 39): 4.5}
    assert len(matrix.values) == 4
    assert {place: matrix.toArray()[place] for place in places} == places
    assert loaded.interceptVector == DenseVector([0.25, 0.0, -0.25])
    assert loaded.getThresholds() == [0.2, 0.5, 0.3]
    row = Vectors.sparse(40, {3: 1.0, 39: 0.18})
    scored = loaded.transform(spark.createDataFrame([(row,)], ["features"])).first()
    assert scored.rawPrediction.toArray() == pytest.approx([0.35, 0.0, 0.56])
    chances = [0.34032518, 0.2398231, 0.41985171]
    assert scored.probability.toArray() == pytest.approx(chances, abs=1e-8)
    assert scored.p == 0.0  # by the thresholds, for 2 is the most probable


def test_a_model_of_format_1_says_that_it_has_no_standard_errors() -> None:
    loaded = LogisticRegressionModel.load(str(SAVED / "format-1" / "multinomial"))
    with pytest.raises(InvalidValueError, match="by a version that did not save them"):
        _ = loaded.estimates


@pytest.mark.parametrize(("number", "count"), [(1, 5), (2, 8)])
def test_the_saved_files_are_few_and_small(number: int, count: int) -> None:
    assert number <= FORMAT
    files = [file for file in (SAVED / f"format-{number}").rglob("*") if file.is_file()]
    assert len(files) == count
    assert sum(file.stat().st_size for file in files) < 25_000
