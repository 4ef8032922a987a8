"""From what the rows tell at the mode to a posterior in the user's units.

The mode and the Hessian of V there make Laplace's Gaussian. One reading of the rows, which takes
means over it, predicts how far its mean is from the best Gaussian's; a few more find that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.linalg import solve_triangular

from sparklr.arrays import Array
from sparklr.objective.families import Family
from sparklr.objective.information import Information
from sparklr.objective.prior import GaussianPrior
from sparklr.passes.protocol import Passes
from sparklr.posterior.gaussian import find_gaussian
from sparklr.posterior.log_posterior import LogPosterior
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.posterior.sampled import sample
from sparklr.posterior.shift import shift_of_draws
from sparklr.solvers import Reason
from sparklr.solvers.best_gaussian import GaussianSolver, Price, best_gaussian

PosteriorKind: TypeAlias = Literal["laplace", "gaussian", "sampled", "fisher"]
PRICES: dict[PosteriorKind, Price] = {
    "laplace": "entropy",
    "gaussian": "entropy",
    "sampled": "entropy",
    "fisher": "fisher",
}
# No fit that was tried needed more than 30; without an end a search could go on for ever.
MOST_READINGS = 100
# Draws of chains that begin in the best Gaussian: a larger R-hat than this is no chance.
MOST_R_HAT = 1.1
AT_THE_MODE = "the optimum, and the curvature there"
MIXED = "converged: all chains have the same distribution"
NOT_MIXED = "stopped: the chains differ, so more draws are needed (numDraws)"
SENTENCES = {
    Reason.CONVERGED: "converged: no coefficient's mean would move by more than posteriorTol",
    Reason.STEP_LIMIT: f"stopped after {MOST_READINGS} readings before posteriorTol was met",
    Reason.NO_DECREASE: "stopped: no step lowers the divergence from the posterior",
    Reason.NOT_FINITE: "stopped: a mean over the first distribution is not a finite number",
}


@dataclass(frozen=True, eq=False)
class Mode:
    """The mode of V in the solvers' coordinates, with a root R of the inverse Hessian, R R'."""

    posterior: LogPosterior
    point: Array
    root: Array

    @staticmethod
    def of(
        information: Information, family: Family, coefficients: Array, intercepts: Array
    ) -> Mode | None:
        """Return the mode of a fit, or None if the Hessian there is not positive definite.

        The gauge of a softmax, which its coefficients' sum over classes needs to be determined, is
        a part of the prior.
        """
        scaling, penalty = information.scaling, information.penalty
        precision = penalty
        if information.gauge.any():
            classes = np.ones((scaling.margins, scaling.margins))
            precision = np.diag(penalty) + np.kron(classes, np.diag(information.gauge))
        prior = GaussianPrior(np.zeros(len(penalty)), precision)
        root = _root(information.hessian + np.diag(penalty))
        if root is None:
            return None
        point = scaling.to_point(coefficients, intercepts)
        return Mode(LogPosterior(family, scaling, prior), point, root)

    def to_users_units(self, information: Information) -> Array:
        """Return T (m, n) from points to coefficients, centred over the classes of a softmax."""
        margins = self.posterior.scaling.margins
        centred = np.eye(margins) - (1 / margins if information.gauge.any() else 0.0)
        return np.asarray(np.kron(centred, information.of_margin), dtype=float)


@dataclass(frozen=True)
class Search:
    """What to find: the kind, the tolerance of means in deviations, and the number of draws."""

    kind: PosteriorKind
    tolerance: float
    draws: int
    seed: int


def find_posterior(
    search: Search, mode: Mode, information: Information, passes: Passes
) -> PosteriorNumbers:
    """Return the posterior of a fit."""
    change, kind = mode.to_users_units(information), search.kind
    mean, factor, why, converged = mode.point, mode.root, AT_THE_MODE, True
    if mode.posterior.family.per_class:
        shift, readings = shift_of_draws(mode.posterior, mean, factor, change, passes, search.seed)
    else:
        found = find_gaussian(_solver(search, mode, change), mode.posterior, passes)
        shift, readings = found.first_move, found.readings
        if kind != "laplace":
            mean, factor, why = found.mean, found.factor, SENTENCES[found.reason]
            converged = found.reason.converged
    numbers = PosteriorNumbers(
        kind=kind,
        mean=change @ mean,
        factor=change @ factor,
        draws=None,
        prior_deviations=_prior_deviations(information),
        readings=readings,
        converged=converged,
        reason=why,
        tolerance=search.tolerance,
        shift_from_mode=shift,
    )
    if kind != "sampled":
        return numbers
    its = sample(
        mode.posterior, mean, factor, passes, units=change, draws=search.draws, seed=search.seed
    )
    mixed = bool(its.r_hat.max(initial=0) <= MOST_R_HAT)
    return replace(
        numbers,
        mean=change @ its.mean,
        factor=change @ its.factor,
        draws=its.draws @ change.T,
        readings=numbers.readings + its.readings,
        converged=mixed,
        reason=MIXED if mixed else NOT_MIXED,
        r_hat=float(its.r_hat.max(initial=0)),
        error=float(its.errors.max(initial=0)),
    )


def _solver(search: Search, mode: Mode, change: Array) -> GaussianSolver:
    return best_gaussian(
        mode.point,
        mode.root,
        price=PRICES[search.kind],
        tolerance=search.tolerance,
        most=1 if search.kind == "laplace" else MOST_READINGS,
        units=change,
    )


def _prior_deviations(information: Information) -> Array:
    """Return the prior's deviation of each feature's coefficient in the user's units, (p,)."""
    scaling = information.scaling
    result = np.full(scaling.features, np.inf)
    penalty = information.penalty[: len(scaling.active)]
    with np.errstate(divide="ignore"):
        result[scaling.active] = 1 / (np.sqrt(penalty) * scaling.deviation)
    return result


def _root(hessian: Array) -> Array | None:
    """Return the upper triangle R with R R' = the inverse, or None if there is none."""
    scale = 1 / np.sqrt(np.diagonal(hessian))
    try:
        lower = np.linalg.cholesky(hessian * scale * scale[:, None])
    except np.linalg.LinAlgError:
        return None
    upper = solve_triangular(lower, np.eye(len(lower)), lower=True).T
    return np.asarray(upper * scale[:, None])
