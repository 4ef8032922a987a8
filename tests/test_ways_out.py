"""A model outside of sparklr: as Spark's own, as scikit-learn's, as JSON, pickled, on arrays."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from pyspark import cloudpickle
from pyspark.ml.classification import LogisticRegression as SparkEstimator
from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, SparseVector, Vectors
from pyspark.sql.pandas.functions import pandas_udf

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.classic import SparkModelCache
from tests.frames import dense

INF = float("inf")
PARAMS = {
    "regParam": 0.01,
    "elasticNetParam": 0.0,
    "threshold": 0.3,
    "family": "binomial",
    "maxIter": 7,
    "tol": 1e-9,
    "weightCol": "weight",
    "predictionCol": "p",
    "lowerBoundsOnCoefficients": DenseMatrix(1, 3, [-9.0, -5.0, -2.0]),
    "upperBoundsOnIntercepts": Vectors.dense(9.0),
}


@pytest.fixture(scope="module")
def binary(two: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(featuresCols=["x0", "x1", "x2"], threshold=0.3).fit(two)


@pytest.fixture(scope="module")
def ternary(three: Any) -> LogisticRegressionModel:
    return LogisticRegressionEstimator(regParam=0.01, thresholds=[0.2, 0.5, 0.3]).fit(three)


@pytest.fixture(scope="module")
def pair(two: Any) -> LogisticRegressionModel:
    """Two classes, each with coefficients of its own."""
    return LogisticRegressionEstimator(regParam=0.01, family="multinomial").fit(two)


@pytest.fixture(scope="module")
def sparse() -> LogisticRegressionModel:
    """Three classes of many features, of which few count."""
    coefficients = np.zeros((3, 30))
    coefficients[[0, 1, 2, 2], [3, 7, 7, 29]] = 0.1, -1e-300, 1 / 3, -2.5
    return LogisticRegressionModel._of(
        ModelNumbers.of(coefficients, np.zeros(3), 3, family=MULTINOMIAL)
    )


@pytest.fixture(scope="module")
def certain() -> list[LogisticRegressionModel]:
    """What fits on a single label give: of two classes all zero, all one; of three all two."""
    none, three = np.zeros((1, 3)), np.zeros((3, 3))
    return [
        LogisticRegressionModel._of(ModelNumbers.of(none, np.array([-INF]), 1, family=BINOMIAL)),
        LogisticRegressionModel._of(ModelNumbers.of(none, np.array([INF]), 2, family=BINOMIAL)),
        LogisticRegressionModel._of(
            ModelNumbers.of(three, np.array([0.0, 0.0, INF]), 3, family=MULTINOMIAL)
        ),
    ]


def set_params(params: Any) -> dict[str, Any]:
    return {
        param.name: params.getOrDefault(param) for param in params.params if params.isSet(param)
    }


def assert_same(
    found: LogisticRegressionModel, model: LogisticRegressionModel, *, names: bool = True
) -> None:
    assert (found.uid, repr(found)) == (model.uid, repr(model))
    assert type(found.coefficientMatrix) is type(model.coefficientMatrix)
    assert found.coefficientMatrix == model.coefficientMatrix
    assert type(found.interceptVector) is type(model.interceptVector)
    assert found.interceptVector == model.interceptVector
    assert found.numbers.family is model.numbers.family
    assert set_params(found) == set_params(model)
    if names:
        assert found.featureNames == model.featureNames


# Spark's own model


def test_a_model_as_sparks_own_scores_alike(two: Any, three: Any, pair: Any, ternary: Any) -> None:
    for frame, model in ((two, pair), (three, ternary)):
        spark_model = model.toSpark()
        assert type(spark_model) is SparkModel
        assert spark_model.uid == model.uid
        assert spark_model.transform(frame).collect() == model.transform(frame).collect()


def test_a_model_as_sparks_own_has_its_params_saves_and_evaluates(
    tmp_path: Path, two: Any, binary: LogisticRegressionModel
) -> None:
    model = binary.copy().setFeaturesCol("features")._set(**PARAMS)
    spark_model = model.toSpark()
    assert set_params(spark_model) == set_params(model)
    for name, value in PARAMS.items():
        assert spark_model.getOrDefault(name) == value
    java = spark_model._java_obj  # its Params are what counts in the JVM
    assert (java.getThreshold(), java.getMaxIter(), java.getPredictionCol()) == (0.3, 7, "p")
    expected = [row.p for row in model.transform(two).collect()]
    assert [row.p for row in spark_model.transform(two).collect()] == expected
    assert_allclose(spark_model.evaluate(two).accuracy, model.evaluate(two).accuracy, rtol=1e-12)
    spark_model.save(str(tmp_path / "model"))
    loaded = SparkModel.load(str(tmp_path / "model"))
    assert [row.p for row in loaded.transform(two).collect()] == expected
    assert set_params(loaded).keys() == set_params(model).keys()


def test_params_that_spark_lacks_are_left_behind(binary: LogisticRegressionModel) -> None:
    found = set_params(binary.toSpark())
    assert "featuresCols" in set_params(binary)
    assert found == {n: v for n, v in set_params(binary).items() if n != "featuresCols"}


def test_each_spark_model_is_its_own(pair: LogisticRegressionModel, two: Any) -> None:
    expected = pair.transform(two).first().prediction
    for cut in ([0.0, 1.0], [1.0, 0.0]):
        pair.toSpark().setThresholds(cut).setPredictionCol("mine")
    assert pair.transform(two).first().prediction == expected
    assert not pair.toSpark().isSet("thresholds")


def test_without_a_jvm_there_is_no_model_of_sparks(
    pair: LogisticRegressionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkModelCache, "copy_in", lambda *_: None)
    with pytest.raises(
        RuntimeError, match=r"toSpark makes a model in Spark's JVM.*classic session"
    ):
        pair.toSpark()


@pytest.mark.parametrize("family", ["binomial", "multinomial"])
def test_a_model_of_sparks_becomes_ours_and_goes_back(two: Any, family: str) -> None:
    theirs = SparkEstimator(
        family=family, regParam=0.1, elasticNetParam=0.9, maxIter=5, thresholds=[0.4, 0.6],
        weightCol="weight", probabilityCol="chance",
    ).fit(two)  # fmt: skip
    ours = LogisticRegressionModel.fromSpark(theirs)
    assert ours.uid == theirs.uid
    assert set_params(ours) == set_params(theirs)
    assert ours.coefficientMatrix == theirs.coefficientMatrix
    assert ours.interceptVector == theirs.interceptVector
    assert ours.numClasses == 2
    assert ours.featureNames == ["features[0]", "features[1]", "features[2]"]
    assert not ours.hasSummary
    assert ours.transform(two).collect() == theirs.transform(two).collect()
    back = ours.toSpark()
    assert set_params(back) == set_params(theirs)
    assert back.transform(two).collect() == theirs.transform(two).collect()
    assert_same(LogisticRegressionModel.fromSpark(back), ours)


def test_a_model_of_ours_comes_back_from_spark(
    ternary: LogisticRegressionModel, sparse: Any, certain: Any
) -> None:
    for model in (ternary, sparse, *certain):
        found = LogisticRegressionModel.fromSpark(model.toSpark())
        assert_same(found, model)


@pytest.mark.parametrize("family", ["auto", "multinomial"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_sparks_models_of_a_single_label_become_ours(spark: Any, family: str, label: float) -> None:
    frame = spark.createDataFrame(
        [(Vectors.dense(x), label) for x in (1.0, 2.0)], ["features", "label"]
    )
    theirs = SparkEstimator(family=family).fit(frame)
    ours = LogisticRegressionModel.fromSpark(theirs)
    assert ours.transform(frame).collect() == theirs.transform(frame).collect()
    fitted = LogisticRegressionEstimator(family=family).fit(frame)
    assert fitted.transform(frame).collect() == theirs.transform(frame).collect()


@pytest.mark.parametrize("value", [None, "text", SparkEstimator])
def test_only_a_model_of_sparks_becomes_ours(value: Any) -> None:
    with pytest.raises(TypeError, match=r"fromSpark takes a pyspark\.ml\..*Model, but got a \w+\."):
        LogisticRegressionModel.fromSpark(value)


def test_a_model_of_ours_is_not_a_model_of_sparks(pair: LogisticRegressionModel) -> None:
    with pytest.raises(TypeError, match="but got a LogisticRegressionModel"):
        LogisticRegressionModel.fromSpark(pair)  # type: ignore[arg-type]


# scikit-learn


def test_scikit_learn_gives_the_same_probabilities(
    two: Any, binary: Any, pair: Any, ternary: Any, sparse: Any
) -> None:
    rows = dense(two, "features")
    wide = np.random.default_rng(3).normal(size=(20, 30))
    for model, matrix in ((binary, rows), (pair, rows), (ternary, rows), (sparse, wide)):
        made = model.toSklearn()
        assert_allclose(made.predict_proba(matrix), model.predictProbability(matrix), rtol=1e-13)
        assert_array_equal(made.classes_, np.arange(model.numClasses))
        plain = model.copy()
        for param in (plain.threshold, plain.thresholds):
            plain.clear(param)
        assert_array_equal(made.predict(matrix), plain.predict(matrix))
    assert binary.toSklearn().coef_.shape == pair.toSklearn().coef_.shape == (1, 3)
    with pytest.raises(ValueError, match="3 features"):
        binary.toSklearn().predict(rows[:, :2])


def test_scikit_learns_model_is_a_copy(binary: LogisticRegressionModel) -> None:
    before = binary.predictRaw([1.0, 2.0, 3.0])
    made = binary.toSklearn()
    made.coef_ *= 0
    made.intercept_ *= 0
    assert binary.predictRaw([1.0, 2.0, 3.0]) == before
    assert binary.toSklearn().coef_.any()


def test_without_scikit_learn_the_error_says_what_to_install(
    binary: LogisticRegressionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        binary.toSklearn()


def test_scikit_learn_takes_certain_models_or_they_are_refused(certain: Any) -> None:
    none, all_one, all_two = certain
    with pytest.raises(ValueError, match=r"toSklearn: .* two classes or more.*one label alone"):
        none.toSklearn()
    assert_array_equal(all_one.toSklearn().predict_proba(np.ones((2, 3))), [[0, 1], [0, 1]])
    # Its softmax of an infinite margin is NaN.
    with pytest.raises(ValueError, match=r"toSklearn: .*one label alone"):
        all_two.toSklearn()


# JSON


def test_a_model_comes_back_from_json(
    binary: Any, pair: Any, ternary: Any, sparse: Any, certain: Any
) -> None:
    bounded = binary.copy().setFeaturesCol("features")._set(**PARAMS)
    # Spark itself cannot load infinite bounds that it saved.
    bounded._set(upperBoundsOnCoefficients=DenseMatrix(1, 3, [INF, 0.1, INF]))
    bounded._set(lowerBoundsOnIntercepts=Vectors.dense(-INF))
    for model in (binary, pair, ternary, sparse, bounded, *certain):
        text = model.toJson()
        found = LogisticRegressionModel.fromJson(text)
        assert_same(found, model)
        assert found.toJson() == text
        assert LogisticRegressionModel.fromJson(json.dumps(json.loads(text), indent=2)).uid
        assert not found.hasSummary


def test_json_is_strict_and_keeps_sparse_coefficients_sparse(sparse: Any, certain: Any) -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    for model in (sparse, *certain):
        found = json.loads(model.toJson(), parse_constant=refuse)
        assert found["sparklrFormat"] == 1
        assert found["class"] == "sparklr.model.LogisticRegressionModel"
    assert len(json.loads(sparse.toJson())["coefficients"]["data"]) == 4
    assert isinstance(sparse.coefficientMatrix, SparseMatrix)
    assert isinstance(certain[2].interceptVector, SparseVector)


def test_what_json_holds_scores_as_before(two: Any, binary: Any) -> None:
    found = LogisticRegressionModel.fromJson(binary.toJson())
    assert found.transform(two).collect() == binary.transform(two).collect()
    assert found.getThreshold() == 0.3
    assert found.featureNames == ["x0", "x1", "x2"]


def test_each_key_of_the_json_is_needed(binary: Any, sparse: Any) -> None:
    for model in (binary, sparse):
        whole = json.loads(model.toJson())
        for key in whole:
            text = json.dumps({name: value for name, value in whole.items() if name != key})
            with pytest.raises(ValueError, match=r"\.$") as caught:
                LogisticRegressionModel.fromJson(text)
            assert not isinstance(caught.value, json.JSONDecodeError)
            assert "The text" in str(caught.value) or "The JSON of this model" in str(caught.value)
        for key in whole["coefficients"] if isinstance(whole["coefficients"], dict) else ():
            part = {name: v for name, v in whole["coefficients"].items() if name != key}
            with pytest.raises(ValueError, match="The JSON of this model is damaged"):
                LogisticRegressionModel.fromJson(json.dumps({**whole, "coefficients": part}))


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "a newer format": ({"sparklrFormat": 2}, "format 2 by a newer sparklr.*Upgrade"),
    "an estimator's": ({"class": "sparklr.estimator.LogisticRegressionEstimator"}, "holds sparklr"),
    "no class": ({"class": None}, "holds None, not sparklr"),
    "a row too few": ({"coefficients": []}, "damaged"),
    "a column too many": ({"coefficients": [[1.0, 2.0, 3.0, 4.0]]}, r"\(1, 4\).*\(1, 3\)"),
    "ragged rows": ({"coefficients": [[1.0], [1.0, 2.0]]}, "damaged"),
    "coefficients are text": ({"coefficients": [["a", "b", "c"]]}, "damaged"),
    "coefficients are null": ({"coefficients": None}, "damaged"),
    "an entry out of place": (
        {"coefficients": {"row": [0], "col": [3], "data": [1.0]}},
        "damaged",
    ),
    "an entry half": ({"coefficients": {"row": [0], "col": [], "data": [1.0]}}, "damaged"),
    "intercepts are text": ({"intercepts": ["a"]}, "damaged"),
    "intercepts are null": ({"intercepts": None}, "damaged"),
    "no intercepts": ({"intercepts": []}, "damaged"),
    "an intercept too many": ({"intercepts": [1.0, 2.0]}, "damaged"),
    "features are text": ({"numFeatures": "a"}, "damaged"),
    "features are null": ({"numFeatures": None}, "damaged"),
    "a class too many": ({"numClasses": 3}, "damaged"),
    "classes are null": ({"numClasses": None}, "damaged"),
    "the other family": ({"isMultinomial": True}, "damaged"),
    "no family": ({"isMultinomial": None}, "damaged"),
    "no uid": ({"uid": None}, "damaged"),
    "a name too few": ({"featureNames": ["a", "b"]}, "damaged"),
    "names are numbers": ({"featureNames": 3}, "damaged"),
    "an unknown Param": ({"paramMap": {"nonsense": 1}}, "damaged"),
    "a Param of the wrong type": ({"paramMap": {"regParam": "a"}}, "damaged"),
    "a Param out of range": ({"paramMap": {"regParam": -1.0}}, "regParam=-1.0 is not allowed"),
    "Params are a list": ({"paramMap": [1]}, "damaged"),
}


@pytest.mark.parametrize(("changed", "words"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_json_is_refused_in_words(
    binary: LogisticRegressionModel, changed: dict[str, Any], words: str
) -> None:
    text = json.dumps({**json.loads(binary.toJson()), **changed})
    with pytest.raises(ValueError, match=words) as caught:
        LogisticRegressionModel.fromJson(text)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "3", "[1]", '"text"', "{}", "model", '{"class": "other.Model"}']
)
def test_what_is_no_model_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"not the JSON of a model: |^The text holds ") as caught:
        LogisticRegressionModel.fromJson(text)
    assert not isinstance(caught.value, json.JSONDecodeError)


def test_truncated_json_is_refused(ternary: LogisticRegressionModel) -> None:
    text = ternary.toJson()
    for length in range(0, len(text) - 1, 37):
        with pytest.raises(ValueError, match="This is not the JSON of a model: "):
            LogisticRegressionModel.fromJson(text[:length])


# arrays, without Spark

ALONE = """
import sys
import numpy as np
import scipy.sparse as sp
from pyspark import SparkContext
from pyspark.sql import SparkSession
from sparklr import LogisticRegressionModel

