"""A model as JSON text, written and read without a Spark session."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sp
from pyspark.ml.param import Params

from sparklr.arrays import Array
from sparklr.objective.families import family_of_flag
from sparklr.saving.damage import damage
from sparklr.saving.estimates import (
    KeptFit,
    errors_from_json,
    errors_json,
    fit_facts,
    has_errors,
    kept_fit,
)
from sparklr.saving.files import (
    FORMAT,
    check_header,
    class_name,
    decode_params,
    encode_params,
    read_uid,
)
from sparklr.saving.model_files import check_sizes
from sparklr.saving.values import read_names
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.matrices import stored_matrix
from sparklr.spark.types import Json

T = TypeVar("T", bound=Params)


def model_json(instance: Params, numbers: ModelNumbers, fit: KeptFit | None = None) -> str:
    """Return a model as the text of a JSON object, with infinite numbers as strings.

    Of what it keeps of its fit the covariance is left out, which has a number per two coefficients.
    """
    matrix = stored_matrix(numbers.coefficients)
    rows: object
    if sp.issparse(matrix):
        entries = sp.coo_matrix(matrix)
        rows = {name: getattr(entries, name).tolist() for name in ("row", "col", "data")}
    else:
        rows = matrix.tolist()
    return json.dumps(
        {
            "sparklrFormat": FORMAT,
            "class": class_name(type(instance)),
            "uid": instance.uid,
            "numClasses": numbers.classes,
            "numFeatures": numbers.features,
            "isMultinomial": numbers.family.per_class,
            "intercepts": [_number(value) for value in numbers.intercepts.toArray().tolist()],
            "coefficients": rows,
            "featureNames": None if numbers.names is None else list(numbers.names),
            "paramMap": encode_params(instance._paramMap),
            "fit": None if fit is None else {**fit_facts(fit, numbers), "errors": errors_json(fit)},
        },
        allow_nan=False,
    )


def json_model(kind: type[T], text: str, make: Callable[[ModelNumbers, KeptFit | None], T]) -> T:
    """Return the model of a text from `model_json`; errors explain what is wrong with the text.

    `make` makes the model from the numbers in the text and what it keeps of the fit.
    """
    if not isinstance(text, str):
        raise TypeError(f"fromJson takes the text of toJson, but got {type(text).__name__}.")
    with damage("This is not the JSON of a model: ", "."):
        found = json.loads(text)
    check_header(found if isinstance(found, dict) else {}, kind, "The text")
    with damage("The JSON of this model is damaged (", "). Write it again with toJson."):
        numbers = _numbers(found)
        model = make(numbers, _fit(found, numbers))
        model._resetUid(read_uid(found["uid"]))
        decode_params(model, found["paramMap"])
    return model


def _numbers(found: Json) -> ModelNumbers:
    classes, features, many = (found[n] for n in ("numClasses", "numFeatures", "isMultinomial"))
    intercepts = np.array([_float(value) for value in found["intercepts"]])
    check_sizes(classes, features, many, (len(intercepts), features), len(intercepts))
    coefficients = _rows(found["coefficients"], len(intercepts), features)
    if np.isnan(intercepts).any() or not np.isfinite(coefficients).all():
        raise ValueError("coefficients must be finite, and intercepts must not be NaN")
    names = read_names(found["featureNames"], features)
    return ModelNumbers.of(
        coefficients, intercepts, classes, family=family_of_flag(many), names=names
    )


def _fit(found: Json, numbers: ModelNumbers) -> KeptFit | None:
    facts = None if found["sparklrFormat"] == 1 else found["fit"]
    if facts is None:
        return None
    errors = errors_from_json(facts["errors"])
    if has_errors(facts) != (errors is not None):
        raise ValueError("there must be standard errors and their rank, or neither")
    return kept_fit(facts, errors, None, numbers)


def _float(value: object) -> float:
    """Return a number from a number or from the text of an infinite number."""
    if type(value) not in (int, float) and value not in ("inf", "-inf"):
        raise TypeError(f"{value!r} is not a number")
    return float(cast(float, value))


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _rows(stored: Any, margins: int, features: int) -> Array:
    """Return coefficients (C, p)."""
    if not isinstance(stored, dict):
        rows = np.array([[_float(value) for value in row] for row in stored])
        if rows.shape != (margins, features):
            raise ValueError(
                f"coefficients have shape {rows.shape}, but must have {(margins, features)}"
            )
        return rows
    row, column, data = stored["row"], stored["col"], [_float(value) for value in stored["data"]]
    if not all(type(place) is int for place in (*row, *column)):
        raise TypeError("indices must be integers")
    if len(set(zip(row, column, strict=True))) < len(data):
        raise ValueError("two coefficients have the same indices")
    entries = sp.coo_matrix((data, (row, column)), shape=(margins, features))
    return np.asarray(entries.toarray(), dtype=np.float64)
