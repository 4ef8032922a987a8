"""Spark's evaluators on arrays on the driver, without jobs or frames.

An `ArrayEvaluator` replaces one evaluator. It takes the margins and labels of rows, and computes
only what its metric needs, for example probabilities only for metrics that use them. Its metric
equals the evaluator's, up to rounding and, above 2 * numBins distinct scores, up to the merging of
scores (see `_ends`). Where the evaluator would fail inside a job, it raises a ValueError. Only the
evaluator itself knows whether larger metrics are better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
)

from sparklr.arrays import Array, IntArray
from sparklr.params import LogisticRegressionParams
from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.scoring.outputs import OUTPUTS, output_columns
from sparklr.scoring.scorer import Scorer, Scores

# Up to this many pairs of label and prediction, every possible pair has a counter (32 MB in all).
# Beyond it, the pairs that occur are found by sorting, which takes longer.
MOST_PAIRS = 2**22

# Scores that differ by less than this share of the largest score count as equal.
TIED = 2.0**-40

AREAS = ("areaUnderROC", "areaUnderPR")
# Measures by label, and means over labels, as functions of a confusion and the evaluator's beta.
Measure: TypeAlias = Callable[[Confusion, float], Array]
BY_LABEL: dict[str, Measure] = {
    "truePositiveRateByLabel": lambda confusion, _: confusion.recall,
    "falsePositiveRateByLabel": lambda confusion, _: confusion.false_positive_rate,
    "precisionByLabel": lambda confusion, _: confusion.precision,
    "recallByLabel": lambda confusion, _: confusion.recall,
    "fMeasureByLabel": lambda confusion, beta: confusion.f_measure(beta),
}
MEANS: dict[str, Measure] = {
    "f1": lambda confusion, _: confusion.f_measure(),  # for any beta of the evaluator
    "weightedTruePositiveRate": lambda confusion, _: confusion.recall,
    "weightedFalsePositiveRate": lambda confusion, _: confusion.false_positive_rate,
    "weightedPrecision": lambda confusion, _: confusion.precision,
    "weightedRecall": lambda confusion, _: confusion.recall,
    "weightedFMeasure": lambda confusion, beta: confusion.f_measure(beta),
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Labels and weights of held-out rows.

    labels : (n,), whole numbers, 0 or more
    weights : (n,), finite, 0 or more; None if all are 1
    """

    labels: Array
    weights: Array | None


class ArrayEvaluator(Protocol):
    """The metric of one evaluator, computed from a model's margins."""

    @property
    def weighted(self) -> bool:
        """Whether rows count by their weights; if not, each row has weight 1."""

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """Return a model's metric on rows, from its margins (n, C) with intercepts.

        C is the number of margins of the scorer's family.
        """
        ...


def array_evaluator(
    evaluator: Evaluator, params: LogisticRegressionParams
) -> ArrayEvaluator | None:
    """Return the in-memory equivalent of an evaluator for a model with these Params, or None.

    None means that the evaluator itself is needed: it is not one of Spark's two classes (a
    subclass does not count), or it reads a column that the model does not write, or its Params
    are out of range, and Spark should refuse them.
    """
    # By `type`, not by `isinstance`: a subclass may evaluate differently.
    if type(evaluator) is BinaryClassificationEvaluator:
        return _binary_evaluator(evaluator, params)
    if type(evaluator) is MulticlassClassificationEvaluator:
        return _multiclass_evaluator(evaluator, params)
    return None


def _binary_evaluator(
    evaluator: BinaryClassificationEvaluator, params: LogisticRegressionParams
) -> ArrayEvaluator | None:
    weighted = _weighted(evaluator, params)
    # Unlike the multiclass evaluator, Spark's binary evaluator fails on an empty weightCol.
    if weighted is None or (evaluator.isSet(evaluator.weightCol) and not weighted):
        return None
    columns = {name: param for param, name in output_columns(params).items()}
    score = columns.get(evaluator.getRawPredictionCol())
    area, bins = evaluator.getMetricName(), evaluator.getNumBins()
    if score is None or area not in AREAS or bins < 0 or OUTPUTS[score].of_spark is None:
        return None
    return AreaEvaluator(area, score, bins, weighted)


