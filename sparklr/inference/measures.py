"""Measures of how well a model fits the rows that it was fitted on.

Names that Spark's generalized linear regression has are those names, with the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from sparklr.fitting.outcome import NO_SOLVER, FitReport
from sparklr.inference.covariances import FittedModel
from sparklr.inference.hypotheses import TestResult, likelihood_ratio
from sparklr.objective.information import Information
from sparklr.scoring.metrics import null_deviance
from sparklr.spark.errors import InvalidValueError

NOT_KEPT = (
    "it did not keep what standard errors need. Fit with inference='always'; 'auto' keeps it for a "
    "fit that is made alone, without penalty and bounds, of at most 500 coefficients."
)
BOUNDS = [
    f"{side}BoundsOn{of}" for side in ("lower", "upper") for of in ("Coefficients", "Intercepts")
]


class FitMeasures:
    """Deviance, degrees of freedom, criteria and the likelihood ratio of a training summary."""

    _model: FittedModel
    _report: FitReport

    @property
    def deviance(self) -> float:
        """Twice the weighted sum of the loss, without the penalty."""
        return 2 * self.weightSum * self._report.loss

    @property
    def nullDeviance(self) -> float:
        """The deviance of a model without features, with an intercept if this model has one."""
        intercept = self._model.getFitIntercept()
        return null_deviance(self._report.label_weights, intercept=intercept)

    @property
    def logLikelihood(self) -> float:
        """The logarithm of the likelihood at the estimates, by weight."""
        return -0.5 * self.deviance

    @property
    def numInstances(self) -> int:
        """The number of rows with weight above zero."""
        return self._report.rows

    @property
    def weightSum(self) -> float:
        """The sum of the weights; without weights, the number of rows."""
        return float(self._report.label_weights.sum())

    @property
    def dispersion(self) -> float:
        """The dispersion parameter, which is 1 for labels that are classes."""
        return 1.0

    @property
    def rank(self) -> int:
        """The number of parameters that the rows identify, intercepts included."""
        return self._information.rank

    @property
    def degreesOfFreedom(self) -> float:
        """The degrees of freedom of `deviance`: `weightSum` less the rank.

        Weights count rows. Spark's generalized linear regression takes the number of rows instead,
        which is the same without weights.
        """
        return self.weightSum - self.rank

    @property
    def residualDegreeOfFreedom(self) -> float:
        """The degrees of freedom of `deviance`, the same as `degreesOfFreedom`."""
        return self.degreesOfFreedom

    @property
    def residualDegreeOfFreedomNull(self) -> float:
        """The degrees of freedom of `nullDeviance`: `weightSum` less the number of intercepts."""
        return self.weightSum - self._null_rank

    @property
    def aic(self) -> float:
        """Akaike's criterion, `deviance` + 2 `rank`."""
        self._refuse("aic")
        return self.deviance + 2 * self.rank

    @property
    def bic(self) -> float:
        """The Bayesian criterion, `deviance` + log(`weightSum`) `rank`."""
        self._refuse("bic")
        return self.deviance + float(np.log(self.weightSum)) * self.rank

    def pseudoR2(self, kind: str = "mcfadden") -> float:
        """Return a measure of the explained share, from 0 to 1.

        Parameters
        ----------
        kind : {"mcfadden", "cox-snell", "nagelkerke"}
            1 - D/D0; 1 - exp((D - D0)/W); the latter divided by its largest value.

        Returns
        -------
        float
            The measure, for deviance D, null deviance D0 and `weightSum` W.
        """
        null, weight = self.nullDeviance, self.weightSum
        cox_snell = -np.expm1((self.deviance - null) / weight)
        measures: dict[str, Callable[[], float]] = {
            "mcfadden": lambda: 1 - self.deviance / null,
            "cox-snell": lambda: float(cox_snell),
            "nagelkerke": lambda: float(cox_snell / -np.expm1(-null / weight)),
        }
        if kind not in measures:
            raise ValueError(f"kind must be one of {', '.join(measures)}, but got '{kind}'.")
        return measures[kind]()

    def likelihoodRatioTest(self) -> TestResult:
        """Test whether all coefficients are zero, against the model with intercepts alone.

        Returns
        -------
        TestResult
            statistic, degreesOfFreedom, pValue and method.
        """
        self._refuse("likelihoodRatioTest")
        return likelihood_ratio(self.nullDeviance, self.deviance, self.rank - self._null_rank)

    @property
    def _null_rank(self) -> int:
        """The number of intercepts that the rows identify."""
        margins = len(self._report.label_weights) - 1
        return margins if self._model.getFitIntercept() else 0

    @property
    def _information(self) -> Information:
        found = self._report.information
        if found is None:
            raise InvalidValueError(f"This fit has no Hessian at its optimum: {NOT_KEPT}")
        return found

    def _refuse(self, what: str) -> None:
        """Raise if the fit has no standard errors; `what` was asked for."""
        why = self._why_no_errors
        if why is not None:
            raise InvalidValueError(f"'{what}' is not defined for this fit: {why}")

    @cached_property
    def _why_no_errors(self) -> str | None:
        """Why there are no standard errors, as a sentence; None if there are."""
        model, report = self._model, self._report
        if report.solver == NO_SOLVER:
            return "no coefficient was estimated."
        why = why_not_valid(model)
        if why is not None:
            return why
        return NOT_KEPT if report.information is None else None


def why_not_valid(model: FittedModel) -> str | None:
    """Why a model with these Params has no valid standard errors; None if it may have them."""
    if model.getRegParam() > 0:
        return (
            f"regParam={model.getRegParam():g} moves the coefficients towards zero, by more than "
            "standard errors say. Fit with regParam=0."
        )
    if any(model.isSet(bound) for bound in BOUNDS):
        return "a coefficient at its bound has no standard error. Clear the bounds."
    return None
