"""All that a summary says, as numbers: of summaries that Spark's jobs fill, and of rows at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.summary import BinaryLogisticRegressionSummary
from tests.parity.objective import Array

PROPERTIES = (
    "labels", "accuracy", "weightedTruePositiveRate", "weightedFalsePositiveRate",
    "weightedRecall", "weightedPrecision", "truePositiveRateByLabel", "falsePositiveRateByLabel",
    "precisionByLabel", "recallByLabel",
)  # fmt: skip
CURVES = ("roc", "pr", "fMeasureByThreshold", "precisionByThreshold", "recallByThreshold")
AREA = "areaUnderROC"


def measures(summary: Any, *, curves: bool) -> dict[str, Array]:
    """Of a summary of ours or of Spark's."""
    found = means_of(summary)
    if curves:
        found[AREA] = np.array(getattr(summary, AREA))
        for name in CURVES:
            found[name] = np.array([tuple(row) for row in getattr(summary, name).collect()])
    return found


def means_of(summary: Any) -> dict[str, Array]:
    """What does not need a curve."""
    found = {name: np.array(getattr(summary, name)) for name in PROPERTIES}
    for beta in (1.0, 0.5):
        found[f"fMeasureByLabel {beta}"] = np.array(summary.fMeasureByLabel(beta))
        found[f"weightedFMeasure {beta}"] = np.array(summary.weightedFMeasure(beta))
    return found


class AtHand(BinaryLogisticRegressionSummary):
    """A summary with the sums that Spark's jobs would find."""

    def __init__(self, confusion: Confusion, curve: ScoreCurve) -> None:
        self._confusion, self._curve = confusion, curve


def measures_at_hand(
    labels: Array, weights: Array, prediction: Array, score: Array, *, curves: bool
) -> dict[str, Array]:
    """Of labels, weights, predictions and scores (n,), without Spark."""
    curve = curve_of(labels, weights, score)
    summary = AtHand(confusion_of(labels, weights, prediction), curve)
    found = means_of(summary)
    if curves:
        by_threshold = (curve.f_measure(), curve.precision, curve.recall)
        lines = [curve.roc, curve.pr, *((curve.thresholds, values) for values in by_threshold)]
        found[AREA] = np.array(summary.areaUnderROC)
        found |= {name: np.column_stack(line) for name, line in zip(CURVES, lines, strict=True)}
    return found


def confusion_of(labels: Array, weights: Array, prediction: Array) -> Confusion:
    """Sums of weights by label and prediction."""
    pairs, places = np.unique(np.column_stack((labels, prediction)), axis=0, return_inverse=True)
    sums = np.bincount(places.ravel(), weights)
    return Confusion(pairs[:, 0], pairs[:, 1], sums, len(labels))


def curve_of(labels: Array, weights: Array, score: Array) -> ScoreCurve:
    """Sums of weights by score."""
    scores, places = np.unique(score, return_inverse=True)
    positive = labels > 0.5
    sums = [np.bincount(places, np.where(kept, weights, 0.0)) for kept in (positive, ~positive)]
    return ScoreCurve.of(scores, *sums)


def assert_same_measures(ours: dict[str, Array], theirs: dict[str, Array], what: Any) -> None:
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, 1e-9, 1e-9, err_msg=f"{what} {name}")
