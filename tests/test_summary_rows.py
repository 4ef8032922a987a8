"""Summaries: which rows count, with which weight, and under which names their columns are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from sparklr.summary import BinaryLogisticRegressionSummary
from tests.made_models import made_model

pytestmark = pytest.mark.connect


@pytest.mark.connect_slice
def test_rows_without_label_or_features_are_not_counted(spark: Any, two: Any) -> None:
    rows = [(Vectors.dense(1.0), 1.0), (Vectors.dense(-1.0), 0.0), (Vectors.dense(2.0), 0.0)]
    lacking = [(None, 1.0), (Vectors.dense(3.0), None), (Vectors.dense(4.0), float("nan"))]
    schema = two.select("features", "label").schema
    model = made_model(((1.0,),), (0.0,))
    whole, more = (
        BinaryLogisticRegressionSummary(model, spark.createDataFrame(given, schema).coalesce(1))
        for given in (rows, rows + lacking)
    )
    for mine in (whole, more):
        assert mine.labels == [0.0, 1.0]
        assert mine.accuracy == 2 / 3
        assert mine.areaUnderROC == 0.5
        assert mine.roc.collect() == whole.roc.collect()
        assert "rows            3\n" in str(mine)
    assert more.predictions.count() == 6


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), None])
def test_a_weight_that_is_none_is_refused(two: Any, weight: float | None) -> None:
    wrong = F.when(F.col("x0") > 1, F.lit(weight)).otherwise(F.col("weight"))
    mine = BinaryLogisticRegressionSummary(
        made_model(weightCol="weight"), two.withColumn("weight", wrong.cast("double"))
    )
    for read in (lambda: mine.accuracy, lambda: mine.areaUnderROC):
        with pytest.raises(ValueError, match="Column 'weight': some weights are null, NaN"):
            read()


def test_a_column_named_weightcol_is_no_weight_unless_set(two: Any) -> None:
    frame = two.withColumn("weightCol", F.col("weight"))
    plain, named = (
        BinaryLogisticRegressionSummary(made_model(**params), frame).accuracy
        for params in ({}, {"weightCol": "weightCol"})
    )
    assert plain == BinaryLogisticRegressionSummary(made_model(weightCol=""), two).accuracy
    assert named == BinaryLogisticRegressionSummary(made_model(weightCol="weight"), two).accuracy
    assert plain != named


def test_a_frame_without_the_label_is_refused_by_name(two: Any) -> None:
    mine = BinaryLogisticRegressionSummary(made_model(), two.drop("label"))
    assert mine.predictions.count() == 200
    with pytest.raises(ValueError, match=r"Column 'label' does not exist.*labelCol"):
        _ = mine.accuracy


def test_an_empty_frame_has_no_labels_and_no_accuracy(two: Any) -> None:
    mine = BinaryLogisticRegressionSummary(made_model(), two.limit(0))
    assert mine.labels == mine.recallByLabel == []
    assert np.isnan(mine.accuracy)
    assert mine.areaUnderROC == 0.5
    assert mine.pr.collect() == [(0.0, 1.0)]
    assert "accuracy        -" in str(mine)


def test_columns_may_have_any_name(two: Any) -> None:
    names = {"labelCol": "a `label`", "weightCol": "a.weight", "probabilityCol": "p.q",
             "predictionCol": "pre`dict"}  # fmt: skip
    frame = two.withColumnsRenamed({"label": names["labelCol"], "weight": names["weightCol"]})
    plain = BinaryLogisticRegressionSummary(made_model(weightCol="weight"), two)
    odd = BinaryLogisticRegressionSummary(made_model(**names), frame)
    assert odd.accuracy == plain.accuracy
    assert odd.areaUnderROC == plain.areaUnderROC
