"""The cases of the references as frames, and fits of them on a Spark session."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.inference.references import FOLDER, column, data, reference

SMALL_SAMPLES = FOLDER / "small_samples.json"  # of make_small_samples.py


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


def by_name(inference: Any, known: Any) -> pd.DataFrame:
    """The table of a binomial model in the order of the references."""
    table = inference.coefficientTable.toPandas().set_index("feature")
    terms = ["(intercept)" if name == "intercept" else name for name in known["terms"]]
    return table.loc[terms]


def limits_of(table: pd.DataFrame) -> Any:
    return table[["lower", "upper"]].to_numpy()