def _multiclass_evaluator(
    evaluator: MulticlassClassificationEvaluator, params: LogisticRegressionParams
) -> ArrayEvaluator | None:
    weighted = _weighted(evaluator, params)
    prediction = evaluator.getPredictionCol()
    if weighted is None or not prediction or prediction != params.getPredictionCol():
        return None
    name, label = str(evaluator.getMetricName()), evaluator.getMetricLabel()
    beta, eps = evaluator.getBeta(), evaluator.getEps()
    # Spark checks all these Params, even if the metric does not use them.
    if not (label >= 0 and beta > 0 and 0 < eps < 0.5):
        return None
    if name == "logLoss":
        probability = evaluator.getProbabilityCol()
        known = bool(probability) and probability == params.getProbabilityCol()
        return LossEvaluator(eps, weighted) if known else None
    if name in ("accuracy", "hammingLoss"):
        return HitsEvaluator(name == "accuracy", weighted)
    if name in MEANS:
        return MeanEvaluator(name, beta, weighted)
    return LabelEvaluator(name, label, beta, weighted) if name in BY_LABEL else None


def _weighted(
    evaluator: BinaryClassificationEvaluator | MulticlassClassificationEvaluator,
    params: LogisticRegressionParams,
) -> bool | None:
    """Whether the evaluator uses the estimator's weights; None if it uses other columns."""
    if evaluator.getLabelCol() != params.getLabelCol():
        return None
    asked = evaluator.getWeightCol() if evaluator.isSet(evaluator.weightCol) else ""
    given = params.getWeightCol() if params.isSet(params.weightCol) else ""
    if asked and asked != given:
        return None
    return bool(asked)


@dataclass(frozen=True)
class AreaEvaluator:
    """The area under a curve of a score; rows with a label above 0.5 are positive."""

    area: str
    score: str  # the Param that names an output column
    bins: int
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """Return the area under the curve."""
        weights = rows.weights if self.weighted else None
        curve = _curve(self._scores(scorer, margins), rows.labels, weights, self.bins)
        if self.area == "areaUnderROC":
            return curve.area_under_roc
        if not len(rows.labels):
            raise ValueError("There are no rows to evaluate, but areaUnderPR needs some rows.")
        return curve.area_under_pr

    def _scores(self, scorer: Scorer, margins: Array) -> Array:
        values = OUTPUTS[self.score].of_scores(_scores(scorer, margins))
        if values.ndim == 1:
            return values
        if values.shape[1] != 2:
            raise ValueError(
                f"BinaryClassificationEvaluator needs scores of 2 classes, but the model has "
                f"{values.shape[1]} classes. Use MulticlassClassificationEvaluator."
            )
        second = np.asarray(values[:, 1])
        return _joined(second) if self.score == "rawPredictionCol" else second


@dataclass(frozen=True)
class HitsEvaluator:
    """accuracy, the share of the weight predicted correctly, or hammingLoss, the rest."""

    right: bool
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """Return the share of the weight."""
        counted = (_predictions(scorer, margins) == rows.labels) == self.right
        if self.weighted and rows.weights is not None:
            part, whole = rows.weights[counted].sum(), rows.weights.sum()
        else:
            part, whole = np.count_nonzero(counted), len(counted)
        return float(part / whole) if whole else math.nan


@dataclass(frozen=True)
class MeanEvaluator:
    """The weighted mean of a measure over the labels."""

    name: str
    beta: float
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """Return the mean of the measure."""
        confusion = _confusion(_predictions(scorer, margins), rows, weighted=self.weighted)
        return confusion.mean(MEANS[self.name](confusion, self.beta))


@dataclass(frozen=True)
class LabelEvaluator:
    """A measure of one label."""

    name: str
    label: float
    beta: float
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """Return the measure; raise if no row has the label, as Spark does."""
        confusion = _confusion(_predictions(scorer, margins), rows, weighted=self.weighted)
        found = confusion.labels == self.label
        if not found.any():
            raise ValueError(
                f"{self.name} needs rows with metricLabel={self.label:g}, but no row to evaluate "
                "has this label. Set metricLabel to a label that occurs."
            )
        return float(BY_LABEL[self.name](confusion, self.beta)[found][0])


