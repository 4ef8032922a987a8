"""Scores by ONNX: a runtime gives what the model gives, on drawn models."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr import LogisticRegressionModel
from tests.exports.drawn import CASES, drawn
from tests.made_models import certain_models, fitted_model, several_models

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def run(graph: Any, **inputs: Any) -> dict[str, Any]:
    session = runtime.InferenceSession(graph.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_runtime_gives_what_the_model_gives(name: str) -> None:
    case = drawn(**{**CASES[name], "missing": 0.0})
    inputs = {"features": case.features}
    if "offset" in case.rows:
        inputs["offset"] = np.asarray(case.rows[["offset"]])
    found, expected = run(case.model.toOnnx(), **inputs), case.expected()
    assert set(found) == set(expected)
    assert_allclose(found["margin"], expected["margin"], rtol=1e-9, atol=1e-9)
    assert_allclose(found["probability"], expected["probability"], rtol=0, atol=1e-12)
    assert_array_equal(found["prediction"], expected["prediction"])


def test_numbers_of_32_bits_have_seven_digits() -> None:
    case = drawn(seed=9, margins=3)
    near = case.features[10:].astype(np.float32)
    found = run(case.model.toOnnx(dtype="float"), features=near)["probability"]
    assert found.dtype == np.float32
    assert_allclose(found, case.model.predictProbability(near), atol=1e-5)
    with pytest.raises(ValueError, match="dtype='half' is not allowed"):
        case.model.toOnnx(dtype="half")  # type: ignore[arg-type]


def test_a_missing_value_gives_what_it_gives_in_memory() -> None:
    """NaN is the probability, except where sparse coefficients have no value."""
    wide = np.zeros((1, 40))
    wide[0, 3] = 1.0
    for model in (fitted_model([[1.0, -1.0]], [0.1]), fitted_model(wide, [0.1])):
        rows = np.ones((3, model.numFeatures))
        rows[0, 0] = rows[1, 1] = np.nan
        found = run(model.toOnnx(), features=rows)
        assert_allclose(found["probability"], model.predictProbability(rows), rtol=1e-12)
        assert_array_equal(found["prediction"], model.predict(rows))


def test_a_label_with_threshold_zero_is_always_predicted() -> None:
    model = fitted_model(np.eye(3), np.zeros(3), thresholds=[0.5, 0.0, 0.5])
    assert run(model.toOnnx(), features=np.array([[9.0, -9.0, 0.0]]))["prediction"].tolist() == [1]


def test_a_model_without_coefficients_has_a_graph() -> None:
    model = fitted_model(np.zeros((1, 40)), [1.0])
    found = run(model.toOnnx(), features=np.ones((2, 40)))["margin"]
    assert found.tolist() == [[1.0], [1.0]]


def test_the_file_says_what_the_features_are() -> None:
    made = several_models()["binary"].toOnnx()
    facts = {its.key: json.loads(its.value) for its in made.metadata_props}
    assert facts == {"features": ["x0", "x1", "x2"], "labels": [0, 1], "offset": None}
    assert made.opset_import[0].version == 13
    assert made.ir_version == 7


def test_a_single_label_is_scored_or_refused() -> None:
    all_zero, all_one, all_two = certain_models()
    for model, label in ((all_zero, 0), (all_one, 1)):
        assert run(model.toOnnx(), features=np.ones((1, 3)))["prediction"].tolist() == [label]
    with pytest.raises(ValueError, match="toOnnx: this model was fitted on one label alone"):
        all_two.toOnnx()


def test_a_mean_over_a_posterior_is_refused() -> None:
    model: LogisticRegressionModel = several_models()["binary"]._set(averaged=True)
    with pytest.raises(ValueError, match="toOnnx has the probability at the coefficients"):
        model.toOnnx()


def test_without_onnx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match="pip install onnx"):
        several_models()["binary"].toOnnx()
