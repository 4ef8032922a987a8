"""Tests of hypotheses about coefficients.

    likelihood ratio    D_small - D_large          chi squared, as many degrees as ranks differ
    Wald                b_S' V_SS^-1 b_S           chi squared, rank of V_SS degrees; divided by
                                                   these, F, where errors are by Student's t

for deviances D, coefficients b with covariance V, and a set S of them that is zero by hypothesis.
Probabilities are those of the tail itself, never one minus the rest, so that they do not become 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2, f

from sparklr.arrays import Array
from sparklr.objective.information import Pivoted


class TestResult(NamedTuple):
    """The result of a test.

    Attributes
    ----------
    statistic : float
        The statistic of the test.
    degreesOfFreedom : int
        Its degrees of freedom.
    pValue : float
        The probability of a statistic as large, if what is tested is true.
    method : str
        What the test is called.
    """

    statistic: float
    degreesOfFreedom: int
    pValue: float
    method: str


def chi_squared(statistic: float, degrees: int, method: str) -> TestResult:
    """Return the result for a statistic that is chi squared by hypothesis."""
    p = float(chi2.sf(statistic, degrees)) if degrees > 0 else np.nan
    return TestResult(statistic, degrees, p, method)


def likelihood_ratio(small: float, large: float, degrees: int) -> TestResult:
    """Compare the deviance of a model with that of a larger one."""
    # Both are rounded, so a larger model may seem worse by a unit in the last place.
    return chi_squared(max(small - large, 0.0), degrees, "likelihood ratio")


def penalised_ratio(statistic: float, degrees: int) -> TestResult:
    """Return the result for twice a difference of penalised log likelihoods (Firth's method)."""
    return chi_squared(max(statistic, 0.0), degrees, "penalised likelihood ratio")


def wald(coefficients: Array, covariance: Array, degrees: float = np.inf) -> TestResult:
    """Test whether all of these coefficients (m,), with covariance (m, m), are zero.

    degrees : of Student's t for one of them; infinite for the normal distribution
    """
    pivoted = Pivoted.of(covariance)
    statistic, rank = float(coefficients @ pivoted.inverse @ coefficients), pivoted.rank
    if np.isinf(degrees) or rank == 0:
        return chi_squared(statistic, rank, "Wald")
    p = float(f.sf(statistic / rank, rank, degrees))
    return TestResult(statistic, rank, p, f"Wald, F on {rank} and {degrees:g} degrees of freedom")
