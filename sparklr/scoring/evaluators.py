"""Spark's evaluators on arrays of the driver: no job, no frame.

An `ArrayEvaluator` stands for one of them. It takes margins of rows whose labels are at hand, and
makes of them only as much as its metric needs: probabilities only for those that look at them. It
gives the evaluator's number, up to rounding and, above 2 * numBins distinct scores, up to the way
they are merged (see `_ends`). Where the evaluator would fail in the middle of a job, it raises a
ValueError; whether more is better, only the evaluator says.
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

# Pairs of label and prediction that may have a counter each, 32 MB of them, whether the pair
# occurs or not. Beyond it, the pairs that occur are found by sorting, which takes longer.
MOST_PAIRS = 2**22

# Scores that are nearer to one another than this share of the largest count as one.
TIED = 2.0**-40

AREAS = ("areaUnderROC", "areaUnderPR")
# Measures of a label, and their means over labels: of a confusion and the evaluator's beta.
Measure: TypeAlias = Callable[[Confusion, float], Array]
BY_LABEL: dict[str, Measure] = {
    "truePositiveRateByLabel": lambda confusion, _: confusion.recall,
    "falsePositiveRateByLabel": lambda confusion, _: confusion.false_positive_rate,
    "precisionByLabel": lambda confusion, _: confusion.precision,
    "recallByLabel": lambda confusion, _: confusion.recall,
    "fMeasureByLabel": lambda confusion, beta: confusion.f_measure(beta),
}
MEANS: dict[str, Measure] = {
    "f1": lambda confusion, _: confusion.f_measure(),  # whatever beta is
    "weightedTruePositiveRate": lambda confusion, _: confusion.recall,
    "weightedFalsePositiveRate": lambda confusion, _: confusion.false_positive_rate,
    "weightedPrecision": lambda confusion, _: confusion.precision,
    "weightedRecall": lambda confusion, _: confusion.recall,
    "weightedFMeasure": lambda confusion, beta: confusion.f_measure(beta),
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows that models were not fitted on.

    labels : (n,), whole numbers, 0 or more
    weights : (n,), finite, 0 or more; None where all are 1
    """

    labels: Array
    weights: Array | None


class ArrayEvaluator(Protocol):
    """One evaluator's metric, of a model's margins."""

    @property
    def weighted(self) -> bool:
        """Whether rows count by their weights; if not, each counts one."""

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """The metric of a model on rows, from its margins (n, C) there, intercepts included.

        C is the number of margins of the scorer's family.
        """
        ...


def array_evaluator(
    evaluator: Evaluator, params: LogisticRegressionParams
) -> ArrayEvaluator | None:
    """The in-memory equivalent of an evaluator, for a model with these Params.

    None where only the evaluator itself can tell: it is not one of Spark's two, or a class
    derived from them, or looks at a column that the model does not make, or its own Params are
    out of range, which is for Spark to refuse.
    """
    # By `type`, not by `isinstance`: a subclass may evaluate as it likes.
    if type(evaluator) is BinaryClassificationEvaluator:
        return _binary_evaluator(evaluator, params)
    if type(evaluator) is MulticlassClassificationEvaluator:
        return _multiclass_evaluator(evaluator, params)
    return None


def _binary_evaluator(
    evaluator: BinaryClassificationEvaluator, params: LogisticRegressionParams
) -> ArrayEvaluator | None:
    weighted = _weighted(evaluator, params)
    # Spark's binary evaluator, unlike the other, fails on a weightCol that is set and empty.
    if weighted is None or (evaluator.isSet(evaluator.weightCol) and not weighted):
        return None
    columns = {name: param for param, name in output_columns(params).items()}
    score = columns.get(evaluator.getRawPredictionCol())
    area, bins = evaluator.getMetricName(), evaluator.getNumBins()
    if score is None or area not in AREAS or bins < 0:
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
    # Spark checks all of them, also those that the metric does not use.
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
    """Whether rows count by the estimator's weights; None if other columns are asked for."""
    if evaluator.getLabelCol() != params.getLabelCol():
        return None
    asked = evaluator.getWeightCol() if evaluator.isSet(evaluator.weightCol) else ""
    given = params.getWeightCol() if params.isSet(params.weightCol) else ""
    if asked and asked != given:
        return None
    return bool(asked)


@dataclass(frozen=True)
class AreaEvaluator:
    """The area under a curve of a score of the positive rows, those with a label above 0.5."""

    area: str
    score: str  # the Param of an output column
    bins: int
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """The area under the curve."""
        weights = rows.weights if self.weighted else None
        curve = _curve(self._scores(scorer, margins), rows.labels, weights, self.bins)
        if self.area == "areaUnderROC":
            return curve.area_under_roc
        if not len(rows.labels):
            raise ValueError("There are no rows to evaluate, and areaUnderPR needs one.")
        return curve.area_under_pr

    def _scores(self, scorer: Scorer, margins: Array) -> Array:
        values = OUTPUTS[self.score].of_scores(_scores(scorer, margins))
        if values.ndim == 1:
            return values
        if values.shape[1] != 2:
            raise ValueError(
                f"BinaryClassificationEvaluator takes scores of 2 classes, but the model has "
                f"{values.shape[1]}. Use MulticlassClassificationEvaluator."
            )
        second = np.asarray(values[:, 1])
        return _joined(second) if self.score == "rawPredictionCol" else second


