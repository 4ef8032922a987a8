"""Judges against the evaluators of Spark that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from py4j.protocol import Py4JJavaError
from pyspark.errors import IllegalArgumentException, UnsupportedOperationException
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    MulticlassClassificationEvaluator,
    RankingEvaluator,
)
from pyspark.ml.linalg import Vectors
from scipy.special import expit

from sparklr import LogisticRegressionEstimator
from sparklr.arrays import Array
from sparklr.objective.families import family_of_flag
from sparklr.scoring import evaluators as judges
from sparklr.scoring.evaluators import HeldOut, array_evaluator
from sparklr.scoring.scorer import Scorer
from tests.frames import dense
from tests.made_models import made_model

METRICS = [
    "f1", "accuracy", "weightedPrecision", "weightedRecall", "weightedTruePositiveRate",
    "weightedFalsePositiveRate", "weightedFMeasure", "truePositiveRateByLabel",
    "falsePositiveRateByLabel", "precisionByLabel", "recallByLabel", "fMeasureByLabel",
    "logLoss", "hammingLoss",
]  # fmt: skip
BINARY, MULTICLASS = BinaryClassificationEvaluator, MulticlassClassificationEvaluator
AREAS = ["areaUnderROC", "areaUnderPR"]
COLUMNS = ["rawPrediction", "probability", "prediction", "label", "weight"]


@dataclass(frozen=True, eq=False)
class Case:
    """Margins of a model on held-out rows; `weighted` says whether metrics count weights."""

    scorer: Scorer
    margins: Array
    rows: HeldOut
    weighted: bool

    def judged(self, evaluator: Any) -> float:
        judge = array_evaluator(evaluator, LogisticRegressionEstimator(weightCol="weight"))
        assert judge is not None
        return judge.metric(self.scorer, self.margins, self.rows)

    def evaluator(self, kind: Any, **params: Any) -> Any:
        return kind(**params, **({"weightCol": "weight"} if self.weighted else {}))


def case(
    labels: Array, margins: Array, *, weighted: bool = True, digits: int = 1, **decide: Any
) -> Case:
    """Of margins that are rounded, so that scores tie, and weights of which some are zero."""
    family = family_of_flag(margins.shape[1] > 1)
    shape = (margins.shape[1], 1)
    scorer = Scorer(np.zeros(shape), np.zeros(shape[0]), family, **decide)
    weights = np.random.default_rng(5).integers(0, 5, len(labels)) / 2
    rows = HeldOut(labels.astype(np.float64), weights)
    return Case(scorer, np.round(margins, digits), rows, weighted)


def frame_of(spark: Any, case: Case) -> Any:
    """What the model would add to a frame of these rows."""
    margins, scorer = case.margins, case.scorer
    raw = scorer.family.raw(margins)
    probability = scorer.probability(raw)
    prediction = scorer.prediction(raw, probability)
    rows = [
        (Vectors.dense(values), Vectors.dense(shares), *(float(number) for number in numbers))
        for values, shares, *numbers in zip(
            raw, probability, prediction, case.rows.labels, case.rows.weights, strict=True
        )
    ]
    return spark.createDataFrame(rows, COLUMNS).coalesce(1).cache()


def made_case(name: str) -> Case:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 300)
    margins = random.normal(size=(300, 3)) + np.eye(3)[labels]
    binary = labels % 2
    if name == "two classes":
        return case(binary, margins[:, :1] + binary[:, None], thresholds=(0.6,))
    if name == "two margins":
        return case(binary, margins[:, :2], weighted=False, thresholds=(0.4, 0.6))
    if name == "three classes":
        return case(labels, margins)
    if name == "thresholds":  # no row has label 1, and none is predicted to have label 2
        return case(labels // 2 * 2, margins, weighted=False, thresholds=(0.5, 0.2, 1e6))
    if name == "no positives":
        return case(0 * labels, margins[:, :1])
    if name == "no negatives":
        return case(0 * labels + 1, margins[:, :1], weighted=False)
    assert name == "many scores"
    margins = random.normal(size=(3001, 1))
    return case(random.random(3001) < expit(margins[:, 0]), margins, digits=9)


@pytest.fixture(scope="module")
def held_out(spark: Any) -> Iterator[Callable[[str], tuple[Case, Any]]]:
    """Cases by name, each with the columns a model would make of it in a frame."""

    @cache
    def made(name: str) -> tuple[Case, Any]:
        one = made_case(name)
        names.append(name)
        return one, frame_of(spark, one)

    names: list[str] = []
    yield made
    for name in names:
        made(name)[1].unpersist()


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        *product(("two classes", "three classes", "thresholds"), METRICS),
        ("no positives", "f1"),
        ("no positives", "weightedFalsePositiveRate"),
        ("no positives", "falsePositiveRateByLabel"),
    ],
)
def test_multiclass_metrics_are_those_of_spark(held_out: Any, name: str, metric: str) -> None:
    one, frame = held_out(name)
    params = {"beta": 2.0, "eps": 0.05, "metricLabel": float(one.rows.labels.max())}
    evaluator = one.evaluator(MULTICLASS, metricName=metric, **params)
    assert_allclose(one.judged(evaluator), evaluator.evaluate(frame), rtol=1e-12)


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("two classes", "rawPrediction"),
        ("two classes", "probability"),
        ("two classes", "prediction"),
        ("two margins", "rawPrediction"),
        ("two margins", "probability"),
        ("three classes", "prediction"),
        ("no positives", "rawPrediction"),
        ("no negatives", "rawPrediction"),
    ],
)
def test_areas_are_those_of_spark(held_out: Any, name: str, column: str, area: str) -> None:
    one, frame = held_out(name)
    evaluator = one.evaluator(BINARY, metricName=area, rawPredictionCol=column)
    assert_allclose(one.judged(evaluator), evaluator.evaluate(frame), rtol=1e-12)


@pytest.fixture
def one_partition(spark: Any) -> Iterator[None]:
    """Spark's evaluators sort in one piece, so that points of the curve merge as ours do."""
    settings = spark.sparkContext._jsc.sc().conf()
    before = settings.get("spark.default.parallelism")
    settings.set("spark.default.parallelism", "1")
    yield
    settings.set("spark.default.parallelism", before)


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("bins", [0, 1000])
@pytest.mark.usefixtures("one_partition")
def test_many_scores_merge_to_points(held_out: Any, area: str, bins: int) -> None:
    one, frame = held_out("many scores")
    evaluator = one.evaluator(BINARY, metricName=area, numBins=bins)
    assert_allclose(one.judged(evaluator), evaluator.evaluate(frame), rtol=1e-12)


