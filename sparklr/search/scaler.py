"""A search without the StandardScaler before the estimator: folds share a packing of its input.

With scaled features  z_j = (x_j - m_j) / s_j,  a margin  γ·z + b  equals  β·x + a,  where

    γ_j = s_j β_j,    b = a + sum_j β_j m_j

and a penalty on coefficients times deviations is the same for both. So a fit of γ is a fit of β,
for any m and s of a fold's scaler; a constant feature has coefficient zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pyspark.ml.feature import StandardScaler, StandardScalerModel

from sparklr.estimator import LogisticRegressionEstimator
from sparklr.fitting.outcome import Fit
from sparklr.objective.moments import Moments
from sparklr.params import RULES, held_name
from sparklr.solvers.methods import SGD


def without_scaler(
    estimator: LogisticRegressionEstimator, scaler: StandardScaler
) -> LogisticRegressionEstimator | None:
    """Return an equivalent estimator on the scaler's input, or None."""
    its = estimator
    if its.isSet(its.featuresCols) or its.getFeaturesCol() != scaler.getOutputCol():
        return None
    # Bounds and a warm start are for scaled features, and each fold has its own scales.
    if any(rule.per_feature and its.isSet(name) for name, rule in RULES.items()):
        return None
    # Shifted sparse features are dense, and stochastic gradient descent goes another way then.
    if scaler.getWithMean() and (not its.getFitIntercept() or its.getSolver().lower() == SGD):
        return None
    standardized = its.getStandardization() or scaler.getWithStd()
    weighted = its.isSet(its.weightCol) and bool(its.getWeightCol())
    if standardized and not its.getStandardization() and (weighted or held_name(its)):
        return None  # our deviations are weighted, and without held-out rows; the scaler's are not
    return its.copy({its.featuresCol: scaler.getInputCol(), its.standardization: standardized})


def with_scaler(fit: Fit, moments: Moments, scaler: StandardScalerModel) -> tuple[Fit, Moments]:
    """Convert a fit on the scaler's input, and the moments of its rows, to the scaler's output.

    What a fit knows of its Hessian is in the input's units, and is left out.
    """
    zeros = np.zeros(moments.features)
    centre = scaler.mean.toArray() if scaler.getWithMean() else zeros
    deviation = scaler.std.toArray() if scaler.getWithStd() else zeros + 1.0
    factor = np.divide(1.0, deviation, out=zeros.copy(), where=deviation > 0)
    there = replace(
        fit,
        coefficients=fit.coefficients * deviation,
        intercepts=fit.intercepts + fit.coefficients @ centre,
        precondition=None,
        information=None,
        products=None,
    )
    return there, replace(
        moments,
        mean=(moments.mean - centre) * factor,
        spread=moments.spread * factor**2,
        minimum=(moments.minimum - centre) * factor,
        maximum=(moments.maximum - centre) * factor,
    )
