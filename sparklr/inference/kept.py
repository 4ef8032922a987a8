"""The estimates that a model keeps when its rows are gone, saved with it and loaded again."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import numpy as np
from pyspark.ml.util import BaseReadWrite

from sparklr.arrays import Array
from sparklr.display.pages import area_fact, fit_page, model_page
from sparklr.display.tables import Page, number
from sparklr.fitting.outcome import FitReport
from sparklr.inference.covariances import FittedModel
from sparklr.inference.estimates import check_level
from sparklr.inference.fit_facts import FitFacts
from sparklr.inference.inference import Assumptions, Inference
from sparklr.inference.layout import Layout
from sparklr.inference.measures import FitMeasures
from sparklr.inference.of_fit import TableOfFit
from sparklr.objective.information import against
from sparklr.params import LogisticRegressionParams, offset_name
from sparklr.saving.estimates import KeptErrors
from sparklr.separation.search import Separation
from sparklr.spark.errors import InvalidValueError


class KeptSummary(FitFacts, FitMeasures):
    """How a model was fitted, without any rows: `print` shows the page.

    A fitted model has it and saves it, so a loaded model has the same. Members have the names and
    the values that they have in the training summary.

    Examples
    --------
    >>> rows = [(0.0, 1.0), (0.0, 2.0), (1.0, 2.5), (0.0, 3.0), (1.0, 4.0), (1.0, 5.0)]
    >>> frame = spark.createDataFrame(rows, ["label", "dose"])
    >>> model = LogisticRegressionEstimator(featuresCols=["dose"], regParam=0.1).fit(frame)
    >>> loaded = LogisticRegressionModel.fromJson(model.toJson())
    >>> loaded.fitSummary.numInstances, loaded.fitSummary.deviance == model.summary.deviance
    (6, True)
    >>> loaded.fitSummary.stopReason == model.summary.stopReason
    True
    """

    def __init__(self, model: FittedModel, report: FitReport) -> None:
        self._model, self._report = model, report

    @property
    def areaUnderROC(self) -> float:
        """The area under the ROC curve of the rows, if it was read before the model was saved."""
        area = self._report.area_under_roc
        if area is None:
            raise InvalidValueError(
                "'areaUnderROC' was not computed while the model had its rows: read "
                "model.summary.areaUnderROC before the model is saved, or that of "
                "model.evaluate(frame)."
            )
        return area

    @property
    def featureMeans(self) -> list[float]:
        """The mean of each feature among the rows of the fit.

        Of more than 10,000 features those without a coefficient have 0: theirs are not kept.
        """
        if self._report.means is None:
            raise InvalidValueError(
                "'featureMeans' is not known: the version that saved this model did not keep them."
            )
        return [float(its) for its in self._report.means]

    def _tjur(self) -> float:
        """Refuse what needs the rows."""
        raise InvalidValueError(
            "pseudoR2('tjur') is for two classes, and made of the rows' probabilities, which a "
            "model does not keep. Use 'mcfadden', 'cox-snell' or 'nagelkerke'."
        )

    @cached_property
    def _null_loss(self) -> float:
        if self._report.null_loss is None:
            raise InvalidValueError(
                "The deviance without features is not known: with an offset it needs the rows."
            )
        return self._report.null_loss

    def page(self) -> Page:
        """Return the printed page."""
        return page_of_model(self._model, self._report)

    def __str__(self) -> str:
        return self.page().text()

    def _repr_html_(self) -> str:
        return self.page().html()


def page_of_model(model: FittedModel, report: FitReport | None) -> Page:
    """Return the page about a model, of what is known without rows and without computing it."""
    if report is None:
        return model_page(model.numbers, model, None, [])
    its = KeptSummary(model, report)
    measures = [("deviance", number(its.deviance))]
    moved = offset_name(cast(LogisticRegressionParams, model)) is not None
    known = report.null_loss is not None or not moved
    if known and its.nullDeviance > 0:
        measures.append(("null deviance", number(its.nullDeviance)))
        measures.append(("pseudo R2", f"{number(its.pseudoR2())} (McFadden)"))
    measures += area_fact(report.area_under_roc)
    return model_page(model.numbers, model, report, measures)


class KeptEstimates(KeptSummary, TableOfFit):
    """The coefficients of a model with their standard errors and tests, without any rows.

    A fitted model has it and saves it, so a loaded model has the same. `print` shows the page that
    the training summary prints; members have the names and the values that they have there.

    Examples
    --------
    >>> rows = [(0.0, 1.0), (0.0, 2.0), (1.0, 2.5), (0.0, 3.0), (1.0, 4.0), (1.0, 5.0)]
    >>> frame = spark.createDataFrame(rows, ["label", "dose"])
    >>> model = LogisticRegressionEstimator(featuresCols=["dose"]).fit(frame)
    >>> loaded = LogisticRegressionModel.fromJson(model.toJson())
    >>> loaded.estimates.pValues == model.summary.pValues
    True
    >>> loaded.estimates.likelihoodRatioTest().degreesOfFreedom
    1
    """

    _where_to_look = "model.inference(frame) looks for separated rows"

    def __init__(self, model: FittedModel, report: FitReport, kept: KeptErrors) -> None:
        super().__init__(model, report)
        self._kept = kept

    @property
    def rank(self) -> int:
        """The number of parameters that the rows identify, intercepts included."""
        return self._kept.rank

    @property
    def separation(self) -> Separation | None:
        """What the fit found about separation; None if it did not look for it."""
        return self._separation_so_far

    def inference(self, *, level: float = 0.95, referenceClass: int | None = None) -> Inference:
        """Return errors, tests and intervals at another level, or against one class.

        Other covariances, and intervals of the likelihood, need the rows: `model.inference(frame)`.

        Parameters
        ----------
        level : float
            The probability that an interval holds the true value.
        referenceClass : int, optional
            Of a multinomial model, the class with which all others are compared.

        Returns
        -------
        Inference
            The errors, tests and intervals; `print` shows them.
        """
        check_level(level)
        kept, deviation = self._kept, self._report.deviation
        whole = self._layout()
        known = _placed(whole, kept)
        assumed = Assumptions(kept.covariance_name, kept.assumption, level)
        # The session is looked for when a frame is made; a page needs none.
        inference = Inference(whole, known, assumed, BaseReadWrite(), deviation)
        if referenceClass is None:
            return inference
        layout = self._layout(referenceClass)
        inference.covarianceMatrix  # noqa: B018 - an error if there are only standard errors
        return Inference(layout, _contrasts(layout, known), assumed, BaseReadWrite(), deviation)

    @cached_property
    def _inference(self) -> Inference:
        return self.inference()

    @property
    def _dependences(self) -> Array:
        return self._kept.dependences

    @property
    def _separation_so_far(self) -> Separation | None:
        return self._report.separation

    @property
    def _why_no_errors(self) -> None:
        """There are errors, or else nothing was kept."""

    def page(self) -> Page:
        """Return the printed page."""
        return fit_page(self._model.numbers, self._model, self._report, self._measures())


def _placed(layout: Layout, kept: KeptErrors) -> Array:
    """Return the covariance of the flat coefficients, or their errors: NaN where none is kept."""
    places, size = layout.all_places, layout.values.size
    if kept.covariance is None:
        errors = np.full(size, np.nan)
        errors[places] = kept.errors
        return errors
    covariance = np.full((size, size), np.nan)
    covariance[np.ix_(places, places)] = kept.covariance
    return covariance


def _contrasts(layout: Layout, covariance: Array) -> Array:
    """Return the covariance C V C' of the coefficients less those of the layout's base class.

    V is that of coefficients less the mean of all classes, which makes no difference to C V C'.
    """
    margins, width = layout.values.shape
    change = np.kron(against(margins, layout.base), np.eye(width))
    unknown = np.isnan(np.diagonal(covariance))
    result = change @ np.where(np.isnan(covariance), 0.0, covariance) @ change.T
    lost = (change != 0) @ unknown
    result[lost] = result[:, lost] = np.nan
    return np.asarray((result + result.T) / 2)
