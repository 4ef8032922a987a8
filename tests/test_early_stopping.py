"""Early stopping by a column of held-out rows, as a user meets it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, pack
from sparklr.tuning import CrossValidator, gradient_path
from tests.frames import jobs_started

pytestmark = pytest.mark.connect
NAMES = [f"x{j}" for j in range(8)]


def make_frame(spark: Any) -> Any:
    """Few rows and noise, so that the optimum fits the noise."""
    random = np.random.default_rng(3)
    matrix = random.normal(size=(90, 8))
    labels = (matrix[:, 0] + random.normal(size=90) > 0).astype(float)
    each = zip(matrix.tolist(), labels.tolist(), strict=True)
    rows = [
        (*x, y, 1.0 + at % 3, at % 3 == 0, at % 2, at % 3 == 0 and at % 2 == 1)
        for at, (x, y) in enumerate(each)
    ]
    return spark.createDataFrame(rows, [*NAMES, "label", "w", "held", "fold", "rare"])


def estimator(**params: Any) -> LogisticRegressionEstimator:
    given = {"validationIndicatorCol": "held", "patience": 3, **params}
    return LogisticRegressionEstimator(featuresCols=NAMES, **given)


@pytest.mark.usefixtures("nothing_left")
def test_the_summary_has_both_curves_and_measures_the_rows_of_the_fit(spark: Any) -> None:
    frame = make_frame(spark)
    model = estimator(weightCol="w").fit(frame)
    summary = model.summary
    held = summary.validationHistory
    assert len(held) == len(summary.objectiveHistory) == summary.totalIterations + 1
    assert summary.bestIteration == int(np.argmin(held)) < summary.totalIterations
    assert summary.stopReason.startswith("stopped early")
    assert summary.solver == "l-bfgs"
    assert summary.numInstances == 60
    judged = model.evaluate(frame.where("not held"))
    assert summary.areaUnderROC == pytest.approx(judged.areaUnderROC, rel=1e-12)
    table = model.transform(frame.where("held")).select("label", "w", "probability").collect()
    losses = [-np.log(row.probability[int(row.label)]) for row in table]
    loss = np.average(losses, weights=[row.w for row in table])
    assert loss == pytest.approx(min(held), rel=1e-9)
    text = str(summary)
    assert "NOT CONVERGED" not in text
    assert "30 more are held out" in text
    with pytest.raises(ValueError, match=r"held-out rows \('held'\) chose the iterate"):
        summary.pValues  # noqa: B018
    with pytest.raises(ValueError, match=r"held-out rows \('held'\) chose the iterate"):
        model.inference(frame)
    with pack(frame, featuresCols=NAMES, weightCol="w", validationIndicatorCol="held") as packed:
        assert packed.count == 60
        assert packed.sizeInMB == 90 * (8 + 2) * 8 / 2**20  # of all rows, with labels and weights
        again = estimator(weightCol="w").fit(packed)
    assert_allclose(again.coefficients.toArray(), model.coefficients.toArray(), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"inference": "always"}, "inference='always' does not go with validationIndicatorCol"),
        ({"posterior": "laplace", "regParam": 0.1}, "does not go with validationIndicatorCol"),
        ({"biasReduction": "firth"}, "does not go with validationIndicatorCol"),
        ({"validationIndicatorCol": ""}, "patience is for early stopping, which needs held-out"),
        ({"stepRule": "armijo"}, "stepRule is for solver='gd', but the solver is 'auto'"),
        ({"learningRate": 2.0, "solver": "bfgs"}, "learningRate is for solver='gd' or 'sgd', but"),
        (
            {"solver": "gd", "regParam": 0.1, "elasticNetParam": 0.5},
            "solver='gd' needs a smooth penalty.*'owl-qn'",
        ),
    ],
)
def test_what_needs_the_optimum_is_refused(spark: Any, change: Any, says: str) -> None:
    frame, jobs = make_frame(spark), jobs_started(spark)
    with pytest.raises(ValueError, match=says):
        estimator(**change).fit(frame)
    assert jobs_started(spark) == jobs


def test_held_out_rows_that_cannot_be_judged_are_refused(spark: Any) -> None:
    frame = make_frame(spark)
    with pytest.raises(ValueError, match=r"held out have the label 2, but .* up to 1"):
        gradient_path(
            frame.withColumn("label", F.when(frame.held, 2.0).otherwise(frame.label)),
            LogisticRegressionEstimator(featuresCols=NAMES, validationIndicatorCol="held"),
            points=1,
        )


def test_rows_of_one_kind_are_refused(spark: Any) -> None:
    frame = make_frame(spark)
    with pytest.raises(TypeError, match="validationIndicatorCol must be boolean"):
        estimator().fit(frame.withColumn("held", F.col("fold")))
    with pytest.raises(ValueError, match=r"'held' is true in every row .* no row is fitted"):
        estimator().fit(frame.withColumn("held", F.lit(True)))


@pytest.mark.deep
def test_a_search_stops_each_fit_by_the_held_out_rows_outside_its_fold(spark: Any) -> None:
    """The metric is of all rows of the fold, as with Spark's boosted trees."""
    frame = make_frame(spark)
    ours, evaluator = estimator(), BinaryClassificationEvaluator()
    grid = ParamGridBuilder().addGrid(ours.regParam, [0.0, 0.1]).build()
    search = CrossValidator(
        estimator=ours, estimatorParamMaps=grid, evaluator=evaluator, numFolds=2, foldCol="fold"
    )
    found = search.fit(frame)
    for at, values in enumerate(grid):
        metrics = []
        for fold in (0, 1):
            model = ours.fit(frame.where(F.col("fold") != fold), values)
            metrics.append(evaluator.evaluate(model.transform(frame.where(F.col("fold") == fold))))
        assert found.avgMetrics[at] == pytest.approx(np.mean(metrics), abs=1e-9)
    assert found.bestModel.summary.bestIteration is not None
    ours.setValidationIndicatorCol("rare")
    with pytest.raises(ValueError, match="'rare' is true in no row outside fold 1"):
        search.fit(frame)


@pytest.mark.deep
def test_a_pipeline_in_a_search_does_the_same(spark: Any) -> None:
    frame = make_frame(spark)
    ours = LogisticRegressionEstimator(validationIndicatorCol="held", patience=3)
    pipeline = Pipeline(stages=[VectorAssembler(inputCols=NAMES, outputCol="features"), ours])
    alone = pipeline.fit(frame).stages[-1]
    assert_allclose(
        alone.coefficients.toArray(), estimator().fit(frame).coefficients.toArray(), rtol=1e-9
    )
    grid = ParamGridBuilder().addGrid(ours.regParam, [0.0, 0.1]).build()
    search = CrossValidator(
        estimator=pipeline, estimatorParamMaps=grid, numFolds=2, foldCol="fold",
        evaluator=BinaryClassificationEvaluator(),
    )  # fmt: skip
    plain = estimator()
    inner = CrossValidator(
        estimator=plain, numFolds=2, foldCol="fold",
        estimatorParamMaps=ParamGridBuilder().addGrid(plain.regParam, [0.0, 0.1]).build(),
        evaluator=BinaryClassificationEvaluator(),
    )  # fmt: skip
    assert_allclose(search.fit(frame).avgMetrics, inner.fit(frame).avgMetrics, rtol=1e-9)
