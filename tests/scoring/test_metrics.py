"""Measures from sums of weights, against scikit-learn and against what they mean."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as sk

from sparklr.arrays import Array
from sparklr.scoring.metrics import Confusion, ScoreCurve, null_deviance


def rows(classes: int, count: int = 300) -> tuple[Array, Array, Array]:
    """Labels, predictions that know something of them, and weights."""
    random = np.random.default_rng(4)
    labels = random.integers(0, classes, count).astype(float)
    guesses = random.integers(0, classes, count)
    predictions = np.where(random.random(count) < 0.6, labels, guesses).astype(float)
    return labels, predictions, random.integers(1, 5, count) / 2


def confusion(labels: Array, predictions: Array, weights: Array) -> Confusion:
    """As Spark would hand the sums over: pairs in no order."""
    pairs: dict[tuple[float, float], float] = {}
    for label, prediction, weight in zip(labels, predictions, weights, strict=True):
        pairs[label, prediction] = pairs.get((label, prediction), 0.0) + weight
    keys = np.array(list(pairs)[::-1]).reshape(-1, 2)
    return Confusion(keys[:, 0], keys[:, 1], np.array(list(pairs.values())[::-1]), len(labels))


@pytest.mark.parametrize("beta", [1.0, 0.5, 2.0])
def test_measures_by_label_are_those_of_sklearn(beta: float) -> None:
    labels, predictions, weights = rows(4)
    ours = confusion(labels, predictions, weights)
    arguments = {"sample_weight": weights, "beta": beta}
    precision, recall, f_measure, support = sk.precision_recall_fscore_support(
        labels, predictions, **arguments
    )
    assert_array_equal(ours.labels, [0, 1, 2, 3])
    assert_allclose(ours.precision, precision, rtol=1e-13)
    assert_allclose(ours.recall, recall, rtol=1e-13)
    assert_allclose(ours.f_measure(beta), f_measure, rtol=1e-13)
    assert_allclose(ours.support, support, rtol=1e-13)
    means = sk.precision_recall_fscore_support(labels, predictions, average="weighted", **arguments)
    assert_allclose(ours.mean(ours.precision), means[0], rtol=1e-13)
    assert_allclose(ours.mean(ours.f_measure(beta)), means[2], rtol=1e-13)
    accuracy = sk.accuracy_score(labels, predictions, sample_weight=weights)
    assert_allclose([ours.accuracy, ours.mean(ours.recall)], accuracy, rtol=1e-13)


def test_the_false_positive_rate_counts_others_taken_for_a_label() -> None:
    labels, predictions, weights = rows(3)
    ours = confusion(labels, predictions, weights)
    others = [labels != k for k in range(3)]
    expected = [
        weights[other & (predictions == k)].sum() / weights[other].sum()
        for k, other in enumerate(others)
    ]
    assert_allclose(ours.false_positive_rate, expected, rtol=1e-13)


def test_a_prediction_that_is_no_label_is_wrong_and_has_no_entry() -> None:
    ours = confusion(np.array([0.0, 0.0, 2.0]), np.array([0.0, 1.0, 5.0]), np.ones(3))
    assert_array_equal(ours.labels, [0, 2])
    assert_array_equal(ours.predictions, [0, 1, 5])
    assert_array_equal(ours.recall, [0.5, 0])
    assert_array_equal(ours.precision, [1, 0])
    assert_array_equal(ours.false_positive_rate, [0, 0])
    assert_array_equal(ours.table(ours.labels, ours.predictions), [[1, 1, 0], [0, 0, 1]])
    assert_array_equal(ours.table(np.array([2.0]), np.array([1.0, 5.0])), [[0, 1]])


def test_what_is_undefined_is_nan_without_a_warning() -> None:
    single = confusion(np.zeros(2), np.zeros(2), np.ones(2))
    assert np.isnan(single.false_positive_rate).all()
    weightless = confusion(np.array([0.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    assert_array_equal(weightless.recall, [0, np.nan])
    empty = confusion(np.zeros(0), np.zeros(0), np.zeros(0))
    assert np.isnan(empty.accuracy)
    assert empty.mean(empty.precision) == 0
    assert empty.total == 0


def test_curves_are_those_of_sklearn() -> None:
    random = np.random.default_rng(1)
    scores, positives = random.random(50), random.integers(1, 4, 50).astype(float)
    negatives = random.integers(1, 4, 50).astype(float)
    curve = ScoreCurve.of(scores, positives, negatives)
    labels, each = np.repeat([1, 0], 50), np.tile(scores, 2)
    weights = np.concatenate((positives, negatives))
    false, true, thresholds = sk.roc_curve(
        labels, each, sample_weight=weights, drop_intermediate=False
    )
    assert_array_equal(curve.thresholds, thresholds[1:])
    assert_allclose(curve.roc[0][:-1], false, atol=1e-14)
    assert_allclose(curve.roc[1][:-1], true, atol=1e-14)
    assert (curve.roc[0][-1], curve.roc[1][-1]) == (1, 1)
    area = sk.roc_auc_score(labels, each, sample_weight=weights)
    assert_allclose(curve.area_under_roc, area, rtol=1e-13)
    precision, recall, _ = sk.precision_recall_curve(labels, each, sample_weight=weights)
    assert_allclose(curve.recall, recall[-2::-1], atol=1e-14)
    assert_allclose(curve.precision, precision[-2::-1], atol=1e-14)
    assert_allclose(curve.base_rate, positives.sum() / weights.sum())


def test_the_area_is_the_chance_of_the_right_order_with_ties_half() -> None:
    scores = np.array([0.2, 0.5, 0.9])
    positives, negatives = np.array([1.0, 3.0, 2.0]), np.array([4.0, 1.0, 1.0])
    chance = sum(
        positives[i] * negatives[j] * ((scores[i] > scores[j]) + (i == j) / 2)
        for i, j in product(range(3), repeat=2)
    ) / (positives.sum() * negatives.sum())
    assert_allclose(ScoreCurve.of(scores, positives, negatives).area_under_roc, chance)


def test_the_precision_recall_curve_starts_at_the_highest_score() -> None:
    curve = ScoreCurve.of(np.array([0.1, 0.9]), np.array([1.0, 1.0]), np.array([0.0, 3.0]))
    assert_array_equal(curve.pr, [[0, 0.5, 1], [0.25, 0.25, 0.4]])
    assert_allclose(curve.area_under_pr, 0.25 * 0.5 + 0.5 * (0.25 + 0.4) / 2)
    assert_allclose(curve.f_measure(), [1 / 3, 0.8 / 1.4])
    assert_allclose(curve.f_measure(2.0), [5 * 0.125 / (4 * 0.25 + 0.5), 5 * 0.4 / (4 * 0.4 + 1)])


def test_curves_of_one_sort_of_rows_or_of_none() -> None:
    one, none = np.ones(2), np.zeros(2)
    scores = np.array([0.1, 0.9])
    negative, positive = ScoreCurve.of(scores, none, one), ScoreCurve.of(scores, one, none)
    assert (negative.area_under_roc, positive.area_under_roc) == (0, 1)
    assert_array_equal(negative.f_measure(), [0, 0])
    assert_array_equal(positive.roc, [[0, 0, 0, 1], [0, 0.5, 1, 1]])
    weightless = ScoreCurve.of(scores, none, none)
    assert_array_equal(weightless.precision, [1, 1])
    assert np.isnan(weightless.base_rate)
    empty = ScoreCurve.of(np.zeros(0), np.zeros(0), np.zeros(0))
    assert empty.area_under_roc == 0.5
    assert_array_equal(empty.pr, [[0], [1]])


def test_the_null_deviance_is_twice_the_loss_of_the_shares() -> None:
    weights = np.array([1.0, 3.0, 0.0])
    expected = -2 * (1 * np.log(1 / 4) + 3 * np.log(3 / 4))
    assert_allclose(null_deviance(weights, intercept=True), expected)
    assert_allclose(null_deviance(weights, intercept=False), 2 * 4 * np.log(3))
    assert null_deviance(np.array([5.0]), intercept=True) == 0
