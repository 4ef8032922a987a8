"""The estimates that a model keeps when its rows are gone, saved with it and loaded again."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from pyspark.ml.util import BaseReadWrite

from sparklr.arrays import Array
from sparklr.display.pages import fit_page
from sparklr.display.tables import Page
from sparklr.inference.covariances import FittedModel
from sparklr.inference.estimates import check_level
from sparklr.inference.inference import Assumptions, Inference
from sparklr.inference.layout import Layout
from sparklr.inference.of_fit import TableOfFit
from sparklr.objective.information import against
from sparklr.saving.estimates import KeptFit
from sparklr.separation.search import Separation
from sparklr.spark.errors import InvalidValueError


class KeptEstimates(TableOfFit):
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

    def __init__(self, model: FittedModel, kept: KeptFit) -> None:
        self._model, self._kept, self._report = model, kept, kept.report

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

    def _tjur(self) -> float:
        """Refuse what needs the rows."""
        raise InvalidValueError(
            "pseudoR2('tjur') is for two classes, and made of the rows' probabilities, which a "
            "model does not keep. Use 'mcfadden', 'cox-snell' or 'nagelkerke'."
        )

    def page(self) -> Page:
        """Return the printed page."""
        return fit_page(self._model.numbers, self._model, self._report, self._measures())

    def __str__(self) -> str:
        return self.page().text()

    def _repr_html_(self) -> str:
        return self.page().html()


def _placed(layout: Layout, kept: KeptFit) -> Array:
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
