"""The members of a training summary that tell how well the rows determine the coefficients.

Names that Spark's generalized linear regression has are those names, with the same meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.inference.covariances import Options, infer
from sparklr.inference.estimates import check_level
from sparklr.inference.hypotheses import likelihood_ratio, penalised_ratio
from sparklr.inference.inference import Inference
from sparklr.inference.layout import Layout
from sparklr.inference.of_fit import TableOfFit
from sparklr.inference.on_rows import open_rows
from sparklr.inference.residuals import BinomialResiduals, check_kind, residuals_of_classes
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import find_column, find_weight
from sparklr.separation.search import Separation


class CoefficientInference(TableOfFit):
    """Standard errors and tests of coefficients, for `LogisticRegressionTrainingSummary`.

    They need the Hessian at the optimum: see the Param `inference`. Those of a penalised fit are
    refused, since the penalty moves the estimates by more than they say.
    """

    _where_to_look = "read summary.separation"

    if TYPE_CHECKING:  # a summary has these

        @property
        def predictions(self) -> DataFrame: ...
        @property
        def labelCol(self) -> str: ...
        @property
        def probabilityCol(self) -> str: ...

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
            The inverse information, right if the model is; robust to a wrong model, HC1 with the
            factor n / (n - rank); robust to rows that belong together, CR1 with the factor
            G / (G - 1) for G clusters; or, after a penalised fit, that of estimates moved by one
            unpenalised Newton step, which takes the penalty's effect out again. "auto" is the
            model's, or HC0 where classes have weights: with those the model's is refused.
        clusterCol : str, optional
            The column that tells the clusters of CR0 and CR1 apart.
        weights : {"frequency", "probability"}
            A weight is the number of rows like this one, or one over the probability with which
            the row was drawn, which needs a robust covariance.
        level : float
            The probability that an interval holds the true value.
        referenceClass : int, optional
            Of a multinomial model, the class with which all others are compared. By default that
            is the mean of all classes, as in the model's own coefficients.
        method : {"wald", "profile"}
            Intervals from the standard errors, or from the likelihood itself, which are better with
            few rows and near separation: all limits together take a few readings of the rows.
        smallSample : bool, optional
            Whether p-values and intervals are by Student's t, with n - rank degrees of freedom or,
            with clusters, G - 1; else by the normal distribution. By default only with clusters.

        Returns
        -------
        Inference
            The errors, tests and intervals; `print` shows them.
        """
        options = Options(
            covariance, clusterCol, weights, level, referenceClass, method, smallSample
        )
        return self._under(options)

    def _under(self, options: Options) -> Inference:
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
        """Return by how much the probability of a class changes with each feature, on average.

        Of a binomial model, that of label 1. For a flag, which is 0 or 1 in every row, it is the
        difference between all rows with 1 and all with 0; else the derivative. The rows are read
        once more, and held fixed.

        Parameters
        ----------
        level : float
            The probability that an interval holds the true value.

        Returns
        -------
        DataFrame
            A row per feature: feature, kind (difference or derivative), effect, standardError,
            zValue, pValue, lower, upper; if multinomial per class and feature, with class before
            these.
        """
        self._refuse("marginalEffects")
        self._refuse_class_weights("marginalEffects")
        check_level(level)
        layout, params = self._layout(), cast(LogisticRegressionParams, self._model)
        with open_rows(self._dataset, params, self._model.numbers) as rows:
            effects = rows.marginal_effects(self._information, layout, level)
        names, margins = list(layout.names), len(layout.values)
        words: dict[str, object] = {"feature": names * margins}
        if layout.per_class:
            words = {"class": np.repeat(np.arange(float(margins)), len(names)), **words}
        return self._dataset.sparkSession.createDataFrame(pd.DataFrame({**words, **effects}))

    def residuals(self, residualsType: str = "deviance") -> DataFrame:
        """Return the residuals of the rows of the fit, in their order, in one column.

        Of several classes, "deviance" is a number per row, the root of its share of the deviance,
        which has no sign; "pearson" and "response" are arrays with a number per class; "working"
        is refused.

        Parameters
        ----------
        residualsType : {"deviance", "pearson", "working", "response"}
            As in Spark's generalized linear regression; the column is named after it.

        Returns
        -------
        DataFrame
            A column such as devianceResiduals.
        """
        per_class = self._model.numbers.family.per_class
        check_kind(residualsType, per_class=per_class)
        frame, params = self.predictions, cast(LogisticRegressionParams, self._model)
        found = find_weight(frame, params)
        weight = F.lit(1.0) if found is None else found.column.cast("double")
        label = find_column(frame, self.labelCol, "labelCol").column.cast("double")
        if per_class:
            chances = find_column(frame, self.probabilityCol, "probabilityCol").column
            made = residuals_of_classes(residualsType, label, chances, weight)
        else:
            raw = find_column(frame, params.getRawPredictionCol(), "rawPredictionCol").column
            margin = vector_to_array(raw)[1]
            made = BinomialResiduals(margin, label > 0.5, weight).of(residualsType)
        return frame.select(made.alias(f"{residualsType}Residuals"))

    @cached_property
    def _inference(self) -> Inference:
        return self.inference()

    @property
    def _dependences(self) -> Array:
        return self._information.dependences()

    @property
    def _separation_so_far(self) -> Separation | None:
        """What is known of separation without reading the rows."""
        found: Separation | None = self.__dict__.get("separation", self._report.separation)
        return found
