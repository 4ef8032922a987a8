"""A model outside Spark: as JSON text, and as scikit-learn's estimator."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array
from sparklr.saving.files import (
    FORMAT,
    check_header,
    check_sizes,
    class_name,
    damage,
    decode_params,
    encode_params,
    read_names,
    read_uid,
)
from sparklr.spark.matrices import stored_matrix

if TYPE_CHECKING:
    from sparklr.model import LogisticRegressionModel


def model_json(model: LogisticRegressionModel) -> str:
    """The text of a model: one JSON object, infinite numbers as strings."""
    matrix = stored_matrix(model.coefficientMatrix)
    rows: Any
    if sp.issparse(matrix):
        entries = sp.coo_matrix(matrix)
        rows = {name: getattr(entries, name).tolist() for name in ("row", "col", "data")}
    else:
        rows = matrix.tolist()
    return json.dumps(
        {
            "sparklrFormat": FORMAT,
            "class": class_name(type(model)),
            "uid": model.uid,
            "numClasses": model.numClasses,
            "numFeatures": model.numFeatures,
            "isMultinomial": model._is_multinomial,
            "intercepts": [_number(value) for value in model.interceptVector.toArray().tolist()],
            "coefficients": rows,
            "featureNames": model._feature_names,
            "paramMap": encode_params(model._paramMap),
        },
        allow_nan=False,
    )


def json_model(cls: type[LogisticRegressionModel], text: str) -> LogisticRegressionModel:
    """The model that a text of `model_json` holds, or an error that says what the text lacks."""
    if not isinstance(text, str):
        raise TypeError(f"fromJson takes the text that toJson gave, but got {type(text).__name__}.")
    with damage("This is not the JSON of a model: ", "."):
        found = json.loads(text)
    check_header(found if isinstance(found, dict) else {}, cls, "The text")
    with damage("The JSON of this model is damaged (", "). Write it anew with toJson."):
        classes, features, many = (found[n] for n in ("numClasses", "numFeatures", "isMultinomial"))
        intercepts = np.array([_float(value) for value in found["intercepts"]])
        check_sizes(classes, features, many, (len(intercepts), features), len(intercepts))
        coefficients = _rows(found["coefficients"], len(intercepts), features)
        if np.isnan(intercepts).any() or not np.isfinite(coefficients).all():
            raise ValueError("a number that is not finite")
        model = cls._of(coefficients, intercepts, classes, multinomial=many)
        model._feature_names = read_names(found["featureNames"], features)
        model._resetUid(read_uid(found["uid"]))
        decode_params(model, found["paramMap"])
    return model


def _float(value: Any) -> float:
    """A number, or one of the texts that stand for the infinite ones."""
    if type(value) not in (int, float) and value not in ("inf", "-inf"):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _rows(stored: Any, columns: int, features: int) -> Array:
    """Coefficients (C, p)."""
    if not isinstance(stored, dict):
        rows = np.array([[_float(value) for value in row] for row in stored])
        if rows.shape != (columns, features):
            raise ValueError(f"its coefficients are {rows.shape}, and not {(columns, features)}")
        return rows
    row, column, data = stored["row"], stored["col"], [_float(value) for value in stored["data"]]
    if not all(type(place) is int for place in (*row, *column)):
        raise TypeError("places that are no whole numbers")
    if len(set(zip(row, column, strict=True))) < len(data):
        raise ValueError("two numbers for one place")
    entries = sp.coo_matrix((data, (row, column)), shape=(columns, features))
    return np.asarray(entries.toarray(), dtype=np.float64)


def sklearn_model(model: LogisticRegressionModel) -> Any:
    """A fitted sklearn.linear_model.LogisticRegression of the same probabilities."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise ModuleNotFoundError(
            "toSklearn needs scikit-learn. Install it: pip install scikit-learn."
        ) from None
    if model.numClasses < 2 or (model.numClasses > 2 and np.isinf(model._numbers[1]).any()):
        raise ValueError(
            "toSklearn: scikit-learn's LogisticRegression has two classes or more, but this model "
            "was fitted on one label alone."
        )
    coefficients, intercepts = model._numbers
    if model._is_multinomial and model.numClasses == 2:  # scikit-learn has one margin for two
        coefficients, intercepts = np.diff(coefficients, axis=0), np.diff(intercepts)
    made = LogisticRegression()
    made.classes_ = np.arange(model.numClasses, dtype=np.float64)
    made.coef_ = coefficients.copy()
    made.intercept_ = intercepts.copy()
    made.n_features_in_ = model.numFeatures
    made.n_iter_ = np.zeros(1, dtype=np.int32)
    return made
