"""Whether another solver goes on from where a fit ended; shares no code with sparklr.

In coordinates z = (x - mean) / deviation of the features, with all of the objective's terms by the
formulas of tests/parity/objective.py, scipy's L-BFGS-B descends from the fit's coefficients. An L1
term is smooth in u, v >= 0 with coefficients u - v.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from tests.parity.objective import Array, Setting, deviations

STEPS = 300


class Ground:
    """The objective of a setting on some rows, in the coordinates z."""

    def __init__(self, features: Array, labels: Array, classes: int, setting: Setting) -> None:
        scale = deviations(features, np.ones(len(labels)))
        self._kept = scale > 0
        self._scale = scale[self._kept]
        self._mean = features.mean(axis=0)[self._kept] if setting.fitIntercept else 0.0
        self._features = (features[:, self._kept] - self._mean) / self._scale
        self._one = np.eye(classes)[labels.astype(int)]
        self._margins = 1 if setting.family == "binomial" else classes
        self._setting = setting
        # What a coefficient of z costs: with standardization as it is, else by its size for x.
        self._price = np.ones(len(self._scale)) if setting.standardization else 1 / self._scale

    def start(self, coefficients: Array, intercepts: Array) -> Array:
        """The point z of a fit."""
        matrix = np.atleast_2d(coefficients)[:, self._kept]
        moved = np.asarray(intercepts) + matrix @ np.broadcast_to(self._mean, matrix.shape[1])
        return np.column_stack((matrix * self._scale, moved)).ravel()

    def smooth(self, point: Array) -> tuple[float, Array]:
        """Loss and L2 term, with their gradient."""
        matrix = point.reshape(self._margins, -1)
        slopes, setting = matrix[:, :-1], self._setting
        margins = self._features @ slopes.T + matrix[:, -1]
        if self._margins == 1:
            margins = np.column_stack((np.zeros(len(margins)), margins))
        away = softmax(margins, axis=1) - self._one
        loss = float(np.mean(logsumexp(margins, axis=1) - (margins * self._one).sum(axis=1)))
        away = away[:, -self._margins :] / len(margins)
        ridge = setting.regParam * (1 - setting.elasticNetParam) * self._price**2
        gradient = np.column_stack((away.T @ self._features + ridge * slopes, away.sum(axis=0)))
        if not setting.fitIntercept:
            gradient[:, -1] = 0.0
        return loss + 0.5 * float((ridge * slopes**2).sum()), gradient.ravel()

    @property
    def l1(self) -> Array:
        """The weight of each coordinate's absolute value."""
        lasso = self._setting.regParam * self._setting.elasticNetParam * self._price
        return np.tile(np.append(lasso, 0.0), self._margins)

    def value(self, point: Array) -> float:
        """The whole objective."""
        return self.smooth(point)[0] + float(self.l1 @ np.abs(point))

    def lower(self, point: Array) -> float:
        """The objective where scipy gets from there."""
        l1 = self.l1
        options = {"maxiter": STEPS, "maxcor": 30, "ftol": 0.0, "gtol": 0.0}
        if not l1.any():
            found = minimize(self.smooth, point, jac=True, method="L-BFGS-B", options=options)
            return min(self.value(point), float(found.fun))
        size = len(point)

        def split(both: Array) -> tuple[float, Array]:
            value, gradient = self.smooth(both[:size] - both[size:])
            value += float(l1 @ (both[:size] + both[size:]))
            return value, np.concatenate((gradient + l1, l1 - gradient))

        both = np.concatenate((np.maximum(point, 0), np.maximum(-point, 0)))
        bounds = [(0.0, None)] * (2 * size)
        found = minimize(split, both, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return min(self.value(point), self.value(found.x[:size] - found.x[size:]))
