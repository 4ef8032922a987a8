"""How values are fuzzed, and whether coefficients are optimal: in plain numpy, no code of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from scipy.special import expit, softmax

from tests.parity.objective import deviations

# As many examples as the profile says, however long and odd the values are.
fuzzed = settings(suppress_health_check=list(HealthCheck))


def slopes(
    coefficients: Any, intercepts: Any, features: Any, labels: Any, weights: Any, strength: float
) -> Any:
    """The slope of the objective with an L2 penalty, by coefficient scaled as the penalty sees it.

    At the minimum all are zero. The last column is that of the intercepts.
    """
    margins = features @ coefficients.T + intercepts
    if len(coefficients) == 1:
        away = expit(margins) - labels[:, None]
    else:
        away = softmax(margins, axis=1)
        away[np.arange(len(labels)), labels.astype(int)] -= 1.0
    scale = deviations(features, weights)
    counted = np.flatnonzero(scale > 0)  # a constant column takes no part
    scaled = features[:, counted] / scale[counted]
    away *= weights[:, None] / weights.sum()
    slope = away.T @ (scaled - scaled[0])  # from a row's place: means may be large
    slope += strength * coefficients[:, counted] * scale[counted]
    return np.column_stack((slope, away.sum(axis=0)))


def outcome(action: Callable[[], Any], *refusals: type[Exception]) -> Any:
    """What the action gives, or the error that it refuses with; any other error is a failure."""
    try:
        return action()
    except refusals as reason:
        return reason
