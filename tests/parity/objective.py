"""Spark's penalised objective and its minimum, from the formulas; shares no code with sparklr.

    f(B, c) = 1/W sum_i w_i loss_i
              + regParam ((1 - a)/2 sum_kj (s_j B_kj)^2 + a sum_kj |s_j B_kj|), a = elasticNetParam

    binomial     m_i = B x_i + c,    loss_i = log(1 + exp(-+m_i)), minus for label 1
    multinomial  m_i = B x_i + c,    loss_i = log sum_k exp(m_ik - m_iy)

with W = sum w_i, coefficients B (K, p) on the scale of the data, and s_j the standard
deviation of column j with standardization (weighted and unbiased: the denominator is
W - sum w_i^2 / W), 1 without. The intercepts c are not penalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, root
from scipy.special import expit, softmax

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What a fit minimises, by the names of the Params."""

    family: str = "binomial"
    regParam: float = 0.0
    elasticNetParam: float = 0.0
    fitIntercept: bool = True
    standardization: bool = True


def deviations(features: Array, weights: Array) -> Array:
    """The standard deviation of each column of features (n, p); 0 where it has one value."""
    counted, each = features[weights > 0], weights[weights > 0]
    total = each.sum()
    denominator = total - (each @ each) / total
    if len(counted) < 2:
        return np.zeros(features.shape[1])
    away = counted - counted[0]
    away -= each @ away / total
    result = np.sqrt(each @ away**2 / denominator)
    result[(counted == counted[0]).all(axis=0)] = 0.0
    return result


def objective(
    coefficients: Any,
    intercepts: Any,
    features: Array,
    labels: Array,
    weights: Array,
    setting: Setting,
) -> float:
    """The objective at coefficients (K, p) and intercepts (K,), K = 1 for the binomial family."""
    matrix = np.atleast_2d(np.asarray(coefficients, dtype=float))
    margins = features @ matrix.T + np.asarray(intercepts, dtype=float)
    if setting.family == "binomial":
        losses = np.logaddexp(0.0, np.where(labels == 1, -1.0, 1.0) * margins[:, 0])
    else:
        rows, own = np.arange(len(labels)), labels.astype(int)
        away = margins - margins[rows, own][:, None]
        away[rows, own] = -np.inf
        losses = np.logaddexp(0.0, np.logaddexp.reduce(away, axis=1))
    scale = deviations(features, weights) if setting.standardization else 1.0
    scaled = matrix * scale
    ridge = (1 - setting.elasticNetParam) / 2 * (scaled**2).sum()
    lasso = setting.elasticNetParam * np.abs(scaled).sum()
    return float(weights @ losses / weights.sum() + setting.regParam * (ridge + lasso))


def _value_and_slope(
    scaled: Array, wanted: Array, shares: Array, ridge: Array, free: Array
) -> tuple[Callable[[Array], float], Callable[[Array], Array]]:
    """The objective and its gradient as functions of the flattened coefficients (rows, columns)."""
    rows = wanted.shape[1]

    def slope(point: Array) -> Array:
        matrix = point.reshape(rows, -1)
        margins = scaled @ matrix.T
        chances = expit(margins) if rows == 1 else softmax(margins, axis=1)
        gradient = ((chances - wanted) * shares[:, None]).T @ scaled + ridge * matrix
        return (gradient + free * matrix.mean(axis=0)).ravel()

    def value(point: Array) -> float:
        matrix = point.reshape(rows, -1)
        margins = scaled @ matrix.T
        loss = np.logaddexp(0.0, margins[:, 0]) if rows == 1 else np.logaddexp.reduce(margins, 1)
        loss = loss - np.where(wanted, margins, 0.0).sum(axis=1)
        pull = free @ matrix.mean(axis=0) ** 2 * rows
        return float(shares @ loss + (ridge * matrix**2).sum() / 2 + pull / 2)

    return value, slope


def minimum(
    features: Array, labels: Array, weights: Array, setting: Setting, *, classes: int = 2
) -> tuple[Array, Array]:
    """Coefficients (K, p) and intercepts (K,) at the minimum of a smooth objective, by scipy.

    Searched for in centred columns of unit deviation (centring only with an intercept), by
    L-BFGS-B and then as a root of the gradient. Multinomial solutions are made unique by the
    least squares of what the objective leaves free, that is intercepts (and coefficients
    without penalty) of mean zero over the classes.
    """
    assert setting.regParam * setting.elasticNetParam == 0, "only for smooth objectives"
    rows = 1 if setting.family == "binomial" else classes
    spread = deviations(features, weights)
    active = spread > 0
    spread = spread[active]
    centre = weights @ features / weights.sum() if setting.fitIntercept else 0 * features[0]
    scaled = (features - centre)[:, active] / spread
    if setting.fitIntercept:
        scaled = np.column_stack((scaled, np.ones(len(scaled))))
    size = 1.0 if setting.standardization else 1 / spread
    ridge = np.zeros(scaled.shape[1])
    ridge[: active.sum()] = setting.regParam * size**2
    shares = weights / weights.sum()
    free = np.where((ridge == 0) & (rows > 1), 1.0, 0.0)  # these columns' sums are free
    wanted = labels[:, None] == (np.array([1.0]) if rows == 1 else np.arange(rows))

    value, slope = _value_and_slope(scaled, wanted, shares, ridge, free)
    start = np.zeros(rows * scaled.shape[1])
    options = {"maxiter": 10_000, "ftol": 1e-16, "gtol": 1e-10}
    near = minimize(value, start, jac=slope, method="L-BFGS-B", options=options).x
    point = root(slope, near, method="hybr", options={"xtol": 1e-14}).x
    assert np.abs(slope(point)).max() < 1e-11, "scipy found no minimum"
    matrix = point.reshape(rows, -1)
    coefficients = np.zeros((rows, features.shape[1]))
    coefficients[:, active] = matrix[:, : active.sum()] / spread
    intercepts = matrix[:, -1] if setting.fitIntercept else np.zeros(rows)
    return coefficients, intercepts - coefficients @ centre
