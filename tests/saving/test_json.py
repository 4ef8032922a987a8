"""A model as JSON text: exact numbers, and texts that are no model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.ml.linalg import DenseMatrix, SparseMatrix, SparseVector, Vectors

from sparklr import LogisticRegressionModel
from sparklr.saving.files import FORMAT
from tests.made_models import assert_same_model, certain_models, several_models, sparse_model

INF = float("inf")
# Spark itself cannot load infinite bounds that it saved.
BOUNDED = {
    "regParam": 0.01,
    "family": "binomial",
    "weightCol": "weight",
    "lowerBoundsOnCoefficients": DenseMatrix(1, 3, [-9.0, -5.0, -2.0]),
    "upperBoundsOnCoefficients": DenseMatrix(1, 3, [INF, 0.1, INF]),
    "lowerBoundsOnIntercepts": Vectors.dense(-INF),
    "upperBoundsOnIntercepts": Vectors.dense(9.0),
}


def binary(**params: Any) -> LogisticRegressionModel:
    return several_models()["binary"]._set(**params)


def test_a_model_comes_back_from_json() -> None:
    for model in (*several_models().values(), binary(**BOUNDED), *certain_models()):
        text = model.toJson()
        found = LogisticRegressionModel.fromJson(text)
        assert_same_model(found, model)
        assert found.toJson() == text
        assert LogisticRegressionModel.fromJson(json.dumps(json.loads(text), indent=2)).uid
        assert not found.hasSummary


def test_json_is_strict_and_keeps_sparse_coefficients_sparse() -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    sparse, certain = sparse_model(), certain_models()
    for model in (sparse, *certain):
        found = json.loads(model.toJson(), parse_constant=refuse)
        assert found["sparklrFormat"] == FORMAT
        assert found["class"] == "sparklr.model.LogisticRegressionModel"
    assert len(json.loads(sparse.toJson())["coefficients"]["data"]) == 4
    assert isinstance(sparse.coefficientMatrix, SparseMatrix)
    assert isinstance(certain[2].interceptVector, SparseVector)


def test_what_json_holds_scores_as_before(two: Any) -> None:
    model = binary()
    found = LogisticRegressionModel.fromJson(model.toJson())
    assert found.transform(two).collect() == model.transform(two).collect()
    assert found.getThreshold() == 0.3
    assert found.featureNames == ["x0", "x1", "x2"]


def test_each_key_of_the_json_is_needed() -> None:
    for model in (binary(), sparse_model()):
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
    "a newer format": (
        {"sparklrFormat": FORMAT + 1},
        f"format {FORMAT + 1} by a newer sparklr.*Upgrade",
    ),
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
def test_damaged_json_is_refused_in_words(changed: dict[str, Any], words: str) -> None:
    text = json.dumps({**json.loads(binary().toJson()), **changed})
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


def test_truncated_json_is_refused() -> None:
    text = several_models()["ternary"].toJson()
    for length in range(0, len(text) - 1, 37):
        with pytest.raises(ValueError, match="This is not the JSON of a model: "):
            LogisticRegressionModel.fromJson(text[:length])
