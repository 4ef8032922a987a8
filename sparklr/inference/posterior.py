"""The posterior of a model's coefficients, as a user reads it: numbers, draws, a printed table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.ml.util import BaseReadWrite
from pyspark.sql import DataFrame
from scipy.special import ndtr
from scipy.stats import norm

from sparklr.arrays import Array, IntArray
from sparklr.display.pages import MOST_CLASSES, MOST_FEATURES, MOST_ROWS
from sparklr.display.tables import Ends, Page, Table, column, number, places_for
from sparklr.inference.covariances import layout_of
from sparklr.inference.estimates import check_level
from sparklr.inference.layout import INTERCEPT
from sparklr.inference.posterior_pictures import PosteriorPictures, ScoringModel
from sparklr.posterior.numbers import PosteriorNumbers

WORDS = {
    "laplace": "normal, around the optimum, by the curvature there (Laplace)",
    "gaussian": "the best normal distribution, by exact means over margins",
    "fisher": "the best normal distribution, with Fisher's information as the price",
    "sampled": "draws by Hamiltonian Monte Carlo",
}
# From here on Laplace's means are so far off that intervals miss what they claim to hold.
DOUBTFUL = 0.1
PAGE_LEVEL = 0.9


@dataclass(frozen=True)
class PosteriorDiagnostics:
    """How a posterior was found, and how good it is.

    Attributes
    ----------
    readings : int
        The readings of the rows that it took, those of the fit not counted.
    converged : bool
        Whether the search ended within the tolerance.
    reason : str
        Why it ended, in a sentence.
    tolerance : float
        The Param posteriorTol.
    shiftFromMode : float, optional
        How far the mean of a coefficient is from the optimum, in standard deviations, at most, as
        one reading predicts it: the error of Laplace's means. None for multinomial models.
    rHat : float, optional
        Of a sampled posterior, the largest split R-hat: near 1 if all chains agree.
    monteCarloError : float, optional
        Of a sampled posterior, the largest error of a mean by chance, in standard deviations.
    """

    readings: int
    converged: bool
    reason: str
    tolerance: float
    shiftFromMode: float | None
    rHat: float | None = None
    monteCarloError: float | None = None


class Posterior(PosteriorPictures):
    """The distribution of a model's coefficients, given the rows and the prior; `print` shows it.

    The prior is the L2 penalty: normal, independent for each feature, flat for the intercept.
    Arrays have the features first and the intercept last, if one was fitted, for one class after
    the other: in the order of `names`. A feature that does not vary has NaN deviations.

    Examples
    --------
    >>> rows = [(0.0, 1.0), (0.0, 2.0), (1.0, 2.5), (0.0, 3.0), (1.0, 4.0), (1.0, 5.0)]
    >>> frame = spark.createDataFrame(rows, ["label", "dose"])
    >>> estimator = LogisticRegressionEstimator(featuresCols=["dose"], regParam=0.1)
    >>> posterior = estimator.setPosterior("gaussian").fit(frame).posterior
    >>> posterior.names
    ['dose', '(intercept)']
    >>> [round(float(each), 2) for each in posterior.interval(0.9)[0]]
    [-0.07, 1.99]
    >>> posterior.draws(1000).shape
    (1000, 2)
    """

    def __init__(
        self, model: ScoringModel, numbers: PosteriorNumbers, deviation: Array | None
    ) -> None:
        self._layout, self._numbers = layout_of(model, None), numbers
        self._model, self._deviation = model, deviation

    @property
    def kind(self) -> str:
        """The value of the Param `posterior`."""
        return self._numbers.kind

    @property
    def names(self) -> list[str]:
        """The names of the coefficients; of a multinomial model, with the class before them."""
        layout = self._layout
        each = [*layout.names, INTERCEPT] if layout.intercept else [*layout.names]
        if not layout.per_class:
            return each
        return [f"{margin}: {name}" for margin in layout.classes for name in each]

    @property
    def mean(self) -> Array:
        """The mean of each coefficient, (m,)."""
        return self._numbers.mean[self._places]

    @property
    def stddev(self) -> Array:
        """The standard deviation of each coefficient, (m,)."""
        return self._numbers.deviations[self._places]

    @property
    def covariance(self) -> Array:
        """The covariance of the coefficients, (m, m)."""
        places = self._places
        return self._numbers.covariance[np.ix_(places, places)]

    @property
    def diagnostics(self) -> PosteriorDiagnostics:
        """How the posterior was found, and how good it is."""
        its = self._numbers
        return PosteriorDiagnostics(
            its.readings,
            its.converged,
            its.reason,
            its.tolerance,
            its.shift_from_mode,
            its.r_hat,
            its.error,
        )

    def interval(self, level: float = 0.9) -> Array:
        """Return the lower and the upper end of each coefficient's interval, (m, 2).

        Parameters
        ----------
        level : float
            The posterior probability that the coefficient is in it.

        Returns
        -------
        array (m, 2)
            The ends.
        """
        check_level(level)
        if self._numbers.draws is not None:
            tails = [0.5 - level / 2, 0.5 + level / 2]
            ends = np.quantile(self._numbers.draws[:, self._places], tails, axis=0).T
            return np.where(np.isnan(self.stddev)[:, None], np.nan, ends)
        half = float(norm.ppf(0.5 + level / 2)) * self.stddev
        return np.column_stack((self.mean - half, self.mean + half))

    def draws(self, count: int = 1000, seed: int = 0) -> Array:
        """Return independent draws of the coefficients, (count, m).

        Parameters
        ----------
        count : int
            The number of draws.
        seed : int
            Of the draws: the same seed gives the same draws.

        Returns
        -------
        array (count, m)
            A row per draw.
        """
        if count < 1:
            raise ValueError(f"count must be 1 or more, but got {count}.")
        return self._numbers.drawn(count, seed)[:, self._places]

    def drawn(self, seed: int) -> tuple[Array, Array]:
        """Return one draw as coefficients (C, p) and intercepts (C,); see `model.sample`."""
        values = self._numbers.drawn(1, seed).reshape(self._layout.values.shape)
        return values[:, :-1], values[:, -1]

    @property
    def coefficientTable(self) -> DataFrame:
        """A row per coefficient, with its interval of 90%.

        Columns: feature, mode, mean, standardDeviation, lower, upper, probabilityPositive,
        priorStandardDeviation; if multinomial, class before these.
        """
        layout, table = self._layout, self._columns(PAGE_LEVEL)
        count = len(self.names) // len(layout.classes)
        words: dict[str, object] = {
            "feature": ([*layout.names, INTERCEPT][:count]) * len(layout.classes)
        }
        if layout.per_class:
            words = {"class": np.repeat(layout.classes, count).astype(float), **words}
        session = BaseReadWrite().sparkSession
        return session.createDataFrame(pd.DataFrame({**words, **table}))

    @property
    def _places(self) -> IntArray:
        """The places in the flat arrays of the coefficients that were fitted."""
        margins, width = self._layout.values.shape
        count = width if self._layout.intercept else width - 1
        return np.concatenate([np.arange(count) + k * width for k in range(margins)])

    def _columns(self, level: float) -> dict[str, Array]:
        """Return the columns of the table, in the order of `names`."""
        lower, upper = self.interval(level).T
        margins = len(self._layout.values)
        prior = np.tile(np.append(self._numbers.prior_deviations, np.inf), margins)
        return {
            "mode": self._layout.values.ravel()[self._places],
            "mean": self.mean,
            "standardDeviation": self.stddev,
            "lower": lower,
            "upper": upper,
            "probabilityPositive": self._positive(),
            "priorStandardDeviation": prior[self._places],
        }

    def _positive(self) -> Array:
        """Return the probability of each coefficient to be positive."""
        if self._numbers.draws is None:
            return np.asarray(ndtr(self.mean / self.stddev))
        return np.asarray((self._numbers.draws[:, self._places] > 0).mean(axis=0))

    def page(self) -> Page:
        """Return the printed page."""
        its = self._numbers
        facts = [("kind", WORDS[its.kind]), ("prior", self._prior_words())]
        readings = "1 reading" if its.readings == 1 else f"{its.readings} readings"
        facts.append(("found", f"in {readings} of the rows; {its.reason}"))
        if its.shift_from_mode is not None:
            facts.append(("shift", self._shift_words(its.shift_from_mode)))
        if its.r_hat is not None and its.error is not None:
            words = f"largest split R-hat {its.r_hat:.3f}, largest error of a mean {its.error:.2g}"
            facts.append(("chains", f"{words} deviations"))
        notes = (
            "P(> 0): the posterior probability that the coefficient is positive.",
            "-: a coefficient that the rows do not determine, because its feature does not vary.",
        )
        unknown = bool(np.isnan(self.stddev).any())
        return Page("Posterior", tuple(facts), self._tables(), notes if unknown else notes[:1])

    def _prior_words(self) -> str:
        known = self._numbers.prior_deviations
        if np.isinf(known).all():
            return "flat, since there is no penalty"
        return "normal with mean 0, by regParam and the sum of the weights; the intercept's is flat"

    def _shift_words(self, shift: float) -> str:
        words = f"the mean of a coefficient is up to {shift:.2g} deviations from the optimum"
        if self.kind == "laplace" and shift > DOUBTFUL:
            better = "sampled" if self._layout.per_class else "gaussian"
            return f"{words}, which Laplace's mean is not: use posterior='{better}'"
        return words

    def _tables(self) -> tuple[Table, ...]:
        """Return a table per class, or one table; of many features, those far from zero."""
        layout = self._layout
        classes = Ends.of(len(layout.classes), MOST_CLASSES).places
        most = max(min(MOST_FEATURES, MOST_ROWS // max(len(classes), 1)), 2)
        columns = self._columns(PAGE_LEVEL)
        count = len(self.mean) // len(layout.classes)
        places = [slice(k * count, (k + 1) * count) for k in classes]
        return tuple(
            self._table(k, {name: its[place] for name, its in columns.items()}, most)
            for k, place in zip(classes, places, strict=True)
        )

    def _table(self, margin: int, columns: dict[str, Array], most: int) -> Table:
        layout = self._layout
        names = [*layout.names, *([INTERCEPT] if layout.intercept else [])]
        features = np.arange(len(layout.names))
        if len(features) > most:
            ratio = np.nan_to_num(np.abs(columns["mean"] / columns["standardDeviation"]), nan=-1.0)
            features = features[np.argsort(-ratio[features], kind="stable")[:most]]
        shown = np.append(features, np.arange(len(layout.names), len(names)))
        size = places_for(columns["standardDeviation"][shown])
        words = [
            *(column(columns[its][shown], size)
              for its in ("mode", "mean", "standardDeviation", "lower", "upper")),
            column(columns["probabilityPositive"][shown], 3),
            [number(one) for one in columns["priorStandardDeviation"][shown]],
        ]  # fmt: skip
        body: list[tuple[str, ...] | str] = [
            (names[at], *its) for at, its in zip(shown, zip(*words, strict=True), strict=True)
        ]
        if len(shown) < len(names):
            body.append(f"... {len(names) - len(shown):,} more features, nearer to zero ...")
        which = f" of class {margin} against the mean of all" if layout.per_class else ""
        header = ("feature", "mode", "mean", "std. dev.", "lower", "upper", "P(> 0)", "prior sd")
        return Table(f"Coefficients{which}, with 90% intervals", header, tuple(body))

    def __str__(self) -> str:
        return self.page().text()

    def _repr_html_(self) -> str:
        return self.page().html()
