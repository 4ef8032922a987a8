"""Summaries: Spark's numbers from our own jobs, read lazily; printing is in `display`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml import classification as spark_classes
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.sql import functions as F

from sparklr import LogisticRegressionModel
from sparklr.scoring import aggregates as tallies
from sparklr.summary import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
    LogisticRegressionSummary,
    LogisticRegressionTrainingSummary,
)
from tests.frames import jobs_started
from tests.made_models import made_model, made_report, training

pytestmark = pytest.mark.connect

CONFUSION = (
    "labels", "truePositiveRateByLabel", "falsePositiveRateByLabel", "precisionByLabel",
    "recallByLabel", "accuracy", "weightedTruePositiveRate", "weightedFalsePositiveRate",
    "weightedRecall", "weightedPrecision",
)  # fmt: skip
CURVES = ("roc", "pr", "fMeasureByThreshold", "precisionByThreshold", "recallByThreshold")


def ours(model: Any) -> LogisticRegressionModel:
    """The same model as one of ours."""
    many = model.coefficientMatrix.numRows > 1
    copy = LogisticRegressionModel(
        model.coefficientMatrix, model.interceptVector, model.numClasses, many
    )
    for param in model.params:
        if model.isSet(param):
            copy._set(**{param.name: model.getOrDefault(param)})
    return copy


@pytest.fixture(scope="module")
def binary(two: Any) -> Any:
    return spark_classes.LogisticRegression(regParam=0.1, weightCol="weight").fit(two)


@pytest.fixture(scope="module")
def ternary(three: Any) -> Any:
    return spark_classes.LogisticRegression(regParam=0.1, weightCol="weight").fit(three)


def assert_same_measures(mine: Any, theirs: Any) -> None:
    for name in CONFUSION:
        assert_allclose(getattr(mine, name), getattr(theirs, name), rtol=1e-9, err_msg=name)
    for beta in (1.0, 0.5):
        assert_allclose(mine.fMeasureByLabel(beta), theirs.fMeasureByLabel(beta), rtol=1e-9)
        assert_allclose(mine.weightedFMeasure(beta), theirs.weightedFMeasure(beta), rtol=1e-9)
    assert_array_equal(mine.fMeasureByLabel(), mine.fMeasureByLabel(1.0))
    assert_array_equal(mine.weightedFMeasure(), mine.weightedFMeasure(1.0))


def assert_same_curves(mine: Any, theirs: Any) -> None:
    assert_allclose(mine.areaUnderROC, theirs.areaUnderROC, rtol=1e-9)
    for name, curve in (("roc", mine._curve.roc), ("pr", mine._curve.pr)):
        spark_curve = np.array(getattr(theirs, name).collect())
        assert_allclose(np.column_stack(curve), spark_curve, rtol=1e-9, err_msg=name)


def as_it_is(frame: Any) -> Any:
    return frame


def tied(frame: Any) -> Any:
    """Every row also with the next label: each score has rows of both kinds."""
    return frame.union(frame.withColumn("label", (F.col("label") + 1) % 2).limit(50))


DATA: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "weighted": (as_it_is, {}),
    "no weight column, integer labels": (
        lambda frame: frame.drop("weight").withColumn("label", F.col("label").cast("int")), {}),
    "a class missing": (lambda frame: frame.where("label > 0"), {}),
    "weights that are zero for a class": (
        lambda frame: frame.withColumn("weight", F.col("label")), {}),
    "a label never predicted": (
        lambda frame: frame.withColumn("label", F.col("label") + (F.col("weight") > 2).cast("int")),
        {}),
}  # fmt: skip
BINARY = {
    **DATA,
    "tied scores": (tied, {}),
    "no rows of the positive class": (lambda frame: frame.where("label = 0"), {}),
    "a threshold, no names of output columns": (as_it_is, {
        "threshold": 0.7, "probabilityCol": "", "predictionCol": "", "rawPredictionCol": ""}),
}  # fmt: skip
TERNARY = {**DATA, "thresholds": (as_it_is, {"thresholds": [0.5, 0.2, 0.6]})}


def marked(cases: dict[str, Any], *telling: str) -> list[Any]:
    """All cases, of which `make test` runs the telling ones.

    On Spark Connect Spark's own summaries know nothing of Params that were set after the fit.
    """
    return [
        pytest.param(
            case,
            marks=[
                *([pytest.mark.classic] if params else []),
                *([] if case in telling else [pytest.mark.deep]),
            ],
        )
        for case, (_, params) in cases.items()
    ]


@pytest.mark.parametrize(
    "case",
    marked(
        BINARY,
        "a label never predicted",
        "no rows of the positive class",
        "a threshold, no names of output columns",
    ),
)
def test_a_binary_model_evaluates_to_the_numbers_of_spark(case: str, two: Any, binary: Any) -> None:
    change, params = BINARY[case]
    model, frame = binary.copy({binary.getParam(k): v for k, v in params.items()}), change(two)
    mine = BinaryLogisticRegressionSummary(ours(model), frame)
    theirs = model.evaluate(frame)
    assert_same_measures(mine, theirs)
    assert_same_curves(mine, theirs)


@pytest.mark.connect_slice
@pytest.mark.parametrize("case", ["weighted", "tied scores"])
def test_curves_are_frames_as_in_spark(case: str, two: Any, binary: Any) -> None:
    frame = BINARY[case][0](two)
    mine, theirs = BinaryLogisticRegressionSummary(ours(binary), frame), binary.evaluate(frame)
    for name in CURVES:
        one, other = getattr(mine, name), getattr(theirs, name)
        assert one.schema == other.schema, name
        assert_allclose(np.array(one.collect()), np.array(other.collect()), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    "case",
    marked(TERNARY, "no weight column, integer labels", "weights that are zero for a class"),
)
def test_a_multinomial_model_evaluates_to_the_numbers_of_spark(
    case: str, three: Any, ternary: Any
) -> None:
    change, params = TERNARY[case]
    model, frame = ternary.copy({ternary.getParam(k): v for k, v in params.items()}), change(three)
    mine = LogisticRegressionSummary(ours(model), frame)
    assert_same_measures(mine, model.evaluate(frame))


@pytest.mark.connect_slice
def test_columns_and_their_names_are_those_of_spark(two: Any, binary: Any) -> None:
    theirs, mine = binary.evaluate(two), BinaryLogisticRegressionSummary(ours(binary), two)
    for name in ("predictionCol", "labelCol", "featuresCol", "probabilityCol", "scoreCol"):
        assert getattr(mine, name) == getattr(theirs, name)
    assert mine.predictions.columns == theirs.predictions.columns
    assert mine.weightCol == theirs.weightCol == "weight"
    unset = made_model()
    assert BinaryLogisticRegressionSummary(unset, two).weightCol == "weightCol"


def test_every_member_of_sparks_classes_is_here_in_the_same_shape() -> None:
    for ours_, name in (
        (LogisticRegressionSummary, "LogisticRegressionSummary"),
        (LogisticRegressionTrainingSummary, "LogisticRegressionTrainingSummary"),
        (BinaryLogisticRegressionSummary, "BinaryLogisticRegressionSummary"),
        (BinaryLogisticRegressionTrainingSummary, "BinaryLogisticRegressionTrainingSummary"),
    ):
        theirs = getattr(spark_classes, name)
        for member in (one for one in dir(theirs) if not one.startswith("_")):
            assert callable(getattr(theirs, member)) == callable(getattr(ours_, member)), member
        bases = {base.__name__ for base in theirs.__mro__}
        inherited = {base.__name__ for base in ours_.__mro__} - {
            "object",
            "CoefficientInference",
            "FitDiagnostics",
            "FitFacts",
            "FitMeasures",
            "ScoreInference",
            "TableOfFit",
        }
        assert inherited <= bases


def test_measures_are_plain_floats_and_lists_as_in_spark(two: Any, binary: Any) -> None:
    mine = BinaryLogisticRegressionSummary(ours(binary), two)
    for value in (
        mine.accuracy,
        mine.weightedPrecision,
        mine.weightedFMeasure(),
        mine.areaUnderROC,
    ):
        assert type(value) is float
    for values in (mine.labels, mine.precisionByLabel, mine.fMeasureByLabel()):
        assert type(values) is list
        assert {type(value) for value in values} == {float}


@pytest.mark.connect_slice
def test_the_areas_are_exact_where_spark_bins(spark: Any, binary: Any) -> None:
    """Above 2,000 distinct scores Spark merges neighbours; its evaluator can be told not to."""
    random = np.random.default_rng(2)
    draws = random.normal(size=(3000, 3))
    rows = [(Vectors.dense(x), float(x[0] + random.normal() > 0), 1.0) for x in draws]
    frame = spark.createDataFrame(rows, ["features", "label", "weight"]).coalesce(1)
    mine = BinaryLogisticRegressionSummary(ours(binary), frame)
    exact = BinaryClassificationEvaluator(numBins=0)
    assert_allclose(mine.areaUnderROC, exact.evaluate(mine.predictions), rtol=1e-12)
    precise = exact.setMetricName("areaUnderPR").evaluate(mine.predictions)
    assert_allclose(mine.areaUnderPR, precise, rtol=1e-12)
    assert mine.recallByThreshold.count() == 3000


def test_very_many_scores_are_rounded_on_the_log_odds_scale(
    two: Any, binary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, fine, coarse = (BinaryLogisticRegressionSummary(ours(binary), two) for _ in range(3))
    every = exact.precisionByThreshold.collect()
    monkeypatch.setattr(tallies, "MOST_SCORES", len(every) - 1)
    assert fine.precisionByThreshold.collect() == every  # no two share a step of 2^-15
    monkeypatch.setattr(tallies, "LOG_ODDS_STEP", 0.25)
    some = coarse.precisionByThreshold.collect()
    assert set(some) < set(every), "fewer points, each of them as before"
    assert 5 < len(some) < 60
    assert 0 < abs(coarse.areaUnderROC - exact.areaUnderROC) < 0.02


def test_rounding_bounds_the_number_of_steps_for_any_score(spark: Any) -> None:
    scores = [0.0, 5e-324, 1e-300, 1e-28, 0.5, 0.5 + 1e-9, 1 - 2.0**-53, 1.0, float("nan")]
    frame = spark.createDataFrame([(score,) for score in scores], "score double").coalesce(1)
    steps = [row[0] for row in frame.select(tallies._log_odds_step(F.col("score"))).collect()]
    assert steps[0] == steps[2] == -64 * 2**15
    assert steps[4] == steps[5] == 0
    assert steps[6] == steps[7] == steps[8]
    assert steps[7] - steps[0] < tallies.MOST_SCORES
    assert steps == sorted(steps)


def test_a_multinomial_model_of_one_class_has_curves(two: Any) -> None:
    matrix = DenseMatrix(1, 3, [0.0] * 3)
    model = LogisticRegressionModel(matrix, Vectors.sparse(1, {0: np.inf}), 1, True)
    mine = BinaryLogisticRegressionSummary(model, two)
    assert mine.areaUnderROC == 0.5
    assert mine.recallByThreshold.collect() == [(0.0, 1.0)]


def jobs(spark: Any, action: Callable[[], Any]) -> int:
    """How many jobs an action runs, its own stages reused or not."""
    before = jobs_started(spark)
    action()
    return jobs_started(spark) - before


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.classic
def test_nothing_is_computed_before_it_is_read_and_then_once(
    spark: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    transform = LogisticRegressionModel.transform

    def counted(self: Any, dataset: Any, params: Any = None) -> Any:
        calls.append(dataset)
        return transform(self, dataset, params)

    monkeypatch.setattr(LogisticRegressionModel, "transform", counted)
    model = made_model(weightCol="weight")
    mine = BinaryLogisticRegressionTrainingSummary(model, two, made_report(model))
    assert (str(mine), mine.objectiveHistory, mine.totalIterations) != ()
    assert calls == []
    assert jobs(spark, lambda: mine.accuracy) > 0
    rest = [partial(getattr, mine, name) for name in CONFUSION]
    assert jobs(spark, lambda: [read() for read in rest]) == 0
    assert jobs(spark, lambda: mine.areaUnderROC) > 0
    assert jobs(spark, lambda: (mine.areaUnderPR, mine._curve.roc)) == 0
    assert len(calls) == 1


def test_a_threshold_set_later_does_not_change_a_summary(two: Any) -> None:
    model = made_model()
    mine = BinaryLogisticRegressionSummary(model, two)
    model.setThreshold(1.0)
    other = BinaryLogisticRegressionSummary(made_model(), two)
    assert mine.weightedFalsePositiveRate == other.weightedFalsePositiveRate


def test_a_training_summary_tells_what_the_report_says() -> None:
    mine = training(made_model(), history=(0.9, 0.4, 0.3), converged=False, reason="stopped: early")
    assert mine.objectiveHistory == [0.9, 0.4, 0.3]
    assert mine.totalIterations == 2
    assert (mine.solver, mine.stopReason) == ("newton", "stopped: early")
    assert (mine.converged, mine.passes) == (False, 3)
    assert mine.deviance == 2 * 3.0 * 0.5
    assert_allclose(mine.nullDeviance, -2 * (np.log(1 / 3) + 2 * np.log(2 / 3)))
    assert_allclose(training(made_model(fitIntercept=False)).nullDeviance, 2 * 3 * np.log(2))
