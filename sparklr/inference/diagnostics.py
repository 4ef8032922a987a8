"""The members of a training summary that show what its coefficients hang on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparklr.display import plots
from sparklr.inference.influence import largest, with_influence
from sparklr.inference.training import CoefficientInference
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import find_column
from sparklr.spark.collect import collect_arrow
from sparklr.spark.errors import InvalidValueError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DRAWN = 20  # features of a plot
MOST_CLASSES = 10  # colours of a plot
NAMED = 5  # rows of a plot of influence


class FitDiagnostics(CoefficientInference):
    """Influence of rows and pictures of a fit, for `LogisticRegressionTrainingSummary`."""

    @property
    def conditionNumber(self) -> float:
        """How nearly the columns depend on others: the condition number of `certificate`."""
        self._refuse("conditionNumber")
        return self.certificate.conditionNumber

    @property
    def featureDeviations(self) -> list[float]:
        """The standard deviation of each feature among the rows of the fit."""
        return [float(its) for its in self._report.deviation]

    def influence(self, top: int | None = None) -> DataFrame:
        """Return the rows of the fit with figures of how much each of them moves it.

        A row that stands for several by its weight has the figures of all these rows together. Rows
        with missing values have nulls, and so have figures that are not defined because the row
        determines a coefficient alone. The rows are scored anew whenever the frame is read.

        Parameters
        ----------
        top : int, optional
            Return only so many rows, those with the largest Cook's distances, in descending order.

        Returns
        -------
        DataFrame
            The columns of the rows, and leverage (the sum is `rank`), pearsonResidual,
            devianceResidual, standardizedPearsonResidual and standardizedDevianceResidual (divided
            by sqrt(1 - leverage)) and cooksDistance.
        """
        self._refuse("influence")
        self._refuse_class_weights("influence")
        numbers = self._model.numbers
        if numbers.family.per_class:
            raise InvalidValueError(
                "influence is for binomial models: with several classes a row has a matrix in the "
                "place of a leverage. summary.residuals has residuals of each row."
            )
        if self._reduced:
            raise InvalidValueError(
                "Influence is defined for maximum likelihood: with biasReduction='firth' each row "
                "moves the penalty too. Fit with biasReduction='none'."
            )
        if top is not None and top < 1:
            raise ValueError(f"top must be a number of rows, 1 or more, but got {top}.")
        coefficients, intercepts = numbers.arrays
        params = cast(LogisticRegressionParams, self._model)
        values = np.append(coefficients[0], intercepts)
        frame = with_influence(self._dataset, params, values, self._information)
        return frame if top is None else largest(frame, top)

    def plot_influence(self, ax: Axes | None = None, nameCol: str | None = None) -> Axes:
        """Draw each row's leverage and standardised residual, with the area of Cook's distance.

        Of many rows, the 4,000 with the largest Cook's distances are drawn.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        nameCol : str, optional
            A column of the rows by which the most influential ones are named; by default they are
            named by their Cook's distance.

        Returns
        -------
        matplotlib Axes
            The axes with a circle per row.
        """
        frame = self.influence(plots.MOST_POINTS)
        columns = [F.col(its) for its in ("leverage", "standardizedPearsonResidual")]
        columns.append(F.col("cooksDistance"))
        if nameCol is not None:
            named = find_column(self._dataset, nameCol, "nameCol").column
            columns.append(named.cast("string").alias("name"))
        table = collect_arrow(frame.where("cooksDistance is not null").select(*columns))
        leverage, residuals, cook = (table[at].to_numpy() for at in range(3))
        names = [f"{one:.3g}" for one in cook] if nameCol is None else table[3].to_pylist()
        words = "area by Cook's distance, "
        words += "shown for the largest" if nameCol is None else f"the largest with their {nameCol}"
        if self.numInstances > len(cook):
            words = f"{len(cook):,} most influential of {self.numInstances:,} rows; {words}"
        return plots.plot_influence(
            plots.axes(ax),
            leverage,
            residuals,
            cook,
            [str(its) for its in names[:NAMED]],
            words,
        )

    def plot_convergence(self, ax: Axes | None = None) -> Axes:
        """Draw the objective of each iteration and, with held-out rows, their loss.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with both curves, and a line at the iteration that the model is from; without
            held-out rows with the distance of each objective from the least, on a log axis.
        """
        history, held = np.array(self._report.history), np.array(self._report.held)
        return plots.plot_convergence(plots.axes(ax), history, held, self._report.chosen)

    def plot_coefficients(self, ax: Axes | None = None) -> Axes:
        """Draw the largest coefficients per standard deviation of their feature, largest first.

        Those of several classes are points in a colour per class.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with a row per feature.
        """
        numbers = self._model.numbers
        values = numbers.arrays[0] * self._report.deviation
        if len(values) > MOST_CLASSES:
            raise InvalidValueError(
                f"plot_coefficients has colours for {MOST_CLASSES} classes, but the model has "
                f"{len(values)}. Draw rows of model.coefficientMatrix."
            )
        size = np.abs(values).max(axis=0)
        order = np.argsort(-size, kind="stable")
        kept = order[size[order] > 0][:MOST_DRAWN]
        known = numbers.feature_names(self._model.getFeaturesCol())
        names = [known[j] for j in kept]
        others, title = np.count_nonzero(size), ""
        if len(names) < others:
            title = f"the {len(names):,} largest of {others:,} coefficients"
        elif others < len(known):
            title = f"{others:,} of {len(known):,} features have a coefficient other than 0"
        return plots.plot_coefficients(plots.axes(ax), names, values[:, kept], title)
