"""Complete separation that the loss alone shows: no reading, and no linear programme.

A row's loss -log p of its own label is at least log 2 unless p > 1/2, and then every comparison of
the row is positive along the coefficients themselves. If the losses of all rows together are below
log 2, then so is each of them, so the coefficients are a direction that separates the rows
completely.

The losses are known as a sum by weight, in which a row of weight w has w times its loss: a weight
below 1 could hide a wrong row. So all weights must be 1, which their sums tell. For n rows,

    sum w = n  and  sum w^2 = n    give    sum (w - 1)^2 = n - 2 n + n = 0
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.moments import Moments
from sparklr.separation.search import ALLOWANCE, Separation


def shows_complete(loss: float, moments: Moments) -> bool:
    """Whether a mean loss is so small that all rows must be predicted right."""
    alike = moments.rows == moments.weight == moments.weight_squares
    return alike and moments.rows * loss < (1 - ALLOWANCE) * float(np.log(2))


def complete_along(direction: Array, loss: float, moments: Moments, classes: int) -> Separation:
    """Return the separation by the coefficients (C, p + 1) that have this mean loss.

    p > exp(-n loss) for each row's own label, so its log odds against all others, and against each
    of them, are at least log(p / (1 - p)).
    """
    total = moments.rows * loss
    scale = np.abs(direction[:, :-1]).max(initial=0.0) or np.abs(direction).max()
    return Separation(
        kind="complete",
        direction=direction / scale,
        features=tuple(int(j) for j in np.flatnonzero(direction[:, :-1].any(axis=0))),
        intercept=bool(direction[:, -1].any()),
        rows=moments.rows,
        labels=tuple(int(count) for count in moments.histogram(classes)),
        least=float(-total - np.log(-np.expm1(-total))) / float(scale),
        total=moments.rows,
        readings=0,
    )
