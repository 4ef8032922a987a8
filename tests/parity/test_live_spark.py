"""Our estimator beside Spark's own, live: edges that no table of numbers covers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.parity.live import (
    assert_same_layout,
    assert_same_numbers,
    assert_same_outputs,
    fit_both,
    outputs,
    reference_frames,
)
from tests.parity.make_spark import frame_of, read_data
from tests.parity.objective import Setting, objective
from tests.tiers import first_and_deep


@pytest.fixture(scope="module")
def frames(spark: Any) -> Iterator[dict[str, Any]]:
    with reference_frames(spark) as made:
        yield made


def with_metadata(frame: Any, attributes: dict[str, Any]) -> Any:
    """The frame with these ML attributes on its label."""
    label = F.col("label").alias("label", metadata={"ml_attr": {"name": "label", **attributes}})
    return frame.select("features", label, "weight")


# Classes and labels


@pytest.mark.parametrize("intercept", first_and_deep([True, False]))
def test_labels_zero_and_two_make_three_classes(spark: Any, intercept: bool) -> None:
    features, labels, _ = read_data("binomial")
    frame = frame_of(spark, features, 2 * labels)
    params = {"regParam": 0.1, "fitIntercept": intercept}
    ours, theirs = fit_both(frame, tight=True, **params)
    assert ours.numClasses == 3
    assert_same_layout(ours, theirs)
    if not intercept:
        assert_same_numbers(ours, theirs, 1e-6)
    # With one, the intercept of class 1 runs to minus infinity, each method as far as it cares.
    mine, other = outputs(ours, frame), outputs(theirs, frame)
    np.testing.assert_allclose(mine["probability"], other["probability"], atol=1e-6)
    np.testing.assert_array_equal(mine["prediction"], other["prediction"])
    setting = Setting(family="multinomial", **params)
    values = [
        objective(
            model.coefficientMatrix.toArray(), model.interceptVector.toArray(),
            features, 2 * labels, np.ones(len(labels)), setting,
        )
        for model in (ours, theirs)
    ]  # fmt: skip
    assert values[0] <= values[1] * (1 + 1e-9)


@pytest.mark.parametrize("weightless", first_and_deep([2, 1]))
def test_a_class_without_weight_counts_only_below_the_largest(spark: Any, weightless: int) -> None:
    features, labels, weights = read_data("multinomial")
    weights = np.where(labels == weightless, 0.0, weights)
    frame = frame_of(spark, features, labels, weights)
    params = {"weightCol": "weight", "regParam": 0.05, "fitIntercept": False}
    ours, theirs = fit_both(frame, tight=True, **params)
    assert ours.numClasses == (3 if weightless == 1 else 2)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    assert_same_outputs(ours, theirs, frame, 1e-6)


def test_rows_of_weight_zero_do_not_move_the_fit(spark: Any) -> None:
    features, labels, weights = read_data("multinomial")
    weights = np.where(np.arange(len(labels)) % 3 == 0, 0.0, weights)
    moved = np.where(weights[:, None] == 0, 1e6, features)  # would be noticed
    params = {"weightCol": "weight", "regParam": 0.05, "elasticNetParam": 0.5}
    ours, theirs = fit_both(frame_of(spark, moved, labels, weights), tight=True, **params)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    kept = weights > 0
    frame = frame_of(spark, features[kept], labels[kept], weights[kept])
    without = LogisticRegressionEstimator(**params, tol=1e-12).fit(frame)
    assert_same_numbers(ours, without, 1e-12)


MULTINOMIAL: dict[str, Any] = {"family": "multinomial"}
NET: dict[str, Any] = {"regParam": 0.1, "elasticNetParam": 0.5}


@pytest.mark.parametrize(
    ("params", "label"),
    first_and_deep(
        [(NET, 0), (MULTINOMIAL, 2), (NET, 1), (NET, 2), (MULTINOMIAL, 0), (MULTINOMIAL, 1)],
        first=2,
    ),
    ids=str,
)
def test_a_single_label_makes_an_infinite_intercept(
    spark: Any, params: dict[str, Any], label: int
) -> None:
    features, _, _ = read_data("binomial")
    frame = frame_of(spark, features[:20], np.full(20, float(label)))
    ours, theirs = fit_both(frame, **params)
    np.testing.assert_array_equal(ours.coefficientMatrix.toArray(), 0.0)
    assert_same_numbers(ours, theirs, 0.0)
    assert ours.summary.objectiveHistory == list(theirs.summary.objectiveHistory) == [0.0]
    assert ours.summary.totalIterations == theirs.summary.totalIterations == 0
    assert_same_outputs(ours, theirs, frame, 0.0)
    assert_same_layout(ours, theirs)
    assert_same_outputs(LogisticRegressionModel.fromSpark(theirs), theirs, frame, 0.0)


@pytest.mark.parametrize("label", [0, 2])
def test_a_single_label_without_intercept_is_fitted(spark: Any, label: int) -> None:
    features, _, _ = read_data("binomial")
    frame = frame_of(spark, features, np.full(len(features), float(label)))
    ours, theirs = fit_both(frame, tight=True, fitIntercept=False, regParam=0.05)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)
    assert_same_outputs(ours, theirs, frame, 1e-6)


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ({"type": "nominal", "num_vals": 4}, 4),
        ({"type": "nominal", "vals": ["a", "b", "c"]}, 3),
        ({"type": "binary"}, 2),
    ],
)
def test_metadata_may_name_more_classes_than_there_are_labels(
    frames: dict[str, Any], attributes: dict[str, Any], classes: int
) -> None:
    frame = with_metadata(frames["binomial"], attributes)
    ours, theirs = fit_both(frame, tight=True, regParam=0.1, fitIntercept=False)
    assert ours.numClasses == classes
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-6)


def test_a_single_label_of_two_in_the_metadata_is_predicted(spark: Any) -> None:
    """Here we depart: Spark takes the sign from the number of classes, and predicts the other."""
    features, _, _ = read_data("binomial")
    plain = frame_of(spark, features[:20], np.zeros(20), np.ones(20))
    frame = with_metadata(plain, {"type": "nominal", "vals": ["no", "yes"]})
    ours, theirs = fit_both(frame)
    assert (ours.intercept, theirs.intercept) == (-np.inf, np.inf)
    assert ours.predict(features[0]) == 0.0


def test_metadata_may_not_name_fewer_classes(frames: dict[str, Any]) -> None:
    frame = with_metadata(frames["multinomial"], {"type": "nominal", "num_vals": 2})
    for estimator in (LogisticRegressionEstimator(), LogisticRegression()):
        with pytest.raises(Exception, match="label"):
            estimator.fit(frame)


def test_an_empty_weight_column_is_no_weight_column(frames: dict[str, Any]) -> None:
    ours, theirs = fit_both(frames["binomial"], tight=True, weightCol="")
    assert_same_numbers(ours, theirs, 1e-6)
    plain = LogisticRegressionEstimator(tol=1e-12).fit(frames["binomial"])
    assert_same_numbers(ours, plain, 0.0)


# The start


@pytest.mark.parametrize(
    ("data", "params"),
    first_and_deep(
        [
            ("binomial", {"weightCol": "weight", "regParam": 0.1}),
            ("multinomial", {"weightCol": "weight"}),
            ("multinomial", {"fitIntercept": False}),
            ("binomial", {}),
            ("binomial", {"fitIntercept": False}),
            ("binomial", {"family": "multinomial", "weightCol": "weight"}),
            ("multinomial", {"regParam": 0.1, "elasticNetParam": 1.0}),
        ],
        first=3,
    ),
)
def test_no_iteration_returns_the_start(
    frames: dict[str, Any], data: str, params: dict[str, Any]
) -> None:
    ours, theirs = fit_both(frames[data], maxIter=0, **params)
    assert_same_layout(ours, theirs)
    assert_same_numbers(ours, theirs, 1e-13)
    np.testing.assert_allclose(
        ours.summary.objectiveHistory, list(theirs.summary.objectiveHistory), 1e-13
    )
    assert ours.summary.totalIterations == theirs.summary.totalIterations == 0
    assert_same_outputs(ours, theirs, frames[data], 1e-13)
