"""A model outside Spark: as JSON text, and as scikit-learn's estimator."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array
from sparklr.compressed import stored_matrix
from sparklr.persistence import FORMAT, check_header, class_name, decode_params, encode_params

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
    try:
        found = json.loads(text)
    except ValueError as reason:
        raise ValueError(f"This is not the JSON of a model: {reason}.") from None
    check_header(found if isinstance(found, dict) else {}, cls, "The text")
    try:
        _check_whole(found)
        intercepts = np.array([float(value) for value in found["intercepts"]])
        coefficients = _rows(found["coefficients"], len(intercepts), int(found["numFeatures"]))
        model = cls._of(
            coefficients,
            intercepts,
            int(found["numClasses"]),
            multinomial=bool(found["isMultinomial"]),
        )
        model._feature_names = found["featureNames"]
        model._resetUid(found["uid"])
        decode_params(model, found["paramMap"])
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as reason:
        raise ValueError(
            f"The JSON of this model is damaged ({type(reason).__name__}: {reason}). Write it "
            "anew with toJson."
        ) from None
    return model


def _check_whole(found: dict[str, Any]) -> None:
    """Refuse parts that do not agree."""
    classes, features, many = (found[n] for n in ("numClasses", "numFeatures", "isMultinomial"))
    names = found["featureNames"]
    typed = isinstance(classes, int) and isinstance(features, int) and isinstance(many, bool)
    margins = classes if many else 1
    if not typed or len(found["intercepts"]) != margins or not (many or classes in (1, 2)):
        raise ValueError("its sizes do not agree")
    if not isinstance(found["uid"], str):
        raise ValueError("its uid is no text")
    if names is not None and not (isinstance(names, list) and len(names) == features):
        raise ValueError("its names are not one a feature")


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _rows(stored: Any, columns: int, features: int) -> Array:
    """Coefficients (C, p)."""
    if isinstance(stored, dict):
        entries = stored["data"], (stored["row"], stored["col"])
        return np.asarray(sp.coo_matrix(entries, shape=(columns, features)).toarray(), np.float64)
    rows = np.array(stored, dtype=np.float64)
    if rows.shape != (columns, features):
        raise ValueError(f"its coefficients are {rows.shape}, and not {(columns, features)}")
    return rows


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
