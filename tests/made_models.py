"""Models and reports of fits from given numbers, for summaries: no fit, no job."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyspark.ml.linalg import DenseMatrix, DenseVector

from sparklr import LogisticRegressionModel
from sparklr.fitting.outcome import FitReport
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
