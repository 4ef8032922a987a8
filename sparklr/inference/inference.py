"""What the rows tell of a model's coefficients, under assumptions that are stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.ml.linalg import DenseMatrix
from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display import plots
from sparklr.display.tables import Page
from sparklr.inference.estimates import Estimates
from sparklr.inference.hypotheses import TestResult, wald
from sparklr.inference.layout import Layout
from sparklr.inference.pages import estimate_tables, table_notes
from sparklr.saving.estimates import MOST_COVARIANCES
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.types import HasSession

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DRAWN = 30  # features of a forest plot


@dataclass(frozen=True, eq=False)
class Assumptions:
    """What standard errors assume, and how intervals are made of them.

    covariance : the name of the covariance
    words : the same for the printed page
    level : the probability that an interval holds the true value
    degrees : of Student's t; infinite for the normal distribution
    limits : (m, 2), of the profile likelihood; None for Wald's intervals
    """

    covariance: str
    words: str
    level: float = 0.95
    degrees: float = np.inf
    limits: Array | None = None


class Inference:
    """Standard errors, tests and intervals of coefficients; `print` shows them as a table.

    It is made by a training summary, whose members of the same names are those of the model's own
    covariance. Lists have the features first and the intercept last, as Spark's generalized linear
    regression has them; `coefficientTable` has the names beside the numbers.

    Examples
    --------
    >>> rows = [(0.0, 1.0), (0.0, 2.0), (1.0, 2.5), (0.0, 3.0), (1.0, 4.0), (1.0, 5.0)]
    >>> frame = spark.createDataFrame(rows, ["label", "dose"])
    >>> model = LogisticRegressionEstimator(featuresCols=["dose"]).fit(frame)
    >>> inference = model.summary.inference(level=0.9)
    >>> [round(error, 3) for error in inference.coefficientStandardErrors]
    [1.623, 4.602]
    >>> inference.coefficientTable.select("feature", "coefficient").count()
    2
    """

    def __init__(
        self,
        layout: Layout,
        covariance: Array,
        assumptions: Assumptions,
        like: HasSession,
        deviation: Array | None = None,
    ) -> None:
        # The covariance (m, m) of the flat coefficients, or their errors (m,) if it was not kept.
        self._layout, self._known, self._assumptions = layout, covariance, assumptions
        self._like, self._deviation = like, deviation

    @property
    def level(self) -> float:
        """The probability that an interval holds the true value."""
        return self._assumptions.level

    @property
    def covariance(self) -> str:
        """The name of the covariance: what the standard errors assume."""
        return self._assumptions.covariance

    @property
    def assumption(self) -> str:
        """What the standard errors assume, in words."""
        return self._assumptions.words

    @property
    def coefficientStandardErrors(self) -> list[float]:
        """The standard errors of the features' coefficients, then that of the intercept."""
        return self._list("coefficientStandardErrors", self._estimates.errors)

    @property
    def tValues(self) -> list[float]:
        """Each coefficient divided by its standard error: features, then the intercept."""
        return self._list("tValues", self._estimates.z)

    @property
    def pValues(self) -> list[float]:
        """The two-sided p-value of each coefficient: features, then the intercept."""
        return self._list("pValues", self._estimates.p)

    @property
    def covarianceMatrix(self) -> DenseMatrix:
        """The covariance of all coefficients, in the order of `coefficientTable`'s rows."""
        places = self._layout.all_places
        square = self._covariance[np.ix_(places, places)]
        return DenseMatrix(len(places), len(places), square.ravel(order="F"))

    @cached_property
    def coefficientTable(self) -> DataFrame:
        """A row per coefficient: its error, z, p and its logarithm, interval and odds ratio.

        Columns: feature, coefficient, standardError, zValue, pValue, log10PValue, lower, upper,
        oddsRatio, oddsRatioLower, oddsRatioUpper; if multinomial, class before these.
        """
        layout, places = self._layout, self._layout.all_places
        shown = self._estimates
        lower, upper = shown.interval
        numbers = {
            "coefficient": shown.coefficients,
            "standardError": shown.errors,
            "zValue": shown.z,
            "pValue": shown.p,
            "log10PValue": shown.log10_p,
            "lower": lower,
            "upper": upper,
        }
        with np.errstate(over="ignore"):
            ratios = {
                "oddsRatio": np.exp(shown.coefficients),
                "oddsRatioLower": np.exp(lower),
                "oddsRatioUpper": np.exp(upper),
            }
        names = layout.row_names()
        words: dict[str, object] = {"feature": names * len(layout.classes)}
        if layout.per_class:
            words = {"class": np.repeat(layout.classes, len(names)).astype(float), **words}
        columns = {name: values[places] for name, values in {**numbers, **ratios}.items()}
        return self._like.sparkSession.createDataFrame(pd.DataFrame({**words, **columns}))

    @property
    def varianceInflationFactors(self) -> DataFrame:
        """By how much each feature's variance exceeds that without correlation with the others.

        Columns: feature, varianceInflationFactor. As car's for generalized linear models: from the
        correlations of the estimates, the intercept's left out. Those of a binomial model.
        """
        layout = self._layout
        if layout.per_class:
            raise InvalidValueError(
                "'varianceInflationFactors' is for binomial models: with classes each feature has "
                "several coefficients."
            )
        count = len(layout.names)
        square = self._covariance[:count, :count]
        known = np.isfinite(np.diagonal(square))
        factors = np.full(count, np.nan)
        inner = square[np.ix_(known, known)]
        if known.any():
            factors[known] = np.diagonal(inner) * np.diagonal(np.linalg.inv(inner))
        table = pd.DataFrame({"feature": list(layout.names), "varianceInflationFactor": factors})
        return self._like.sparkSession.createDataFrame(table)

    def waldTest(self, features: Sequence[str]) -> TestResult:
        """Test whether the coefficients of these features are all zero.

        The p-value is by chi squared, and by F where those of single coefficients are by Student's
        t.

        Parameters
        ----------
        features : sequence of str
            Names of features, for example of all levels of one category.

        Returns
        -------
        TestResult
            statistic, degreesOfFreedom, pValue and method.
        """
        places = self._layout.places_of(features)
        covariance = self._covariance[np.ix_(places, places)]
        if np.isnan(covariance).any():
            raise InvalidValueError(
                "These coefficients are not identified by the rows, so they cannot be tested "
                "together: see coefficientTable, where their standard errors are NaN."
            )
        degrees = self._assumptions.degrees
        return wald(self._layout.values.ravel()[places], covariance, degrees)

    def plot_forest(self, ax: Axes | None = None, per: str = "unit") -> Axes:
        """Draw the odds ratios of a binomial model with their intervals, on a logarithmic axis.

        Of many features, those with the largest |z| are drawn; those without errors never.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        per : {"unit", "deviation"}
            Whether the odds ratios are for a feature that rises by one, or by its standard
            deviation, which makes those of a weight and of a flag comparable.

        Returns
        -------
        matplotlib Axes
            The axes with a row per feature.
        """
        layout, shown = self._layout, self._estimates
        if layout.per_class:
            raise InvalidValueError(
                "A forest plot is for binomial models. Draw the columns of coefficientTable."
            )
        size = np.abs(shown.z[: len(layout.names)])
        known = np.flatnonzero(np.isfinite(size))
        kept = np.sort(known[np.argsort(-size[known], kind="stable")][:MOST_DRAWN])
        scale = self._scale(per)[kept]
        limits = np.transpose(shown.interval)[kept] * scale[:, None]
        names = [layout.names[j] for j in kept]
        unit = "unit" if per == "unit" else "standard deviation"
        what = f"odds ratio per {unit}, with {100 * shown.level:.4g}% intervals"
        drawn = np.exp(shown.coefficients[kept] * scale), np.exp(limits)
        return plots.plot_forest(plots.axes(ax), names, *drawn, what)

    def _scale(self, per: str) -> Array:
        """Return by how much each feature rises."""
        if per not in ("unit", "deviation"):
            raise ValueError(f"per must be one of unit, deviation, but got '{per}'.")
        if per == "unit":
            return np.ones(len(self._layout.names))
        if self._deviation is None:
            raise InvalidValueError(
                "The standard deviations of the features are not known here. Use per='unit'."
            )
        return self._deviation

    @cached_property
    def _estimates(self) -> Estimates:
        values, known = self._layout.values.ravel(), self._known
        errors = known if known.ndim == 1 else np.sqrt(np.diagonal(known))
        its = self._assumptions
        return Estimates(values, errors, its.level, its.degrees, its.limits)

    @property
    def _covariance(self) -> Array:
        if self._known.ndim == 1:
            raise InvalidValueError(
                "This model has the standard errors of its coefficients but not their covariances: "
                f"toJson and models of more than {MOST_COVARIANCES:,} coefficients do not keep "
                "them. Read them from the rows of the fit: model.inference(frame)."
            )
        return self._known

    def _list(self, name: str, values: Array) -> list[float]:
        """Return values of a binomial model in Spark's order."""
        layout = self._layout
        if layout.per_class:
            raise InvalidValueError(
                f"'{name}' is for binomial models. Use coefficientTable, which has a row per class "
                "and feature."
            )
        return [float(value) for value in values[: len(values) - (not layout.intercept)]]

    def page(self) -> Page:
        """Return the printed page."""
        facts = (("std. errors", self.assumption),)
        tables = estimate_tables(self._layout, self._estimates)
        return Page("Coefficients", facts, tables, table_notes(self._layout, self._estimates))

    def __str__(self) -> str:
        return self.page().text()

    def _repr_html_(self) -> str:
        return self.page().html()
