"""The cases of the references as frames, and fits of them on a Spark session."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.inference.references import column, data, reference


def frame_of(spark: SparkSession, name: str) -> DataFrame:
    rows, known = data(name), reference(name)
    table = pd.DataFrame(rows.matrix, columns=rows.names)
    table["label"] = rows.labels
    if rows.weights is not None:
        table["count"] = rows.weights
    if known["offset"]:
        table["moved"] = column(name, "offset")
    if known["cluster"]:
        table["cluster"] = column(name, "cluster")
    return spark.createDataFrame(table)


def fit_of(spark: SparkSession, name: str, **params: Any) -> LogisticRegressionModel:
    estimator = LogisticRegressionEstimator(
        featuresCols=list(data(name).names),
        fitIntercept=reference(name)["intercept"],
        **({} if data(name).weights is None else {"weightCol": "count"}),
        **({"offsetCol": "moved"} if reference(name)["offset"] else {}),
        **params,
    )
    return estimator.fit(frame_of(spark, name))
