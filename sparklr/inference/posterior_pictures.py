"""Pictures of a posterior: coefficients, and what it makes of probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.special import expit
from scipy.stats import gaussian_kde, norm

from sparklr.arrays import Array, BoolArray, IntArray
from sparklr.display import plots, posterior_plots
from sparklr.display.posterior_plots import Course, Drawn, Reliability
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.inference.covariances import FittedModel
from sparklr.inference.estimates import check_level
from sparklr.inference.layout import Layout
from sparklr.params import LogisticRegressionParams, offset_name
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.rows.columns import check_frame, find_column, find_features
from sparklr.scoring.aggregates import PredictionFrame
from sparklr.scoring.calibration import wilson
from sparklr.scoring.margin_posterior import MarginPosterior
from sparklr.spark.collect import collect
from sparklr.spark.errors import InvalidValueError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DRAWN = 30  # features of a picture
MOST_CLASSES = 10  # colours of a picture
LIMITS = 0.95  # the level of the limits of an observed share
POINTS = 200  # of a curve
SIDES = 4.0  # deviations on each side of a density
MOST_TICKS = 200  # rows of a label that are drawn
SHARE_BESIDE = 0.5  # of a feature's range, drawn beyond either end of it
# Columns that are added to score a user's frame, which will not have them.
PLUG_IN, AVERAGED, PREDICTION = (f"__sparklr_{its}" for its in ("plug_in", "averaged", "label"))


class ScoringModel(FittedModel, Protocol):
    """A fitted model that scores frames."""

    def copy(self) -> Any: ...


class PosteriorPictures:
    """The plots of `model.posterior`."""

    _model: ScoringModel
    _layout: Layout
    _numbers: PosteriorNumbers
    _deviation: Array | None  # of the features, if the fit is known

    if TYPE_CHECKING:  # a posterior has them

        @property
        def mean(self) -> Array: ...
        @property
        def stddev(self) -> Array: ...
        def interval(self, level: float = 0.9) -> Array: ...
        @property
        def _places(self) -> IntArray: ...

    def plot_forest(self, ax: Axes | None = None, level: float = 0.9, per: str = "unit") -> Axes:
        """Draw the odds ratios of a binomial model with their intervals, on a logarithmic axis.

        Of many features, those whose means are the most deviations from zero are drawn.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        level : float
            The posterior probability of an interval.
        per : {"unit", "deviation"}
            Whether the odds ratios are for a feature that rises by one, or by its standard
            deviation, which makes those of a weight and of a flag comparable.

        Returns
        -------
        matplotlib Axes
            The axes with a row per feature.
        """
        layout = self._layout
        if layout.per_class:
            raise InvalidValueError(
                "A forest plot is for binomial models. Draw plot_posterior, or the columns of "
                "coefficientTable."
            )
        kept, _ = self._most_telling()
        scale = self._scale(per)[kept]
        limits = np.exp(self.interval(level)[kept] * scale[:, None])
        names = [layout.names[j] for j in kept]
        unit = "unit" if per == "unit" else "standard deviation"
        what = f"odds ratio per {unit}, with {100 * level:.4g}% posterior intervals"
        drawn = np.exp(self.mean[kept] * scale), limits, what
        return plots.plot_forest(plots.axes(ax, len(names)), names, *drawn)

    def plot_posterior(
        self, ax: Axes | None = None, level: float = 0.9, per: str | None = None
    ) -> Axes:
        """Draw the distribution of each coefficient, with mean, mode and prior.

        Up to 12 coefficients have a density, and more only an interval; of more than 30 features,
        those whose means are the most deviations from zero are drawn. A flat prior is not drawn,
        nor is the intercept, which is the log odds of a row of zeros.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        level : float
            The posterior probability of an interval.
        per : {"deviation", "unit"}, optional
            Whether coefficients are for a feature that rises by its standard deviation, so that
            they can be compared, or by one; by default the former, if the deviations are known: a
            loaded model may not have them.

        Returns
        -------
        matplotlib Axes
            The axes with a row per feature.
        """
        layout, ends = self._layout, self.interval(level)
        if len(layout.classes) > MOST_CLASSES:
            raise InvalidValueError(
                f"plot_posterior has colours for {MOST_CLASSES} classes, but the model has "
                f"{len(layout.classes)}. Draw the columns of coefficientTable."
            )
        per = per or ("unit" if self._deviation is None else "deviation")
        scale = self._scale(per)
        kept, left_out = self._most_telling()
        count = len(self.mean) // len(layout.classes)
        drawn = [
            (str(name), [self._drawn(j + k * count, j, float(scale[j]), ends) for j in kept])
            for k, name in enumerate(layout.classes)
        ]
        names = [layout.names[j] for j in kept]
        unit = "unit" if per == "unit" else "standard deviation of the feature"
        what = f"coefficient per {unit}, with {100 * level:.4g}% intervals"
        if left_out:
            what += f"\n({left_out:,} features nearer to zero are left out)"
        return posterior_plots.plot_posterior(plots.axes(ax, len(names)), names, drawn, what)

    def plot_reliability(
        self, dataset: DataFrame | PackedRows, ax: Axes | None = None, groups: int = 10
    ) -> Axes:
        """Draw the observed share of positives over the predicted probability, by groups of rows.

        Each group has two predictions: at the optimum, and averaged over the posterior. Take rows
        that the fit has not seen. Rows are in a group by their probability at the optimum.

        Parameters
        ----------
        dataset : DataFrame or PackedRows
            Rows with features, labels and perhaps weights.
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        groups : int
            How many groups of about equal weight, at most.

        Returns
        -------
        matplotlib Axes
            The axes with two points per group, and 95% limits of its observed share.
        """
        self._refuse_classes("plot_reliability")
        frame = frame_of(dataset)
        check_frame(frame)
        if groups < 2:
            raise ValueError(f"groups must be 2 or more, but got {groups}.")
        found = self._predictions(frame).by_score_beside(AVERAGED)
        if found.weights.sum() == 0:
            raise ValueError("There are no rows with a label and a weight above zero.")
        rows, weight, positives, plug_in, averaged = found.grouped(groups)
        lower, upper = wilson(positives, weight, LIMITS)
        drawn = Reliability(
            rows.astype(np.int64), plug_in / weight, averaged / weight, positives / weight, lower,
            upper,
        )  # fmt: skip
        words = f"bars: {100 * LIMITS:.4g}% limits"
        return posterior_plots.plot_reliability(plots.axes(ax), drawn, words)

    def plot_probability_interval(
        self,
        dataset: DataFrame | PackedRows,
        feature: str,
        ax: Axes | None = None,
        level: float = 0.9,
        at: Mapping[str, float] | None = None,
    ) -> Axes:
        """Draw the probability of label 1 over a feature, with its interval, beyond the rows too.

        Ticks are rows, at most 200 per label, with label 1 at the top. Where there are none the
        interval widens, if the form that the model assumes holds there too.

        Parameters
        ----------
        dataset : DataFrame or PackedRows
            Rows, as those of the fit.
        feature : str
            The name of the feature.
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.
        level : float
            The posterior probability of the interval.
        at : dict of str to float, optional
            The values of other features; those that are not named are at their mean in the rows.

        Returns
        -------
        matplotlib Axes
            The axes with the curves.
        """
        self._refuse_classes("plot_probability_interval")
        check_level(level)
        frame, given = frame_of(dataset), dict(at or {})
        check_frame(frame)
        (place,) = self._layout.places_of([feature])
        means, ends, seen, positive = self._rows(frame, int(place))
        if given:
            means[self._layout.places_of([*given])] = [*given.values()]
        beside = SHARE_BESIDE * (ends[1] - ends[0])
        axis = np.linspace(ends[0] - beside, ends[1] + beside, POINTS)
        matrix = np.tile(means, (POINTS, 1))
        matrix[:, place] = axis
        curves = self._curves(matrix, level)
        course = Course(axis, *curves, seen, positive, ends)
        words = self._words_of_others(feature, given)
        return posterior_plots.plot_interval(plots.axes(ax), course, feature, level, words)

    def _curves(self, matrix: Array, level: float) -> tuple[Array, Array, Array]:
        """Return the probability of rows (k, p) at the optimum, averaged, and its interval."""
        its, values = self._numbers, self._layout.values[0]
        margins = MarginPosterior(its.mean, its.factor, level, True, 0).of_rows(matrix, None)
        plug_in = expit(matrix @ values[:-1] + values[-1])
        return plug_in, expit(margins.averaged_margins[:, 0]), margins.interval

    def _most_telling(self) -> tuple[Sequence[int], int]:
        """Return the features to draw, in their order, and how many are left out."""
        count = len(self.mean) // len(self._layout.classes)
        features = len(self._layout.names)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.abs(self.mean / self.stddev).reshape(-1, count)[:, :features].max(axis=0)
        known = np.flatnonzero(np.isfinite(size))
        kept = np.sort(known[np.argsort(-size[known], kind="stable")][:MOST_DRAWN])
        return [int(j) for j in kept], len(known) - len(kept)

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

    def _drawn(self, place: int, feature: int, scale: float, ends: Array) -> Drawn:
        """Return what is drawn of the coefficient at a place in the order of `names`."""
        mean, deviation = scale * self.mean[place], scale * self.stddev[place]
        axis = np.linspace(mean - SIDES * deviation, mean + SIDES * deviation, POINTS)
        if self._numbers.draws is None:
            density = norm.pdf(axis, mean, deviation)
        else:
            density = gaussian_kde(scale * self._numbers.draws[:, self._places[place]])(axis)
        prior = scale * self._numbers.prior_deviations[feature]
        mode = scale * float(self._layout.values.ravel()[self._places[place]])
        return Drawn(mode, float(mean), scale * ends[place], float(prior), axis, density)

    def _refuse_classes(self, name: str) -> None:
        if self._layout.per_class:
            raise InvalidValueError(
                f"{name} is for binomial models, but this model has a distribution for each class. "
                "Make probabilities of draws: model.sample(seed) is a model with one of them."
            )

    def _predictions(self, frame: DataFrame) -> PredictionFrame:
        """Return the rows with both probabilities."""
        plain = {
            "rawPredictionCol": "", "predictionCol": PREDICTION, "probabilityCol": PLUG_IN,
            "probabilityIntervalCol": "", "probabilityStdCol": "", "sampledProbabilityCol": "",
            "averaged": False,
        }  # fmt: skip
        both = {**plain, "averaged": True, "probabilityCol": AVERAGED, "predictionCol": ""}
        for its in (plain, both):
            frame = self._model.copy()._set(**its).transform(frame)
        params = cast(LogisticRegressionParams, self._model)
        weight = params.getWeightCol() if params.isSet(params.weightCol) else ""
        return PredictionFrame(frame, params.getLabelCol(), PREDICTION, PLUG_IN, weight)

    def _rows(
        self, frame: DataFrame, place: int
    ) -> tuple[Array, tuple[float, float], Array, BoolArray]:
        """Return the features' means, a feature's range, and its values and labels in some rows."""
        params = cast(LogisticRegressionParams, self._model)
        found = find_features(frame, params)
        label = find_column(frame, params.getLabelCol(), "labelCol").column.cast("double")
        column = vector_to_array(found.column) if found.vectors else found.column
        rows = frame.where(found.present).select(column.alias("x"), label.alias("y"))
        one = F.get("x", F.lit(place))
        means = [F.avg(F.get("x", F.lit(j))) for j in range(len(self._layout.names))]
        flat = np.ravel(collect(rows.agg(F.min(one), F.max(one), *means)))
        if not np.isfinite(flat.astype(np.float64)).all():
            raise InvalidValueError(
                "There is no row with features, or some features are NaN or infinite. Give rows "
                "with finite numbers."
            )
        some = rows.select(one.alias("x"), "y")
        each = [
            some.where(its).orderBy(F.rand(0)).limit(MOST_TICKS) for its in ("y > 0.5", "y <= 0.5")
        ]
        seen, labels = collect(each[0].union(each[1]))
        return flat[2:].astype(np.float64), (float(flat[0]), float(flat[1])), seen, labels > 0.5

    def _words_of_others(self, feature: str, given: Mapping[str, float]) -> str:
        """Say where the other features are."""
        others = len(self._layout.names) - 1 - len(set(given) - {feature})
        words = [f"{name} = {value:.4g}" for name, value in given.items()]
        if others:
            words.append("the other features at their means" if len(words) or others > 1
                         else "the other feature at its mean")  # fmt: skip
        params = cast(LogisticRegressionParams, self._model)
        if offset_name(params):
            words.append("offset 0")
        return ", ".join(words)
