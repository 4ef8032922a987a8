"""Long chains for reference: our own, and Polya-Gamma Gibbs, which has nothing in common with them.

Gibbs (Polson, Scott and Windle 2013): with omega_i ~ PG(w_i, m_i) for the margin m_i of row i, the
coefficients given omega are normal, with precision X' diag(omega) X + P and with the mean that
precision^-1 X' w (y - 1/2). PG(b, c) is the sum over k of Gamma(b, 1) / (2 pi^2 ((k - 1/2)^2 +
(c / 2 pi)^2)); of the terms beyond the first 100 only the mean is added.
"""

from __future__ import annotations

import numpy as np

from sparklr.arrays import Array
from sparklr.posterior.of_information import Mode
from sparklr.solvers.chains import Chains, ManyAnswer, run_chains
from tests.posterior.sets import Rows, mode_of

TERMS = 100


def own_chains(
    rows: Rows, *, chains: int, steps: int, seed: int, warm: int = 100
) -> tuple[Array, Array, Array]:
    """Means, deviations and Monte-Carlo errors of means (m,) in the user's units.

    From Laplace's Gaussian, after long enough to forget it. V is computed here from its formula.
    """
    mode, information, _ = mode_of(rows)
    change = mode.to_users_units(information)
    plain = np.kron(np.eye(mode.posterior.scaling.margins), information.of_margin)
    solver = run_chains(mode.point, mode.root, chains=chains, warm=warm, steps=steps, seed=seed)
    query = next(solver)
    while True:
        try:
            query = solver.send(_answer(rows, mode, plain, query.points))
        except StopIteration as finished:
            found: Chains = finished.value
            break
    draws = (mode.point + found.draws.reshape(-1, len(mode.point)) @ mode.root.T) @ change.T
    by_chain = (mode.point + found.draws.mean(axis=0) @ mode.root.T) @ change.T
    errors = by_chain.std(axis=0, ddof=1) / np.sqrt(chains)
    return draws.mean(axis=0), draws.std(axis=0), errors


def _answer(rows: Rows, mode: Mode, plain: Array, points: Array) -> ManyAnswer:
    """V and its gradients at points (K, n)."""
    matrix = np.column_stack((rows.matrix, np.ones(len(rows.matrix))))
    weights = np.ones(len(matrix)) if rows.weights is None else rows.weights
    each = (points @ plain.T).reshape(len(points), -1, matrix.shape[1])  # (K, C, p + 1)
    margins = np.einsum("kcj,ij->kci", each, matrix, optimize=True)
    if margins.shape[1] == 1:
        loss = np.logaddexp(0, margins) - rows.labels * margins
        slopes = 1 / (1 + np.exp(-margins)) - rows.labels
    else:
        own = rows.labels == np.arange(margins.shape[1])[:, None]
        loss = np.logaddexp.reduce(margins, axis=1, keepdims=True)
        slopes = np.exp(margins - loss) - own
        loss = loss - (own * margins).sum(axis=1, keepdims=True)
    away = points - mode.posterior.prior.mean
    pulls = mode.posterior.prior.times(away.T).T
    values = (loss * weights).sum(axis=(1, 2)) + (away * pulls).sum(axis=1) / 2
    sums = np.einsum("kci,ij->kcj", slopes * weights, matrix, optimize=True)
    return ManyAnswer(values, sums.reshape(len(points), -1) @ plain + pulls)


def gibbs(rows: Rows, *, steps: int, seed: int) -> tuple[Array, Array, Array]:
    """The same of a binary set, from one chain; the errors are from 50 runs of its draws."""
    rng = np.random.default_rng(seed)
    count, features = rows.matrix.shape
    ones = np.ones((count, int(rows.intercept)))
    matrix = np.hstack((rows.matrix, ones))
    weights = np.ones(count) if rows.weights is None else rows.weights
    variance = rows.passes.moments.variance
    prior = np.append(rows.reg * variance, np.zeros(int(rows.intercept)))
    pull = matrix.T @ (weights * (rows.labels - 0.5))
    point, draws = np.zeros(len(prior)), []
    for at in range(steps + steps // 10):
        omega = _polya_gamma(rng, weights, matrix @ point)
        lower = np.linalg.cholesky((matrix * omega[:, None]).T @ matrix + np.diag(prior))
        half = np.linalg.solve(lower, pull) + rng.standard_normal(len(prior))
        point = np.linalg.solve(lower.T, half)
        if at >= steps // 10:
            draws.append(point)
    kept = np.zeros((steps, features + 1))
    kept[:, : len(prior)] = draws
    runs = np.array([its.mean(axis=0) for its in np.array_split(kept, 50)])
    return kept.mean(axis=0), kept.std(axis=0), runs.std(axis=0, ddof=1) / np.sqrt(50)


def _polya_gamma(rng: np.random.Generator, shapes: Array, tilts: Array) -> Array:
    """PG(b, c) for b (n,) and c (n,)."""
    squares = (tilts / (2 * np.pi)) ** 2
    places = (np.arange(TERMS) + 0.5) ** 2
    gammas = rng.standard_gamma(shapes[:, None], size=(len(tilts), TERMS))
    sums = (gammas / (places + squares[:, None])).sum(axis=1)
    sizes = np.maximum(np.abs(tilts), 1e-6)
    whole = shapes * np.tanh(sizes / 2) / (2 * sizes) * (2 * np.pi**2)
    beyond = whole - shapes * (1 / (places + squares[:, None])).sum(axis=1)
    return np.asarray((sums + beyond) / (2 * np.pi**2))
