"""Make classes.json: marginal effects, residuals and profile limits of several classes.

From the root of the repository, with statsmodels 0.15::

    python -m tests.inference.make_classes

Marginal effects are those of statsmodels' MNLogit, `get_margeff(dummy=...)`, each row as often as
its weight says: (K, p), the classes as rows. R's marginaleffects and Stata's `margins, dydx(*)`
have the same definition, if flags are factors there. Residuals are MNLogit's `resid_pearson` and
`resid_response`.

Profile limits, of the alligators, are roots of the profile deviance: from Newton's method under a
linear constraint, on the formulas of the likelihood. They are in the order of the coefficients, (K,
p + 1) with the intercept last: `compared` with class 0, `centred` with the mean of all classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax
from scipy.stats import chi2
from statsmodels.discrete.discrete_model import MNLogit

from tests.inference.references import FOLDER, Array, data, reference

FILE = FOLDER / "classes.json"
NAMES = ("anes96", "alligators")


def units(name: str) -> tuple[Array, Array]:
    """Features with the intercept's column last, and labels: a row per unit."""
    rows = data(name)
    matrix = np.column_stack((rows.matrix, np.ones(len(rows.labels))))
    if rows.weights is None:
        return matrix, rows.labels
    again = np.repeat(np.arange(len(matrix)), rows.weights.astype(int))
    return matrix[again], rows.labels[again]


def fit_of(name: str) -> Any:
    """The fit of statsmodels."""
    matrix, labels = units(name)
    return MNLogit(labels, matrix).fit(disp=0, method="newton", maxiter=100, tol=1e-14)


def residuals(name: str) -> dict[str, Any]:
    """Those of the first five rows, and the sum of all squares."""
    fit = fit_of(name)
    return {
        kind: {"first": values[:5].tolist(), "sum_of_squares": float((values**2).sum())}
        for kind, values in (("pearson", fit.resid_pearson), ("response", fit.resid_response))
    }


def marginal_effects(name: str) -> dict[str, Any]:
    """By derivative, and with flags by difference."""
    fit = fit_of(name)
    found: dict[str, Any] = {}
    for kind, dummy in (("derivative", False), ("difference", True)):
        effects = fit.get_margeff(at="overall", dummy=dummy)
        found[kind] = {
            "effects": effects.margeff.T.tolist(),
            "standard_errors": effects.margeff_se.T.tolist(),
        }
    return found


class Likelihood:
    """Half the deviance, by coefficients (K - 1, p + 1) of the classes after the first."""

    def __init__(self, matrix: Array, labels: Array, weights: Array | None) -> None:
        self.matrix, self.labels = matrix, labels.astype(int)
        self.weights = np.ones(len(matrix)) if weights is None else weights
        self.classes = self.labels.max() + 1

    def at(self, flat: Array) -> tuple[float, Array, Array]:
        """Value, gradient and Hessian."""
        X, K = self.matrix, self.classes
        margins = np.column_stack((np.zeros(len(X)), X @ flat.reshape(K - 1, -1).T))
        value = self.weights @ (
            logsumexp(margins, axis=1) - margins[np.arange(len(X)), self.labels]
        )
        p = softmax(margins, axis=1)[:, 1:]
        away = p - (self.labels[:, None] == np.arange(1, K))
        curvature = np.einsum("ik,kl->ikl", p, np.eye(K - 1)) - p[:, :, None] * p[:, None]
        curvature *= self.weights[:, None, None]
        hessian = np.einsum("ikl,ia,ib->kalb", curvature, X, X, optimize=True)
        return (
            float(value),
            (away.T @ (self.weights[:, None] * X)).ravel(),
            hessian.reshape(len(flat), -1),
        )

    def held(self, start: Array, direction: Array | None = None, end: float = 0.0) -> Array:
        """The minimum where direction'x is `end`."""
        point, count = start.copy(), len(start)
        for _ in range(50):
            _, gradient, hessian = self.at(point)
            if direction is None:
                step = np.linalg.solve(hessian, -gradient)
            else:
                border = np.block([[hessian, direction[:, None]], [direction, 0.0]])
                right = np.append(-gradient, end - direction @ point)
                step = np.linalg.solve(border, right)[:count]
            point = point + step
            if np.abs(step).max() < 1e-12:
                break
        return point


def limits(likelihood: Likelihood, directions: Array) -> Iterator[list[float]]:
    """Both ends of each direction's 95% interval."""
    count = likelihood.matrix.shape[1] * (likelihood.classes - 1)
    optimum = likelihood.held(np.zeros(count))
    least, _, hessian = likelihood.at(optimum)
    inverse, rise = np.linalg.inv(hessian), chi2.ppf(0.95, 1) / 2
    for direction in directions:
        value, error = direction @ optimum, (direction @ inverse @ direction) ** 0.5
        if error == 0:  # the base itself
            yield [0.0, 0.0]
            continue

        def above(end: float, direction: Array = direction) -> float:
            return float(likelihood.at(likelihood.held(optimum, direction, end))[0] - least - rise)

        yield [
            float(brentq(above, value, value + side * 4 * error, xtol=1e-10)) for side in (-1, 1)
        ]


def profile_limits(name: str) -> dict[str, Any]:
    """Those of both ways to compare the classes."""
    rows = data(name)
    matrix, labels = np.column_stack((rows.matrix, np.ones(len(rows.labels)))), rows.labels
    likelihood, width = Likelihood(matrix, labels, rows.weights), matrix.shape[1]
    whole = np.eye(likelihood.classes)[:, 1:]  # the first class has zeros
    centred = whole - whole.mean(axis=0)
    return {
        kind: list(limits(likelihood, np.kron(change, np.eye(width))))
        for kind, change in (("compared", whole), ("centred", centred))
    }


def classes() -> dict[str, Any]:
    """All cases."""
    return {
        name: {
            "columns": list(reference(name)["columns"]),
            "marginal_effects": marginal_effects(name),
            **({"residuals": residuals(name)} if data(name).weights is None else {}),
            **({"profile_limits": profile_limits(name)} if name == "alligators" else {}),
        }
        for name in NAMES
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(classes()) + "\n", encoding="utf-8")
