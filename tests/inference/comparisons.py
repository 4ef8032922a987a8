"""How far two ways to a number differ, and the comparison of the references with forty digits.

Coefficients and limits are measured in standard errors, covariances in units of the two errors, and
all else relative to the largest number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

from tests.inference import exact
from tests.inference.references import Array, column, data, reference

Found: TypeAlias = Iterator[tuple[str, float]]


def relative(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest number."""
    one, other = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    assert one.shape == other.shape
    return float(np.abs(one - other).max() / np.abs(other).max())


def in_errors(found: Any, wanted: Any, errors: Any) -> float:
    """The largest difference of coefficients, or of covariances, in standard errors."""
    one, other, unit = (np.asarray(each, dtype=float) for each in (found, wanted, errors))
    scale = np.outer(unit, unit) if one.shape == (len(unit), len(unit)) else unit
    return float(np.abs((one - other) / scale).max())


def design(name: str) -> tuple[Array, Array, Array, Array]:
    """Features with the intercept's column last, labels, weights and offsets."""
    case = reference(name)
    labels, matrix, _, weights = data(name)
    if case["intercept"]:
        matrix = np.column_stack([matrix, np.ones(len(labels))])
    if "class_weights" in case:
        weights = np.array(case["class_weights"])[labels.astype(int)]
    offsets = column(name, "offset") if case["offset"] else np.zeros(len(labels))
    return matrix, labels, np.ones(len(labels)) if weights is None else weights, offsets


def units(name: str) -> tuple[Array, Array, Array, Array]:
    """The same, each row as often as its weight says."""
    X, y, w, o = design(name)
    again = np.repeat(np.arange(len(y)), w.astype(int))
    return X[again], y[again], np.ones(len(again)), o[again]


def compare_exact(name: str) -> Found:
    """Coefficients, covariances and deviances to forty digits."""
    case = reference(name)
    errors = case["standard_errors"]
    problem = exact.Problem.of(*design(name))
    beta = exact.newton(problem, case["coefficients"])
    yield "coefficients", in_errors(case["coefficients"], exact.as_array(beta), errors)
    V = exact.as_array(problem.information(beta) ** -1)
    yield "covariance", in_errors(case["covariance"], V, errors)
    yield "deviance", relative(case["deviance"], float(problem.deviance(beta)))
    yield "null_deviance", relative(case["null_deviance"], exact_null(name, problem))
    if "hc0" in case:
        wanted = exact.as_array(exact.sandwich(problem, beta, 1))
        yield "hc0", in_errors(case["hc0"], wanted, np.sqrt(np.diag(wanted)))
    if "probability" in case:
        wanted = exact.as_array(exact.sandwich(problem, beta, 2))
        yield "probability", in_errors(case["probability"]["hc0"], wanted, np.sqrt(np.diag(wanted)))
    if "profile_limits" in case:
        yield "profile_limits", exact_limits(case, problem, float(problem.deviance(beta)))
    if "firth" in case:
        yield from compare_exact_firth(name)


def exact_null(name: str, problem: exact.Problem) -> float:
    """The deviance of the intercept alone, beside offsets if there are any."""
    if not reference(name)["intercept"]:
        return float(problem.deviance([0.0] * len(problem.X[0])))
    _, y, w, _ = design(name)
    start = np.log(w @ y / (w @ (1 - y)))
    ones = exact.Problem([[exact.mpf(1)] for _ in problem.y], problem.y, problem.w, problem.o)
    return float(ones.deviance(exact.newton(ones, [float(start)])))


def exact_limits(case: Mapping[str, Any], problem: exact.Problem, deviance: float) -> float:
    """How far the deviance at the limits is from its threshold, as a distance in standard errors.

    It grows there by about 2 q in a standard error, q the normal quantile.
    """
    q = stats.norm.ppf(0.975)
    beta, V = np.array(case["coefficients"]), np.array(case["covariance"])
    worst = 0.0
    for at, ends in enumerate(case["profile_limits"]):
        free = [other for other in range(len(beta)) if other != at]
        for end in ends:
            start = beta + V[:, at] / V[at, at] * (end - beta[at])
            start[at] = end
            held = exact.newton(problem, start, free)
            away = float(problem.deviance(held)) - deviance - q**2
            worst = max(worst, abs(away) / (2 * q))
    return worst


def compare_exact_firth(name: str) -> Found:
    """Firth's estimate and its covariance."""
    case = reference(name)["firth"]
    problem = exact.Problem.of(*design(name))
    beta = exact.firth(problem, case["coefficients"])
    errors = case["standard_errors"]
    yield "firth.coefficients", in_errors(case["coefficients"], exact.as_array(beta), errors)
    V = exact.as_array(problem.information(beta) ** -1)
    yield "firth.covariance", in_errors(case["covariance"], V, errors)


def compare_exact_rest(name: str) -> Found:
    """The coefficients that stay finite, from the rows that the flag leaves over."""
    case = reference(name)
    X, y, w, o = design(name)
    flag = case["columns"].index(case["infinite"][0])
    kept = X[:, flag] == 0
    rest = np.delete(X, flag, axis=1)[kept]
    problem = exact.Problem.of(rest, y[kept], w[kept], o[kept])
    beta = exact.newton(problem, case["rest_coefficients"])
    errors = np.sqrt(np.diag(case["rest_covariance"]))
    yield "rest_coefficients", in_errors(case["rest_coefficients"], exact.as_array(beta), errors)
    V = exact.as_array(problem.information(beta) ** -1)
    yield "rest_covariance", in_errors(case["rest_covariance"], V, errors)
    yield "deviance", relative(case["deviance"], float(problem.deviance(beta)))
    yield from compare_exact_firth(name)


def compare_exact_classes(name: str) -> Found:
    """A multinomial fit."""
    case = reference(name)
    start, errors = np.array(case["coefficients"]), case["standard_errors"]
    beta, V, deviance = exact.multinomial(exact.Problem.of(*design(name)), start)
    yield "coefficients", in_errors(start.ravel(), exact.as_array(beta), errors)
    yield "covariance", in_errors(case["covariance"], exact.as_array(V), errors)
    yield "deviance", relative(case["deviance"], float(deviance))
