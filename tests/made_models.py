"""Models and reports of fits from given numbers: no fit, no job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml.linalg import DenseMatrix, DenseVector

from sparklr import LogisticRegressionModel
from sparklr.fitting.outcome import FitReport
from sparklr.objective.families import family_of_flag
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.classic import SparkModelCache
from sparklr.summary import (
    BinaryLogisticRegressionTrainingSummary,
    LogisticRegressionTrainingSummary,
)


def made_model(
    coefficients: Any = ((1.0, -0.5, 2.0),), intercepts: Any = (0.1,), **params: Any
) -> LogisticRegressionModel:
    """A model of these coefficients, multinomial if they are several rows."""
    values = np.array(coefficients, dtype=float)
    rows, columns = values.shape
    matrix = DenseMatrix(rows, columns, values.ravel().tolist(), True)
    model = LogisticRegressionModel(matrix, DenseVector(intercepts), max(rows, 2), rows > 1)
    return model._set(**params)


def fitted_model(
    coefficients: Any,
    intercepts: Any,
    classes: int | None = None,
    names: Sequence[str] | None = None,
    **params: Any,
) -> LogisticRegressionModel:
    """A model of these numbers, stored as fits store them; several rows make it multinomial."""
    values, given = np.array(coefficients, dtype=float), np.array(intercepts, dtype=float)
    count = max(len(values), 2) if classes is None else classes
    known = None if names is None else tuple(names)
    stored = ModelNumbers.of(
        values, given, count, family=family_of_flag(len(values) > 1), names=known
    )
    return LogisticRegressionModel._of(stored)._set(**params)


def certain_models() -> list[LogisticRegressionModel]:
    """What fits on a single label give: of two classes all zero, all one; of three all two."""
    infinity, none = float("inf"), np.zeros((3, 3))
    return [
        fitted_model(none[:1], [-infinity], 1),
        fitted_model(none[:1], [infinity], 2),
        fitted_model(none, [0.0, 0.0, infinity]),
    ]


def sparse_model() -> LogisticRegressionModel:
    """Three classes of many features, of which few count."""
    coefficients = np.zeros((3, 30))
    coefficients[[0, 1, 2, 2], [3, 7, 7, 29]] = 0.1, -1e-300, 1 / 3, -2.5
    return fitted_model(coefficients, np.zeros(3))


def several_models() -> dict[str, LogisticRegressionModel]:
    """Models of each kind, with names and thresholds."""
    names = ["x0", "x1", "x2"]
    random = np.random.default_rng(7)
    return {
        "binary": fitted_model(
            [[0.5, -1.25, 0.1]], [0.75], names=names, featuresCols=names, threshold=0.3
        ),
        "pair": fitted_model([[0.5, -1.25, 0.1], [-0.5, 1.25, -0.1]], [0.3, -0.3], regParam=0.01),
        "ternary": fitted_model(
            random.normal(size=(3, 3)), random.normal(size=3), thresholds=[0.2, 0.5, 0.3]
        ),
        "sparse": sparse_model(),
    }


def set_params(params: Any) -> dict[str, Any]:
    """The Params that are set, by name."""
    return {
        param.name: params.getOrDefault(param) for param in params.params if params.isSet(param)
    }


def _plain(value: Any) -> Any:
    """A Param's value in a form that compares exactly."""
    if isinstance(value, LogisticRegressionModel):
        return value.toJson()
    return value.toArray().tolist() if hasattr(value, "toArray") else value


def values_of(params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Params that are set, and the defaults."""
    return tuple(  # type: ignore[return-value]
        {param.name: _plain(value) for param, value in values.items()}
        for values in (params._paramMap, params._defaultParamMap)
    )


def assert_same_model(found: LogisticRegressionModel, model: LogisticRegressionModel) -> None:
    """Both have the same numbers, stored alike, the same Params, names and uid."""
    assert (found.uid, repr(found)) == (model.uid, repr(model))
    assert type(found.coefficientMatrix) is type(model.coefficientMatrix)
    assert found.coefficientMatrix == model.coefficientMatrix
    assert type(found.interceptVector) is type(model.interceptVector)
    assert found.interceptVector == model.interceptVector
    assert set_params(found) == set_params(model)
    assert found.featureNames == model.featureNames
    texts = [json.loads(one.toJson()) for one in (found, model)]
    assert texts[0] | {"fit": None} == texts[1] | {"fit": None}  # also whether it is multinomial


def assert_same_fit(found: Any, model: Any, rtol: float = 1e-12) -> None:
    """Both models have the same coefficients and intercepts, up to rounding."""
    assert found.numFeatures == model.numFeatures
    for value, expected in (
        (found.coefficientMatrix.toArray(), model.coefficientMatrix.toArray()),
        (found.interceptVector.toArray(), model.interceptVector.toArray()),
    ):
        assert_allclose(value, expected, rtol=rtol, atol=1e-12)


def without_jvm(patch: pytest.MonkeyPatch) -> None:
    """From now on no model finds a JVM, as on Spark Connect."""
    patch.setattr(SparkModelCache, "copy_in", lambda *_: None)


def made_report(model: LogisticRegressionModel, **values: Any) -> FitReport:
    weights = np.arange(1.0, model.numClasses + 1)
    given: dict[str, Any] = {
        "history": (0.7, 0.5), "solver": "newton", "reason": "converged: enough",
        "converged": True, "passes": 3, "rows": int(weights.sum()), "label_weights": weights,
        "deviation": np.full(model.numFeatures, 2.0), "loss": 0.5,
    }  # fmt: skip
    return FitReport(**{**given, **values})


def training(model: LogisticRegressionModel, **values: Any) -> LogisticRegressionTrainingSummary:
    """A summary of a fit on rows that are nowhere: reading them would fail."""
    nowhere: Any = None
    made = made_report(model, **values)
    if model.numClasses > 2:
        return LogisticRegressionTrainingSummary(model, nowhere, made)
    return BinaryLogisticRegressionTrainingSummary(model, nowhere, made)