text, expected = sys.stdin.read().splitlines()
model = LogisticRegressionModel.fromJson(text)
rows = np.array(eval(expected, {"array": np.array}))
matrix = np.array([[1.0, 0.0, 3.0], [0.0, -2.0, 0.5]])
for given in (matrix, sp.csr_matrix(matrix), sp.csc_matrix(matrix), matrix.tolist()):
    np.testing.assert_allclose(model.predictProbability(given), rows, rtol=1e-15)
    assert model.predictRaw(given).shape == rows.shape
    assert model.predict(given).shape == (2,)
np.testing.assert_allclose(model.predictProbability([1.0, 0.0, 3.0]).toArray(), rows[0], rtol=1e-15)
assert model.predict(matrix[1]) == model.predict(matrix)[1]
assert model.copy().featureNames == model.featureNames
assert LogisticRegressionModel.fromJson(model.toJson()).toJson() == text
model.toSklearn().predict(matrix)
assert SparkSession.getActiveSession() is None
assert SparkContext._active_spark_context is None and SparkContext._gateway is None
print("alone")
"""


def test_json_is_read_and_scores_without_a_spark_session(binary: Any, ternary: Any) -> None:
    matrix = np.array([[1.0, 0.0, 3.0], [0.0, -2.0, 0.5]])
    for model in (binary, ternary):
        given = f"{model.toJson()}\n{model.predictProbability(matrix).tolist()}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ALONE],
            input=given, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == "alone\n"


def test_one_row_gives_a_vector_and_a_table_an_array(binary: Any, ternary: Any) -> None:
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
    for model in (binary, ternary):
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
def test_rows_of_the_wrong_width_are_refused(binary: Any, value: Any) -> None:
    for predict in (binary.predict, binary.predictRaw, binary.predictProbability):
        with pytest.raises(ValueError, match=r"has \d features, but the model was fitted on 3\."):
            predict(value)


def test_an_array_of_three_dimensions_is_refused_for_what_it_is(binary: Any) -> None:
    with pytest.raises(ValueError, match=r"dimension|shape|\(2, 2, 3\)"):
        binary.predict(np.ones((2, 2, 3)))


# pickles and copies


@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_a_model_can_be_pickled_after_it_scored(
    two: Any, binary: LogisticRegressionModel, pickler: Any
) -> None:
    assert binary.hasSummary
    expected = binary.transform(two).collect()
    text = pickler.dumps(binary)
    assert len(text) < 20_000
    found = pickle.loads(text)
    assert_same(found, binary)
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


def test_a_copy_keeps_the_summary_as_sparks_does(two: Any, pair: LogisticRegressionModel) -> None:
    assert pair.copy().hasSummary
    assert pair.copy({pair.thresholds: [0.1, 0.9]}).summary.objectiveHistory
    assert SparkEstimator(maxIter=1).fit(two).copy().hasSummary
