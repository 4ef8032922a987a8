"""Measures of how well a model fits the rows that it was fitted on.

Names that Spark's generalized linear regression has are those names, with the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import cast

import numpy as np
from pyspark.sql import DataFrame

from sparklr.fitting.outcome import NO_SOLVER, FitReport, Penalised
from sparklr.inference.covariances import FittedModel
from sparklr.inference.hypotheses import TestResult, likelihood_ratio, penalised_ratio
from sparklr.inference.on_rows import open_rows
from sparklr.objective.information import Information
from sparklr.params import LogisticRegressionParams, held_name, offset_name
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
    _dataset: DataFrame

    @property
    def deviance(self) -> float:
        """Twice the weighted sum of the loss, without the penalty.

        So `deviance`, `logLikelihood`, `aic` and `bic` of a fit with biasReduction="firth" are
        those of the plain likelihood at its estimates, as in brglm2.
        """
        return 2 * self.weightSum * self._report.loss

    @property
    def nullDeviance(self) -> float:
        """The deviance of a model without features, with an intercept if this model has one.

        It has the offsets, if there are any.
        """
        report, intercept = self._report, self._model.getFitIntercept()
        if offset_name(cast(LogisticRegressionParams, self._model)) is not None:
            return 2 * self.weightSum * self._null_loss
        return null_deviance(report.weights_by_class, intercept=intercept)

    @property
    def logLikelihood(self) -> float:
        """The logarithm of the likelihood at the estimates, by weight."""
        return -0.5 * self.deviance

    @property
    def penalisedLogLikelihood(self) -> float:
        """`logLikelihood` plus half the log determinant of the information, with Firth's method.

        It is what biasReduction="firth" maximises; logistf calls it loglik.
        """
        return self._penalised("penalisedLogLikelihood").log_likelihood

    @property
    def numInstances(self) -> int:
        """The number of rows with weight above zero."""
        return self._report.rows

    @property
    def weightSum(self) -> float:
        """The sum of the weights, class weights included; without weights, the number of rows."""
        return float(self._report.weights_by_class.sum())

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
        self._refuse_class_weights("aic")
        return self.deviance + 2 * self.rank

    @property
    def bic(self) -> float:
        """The Bayesian criterion, `deviance` + log(`weightSum`) `rank`."""
        self._refuse("bic")
        self._refuse_class_weights("bic")
        return self.deviance + float(np.log(self.weightSum)) * self.rank

    def pseudoR2(self, kind: str = "mcfadden") -> float:
        """Return a measure of the explained share, from 0 to 1.

        Parameters
        ----------
        kind : {"mcfadden", "cox-snell", "nagelkerke", "tjur"}
            1 - D/D0; 1 - exp((D - D0)/W); the latter divided by its largest value; the mean
            probability of label 1 among the rows with label 1, less that among the rows with
            label 0, for two classes, from the job that makes the ROC curve.

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
            "tjur": self._tjur,
        }
        if kind not in measures:
            raise ValueError(f"kind must be one of {', '.join(measures)}, but got '{kind}'.")
        return measures[kind]()

    def likelihoodRatioTest(self) -> TestResult:
        """Test whether all coefficients are zero, against the model with intercepts alone.

        With biasReduction="firth" by the penalised likelihood: the penalty is that of all
        coefficients in both models, as in logistf.

        Returns
        -------
        TestResult
            statistic, degreesOfFreedom, pValue and method.
        """
        self._refuse("likelihoodRatioTest")
        self._refuse_class_weights("likelihoodRatioTest")
        if self._reduced:
            both = self._penalised("likelihoodRatioTest")
            rise = both.log_likelihood - both.null
            degrees = self.rank - self._null_rank
            return penalised_ratio(2 * rise, degrees)
        return likelihood_ratio(self.nullDeviance, self.deviance, self.rank - self._null_rank)

    def _tjur(self) -> float:
        """Return what binary summaries have."""
        raise InvalidValueError(
            "pseudoR2('tjur') is for two classes. Use 'mcfadden', 'cox-snell' or 'nagelkerke'."
        )

    @property
    def _null_rank(self) -> int:
        """The number of intercepts that the rows identify."""
        margins = max(len(self._report.label_weights) - 1, 1)
        return margins if self._model.getFitIntercept() else 0

    @property
    def _reduced(self) -> bool:
        """Whether the fit is by Firth's method."""
        return self._model.getBiasReduction().lower() == "firth"

    def _penalised(self, what: str) -> Penalised:
        if not self._reduced:
            raise InvalidValueError(f"'{what}' is for fits with biasReduction='firth'.")
        self._refuse(what)
        if self._report.penalised is None:
            raise InvalidValueError(f"'{what}' is not known for this fit: {NOT_KEPT}")
        return self._report.penalised

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

    def _refuse_class_weights(self, what: str) -> None:
        """Raise if classes have weights; `what` needs a likelihood."""
        if self._report.factors is not None:
            raise InvalidValueError(
                f"'{what}' is not defined for a fit with classWeights: rows that are weighed anew "
                "have no likelihood, and their probabilities are not those of the population. Fit "
                "without class weights, and choose a threshold."
            )

    @cached_property
    def _null_loss(self) -> float:
        if self._report.null_loss is not None:
            return self._report.null_loss
        params = cast(LogisticRegressionParams, self._model)
        with open_rows(self._dataset, params, self._model.numbers) as rows:
            return rows.null_loss()

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
    held = held_name(cast(LogisticRegressionParams, model))
    if held is not None:
        return (
            f"the held-out rows ('{held}') chose the iterate, which is no optimum. Clear "
            "validationIndicatorCol, and fit all rows."
        )
    if any(model.isSet(bound) for bound in BOUNDS):
        return "a coefficient at its bound has no standard error. Clear the bounds."
    return None
