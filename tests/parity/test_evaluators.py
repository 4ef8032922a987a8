"""Judges against the evaluators of Spark that they stand for, whose numbers are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from py4j.protocol import Py4JJavaError

from tests.parity.held_out import (
    MULTICLASS,
    QUESTIONS,
    Case,
    Question,
    case,
    frame_of,
    made_case,
)
from tests.parity.make_evaluators import ask_spark, read_metrics

RECORD = read_metrics()
ASKED_LIVE = (
    "two classes, f1",
    "three classes, logLoss",
    "thresholds, fMeasureByLabel",
    "two classes, areaUnderPR, rawPrediction",
    "two margins, areaUnderROC, probability",
    "no numbers, areaUnderROC, rawPrediction",
    "many scores, areaUnderPR, 1000, in one piece",
)


def live(question: Question) -> Any:
    """A parameter: some are asked in every run, the others in `make test-all`."""
    marks = [] if str(question) in ASKED_LIVE else [pytest.mark.parity_full]
    return pytest.param(question, marks=marks, id=str(question))


@pytest.fixture(scope="module")
def frames(spark: Any) -> Iterator[Callable[[str], Any]]:
    """The columns that a model would make of a case in a frame, by the name of the case."""
    frame = cache(lambda name: made.setdefault(name, frame_of(spark, made_case(name))))
    made: dict[str, Any] = {}
    yield frame
    for one in made.values():
        one.unpersist()


def test_the_record_is_of_these_cases_and_questions() -> None:
    assert list(RECORD["metrics"]) == [str(question) for question in QUESTIONS]
    assert {name: made_case(name).digest for name in RECORD["digests"]} == RECORD["digests"]
    assert set(ASKED_LIVE) <= set(RECORD["metrics"])


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_metrics_are_those_of_spark(question: Question) -> None:
    ours = made_case(question.case).judged(question.evaluator())
    assert_allclose(ours, RECORD["metrics"][str(question)], rtol=question.rtol)


@pytest.mark.parametrize("question", [live(question) for question in QUESTIONS])
def test_the_record_is_what_spark_says(spark: Any, frames: Any, question: Question) -> None:
    theirs = ask_spark(spark, question, frames(question.case))
    assert_allclose(RECORD["metrics"][str(question)], theirs, rtol=question.rtol)


BY_LABEL = [
    "truePositiveRateByLabel", "falsePositiveRateByLabel", "precisionByLabel", "recallByLabel",
    "fMeasureByLabel",
]  # fmt: skip


def about_label_one(metric: str) -> tuple[Case, Any]:
    """A case that has no row of label 1, although it is predicted, and who asks for that label."""
    one = made_case("thresholds")
    return one, one.evaluator(MULTICLASS, metricName=metric, metricLabel=1.0)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("metric", BY_LABEL)
def test_a_label_that_does_not_occur_fails(metric: str) -> None:
    one, evaluator = about_label_one(metric)
    with pytest.raises(ValueError, match="metricLabel=1, but no row"):
        one.judged(evaluator)


@pytest.mark.parametrize(
    "metric",
    [BY_LABEL[0], *(pytest.param(name, marks=pytest.mark.parity_full) for name in BY_LABEL[1:])],
)
def test_a_label_that_does_not_occur_fails_in_spark(frames: Any, metric: str) -> None:
    _, evaluator = about_label_one(metric)
    with pytest.raises(Py4JJavaError, match="key not found"):
        evaluator.evaluate(frames("thresholds"))


def test_a_label_without_a_probability_fails_there_and_here(spark: Any) -> None:
    one = case(np.array([0, 1, 2]), np.zeros((3, 2)))
    evaluator = one.evaluator(MULTICLASS, metricName="logLoss")
    frame = frame_of(spark, one)
    with pytest.raises(Py4JJavaError, match="out of bounds"):
        evaluator.evaluate(frame)
    with pytest.raises(ValueError, match="label 2, but the model was fitted on labels below 2"):
        one.judged(evaluator)
    frame.unpersist()
