"""How often 90% intervals hold the truth: python -m tests.posterior.coverage

Each data set has its own true coefficients, from the prior N(0, 1) for scaled features, and
an intercept from N(0, 1). Coverage is the share of all features' coefficients in their intervals,
over the sets with labels of both kinds; with it the mean log probability of 500 new rows' labels.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from sparklr.arrays import Array
from sparklr.objective.normal_margins import chance_moments
from sparklr.posterior.of_information import PosteriorKind
from tests.posterior.sets import Rows, posterior_of

SIZES = ((60, 4), (30, 8), (200, 20))
KINDS: tuple[PosteriorKind, ...] = ("laplace", "gaussian", "fisher")


def coverage(rows: int, features: int, sets: int, kind: PosteriorKind) -> tuple[float, float]:
    """The share of coefficients in their 90% intervals, and the mean log probability of labels."""
    held, scores = [], []
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(rows + 500, features))
        truth = rng.normal(size=features) / matrix[:rows].std(axis=0, ddof=1)
        margins = matrix @ truth + rng.normal()
        labels = (rng.random(rows + 500) < expit(margins)).astype(float)
        if 0 < labels[:rows].sum() < rows:
            found = posterior_of(Rows(matrix[:rows], labels[:rows], reg=1.0), kind)
            size = norm.ppf(0.95) * found.deviations[:-1]
            held.append(np.abs(found.mean[:-1] - truth) <= size)
            ones = np.column_stack((matrix[rows:], np.ones(500)))
            scores.append(_log_chance(ones, labels[rows:], found.mean, found.factor))
    return float(np.mean(held)), float(np.mean(scores))


def _log_chance(matrix: Array, labels: Array, mean: Array, factor: Array) -> float:
    spread = np.linalg.norm(matrix @ factor, axis=1)
    chances = chance_moments(matrix @ mean, spread)[0]
    return float(np.log(np.where(labels > 0.5, chances, 1 - chances)).mean())


def main() -> None:
    for rows, features in SIZES:
        for kind in KINDS:
            held, score = coverage(rows, features, 200, kind)
            print(f"{rows} x {features} {kind}: {held:.3f}, {score:.4f}", flush=True)


if __name__ == "__main__":
    main()
