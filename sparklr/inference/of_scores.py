"""The members of binary summaries that tell how well the scores rank, and how true they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import DataFrame

from sparklr.display import plots
from sparklr.display.tables import Page, Table, amount, column, number
from sparklr.inference.estimates import check_level
from sparklr.inference.hypotheses import TestResult, chi_squared
from sparklr.scoring.calibration import Groups, Tallies
from sparklr.scoring.metrics import ScoreCurve
from sparklr.spark.collect import as_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = ("group", "weight", "predicted", "observed", "lower", "upper")
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Calibration:
    """How true probabilities are; `print` shows it as a table.

    Attributes
    ----------
    intercept : float
        Of the labels' logistic regression on the log odds with slope 1: 0 if the probabilities are
        true on average, below 0 if they are too high.
    slope : float
        Of the same with a slope: 1 if they are true, below 1 if they are too extreme.
    brierScore : float
        The mean of (label - probability)^2.
    curve : DataFrame
        Per group of rows with neighbouring probabilities: group, weight, predicted (the mean
        probability), observed (the share of positives), and 95% limits of the latter.
    """

    intercept: float
    slope: float
    brierScore: float
    curve: DataFrame
    _groups: Groups

    def _page(self) -> Page:
        groups = self._groups
        lower, upper = groups.wilson(LEVEL)
        shares = (groups.expected, groups.observed)
        columns = [column(its / groups.weights, 4) for its in shares]
        columns += [column(lower, 4), column(upper, 4)]
        weights = [amount(its) for its in groups.weights]
        names = [str(at + 1) for at in range(len(weights))]
        rows = tuple(zip(names, weights, *columns, strict=True))
        facts = (
            ("intercept", f"{number(_settled(self.intercept))} (at slope 1; 0 if true on average)"),
            ("slope", f"{number(self.slope)} (1 if true; below 1 if too extreme)"),
            ("Brier score", number(self.brierScore)),
        )
        title = f"Groups by probability, with {100 * LEVEL:.4g}% limits of the observed share"
        return Page("Calibration", facts, (Table(title, HEADER, rows),))

    def __str__(self) -> str:
        return self._page().text()

    def _repr_html_(self) -> str:
        return self._page().html()


class ScoreInference:
    """Intervals and tests of scores, for `BinaryLogisticRegressionSummary`; weights count rows."""

    _dataset: DataFrame
    # Whether the model was fitted to these rows.
    _fitted = False

    if TYPE_CHECKING:  # a summary has it

        @property
        def _curve(self) -> ScoreCurve: ...

    def areaUnderROCInterval(self, level: float = 0.95) -> tuple[float, float]:
        """Return an interval of the area under the ROC curve (DeLong et al. 1988).

        Parameters
        ----------
        level : float
            The probability that it holds the true area.

        Returns
        -------
        (float, float)
            The lower and the upper limit; NaN with fewer than two rows of a label.
        """
        check_level(level)
        return self._tallies.area_interval(level)

    def calibration(self, groups: int = 10) -> Calibration:
        """Return how true the probabilities are.

        On the rows of an unpenalised fit the intercept is 0 and the slope 1 by construction: judge
        them on other rows.

        Parameters
        ----------
        groups : int
            How many groups of about equal weight the curve has, at most.

        Returns
        -------
        Calibration
            intercept, slope, brierScore and curve.
        """
        tallies, made = self._tallies, self._groups(groups)
        lower, upper = made.wilson(LEVEL)
        columns = {
            "group": np.arange(1.0, len(made.weights) + 1),
            "weight": made.weights,
            "predicted": made.expected / made.weights,
            "observed": made.observed / made.weights,
            "lower": lower,
            "upper": upper,
        }
        return Calibration(
            tallies.regression(slope=False)[0],
            tallies.regression(slope=True)[1],
            tallies.brier,
            as_frame(self._dataset, columns),
            made,
        )

    def hosmerLemeshowTest(self, groups: int = 10) -> TestResult:
        """Test whether the probabilities are true, by groups of rows with neighbouring ones.

        With many rows it rejects models for trifles; the curve of `calibration` shows their size.

        Parameters
        ----------
        groups : int
            How many groups of about equal weight, at most.

        Returns
        -------
        TestResult
            With two degrees of freedom less than groups on the rows of the fit.
        """
        made = self._groups(groups)
        degrees = len(made.weights) - 2 * self._fitted
        return chi_squared(made.hosmer_lemeshow, degrees, "Hosmer-Lemeshow")

    def plot_calibration(self, ax: Axes | None = None, groups: int = 10) -> Axes:
        """Draw the observed share of positives over the mean probability, by groups.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        groups : int
            How many groups of about equal weight, at most.

        Returns
        -------
        matplotlib Axes
            The axes with the curve.
        """
        made, tallies = self._groups(groups), self._tallies
        words = (
            f"intercept {_settled(tallies.regression(slope=False)[0]):.3f}, "
            f"slope {tallies.regression(slope=True)[1]:.3f}, Brier {tallies.brier:.4f}"
        )
        return plots.plot_calibration(plots.axes(ax), made, LEVEL, words)

    def _groups(self, count: int) -> Groups:
        if count < 2:
            raise ValueError(f"groups must be 2 or more, but got {count}.")
        if self._tallies.weights.sum() == 0:
            raise ValueError("There are no rows with weight above zero.")
        return self._tallies.groups(count)

    def _tjur(self) -> float:
        """Return the measure of `pseudoR2`, from the weights by score."""
        return self._tallies.discrimination

    @cached_property
    def _tallies(self) -> Tallies:
        return Tallies.of(self._curve)


def _settled(intercept: float) -> float:
    """Return an intercept without the rounding that is left where it is zero by construction."""
    return round(intercept, 6) + 0.0