@dataclass(frozen=True)
class HitsEvaluator:
    """accuracy, the share of the weight that is predicted right, or hammingLoss, the rest."""

    right: bool
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """The share of the weight."""
        counted = (_predictions(scorer, margins) == rows.labels) == self.right
        if self.weighted and rows.weights is not None:
            part, whole = rows.weights[counted].sum(), rows.weights.sum()
        else:
            part, whole = np.count_nonzero(counted), len(counted)
        return float(part / whole) if whole else math.nan


@dataclass(frozen=True)
class MeanEvaluator:
    """A measure of each label, averaged over the labels by their weights."""

    name: str
    beta: float
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """The mean of the measure."""
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
        """The measure, or an error if no row has the label, as in Spark."""
        confusion = _confusion(_predictions(scorer, margins), rows, weighted=self.weighted)
        found = confusion.labels == self.label
        if not found.any():
            raise ValueError(
                f"{self.name} is asked for metricLabel={self.label:g}, but no row to evaluate "
                "has this label. Set metricLabel to a label that occurs."
            )
        return float(BY_LABEL[self.name](confusion, self.beta)[found][0])


@dataclass(frozen=True)
class LossEvaluator:
    """logLoss: minus the mean logarithm of the probability that a row's own label was given."""

    eps: float
    weighted: bool

    def metric(self, scorer: Scorer, margins: Array, rows: HeldOut) -> float:
        """The mean loss, with probabilities kept at least eps away from 0 and 1."""
        if not len(rows.labels):
            raise ValueError("There are no rows to evaluate, and logLoss needs one.")
        probability = _scores(scorer, margins).probability
        places = rows.labels.astype(np.int64)
        classes = probability.shape[1]
        if places.max() >= classes:
            raise ValueError(
                f"A row to evaluate has label {places.max()}, but the model was fitted on labels "
                f"below {classes} and gives it no probability, which logLoss needs. Let rows of "
                "each label take part in every fit."
            )
        own = probability[np.arange(len(places)), places]
        losses = -np.log(np.clip(own, self.eps, 1.0 - self.eps))
        # log1p says more exactly than log what the certain ones lose.
        losses[own > 1.0 - self.eps] = -math.log1p(-self.eps)
        if not self.weighted or rows.weights is None:
            return float(losses.mean())
        with np.errstate(invalid="ignore"):  # no weight at all: NaN
            return float((losses * rows.weights).sum() / rows.weights.sum())


def _scores(scorer: Scorer, margins: Array) -> Scores:
    return Scores(scorer, scorer.family.raw(margins))


def _predictions(scorer: Scorer, margins: Array) -> Array:
    return _scores(scorer, margins).prediction


def _joined(scores: Array) -> Array:
    """The scores, those that differ by rounding alone made equal.

    Equal rows must tie, and a product of many rows at once may round them differently.
    """
    step = TIED * np.abs(scores, where=np.isfinite(scores), out=np.zeros(len(scores))).max(
        initial=0
    )
    return scores if step == 0 else np.asarray(np.rint(scores / step))


def _curve(scores: Array, labels: Array, weights: Array | None, bins: int) -> ScoreCurve:
    """The curve of rows in any order, thinned out as `bins` say; sorts them once."""
    descending: IntArray = np.argsort(scores)[::-1]  # NaN is first: to Spark it is the largest
    ordered = scores[descending]
    ends = _ends(ordered, bins)
    positive = (labels > 0.5)[descending]
    weight = np.ones(len(ordered)) if weights is None else weights[descending]
    true_positives = np.cumsum(np.where(positive, weight, 0.0))[ends]
    false_positives = np.cumsum(np.where(positive, 0.0, weight))[ends]
    return ScoreCurve(ordered[ends], true_positives, false_positives)


def _ends(ordered: Array, bins: int) -> IntArray:
    """The last row of each point of the curve, for scores in order.

    A point is a distinct score, or if there are at least 2 * bins of them, floor(count / bins)
    neighbours. Spark starts a new point wherever a partition of its sorted scores does, and
    where that is depends on a random sample; here the scores are of one piece. So neighbours
    share other points in each run of Spark, and areas of thousands of scores differ in about
    the fifth digit: from ours no more than from one another.
    """
    differ = ordered[1:] != ordered[:-1]
    differ &= ~(np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    ends = np.flatnonzero(np.append(differ, True)[: len(ordered)])
    size = len(ends) // bins if bins else 0
    if size < 2:
        return ends
    # The remainder makes a last and smaller point.
    places = np.arange(size - 1, len(ends) + size - 1, size)
    return ends[np.minimum(places, len(ends) - 1)]


def _confusion(predictions: Array, rows: HeldOut, *, weighted: bool) -> Confusion:
    """Weights by label and prediction; a pair counts as occurring even if it weighs nothing."""
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
