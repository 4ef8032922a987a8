"""How far the mean of a posterior is from its mode, by one reading at draws of Laplace's Gaussian.

With the mode m, the inverse Hessian R R' there and draws m + R z, in pairs z and -z,

    g+-   = R' grad V(m +- R z)
    shift = -R mean of (g+ + g-) / 2 / curvature,    curvature = sum z'(g+ - g-) / 2 / sum z'z

is about the step by which Newton's method would move the mean. The curvature is 1 where V is
quadratic, and larger where it rises faster at the draws than at the mode. For two classes the mean
over the Gaussian is a sum over nodes for each row, without draws (`solvers.best_gaussian`); a row
of several classes has a margin for each, for which there are no such nodes.
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array
from sparklr.passes.protocol import Passes
from sparklr.posterior.log_posterior import LogPosterior
from sparklr.posterior.sampled import ask_at
from sparklr.solvers.chains import ManyQuery

# Of draws. The terms of V that are odd in z cancel in a pair, so few pairs are enough.
PAIRS = 32


def shift_of_draws(
    posterior: LogPosterior, point: Array, root: Array, units: Array, passes: Passes, seed: int
) -> tuple[float, int]:
    """Return the largest shift of a coefficient, in its deviations, and the number of readings.

    `units` (m, n) make the coefficients of a point.
    """
    z = np.random.default_rng(seed).standard_normal((PAIRS, len(point)))
    steps = np.concatenate((z, -z)) @ root.T
    answer, readings = ask_at(posterior, ManyQuery(point + steps), passes)
    there, back = np.split(answer.gradients @ root, 2)
    curvature = float((z * (there - back)).sum() / (2 * (z**2).sum()))
    change = units[units.any(axis=1)] @ root
    moves = change @ (there + back).mean(axis=0) / (2 * curvature)
    return float(np.abs(moves / np.linalg.norm(change, axis=1)).max(initial=0)), readings
