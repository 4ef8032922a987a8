"""The members of a training summary that tell how well the rows determine the coefficients.

Names that Spark's generalized linear regression has are those names, with the same meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from pyspark.ml.linalg import DenseMatrix
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparklr.display.tables import Page, amount, number, p_value
from sparklr.fitting.certificate import Certificate
from sparklr.inference.covariances import Options, infer
from sparklr.inference.estimates import check_level
from sparklr.inference.hypotheses import TestResult, likelihood_ratio, penalised_ratio
from sparklr.inference.inference import Inference
from sparklr.inference.layout import Layout
from sparklr.inference.measures import NOT_KEPT, FitMeasures
from sparklr.inference.on_rows import open_rows
from sparklr.inference.pages import MOST_SHOWN, dependence_words
from sparklr.inference.residuals import residuals
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import find_column, find_weight
from sparklr.separation.search import Separation
from sparklr.spark.errors import InvalidValueError

WALD_NOTE = (
    "z, p and intervals are Wald's. With few events the likelihood's are better: see "
    'summary.inference(method="profile") and summary.dropOneTests().'
)


class CoefficientInference(FitMeasures):
    """Standard errors and tests of coefficients, for `LogisticRegressionTrainingSummary`.

    They need the Hessian at the optimum: see the Param `inference`. Those of a penalised fit are
    refused, since the penalty moves the estimates by more than they say.
    """

    if TYPE_CHECKING:  # a summary has these

        @property
        def predictions(self) -> DataFrame: ...
        @property
        def labelCol(self) -> str: ...
        @property
        def probabilityCol(self) -> str: ...

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

    @cached_property
    def separation(self) -> Separation | None:
        """How the rows are separated, if they are; None if `certificate` proves that they are not.

        With biasReduction="firth", estimates are finite all the same, so that rows are read for it.
        With up to 100 coefficients it was found in the fit; else the rows are read again.
        """
        self._refuse("separation")
        proved = self.certificate.estimateExists and not self._reduced
        if self._report.separation is not None or proved:
            return self._report.separation
        params = cast(LogisticRegressionParams, self._model)
        self.__dict__.pop("_inference", None)  # its infinite coefficients were not known
        with open_rows(self._dataset, params, self._model.numbers) as rows:
            return rows.separation(self._information, self._report.loss)

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

    def inference(
        self,
        *,
        covariance: str = "auto",
        clusterCol: str | None = None,
        weights: str = "frequency",
        level: float = 0.95,
        referenceClass: int | None = None,
        method: str = "wald",
        smallSample: bool | None = None,
    ) -> Inference:
        """Return standard errors, tests and intervals under these assumptions.

        All but the default covariance read the rows of the fit again.

        Parameters
        ----------
        covariance : {"auto", "model", "HC0", "HC1", "CR0", "CR1", "debiased"}
            Of the model, the inverse information, right if the model is; robust to a wrong model,
            HC1 with the factor n / (n - rank); robust to rows that belong together, CR1 with the
            factor G / (G - 1) for G clusters; or, after a penalised fit, that of estimates that are
            moved by one Newton step of the unpenalised likelihood, which takes the penalty's effect
            out again. "auto" is the model's, or HC0 where classes have weights: with those the
            model's is refused.
        clusterCol : str, optional
            The column that tells the clusters of CR0 and CR1 apart.
        weights : {"frequency", "probability"}
            What a weight says: that a row stands for so many rows like it, or that it was drawn
            with a probability of one over so much. The latter needs a robust covariance.
        level : float
            The probability that an interval holds the true value.
        referenceClass : int, optional
            Of a multinomial model, the class with which all others are compared. By default each
            class is compared with the mean of all, as the model's own coefficients are.
        method : {"wald", "profile"}
            Intervals from the standard errors, or from the likelihood itself, which are better with
            few rows and near separation: all limits together take a few readings of the rows.
        smallSample : bool, optional
            Whether p-values and intervals are by Student's t, on n - rank degrees of freedom or,
            with clusters, on G - 1; else by the normal distribution. By default only with clusters.

        Returns
        -------
        Inference
            The errors, tests and intervals; `print` shows them.
        """
        options = Options(
            covariance, clusterCol, weights, level, referenceClass, method, smallSample
        )
        if options.covariance != "debiased":
            self._refuse("inference")
        report, known = self._report, self._separation_so_far
        kept = None if options.covariance == "debiased" else report.information
        return infer(self._model, self._dataset, options, kept, known, report.products)

    def dropOneTests(self, groups: Mapping[str, Sequence[str]] | None = None) -> DataFrame:
        """Test each term by the likelihood ratio against the model without it.

        All these models are fitted together, in a few readings of the rows. With
        biasReduction="firth" by the penalised likelihood, as logistf's drop1.

        Parameters
        ----------
        groups : mapping of str to sequence of str, optional
            Features that are one term, such as the flags of a category, by the term's name. All
            other features are terms of their own.

        Returns
        -------
        DataFrame
            A row per term: term, statistic, degreesOfFreedom, pValue.
        """
        self._refuse("dropOneTests")
        self._refuse_class_weights("dropOneTests")
        numbers = self._model.numbers
        names = numbers.feature_names(self._model.getFeaturesCol())
        layout = Layout(np.zeros((1, len(names) + 1)), names, False, False)
        together = {term: layout.places_of(its) for term, its in (groups or {}).items()}
        grouped = {int(j) for places in together.values() for j in places}
        single = {name: np.array([j]) for j, name in enumerate(names) if j not in grouped}
        params = cast(LogisticRegressionParams, self._model)
        with open_rows(self._dataset, params, numbers) as rows:
            found = rows.without(self._information, {**together, **single})
        twice = 2 * self.weightSum
        results = {
            term: penalised_ratio(twice * loss, degrees)
            if self._reduced
            else likelihood_ratio(twice * loss, self.deviance, degrees)
            for term, (loss, degrees) in found.items()
        }
        columns = {
            "term": list(results),
            "statistic": [its.statistic for its in results.values()],
            "degreesOfFreedom": [its.degreesOfFreedom for its in results.values()],
            "pValue": [its.pValue for its in results.values()],
        }
        return self._dataset.sparkSession.createDataFrame(pd.DataFrame(columns))

    def marginalEffects(self, level: float = 0.95) -> DataFrame:
        """Return by how much the probability of label 1 changes with each feature, on average.

        For a flag, which is 0 or 1 in every row, that is the difference between all rows with 1 and
        all with 0; else the derivative. The rows are read once more, and held fixed.

        Parameters
        ----------
        level : float
            The probability that an interval holds the true value.

        Returns
        -------
        DataFrame
            A row per feature: feature, kind (difference or derivative), effect, standardError,
            zValue, pValue, lower, upper.
        """
        self._refuse("marginalEffects")
        self._refuse_class_weights("marginalEffects")
        if self._model.numbers.family.per_class:
            raise InvalidValueError("Marginal effects are computed for binomial models only.")
        check_level(level)
        params = cast(LogisticRegressionParams, self._model)
        with open_rows(self._dataset, params, self._model.numbers) as rows:
            effects = rows.marginal_effects(self._information, level)
        names = self._model.numbers.feature_names(self._model.getFeaturesCol())
        table = pd.DataFrame({"feature": names, **effects})
        return self._dataset.sparkSession.createDataFrame(table)

    def residuals(self, residualsType: str = "deviance") -> DataFrame:
        """Return the residuals of the rows of the fit, in their order, in one column.

        Parameters
        ----------
        residualsType : {"deviance", "pearson", "working", "response"}
            As in Spark's generalized linear regression; the column is named after it.

        Returns
        -------
        DataFrame
            A column such as devianceResiduals.
        """
        if self._model.numbers.family.per_class:
            raise InvalidValueError("Residuals are defined for binomial models only.")
        frame, params = self.predictions, cast(LogisticRegressionParams, self._model)
        weight = find_weight(frame, params)
        return residuals(
            frame,
            residualsType,
            label=find_column(frame, self.labelCol, "labelCol").column,
            probability=find_column(frame, self.probabilityCol, "probabilityCol").column,
            weight=F.lit(1.0) if weight is None else weight.column.cast("double"),
        )

    def _measures(self) -> Page:
        """Return measures of fit, and tables of the coefficients if there are standard errors."""
        null = number(self.nullDeviance)
        share = self.pseudoR2() if self.nullDeviance > 0 else np.nan
        explained = ("pseudo R2", f"{number(share)} (McFadden)")
        if self._why_no_errors is not None:
            facts = [("deviance", number(self.deviance)), ("null deviance", null), explained]
            return Page("", tuple(facts), (), (f"No standard errors: {self._why_no_errors}",))
        if self._report.factors is not None:
            page = self._inference.page()
            facts = [("deviance", number(self.deviance)), ("null deviance", null), explained]
            facts.append(("estimates", self._existence()))
            return Page("", (*facts, *page.facts), page.tables, page.notes)
        test = self.likelihoodRatioTest()
        degrees = f"{amount(self.degreesOfFreedom)} degrees of freedom"
        null = f"{null} on {amount(self.residualDegreeOfFreedomNull)}"
        ratio = f"{number(test.statistic)} on {test.degreesOfFreedom:,} degrees of freedom, p"
        p = p_value(test.pValue)
        facts = [
            ("deviance", f"{number(self.deviance)} on {degrees}; null {null}"),
            ("likelihood ratio", f"{ratio} {p if p.startswith('<') else f'= {p}'}"),
            ("AIC, BIC", f"{number(self.aic)}, {number(self.bic)}"),
            explained,
        ]
        facts.append(("estimates", self._existence()))
        notes: tuple[str, ...] = ()
        if self._reduced:
            words = f"{number(self.penalisedLogLikelihood)}; the likelihood ratio is that of it"
            facts.insert(1, ("penalised log lik.", words))
            notes = (WALD_NOTE,)
        page = self._inference.page()
        return Page("", (*facts, *page.facts), page.tables, (*page.notes, *notes))

    def _existence(self) -> str:
        """Return whether the estimates exist and are unique, in words."""
        model, found, certificate = self._model, self._separation_so_far, self.certificate
        names = model.numbers.feature_names(model.getFeaturesCol())
        if found is not None and found.kind != "none" and not self._reduced:
            return f"SEPARATED ROWS: {found.sentence(names)}"
        dependences = self._information.dependences()
        if len(dependences):
            words = "; ".join(dependence_words(its, names) for its in dependences[:MOST_SHOWN])
            more = len(dependences) - MOST_SHOWN
            return f"not unique: {words}" + (f"; and {more:,} more" if more > 0 else "")
        if found is not None and not self._reduced:
            return "exist and are unique: the rows are not separated"
        if self._reduced:
            return "exist, even where rows are separated (Firth's bias reduction)"
        if certificate.estimateExists:
            step = f"another step moves no row's log odds by {certificate.largestStep:.0e}"
            return f"exist and are unique: the rows are not separated ({step})"
        return "not known whether they exist: see summary.separation"

    @cached_property
    def _inference(self) -> Inference:
        return self.inference()

    @property
    def _separation_so_far(self) -> Separation | None:
        """What is known of separation without reading the rows."""
        found: Separation | None = self.__dict__.get("separation", self._report.separation)
        return found
