"""The certificate of an optimum: conditions of first and second order, in figures to check.

At the end of a fit, with the objective's gradient g and Hessian H over the coordinates that are
free (not at a bound, nor held at zero by an L1 term), both summed over rows of total weight W,

    KKT residual        max |g| / W         zero at an optimum
    Newton's step       d = -H^-1 g         how far the optimum is, to first order
    Newton decrement    sqrt(g' H^-1 g)     the length of d in standard errors; half of its square
                                            is the decrease that is left
    largest step        max |x~' d|         the most by which d moves the margin of any row
    smallest curvature  the least eigenvalue of H / W, in units of standardised features
    condition number    of H at unit diagonal
    duality gap         objective - minimum, or more (`duality_gap`)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.duality_gap import duality_gap
from sparklr.fitting.problem import Problem
from sparklr.objective.information import Information, Pivoted
from sparklr.objective.moments import Moments
from sparklr.separation.search import absence_bound
from sparklr.solvers import Answer, Query


@dataclass(frozen=True)
class Certificate:
    """Figures that show how near a fit is to its optimum, and how well the optimum is determined.

    Without the Hessian at the optimum (see the Param `inference`), as after most penalised fits,
    only `kktResidual` and `dualityGap` are known: the other figures are NaN, and `estimateExists`
    is false.

    Attributes
    ----------
    kktResidual : float
        The largest entry of the gradient of the objective, per unit of weight and of a
        standardised feature.
    newtonDecrement : float
        The distance from the optimum, in standard errors.
    largestStep : float
        The most by which one more Newton step would move the log odds of any row, or more.
    smallestCurvature : float
        The least eigenvalue of the Hessian, per unit of weight, for standardised features.
    conditionNumber : float
        The condition number of the Hessian at unit diagonal; infinite if it is singular.
    estimateExists : bool
        Whether the figures prove that the maximum of the likelihood is at finite coefficients; if
        they do not, it may still be so.
    dualityGap : float or None
        The most by which the objective of a penalised fit is above its minimum, in the units of
        `objectiveHistory`; None without a penalty, where no such bound is known, and with bounds.
        It shrinks like `kktResidual`, the true difference like its square, so that a smaller `tol`
        may be needed to show how small that is.
    """

    kktResidual: float
    newtonDecrement: float
    largestStep: float
    smallestCurvature: float
    conditionNumber: float
    estimateExists: bool
    dualityGap: float | None = None


def certificate_of(problem: Problem, point: Array, answer: Answer) -> Certificate:
    """Return what is known from the gradient at the point where a fit has ended."""
    _, residual = problem.standing(Query(point, 1), answer)
    unknown = float("nan")
    gap = duality_gap(problem, point, answer)
    return Certificate(residual, unknown, unknown, unknown, unknown, False, gap)


def certify(information: Information, moments: Moments) -> Certificate:
    """Return the certificate for rows with these moments."""
    free = information.free
    hessian = information.hessian + np.diag(information.penalty)
    inner, slope = hessian[np.ix_(free, free)], information.slope[free]
    plain = not information.penalty.any() and bool(free.all())
    pivoted = information.pivoted if plain else Pivoted.of(inner)
    move = np.zeros(len(free))
    move[free] = -pivoted.inverse @ slope
    curvatures = np.linalg.eigvalsh(inner / information.weight) if free.any() else np.zeros(1)
    at_unit = np.linalg.eigvalsh(inner * pivoted.scale * pivoted.scale[:, None])
    singular = pivoted.singular or not free.any()
    scaling = information.scaling
    coefficients, offsets = replace(scaling, held=0.0).to_rows(move)
    shift = scaling.origin if np.any(scaling.origin) else None
    bound = absence_bound(np.column_stack((coefficients, offsets)), moments, shift)
    # The proof is about the likelihood alone, at a point where its step was found.
    return Certificate(
        kktResidual=float(np.abs(information.slope).max(initial=0)) / information.weight,
        newtonDecrement=max(-float(slope @ move[free]), 0.0) ** 0.5,
        largestStep=information.scaling.largest_move(move, moments),
        smallestCurvature=max(float(curvatures[0]), 0.0),
        conditionNumber=np.inf if singular else float(at_unit[-1] / at_unit[0]),
        estimateExists=plain and not pivoted.singular and bound < 1,
    )
