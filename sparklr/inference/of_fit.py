"""What is known of a fit without its rows: measures, the table of coefficients, and their page.

A training summary has it from the fit itself, and a model that was loaded from its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from pyspark.ml.linalg import DenseMatrix
from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display.pages import area_fact
from sparklr.display.tables import Page, amount, number, p_value
from sparklr.fitting.certificate import Certificate
from sparklr.fitting.outcome import FitReport
from sparklr.inference.covariances import layout_of
from sparklr.inference.hypotheses import TestResult
from sparklr.inference.inference import Inference
from sparklr.inference.layout import Layout
from sparklr.inference.measures import NOT_KEPT, FitMeasures
from sparklr.inference.pages import MOST_SHOWN, dependence_words
from sparklr.params import LogisticRegressionParams, offset_name
from sparklr.saving.estimates import KeptErrors, KeptFit
from sparklr.separation.search import Separation
from sparklr.spark.errors import InvalidValueError

WALD_NOTE = (
    "z, p and intervals are Wald's. With few events the likelihood's are better: "
    'inference(method="profile") and dropOneTests() of the summary, or '
    'model.inference(frame, method="profile").'
)


class TableOfFit(FitMeasures):
    """The table of coefficients with their standard errors, and tests that need no rows."""

    if TYPE_CHECKING:  # a subclass has these

        @property
        def _inference(self) -> Inference: ...
        @property
        def _dependences(self) -> Array: ...
        @property
        def _separation_so_far(self) -> Separation | None: ...

    # How to find out whether rows are separated, if the fit has left that open.
    _where_to_look: str

    @property
    def coefficientStandardErrors(self) -> list[float]:
        """The standard errors of the features' coefficients, then that of the intercept."""
        return self._inference.coefficientStandardErrors

    @property
    def tValues(self) -> list[float]:
        """Each coefficient divided by its standard error: features, then the intercept."""
        return self._inference.tValues

    @property
    def pValues(self) -> list[float]:
        """The two-sided p-value of each coefficient: features, then the intercept."""
        return self._inference.pValues

    @property
    def covarianceMatrix(self) -> DenseMatrix:
        """The covariance of all coefficients, in the order of `coefficientTable`'s rows."""
        return self._inference.covarianceMatrix

    @property
    def coefficientTable(self) -> DataFrame:
        """A row per coefficient: its error, z, p, interval and odds ratio; see `Inference`."""
        return self._inference.coefficientTable

    @property
    def certificate(self) -> Certificate:
        """Figures that show how near the fit is to its optimum, and how well it is determined."""
        found = self._report.certificate
        if found is None:
            why = self._why_no_errors or NOT_KEPT
            raise InvalidValueError(f"There is no certificate of this fit: {why}")
        return found

    def waldTest(self, features: Sequence[str]) -> TestResult:
        """Test whether the coefficients of these features are all zero.

        Parameters
        ----------
        features : sequence of str
            Names of features, for example of all levels of one category.

        Returns
        -------
        TestResult
            statistic, degreesOfFreedom, pValue and method.
        """
        return self._inference.waldTest(features)

    def _measures(self) -> Page:
        """Return what is known of the fit's measures, and tables if there are standard errors."""
        page = self._measures_of_fit()
        return replace(page, facts=(*page.facts, *area_fact(self._known_area)))

    def _measures_of_fit(self) -> Page:
        null = number(self.nullDeviance)
        share = self.pseudoR2() if self.nullDeviance > 0 else np.nan
        explained = ("pseudo R2", f"{number(share)} (McFadden)")
        if self._why_no_errors is not None:
            facts = [("deviance", number(self.deviance)), ("null deviance", null), explained]
            return Page("", tuple(facts), (), (f"No standard errors: {self._why_no_errors}",))
        page, existence = self._inference.page(), ("estimates", self._existence())
        if self._report.factors is not None:  # there is no likelihood
            facts = [("deviance", number(self.deviance)), ("null deviance", null), explained]
            return Page("", (*facts, existence, *page.facts), page.tables, page.notes)
        test = self.likelihoodRatioTest()
        # With more features than rows and several classes they are below zero.
        degrees = f"{amount(max(self.degreesOfFreedom, 0))} degrees of freedom"
        null = f"{null} on {amount(self.residualDegreeOfFreedomNull)}"
        ratio = f"{number(test.statistic)} on {test.degreesOfFreedom:,} degrees of freedom, p"
        p = p_value(test.pValue)
        facts = [
            ("deviance", f"{number(self.deviance)} on {degrees}; null {null}"),
            ("likelihood ratio", f"{ratio} {p if p.startswith('<') else f'= {p}'}"),
            ("AIC, BIC", f"{number(self.aic)}, {number(self.bic)}"),
            explained,
            existence,
        ]
        notes = page.notes
        if self._reduced:
            words = f"{number(self.penalisedLogLikelihood)}; the likelihood ratio is that of it"
            facts.insert(1, ("penalised log lik.", words))
            notes = (*notes, WALD_NOTE)
        return Page("", (*facts, *page.facts), page.tables, notes)

    def _layout(self, base: int | None = None) -> Layout:
        """Return the coefficients, infinite where separated rows have no finite estimate.

        Firth's estimates are finite even there.
        """
        layout = layout_of(self._model, base)
        return layout if self._reduced else layout.separated(self._separation_so_far)

    def _existence(self) -> str:
        """Return whether the estimates exist and are unique, in words."""
        model, found, certificate = self._model, self._separation_so_far, self.certificate
        names = model.numbers.feature_names(model.getFeaturesCol())
        if found is not None and found.kind != "none" and not self._reduced:
            return f"SEPARATED ROWS: {found.sentence(names)}"
        dependences = self._dependences
        if len(dependences):
            words = "; ".join(dependence_words(its, names) for its in dependences[:MOST_SHOWN])
            more = len(dependences) - MOST_SHOWN
            return f"not unique: {words}" + (f"; and {more:,} more" if more > 0 else "")
        if self._reduced:
            return "exist, even where rows are separated (Firth's bias reduction)"
        if found is not None:
            return "exist and are unique: the rows are not separated"
        if certificate.estimateExists:
            step = f"another step moves no row's log odds by {certificate.largestStep:.0e}"
            return f"exist and are unique: the rows are not separated ({step})"
        return f"not known whether they exist: {self._where_to_look}"

    @property
    def _known_area(self) -> float | None:
        """The area under the ROC curve of the rows, if it was computed."""
        return self._report.area_under_roc

    def _reported(self) -> FitReport:
        return replace(
            self._report, information=None, products=None, area_under_roc=self._known_area
        )

    def _keep(self, *, needed: bool) -> KeptFit:
        if needed:
            self._refuse("estimates")
        if self._why_no_errors is not None:
            return KeptFit(report=self._reported())
        inference, found = self._inference, self._separation_so_far
        moved = offset_name(cast(LogisticRegressionParams, self._model)) is not None
        null_loss = self._null_loss if moved else None
        errors = KeptErrors.of(
            rank=self.rank,
            dependences=self._dependences,
            covariance_name=inference.covariance,
            assumption=inference.assumption,
            covariance=inference.covarianceMatrix.toArray(),
        )
        report = replace(self._reported(), separation=found, null_loss=null_loss)
        return KeptFit(report=report, errors=errors)


def reported(fit: TableOfFit) -> FitReport:
    """Return the facts of a fit, without its information; nothing is computed for them."""
    return fit._reported()


def keep(fit: TableOfFit, *, needed: bool = False) -> KeptFit:
    """Return what a model keeps of its fit: its facts and, if there are any, standard errors.

    If it has none and they are needed, that is an error.
    """
    return fit._keep(needed=needed)
