"""From what a stream has taught to a posterior in the user's units."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from sparklr.arrays import Array
from sparklr.batches.facts import StreamFacts
from sparklr.batches.normal import NormalState
from sparklr.posterior.numbers import PosteriorNumbers

WHERE = "the optimum of the last batch with those before as its prior, and the curvature there"


def posterior_of_stream(state: StreamFacts) -> PosteriorNumbers | None:
    """Return the posterior of a state; None if it has deviations alone, or a point.

    Features that have always been at their centre are not determined.
    """
    if not isinstance(state, NormalState) or not state.full:
        return None
    scaling = state.scaling
    coefficients, intercepts = state.coefficients()
    factor = scaling.columns_to_coefficients(_root(state.precision))
    unknown = np.tile(np.append(state.deviation == 0, [False]), state.margins)
    factor[unknown] = 0.0
    if state.family.per_class:  # as the coefficients, whose sum over the classes is zero
        each = factor.reshape(state.margins, state.features + 1, -1)
        factor = (each - each.mean(axis=0)).reshape(factor.shape)
    prior = np.full(state.features, np.inf)
    known = state.deviation > 0
    prior[known] = 1 / (np.sqrt(state.penalty) * scaling.deviation[known])
    return PosteriorNumbers(
        kind="laplace",
        mean=np.column_stack((coefficients, intercepts)).ravel(),
        factor=factor,
        draws=None,
        prior_deviations=prior,
        readings=0,
        converged=True,
        reason=WHERE,
        tolerance=0.0,
        shift_from_mode=None,
    )


def _root(precision: Array) -> Array:
    """Return R with R R' = the inverse of a precision."""
    scale = 1 / np.sqrt(np.diagonal(precision))
    lower = cholesky(precision * scale * scale[:, None], lower=True)
    return np.asarray(solve_triangular(lower, np.diag(scale), lower=True).T)
