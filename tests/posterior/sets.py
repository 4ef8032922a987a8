"""Small sets whose posteriors are known from long chains, and how their posteriors are found here.

Each is drawn from a seed. `reg` is regParam times the number of rows: the precision of the prior
for scaled features, whose standard deviation is 1 / sqrt(reg).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.information import Information
from sparklr.passes.local import LocalPasses
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.posterior.of_information import Mode, PosteriorKind, Search, find_posterior
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with a prior, and whether there is an intercept."""

    matrix: Array
    labels: Array
    reg: float
    weights: Array | None = None
    intercept: bool = True

    @property
    def passes(self) -> LocalPasses:
        """The rows in three blocks."""
        parts = np.array_split(np.arange(len(self.labels)), 3)
        weights = self.weights
        blocks = [
            Block(self.matrix[at], self.labels[at], None if weights is None else weights[at])
            for at in parts
        ]
        return LocalPasses.of(blocks, self.matrix.shape[1])


def _drawn(
    seed: int,
    rows: int,
    features: int,
    *,
    size: float = 1.0,
    intercept: float = 0.0,
    correlation: float = 0.0,
) -> tuple[Array, Array, np.random.Generator]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, features))
    if correlation:
        apart = np.abs(np.subtract.outer(np.arange(features), np.arange(features)))
        matrix = matrix @ np.linalg.cholesky(correlation**apart).T
    margins = matrix @ rng.normal(size=features) * size + intercept
    labels = (rng.random(rows) < 1 / (1 + np.exp(-margins))).astype(float)
    return matrix, labels, rng


def plain() -> Rows:
    return Rows(*_drawn(1, 200, 3)[:2], reg=1.0)


def weighted() -> Rows:
    matrix, labels, rng = _drawn(2, 120, 4)
    return Rows(matrix, labels, 1.0, weights=rng.uniform(0.2, 3.0, size=120))


def no_intercept() -> Rows:
    return Rows(*_drawn(3, 100, 3)[:2], reg=0.5, intercept=False)


def correlated() -> Rows:
    return Rows(*_drawn(4, 500, 8, size=0.5, correlation=0.95)[:2], reg=0.2)


def separable() -> Rows:
    matrix = np.random.default_rng(5).normal(size=(40, 2))
    return Rows(matrix, (matrix @ [1.0, 0.3] > 0).astype(float), reg=0.5)


def rare() -> Rows:
    """16 of 600 labels are 1."""
    return Rows(*_drawn(11, 600, 4, size=0.6, intercept=-4.2)[:2], reg=0.5)


def many_features() -> Rows:
    return Rows(*_drawn(7, 500, 50, size=0.3)[:2], reg=1.0)


def wide() -> Rows:
    """More features than rows."""
    return Rows(*_drawn(8, 50, 60, size=0.4)[:2], reg=1.0)


def three_classes() -> Rows:
    rng = np.random.default_rng(9)
    matrix = rng.normal(size=(150, 3))
    margins = matrix @ rng.normal(size=(3, 3)) + rng.gumbel(size=(150, 3))
    return Rows(matrix, margins.argmax(axis=1).astype(float), reg=1.0)


BINARY: dict[str, Callable[[], Rows]] = {
    its.__name__: its
    for its in (
        plain,
        weighted,
        no_intercept,
        correlated,
        separable,
        rare,
        many_features,
        wide,
    )
}
SETS = {**BINARY, "three_classes": three_classes}


def fitted(rows: Rows) -> tuple[Fit, LocalPasses]:
    """The fit of rows with its information."""
    passes = rows.passes
    family = MULTINOMIAL if rows.labels.max() > 1 else BINOMIAL
    spec = Spec(
        family,
        regParam=rows.reg / passes.moments.weight,
        fitIntercept=rows.intercept,
        inference=True,
        tol=1e-8,
    )
    fits, _ = fit_all({0: spec}, passes, int(rows.labels.max()) + 1)
    return fits[0], passes


def mode_of(rows: Rows) -> tuple[Mode, Information, LocalPasses]:
    """The mode of rows' posterior."""
    fit, passes = fitted(rows)
    information = fit.information
    assert information is not None
    family = BINOMIAL if len(fit.intercepts) == 1 else MULTINOMIAL
    mode = Mode.of(information, family, fit.coefficients, fit.intercepts)
    assert mode is not None
    return mode, information, passes


def posterior_of(
    rows: Rows, kind: PosteriorKind, *, tolerance: float = 0.01, draws: int = 1024
) -> PosteriorNumbers:
    """The posterior of rows."""
    mode, information, passes = mode_of(rows)
    return find_posterior(Search(kind, tolerance, draws, seed=1), mode, information, passes)
