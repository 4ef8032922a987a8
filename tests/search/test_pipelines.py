"""Searches over Pipelines that end in our estimator, and what is left to Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml import tuning as spark_tuning
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import Bucketizer, SQLTransformer, StandardScaler, VectorAssembler

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.tuning import CrossValidator
from tests.search.by_hand import Table, assert_metrics, by_hand, fitted, table_of, taken
from tests.search.searches import (
    TIGHT,
    all_differ,
    area,
    assert_alike,
    assert_same_fit,
    maps_of,
    measure,
    packings,
    searched,
)
from tests.search.stages import Few, Shift, assembled, assembler, plain, shifted, standardized
from tests.tiers import first_and_deep

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.deep
def test_a_pipeline_has_sparks_metrics(two: Any) -> None:
    settings = [{"regParam": 0.2, "elasticNetParam": 0.8}, {"regParam": 0.01}]
    scaler = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
    found = []
    for kind, last in (
        (CrossValidator, LogisticRegressionEstimator(**TIGHT)),
        (spark_tuning.CrossValidator, LogisticRegression(**TIGHT)),
    ):
        pipeline = Pipeline(stages=[assembler(), scaler, last])
        found.append(searched(kind, pipeline, maps_of(last, settings), area(), plain(two)))
    ours, theirs = found
    assert_alike(ours, theirs)
    assert isinstance(ours.bestModel, PipelineModel)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-4)


def test_stages_before_are_fitted_once_a_fold_and_setting(
    two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shift, "fits", [])
    shift, last = Shift(), LogisticRegressionEstimator(**TIGHT, featuresCol="raw")
    pipeline = Pipeline(stages=[shift, assembler(), last])
    maps: list[dict[Any, Any]] = [
        {shift.amount: amount, last.regParam: penalty, last.fitIntercept: False}
        for penalty in (0.3, 0.02)
        for amount in (0.0, 3.0)
    ]
    what = CrossValidator, pipeline, maps, area(), plain(two)
    found = searched(*what, collectSubModels=True)
    # Two folds of two settings, and the best on all rows.
    assert sorted(Shift.fits[:-1]) == [0.0, 0.0, 3.0, 3.0]
    assert Shift.fits[-1] == maps[int(np.argmax(found.avgMetrics))][shift.amount]

    def before(extra: Mapping[Any, Any], train: Table) -> Callable[[Table], Table]:
        by = extra[shift.amount] * train["x0"].mean()
        return lambda table: assembled(shifted(table, by))

    expected = by_hand(*what, before=before)
    assert_metrics(found, expected)
    assert len(set(np.round(found.avgMetrics, 9))) > 2
    for (fold, at), scorer in expected.scorers.items():
        model = found.subModels[fold][at]
        by = maps[at][shift.amount] * expected.train[fold]["x0"].mean()
        assert model.stages[0].by == pytest.approx(by)
        assert_same_fit(model, scorer, 1e-5)
    assert found.subModels[1][1].stages[-1].summary.accuracy > 0.5
    assert found.bestModel.transform(plain(two)).where("prediction is null").count() == 0


def test_params_of_sparks_own_stages(two: Any) -> None:
    scaler = StandardScaler(inputCol="raw", outputCol="features")
    buckets = Bucketizer(inputCol="x0", outputCol="b0", handleInvalid="skip")
    columns = ["b0", "x1", "x2"]
    last = LogisticRegressionEstimator(**TIGHT, fitIntercept=False)
    pipeline = Pipeline(
        stages=[buckets, VectorAssembler(inputCols=columns, outputCol="raw"), scaler, last]
    )
    thirds = [-9.0, -0.4, 0.4, 9.0]
    maps: list[dict[Any, Any]] = [
        {scaler.withMean: True, buckets.splits: thirds, last.regParam: 0.1},
        {scaler.withMean: False, buckets.splits: thirds, last.regParam: 0.1},
        {scaler.withMean: False, buckets.splits: [-9.0, 0.0, 9.0], last.regParam: 0.1},
        {scaler.withMean: False, buckets.splits: thirds, last.threshold: 0.8},
    ]
    what = CrossValidator, pipeline, maps, measure("accuracy"), plain(two)
    with packings() as packed:
        found = searched(*what)
    # Without an intercept, features that a fold's scaler centres cannot do without it.
    assert len(packed) == 2 + 1 + 1

    def before(extra: Mapping[Any, Any], train: Table) -> Callable[[Table], Table]:
        def raw(table: Table) -> Table:
            split = np.digitize(table["x0"], extra[buckets.splits][1:-1])
            return {**table, "raw": np.column_stack([split, table["x1"], table["x2"]])}

        scale = standardized(raw(train), withMean=extra[scaler.withMean])
        return lambda table: scale(raw(table))

    assert_metrics(found, by_hand(*what, before=before))
    assert len(set(np.round(found.avgMetrics, 9))) > 2
    rows, best = table_of(plain(two)), maps[int(np.argmax(found.avgMetrics))]
    assert_same_fit(found.bestModel, fitted(last.copy(best), before(best, rows)(rows)))


SOME = {
    "rows": "SELECT * FROM __THIS__ WHERE x0 > -0.5",
    "columns": "SELECT features, label FROM __THIS__ WHERE x0 > -0.5",
}
STATEMENTS = {
    **SOME,
    "windows": (
        "SELECT label, array(x0 - 3 * max(x0) OVER (), x1) AS features FROM __THIS__ WHERE x1 < 9"
    ),
}


def some(table: Table) -> Table:
    return taken(table, table["x0"] > -0.5)


def in_windows(table: Table) -> Table:
    table = taken(table, table["x1"] < 9)
    moved = table["x0"] - 3 * table["x0"].max()
    return {**table, "features": np.column_stack([moved, table["x1"]])}


@pytest.mark.parametrize("kind", first_and_deep(["windows", "of the user", *SOME], first=2))
def test_stages_that_look_at_several_rows_or_drop_some(two: Any, kind: str) -> None:
    stage = SQLTransformer(statement=STATEMENTS[kind]) if kind in STATEMENTS else Few()
    stages = in_windows if kind == "windows" else some
    last = LogisticRegressionEstimator(**TIGHT, fitIntercept=False)
    maps = maps_of(last, [{"regParam": 0.1}, {"regParam": 0.01}])
    what = CrossValidator, Pipeline(stages=[stage, last]), maps, area(), two
    found = searched(*what)
    assert_metrics(found, by_hand(*what, before=lambda _, __: stages))
    best = last.copy(maps[int(np.argmax(found.avgMetrics))])
    assert_same_fit(found.bestModel, fitted(best, stages(table_of(two))))


# What is left to Spark


@pytest.fixture
def by_spark(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The frames of the searches that Spark makes from now on."""
    seen: list[Any] = []
    fit = spark_tuning.CrossValidator._fit

    def counted(self: Any, dataset: Any) -> Any:
        seen.append(dataset)
        return fit(self, dataset)

    monkeypatch.setattr(spark_tuning.CrossValidator, "_fit", counted)
    return seen


def test_what_ends_in_another_estimator_is_left_to_spark(two: Any, by_spark: list[Any]) -> None:
    other = LogisticRegression(maxIter=2, featuresCol="raw")
    pipeline = Pipeline(stages=[assembler(), other])
    found = searched(CrossValidator, pipeline, maps_of(other, [{"regParam": 0.1}]), area(), two)
    assert by_spark == [two]
    assert 0.5 < found.avgMetrics[0] < 1.0
    assert type(found.bestModel.stages[-1]).__name__ == "LogisticRegressionModel"
    assert not isinstance(found.bestModel.stages[-1], LogisticRegressionModel)


def test_maps_of_stages_themselves_are_left_to_spark(two: Any, by_spark: list[Any]) -> None:
    few, last = Few(), LogisticRegressionEstimator()
    pipeline = Pipeline(stages=[last])
    maps = [{pipeline.stages: [last]}, {pipeline.stages: [few, last]}]
    found = searched(CrossValidator, pipeline, maps, area(), two)
    assert by_spark == [two]
    assert all_differ(found.avgMetrics)
