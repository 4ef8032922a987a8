"""A bound on how far the objective of a penalised fit is above its minimum (Fenchel duality).

With rows' shares w_i / W, margins m_i = (z . x_i) + c, losses phi and a penalty P of the features'
coordinates z, for all slopes u_i of the losses by the margins,

    min of 1/W sum w phi(m) + P(z)  >=  D(u) = 1/W sum w H(u) - P*(1/W sum w u x)

where H = -phi* is the entropy of the probabilities that u stands for (labels plus u), and P* is the
conjugate of P, per coordinate

    P*(v) = max(|v| - l1, 0)^2 / (2 l2),   or without l2: 0 if |v| <= l1, else infinite.

The free intercept demands sum w u = 0. At a point with slopes d, gradient g of the loss and
residuals r_k = 1/W sum w d_k, three known facts make D from the last reading alone:

    1/W sum w H(d) = loss - z . g                       Fenchel's equality, with the intercept
    H((1 - t) d + t e) >= (1 - t) H(d)                  H is concave, and nowhere below zero
    |1/W sum w e x_j| <= root of x_j's mean square      Cauchy and Schwarz

for slopes e of probabilities q that are the same for all rows. u = s ((1 - t) d + t e) with
the least t for which some q makes the residuals zero, and the largest s <= 1 for which P* is
finite. At the optimum t = 0 and s = 1, and the gap is zero. For L2 alone and t = 0 it is
sum_j (g_j + l2_j z_j)^2 / (2 l2_j).
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.solvers import Answer


def duality_gap(problem: Problem, point: Array, answer: Answer) -> float | None:
    """Return the gap at a point, in units of the objective; None where it is not known.

    That is without a penalty, with bounds, with offsets, whose sums with the slopes are not read,
    and with weights by class, with which the features' mean squares are not.

    answer : of order 1 or 2 at the point
    """
    l1, l2 = problem.penalty.l1, problem.penalty.l2
    penalised = (l1 > 0) | (l2 > 0)
    plain = problem.box is None and problem.factors is None
    if not plain or problem.offset_varies or problem.offset != 0 or not penalised.any():
        return None
    gradient = problem.loss_gradient(point, answer)
    loss = problem.loss(point, answer.value + float(l1 @ np.abs(point)))
    mixed = _share_of_e(problem, gradient)
    most = (1 - mixed) * np.abs(gradient) + mixed * _roots_of_mean_squares(problem)
    hard = penalised & (l2 == 0) & (most > l1)
    scale = float(np.min(l1[hard] / most[hard], initial=1.0))
    kept, soft = scale * (1 - mixed), l2 > 0
    excess = np.maximum(scale * most[soft] - l1[soft], 0.0)
    conjugate = float((excess**2 / (2 * l2[soft])).sum())
    gap = (1 - kept) * loss + kept * float(point @ gradient)
    return max(gap + problem.penalty.value(point) + conjugate, 0.0)


def _share_of_e(problem: Problem, gradient: Array) -> float:
    """Return the least t with (1 - t) r_k <= t W_k / W for all classes k: then q >= 0 exists."""
    if not problem.spec.fitIntercept:
        return 0.0
    pull = gradient.reshape(problem.scaling.shape)[:, -1]
    residuals = problem.spec.family.raw(pull[None])[0]  # per class; [-r, r] from one margin
    above = np.maximum(residuals, 0.0)
    shares = problem.class_weights / problem.weight
    return float(np.max(above[above > 0] / (above + shares)[above > 0], initial=0.0))


def _roots_of_mean_squares(problem: Problem) -> Array:
    """Return the root of each coordinate's mean square, 0 for the intercepts' coordinates."""
    roots = np.zeros(problem.scaling.shape)
    roots[:, : len(problem.squares)] = np.sqrt(problem.squares)
    return roots.ravel()
