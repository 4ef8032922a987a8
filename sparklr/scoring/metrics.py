"""Measures of a classifier from sums of weights, by the rules of Spark's evaluation package.

Undefined measures have the same values as there: a share of zero weight is NaN by label, but a
precision of zero weight is 0 by label and 1 on a curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparklr.arrays import Array, BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Confusion:
    """Sums of weights by true label and prediction, with one entry per pair that occurs."""

    label: Array
    prediction: Array
    weight: Array
    rows: int

    @cached_property
    def labels(self) -> Array:
        """The true labels that occur, ascending; arrays by label have this order."""
        return np.unique(self.label)

    @cached_property
    def predictions(self) -> Array:
        """The predictions that occur, ascending."""
        return np.unique(self.prediction)

    @cached_property
    def support(self) -> Array:
        """The weight of each label."""
        return self._by_label(self.label, np.ones(len(self.label), dtype=np.bool_))

    @cached_property
    def _hits(self) -> Array:
        return self._by_label(self.label, self.label == self.prediction)

    @cached_property
    def _false_alarms(self) -> Array:
        """For each label, the weight that was wrongly predicted as this label."""
        known = np.isin(self.prediction, self.labels)
        return self._by_label(self.prediction, known & (self.label != self.prediction))

    def _by_label(self, values: Array, kept: BoolArray) -> Array:
        places = np.searchsorted(self.labels, values[kept])
        sums = np.bincount(places, self.weight[kept], minlength=len(self.labels))
        return np.asarray(sums, dtype=np.float64)

    @property
    def total(self) -> float:
        """The weight of all rows."""
        return float(self.support.sum())

    @property
    def accuracy(self) -> float:
        """The share of the weight that was predicted correctly."""
        return float(_ratio(self._hits.sum(), self.support.sum()))

    @property
    def recall(self) -> Array:
        """For each label, the share of its weight that was predicted as this label."""
        return _ratio(self._hits, self.support)

    @property
    def precision(self) -> Array:
        """For each label, the correct share of the weight predicted as this label; 0 if none."""
        return _ratio(self._hits, self._hits + self._false_alarms, nothing=0.0)

    @property
    def false_positive_rate(self) -> Array:
        """For each label, the share of all other labels' weight that was given this label."""
        return _ratio(self._false_alarms, self.support.sum() - self.support)

    def f_measure(self, beta: float = 1.0) -> Array:
        """For each label, the harmonic mean of precision and recall; recall counts beta times."""
        return _f_measure(self.precision, self.recall, beta)

    def mean(self, by_label: Array) -> float:
        """Return the mean of a measure over the labels, weighted by their support."""
        return float((by_label * _ratio(self.support, self.support.sum())).sum())

    def table(self, labels: Array, predictions: Array) -> Array:
        """Return weights by label (rows) and prediction (columns); both must be ascending."""
        kept = np.isin(self.label, labels) & np.isin(self.prediction, predictions)
        weights = np.zeros((len(labels), len(predictions)))
        rows = np.searchsorted(labels, self.label[kept])
        columns = np.searchsorted(predictions, self.prediction[kept])
        weights[rows, columns] = self.weight[kept]
        return weights


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """The weights that a binary score separates at each threshold.

    thresholds : the distinct scores, descending; rows with at least this score are positive
    true_positives, false_positives : weight with at least this score, by true label
    """

    thresholds: Array
    true_positives: Array
    false_positives: Array

    @classmethod
    def of(cls, scores: Array, positives: Array, negatives: Array) -> ScoreCurve:
        """Return the curve of distinct scores in any order, with their weights by true label."""
        descending: IntArray = np.argsort(scores)[::-1]
        return cls(
            scores[descending], np.cumsum(positives[descending]), np.cumsum(negatives[descending])
        )

    @property
    def recall(self) -> Array:
        """The share of the positive weight that is found; 0 if there is no positive weight."""
        return _ratio(self.true_positives, _last(self.true_positives), nothing=0.0)

    @property
    def false_positive_rate(self) -> Array:
        """The share of the negative weight predicted as positive; 0 if no weight is negative."""
        return _ratio(self.false_positives, _last(self.false_positives), nothing=0.0)

    @property
    def precision(self) -> Array:
        """The correct share of the weight predicted as positive; 1 if there is none."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives, nothing=1.0)

    def f_measure(self, beta: float = 1.0) -> Array:
        """Return the harmonic mean of precision and recall; recall counts beta times."""
        return _f_measure(self.precision, self.recall, beta)

    @property
    def roc(self) -> tuple[Array, Array]:
        """False positive rate and recall, from (0, 0) to (1, 1)."""
        return (
            np.concatenate(([0.0], self.false_positive_rate, [1.0])),
            np.concatenate(([0.0], self.recall, [1.0])),
        )

    @property
    def pr(self) -> tuple[Array, Array]:
        """Recall and precision, from recall 0 at the precision of the highest score."""
        first = self.precision[:1] if len(self.thresholds) else np.ones(1)
        return np.concatenate(([0.0], self.recall)), np.concatenate((first, self.precision))

    @property
    def area_under_roc(self) -> float:
        """The chance that a positive row scores above a negative row; ties count half."""
        return _area(*self.roc)

    @property
    def area_under_pr(self) -> float:
        """The area below precision as a function of recall."""
        return _area(*self.pr)

    @property
    def base_rate(self) -> float:
        """The positive share of the weight, which is the precision of a random score."""
        positive, negative = _last(self.true_positives), _last(self.false_positives)
        return float(_ratio(np.array(positive), positive + negative))


def _last(sums: Array) -> float:
    return float(sums[-1]) if len(sums) else 0.0


def _ratio(part: Array, whole: Array | float, nothing: float | None = None) -> Array:
    """Return part / whole; where whole is zero, `nothing` if given, else NaN or infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.asarray(np.divide(part, whole))
    return shares if nothing is None else np.where(np.asarray(whole) == 0, nothing, shares)


def _f_measure(precision: Array, recall: Array, beta: float) -> Array:
    square = beta * beta
    product = (1 + square) * precision * recall
    measure = _ratio(product, square * precision + recall)
    return np.where(precision + recall == 0, 0.0, measure)


def _area(x: Array, y: Array) -> float:
    """Return the area below the line through these points."""
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def null_deviance(weights: Array, *, intercept: bool) -> float:
    """Return the deviance of a model without features, from the weight of each class."""
    total = weights.sum()
    kept = weights[weights > 0]
    if intercept:
        return float(-2 * (kept * np.log(kept / total)).sum())
    return float(2 * total * np.log(len(weights)))