@dataclass(frozen=True)
class LossEvaluator:
    """logLoss: minus the mean logarithm of the predicted probability of a row's true label."""

    eps: float
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """Return the mean loss, with probabilities clipped to [eps, 1 - eps]."""
        if not len(rows.labels):
            raise ValueError("There are no rows to evaluate, but logLoss needs some rows.")
        probability = _scores(scorer, margins).probability
        places = rows.labels.astype(np.int64)
        classes = probability.shape[1]
        if places.max() >= classes:
            raise ValueError(
                f"A row to evaluate has label {places.max()}, but the model was fitted on labels "
                f"below {classes}, so this label has no probability, which logLoss needs. Make "
                "sure that every fit has rows of each label."
            )
        own = probability[np.arange(len(places)), places]
        losses = -np.log(np.clip(own, self.eps, 1.0 - self.eps))
        # For probabilities near 1, log1p is more exact than log.
        losses[own > 1.0 - self.eps] = -math.log1p(-self.eps)
        if not self.weighted or rows.weights is None:
            return float(losses.mean())
        with np.errstate(invalid="ignore"):  # NaN if all weights are 0
            return float((losses * rows.weights).sum() / rows.weights.sum())


def _scores(scorer: Scorer, margins: Array) -> Scores:
    return Scores(scorer, scorer.family.raw(margins))


def _predictions(scorer: Scorer, margins: Array) -> Array:
    return _scores(scorer, margins).prediction


def _joined(scores: Array) -> Array:
    """Return the scores rounded, so that scores that differ only by rounding errors are equal.

    Equal rows must tie, but a matrix product of many rows may round them differently.
    """
    step = TIED * np.abs(scores, where=np.isfinite(scores), out=np.zeros(len(scores))).max(
        initial=0
    )
    return scores if step == 0 else np.asarray(np.rint(scores / step))


def _curve(scores: Array, labels: Array, weights: Array | None, bins: int) -> ScoreCurve:
    """Return the curve of rows in any order, thinned out to `bins`; sorts the rows once."""
    descending: IntArray = np.argsort(scores)[::-1]  # NaN is first: Spark orders it as the largest
    ordered = scores[descending]
    ends = _ends(ordered, bins)
    positive = (labels > 0.5)[descending]
    weight = np.ones(len(ordered)) if weights is None else weights[descending]
    true_positives = np.cumsum(np.where(positive, weight, 0.0))[ends]
    false_positives = np.cumsum(np.where(positive, 0.0, weight))[ends]
    return ScoreCurve(ordered[ends], true_positives, false_positives)


def _ends(ordered: Array, bins: int) -> IntArray:
    """Return the last row of each point of the curve, for sorted scores.

    A point is a distinct score or, if there are at least 2 * bins distinct scores, a group of
    floor(count / bins) neighbours. Spark also starts a new point at each partition of its sorted
    scores, and partition limits depend on a random sample; here there is one partition. So each
    run of Spark groups neighbours differently, and areas of thousands of scores differ in about
    the fifth digit, between runs of Spark as much as between Spark and here.
    """
    differ = ordered[1:] != ordered[:-1]
    differ &= ~(np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    ends = np.flatnonzero(np.append(differ, True)[: len(ordered)])
    size = len(ends) // bins if bins else 0
    if size < 2:
        return ends
    # The remainder is a last, smaller point.
    places = np.arange(size - 1, len(ends) + size - 1, size)
    return ends[np.minimum(places, len(ends) - 1)]


def _confusion(predictions: Array, rows: HeldOut, *, weighted: bool) -> Confusion:
    """Return weights by label and prediction; a pair of weight 0 still counts as occurring."""
    weights = rows.weights if weighted else None
    width = int(predictions.max(initial=0.0)) + 1
    codes = (rows.labels * width + predictions).astype(np.int64)
    height = int(rows.labels.max(initial=0.0)) + 1
    if height * width <= MOST_PAIRS:
        pairs = np.arange(height * width)
    else:
        pairs, codes = np.unique(codes, return_inverse=True)
    counts = np.bincount(codes, minlength=len(pairs))
    sums = counts if weights is None else np.bincount(codes, weights, minlength=len(pairs))
    occurring = np.flatnonzero(counts)
    labels, predicted = np.divmod(pairs[occurring].astype(np.float64), width)
    return Confusion(labels, predicted, sums[occurring].astype(np.float64), int(counts.sum()))