@pytest.mark.parametrize("area", AREAS)
def test_points_that_spark_merges_otherwise_hardly_matter(held_out: Any, area: str) -> None:
    """Spark's own number changes from run to run by about a tenth of what is allowed here."""
    one, frame = held_out("many scores")
    evaluator = one.evaluator(BINARY, metricName=area)
    assert_allclose(one.judged(evaluator), evaluator.evaluate(frame), rtol=3e-4)


@pytest.mark.parametrize("area", AREAS)
def test_scores_that_are_no_number_are_the_highest(spark: Any, area: str) -> None:
    margins = np.array([[np.nan, np.nan, np.inf, np.inf, 1.0, -np.inf, 0.5, np.nan]]).T
    one = case(np.array([1, 0, 1, 1, 0, 0, 1, 1]), margins, weighted=False)
    evaluator = one.evaluator(BINARY, metricName=area)
    frame = frame_of(spark, one)
    assert_allclose(one.judged(evaluator), evaluator.evaluate(frame), rtol=1e-12)
    frame.unpersist()


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


@pytest.mark.parametrize(
    "metric", ["truePositiveRateByLabel", "falsePositiveRateByLabel", "precisionByLabel",
               "recallByLabel", "fMeasureByLabel"],
)  # fmt: skip
def test_a_label_that_does_not_occur_fails_there_and_here(held_out: Any, metric: str) -> None:
    one, frame = held_out("thresholds")  # it has no row of label 1, although it is predicted
    evaluator = one.evaluator(MULTICLASS, metricName=metric, metricLabel=1.0)
    with pytest.raises(Py4JJavaError, match="key not found"):
        evaluator.evaluate(frame)
    with pytest.raises(ValueError, match="metricLabel=1, but no row"):
        one.judged(evaluator)


def test_a_label_without_a_probability_fails_there_and_here(spark: Any) -> None:
    one = case(np.array([0, 1, 2]), np.zeros((3, 2)))
    evaluator = one.evaluator(MULTICLASS, metricName="logLoss")
    frame = frame_of(spark, one)
    with pytest.raises(Py4JJavaError, match="out of bounds"):
        evaluator.evaluate(frame)
    with pytest.raises(ValueError, match="label 2, but the model was fitted on labels below 2"):
        one.judged(evaluator)
    frame.unpersist()


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


def test_no_rows_are_an_error_where_they_are_to_spark(spark: Any) -> None:
    one = case(np.zeros(0), np.zeros((0, 1)))
    frame = frame_of(spark, made_case("two classes")).where("label > 5")
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
        with pytest.raises(ValueError, match=f"no rows to evaluate, and {metric}"):
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
def test_spark_refuses_params_out_of_range(
    held_out: Any, asked: dict[str, Any], refused: str
) -> None:
    """Even those that accuracy has no use for: so there is no judge that would be silent."""
    _, frame = held_out("two classes")
    with pytest.raises(IllegalArgumentException, match=refused):
        MULTICLASS(**{"metricName": "accuracy", **asked}).evaluate(frame)


def test_spark_refuses_an_empty_name_of_weights_of_two_classes(held_out: Any) -> None:
    one, frame = held_out("two classes")
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
