"""Judges of evaluators: who has one, and what it refuses; their numbers are in `parity`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.errors import IllegalArgumentException, UnsupportedOperationException
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    RankingEvaluator,
)

from sparklr import LogisticRegressionEstimator
from sparklr.scoring import evaluators as judges
from sparklr.scoring.evaluators import HeldOut, array_evaluator
from sparklr.scoring.scorer import Scorer
from tests.frames import dense
from tests.made_models import made_model
from tests.parity.held_out import BINARY, MULTICLASS, Case, case, frame_of, made_case


@pytest.fixture(scope="module")
def frame(spark: Any) -> Iterator[Any]:
    """What a model of two classes would add to a frame."""
    made = frame_of(spark, made_case("two classes"))
    yield made
    made.unpersist()


def test_a_confusion_of_many_labels_is_found_by_sorting(monkeypatch: Any) -> None:
    one = made_case("thresholds")
    predictions = one.scorer.prediction(one.margins, one.scorer.probability(one.margins))
    small = judges._confusion(predictions, one.rows, weighted=True)
    monkeypatch.setattr(judges, "MOST_PAIRS", 1)
    large = judges._confusion(predictions, one.rows, weighted=True)
    for name in ("label", "prediction", "weight"):
        assert_array_equal(getattr(large, name), getattr(small, name))
    assert small.rows == large.rows == 300
    assert_array_equal(small.labels, [0, 2])


@pytest.mark.usefixtures("spark")
def test_no_judge_computes_probabilities_in_vain(monkeypatch: Any) -> None:
    monkeypatch.setattr(Scorer, "probability", None)
    for kind, metric in [
        (BINARY, "areaUnderPR"),
        (MULTICLASS, "f1"),
        (MULTICLASS, "accuracy"),
    ]:
        made_case("two classes").judged(kind(metricName=metric))
    with pytest.raises(TypeError):
        made_case("two classes").judged(MULTICLASS(metricName="logLoss"))


@pytest.mark.usefixtures("spark")
def test_weights_that_are_all_one_need_not_be_given() -> None:
    one = made_case("two classes")
    ones = replace(one, rows=HeldOut(one.rows.labels, np.ones(len(one.rows.labels))))
    none = replace(one, rows=HeldOut(one.rows.labels, None))
    for metric in ("f1", "hammingLoss", "logLoss"):
        evaluator = one.evaluator(MULTICLASS, metricName=metric)
        assert_allclose(none.judged(evaluator), ones.judged(evaluator), rtol=1e-14)
        assert one.judged(evaluator) != ones.judged(evaluator)
    evaluator = one.evaluator(BINARY)
    assert none.judged(evaluator) == ones.judged(evaluator) != one.judged(evaluator)


def test_areas_of_scores_of_three_classes_fail_there_and_here(three: Any) -> None:
    model = made_model(np.eye(3), np.zeros(3))
    predicted = model.transform(three)
    labels = np.array([row.label for row in three.select("label").collect()])
    margins = dense(predicted, "rawPrediction")
    one = Case(model._scorer, margins, HeldOut(labels, None), weighted=False)
    for column in ("rawPrediction", "probability"):
        evaluator = BINARY(rawPredictionCol=column)
        with pytest.raises(IllegalArgumentException, match="must have length=2, but got 3"):
            evaluator.evaluate(predicted)
        with pytest.raises(ValueError, match="2 classes, but the model has 3"):
            one.judged(evaluator)
    evaluator = BINARY(rawPredictionCol="prediction")
    assert_allclose(one.judged(evaluator), evaluator.evaluate(predicted), rtol=1e-12)


def test_no_rows_are_an_error_where_they_are_to_spark(frame: Any) -> None:
    one = case(np.zeros(0), np.zeros((0, 1)))
    frame = frame.where("label > 5")
    for kind, metric in [
        (BINARY, "areaUnderROC"),
        (MULTICLASS, "accuracy"),
        (MULTICLASS, "hammingLoss"),
        (MULTICLASS, "f1"),
    ]:
        evaluator = one.evaluator(kind, metricName=metric)
        assert_allclose(one.judged(evaluator), evaluator.evaluate(frame))
    for kind, metric in [
        (BINARY, "areaUnderPR"),
        (MULTICLASS, "logLoss"),
    ]:
        evaluator = one.evaluator(kind, metricName=metric)
        with pytest.raises(UnsupportedOperationException, match="empty collection"):
            evaluator.evaluate(frame)
        with pytest.raises(ValueError, match=f"no rows to evaluate, but {metric}"):
            one.judged(evaluator)


class Derived(BinaryClassificationEvaluator):
    """It might evaluate in its own way."""


UNNAMED = {"rawPredictionCol": "", "probabilityCol": "", "predictionCol": ""}


@pytest.mark.parametrize(
    ("kind", "asked", "params"),
    [
        (Derived, {}, {}),
        (RankingEvaluator, {}, {}),
        (BINARY, {"labelCol": "y"}, {}),
        (BINARY, {"rawPredictionCol": "score"}, {}),
        (BINARY, {"rawPredictionCol": ""}, UNNAMED),
        (BINARY, {}, {"rawPredictionCol": "raw"}),
        (BINARY, {"weightCol": "weight"}, {}),
        (BINARY, {"weightCol": "w"}, {"weightCol": "weight"}),
        (BINARY, {"weightCol": ""}, {}),
        (BINARY, {"metricName": "areaUnderCurve"}, {}),
        (BINARY, {"numBins": -1}, {}),
        (MULTICLASS, {}, {"labelCol": "y"}),
        (MULTICLASS, {"predictionCol": "rawPrediction"}, {}),
        (MULTICLASS, {"predictionCol": ""}, UNNAMED),
        (MULTICLASS, {"metricName": "logLoss"}, {"probabilityCol": "p"}),
        (MULTICLASS, {"metricName": "logLoss", "probabilityCol": ""}, {"probabilityCol": ""}),
        (MULTICLASS, {"metricName": "logLoss", "predictionCol": "p"}, {}),
        (MULTICLASS, {"weightCol": "w"}, {"weightCol": "weight"}),
        (MULTICLASS, {"metricName": "F1"}, {}),
        (MULTICLASS, {"metricLabel": -1.0}, {}),
        (MULTICLASS, {"beta": 0.0}, {}),
        (MULTICLASS, {"eps": 0.5}, {}),
    ],
)
@pytest.mark.usefixtures("spark")
def test_only_the_evaluator_can_tell(
    kind: Any, asked: dict[str, Any], params: dict[str, Any]
) -> None:
    assert array_evaluator(kind(**asked), LogisticRegressionEstimator(**params)) is None


@pytest.mark.parametrize(
    ("asked", "given", "weighted"),
    [
        (None, None, False),
        (None, "w", False),
        ("", "w", False),
        ("", None, False),
        ("w", "w", True),
    ],
)
@pytest.mark.usefixtures("spark")
def test_weights_count_if_the_evaluator_asks(
    asked: str | None, given: str | None, weighted: bool
) -> None:
    params = LogisticRegressionEstimator(weightCol=given)
    evaluator = MULTICLASS() if asked is None else MULTICLASS(weightCol=asked)
    judge: Any = array_evaluator(evaluator, params)
    assert judge.weighted is weighted


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"metricName": "F1"}, "metricName"),
        ({"metricLabel": -1.0}, "metricLabel"),
        ({"beta": 0.0}, "beta"),
        ({"eps": 0.5}, "eps"),
    ],
)
def test_spark_refuses_params_out_of_range(frame: Any, asked: dict[str, Any], refused: str) -> None:
    """Even those that accuracy has no use for: so there is no judge that would be silent."""
    with pytest.raises(IllegalArgumentException, match=refused):
        MULTICLASS(**{"metricName": "accuracy", **asked}).evaluate(frame)


def test_spark_refuses_an_empty_name_of_weights_of_two_classes(frame: Any) -> None:
    one = made_case("two classes")
    with pytest.raises(IllegalArgumentException):
        BINARY(weightCol="").evaluate(frame)
    evaluator = MULTICLASS(weightCol="")
    assert_allclose(one.judged(evaluator), evaluator.evaluate(frame), rtol=1e-12)


@pytest.mark.usefixtures("spark")
def test_columns_may_have_other_names() -> None:
    names = {"rawPredictionCol": "r", "probabilityCol": "p", "predictionCol": "q"}
    params = LogisticRegressionEstimator(labelCol="y", **names)
    for score, name in zip(("rawPrediction", "probability", "prediction"), "rpq", strict=True):
        judge: Any = array_evaluator(BINARY(labelCol="y", rawPredictionCol=name), params)
        assert judge.score == f"{score}Col"
    evaluator = MULTICLASS(labelCol="y", predictionCol="q", probabilityCol="p")
    assert array_evaluator(evaluator.setMetricName("logLoss"), params) is not None


def test_points_of_a_curve_end_with_the_last_row_of_a_score() -> None:
    scores = np.array([np.nan, np.nan, 3.0, 2.0, 2.0, 1.0, 0.0])
    assert_array_equal(judges._ends(scores, 0), [1, 2, 4, 5, 6])
    assert_array_equal(judges._ends(scores, 3), [1, 2, 4, 5, 6])
    assert_array_equal(judges._ends(scores, 2), [2, 5, 6])
    assert_array_equal(judges._ends(scores, 1), [6])
    assert_array_equal(judges._ends(scores[:0], 2), [])
