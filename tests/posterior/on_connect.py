"""What a session finds of the posteriors of some rows; as a program, on Spark Connect.

    SPARK_REMOTE=... python -m tests.posterior.on_connect FOLDER

loads the model FOLDER/classic, saves its own as FOLDER/connect, and prints what both say as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
import pandas as pd

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.posterior.sets import plain

NAMES = ["a", "b", "c"]
COLUMNS = {
    "probabilityIntervalCol": "interval",
    "probabilityStdCol": "deviation",
    "sampledProbabilityCol": "draw",
    "averaged": True,
}
KINDS = ("laplace", "gaussian", "sampled")


def frame_of_rows(spark: Any) -> Any:
    """The rows, in one partition, so that no order is left to chance."""
    rows = plain()
    table = pd.DataFrame(rows.matrix, columns=NAMES).assign(label=rows.labels)
    return spark.createDataFrame(table).coalesce(1)


def fitted(frame: Any, kind: str) -> Any:
    """A model that makes all columns of its posterior."""
    estimator = LogisticRegressionEstimator(
        posterior=kind, regParam=1 / 200, featuresCols=NAMES, numDraws=1024
    )
    return estimator.fit(frame)._set(**COLUMNS)


def figures(model: Any, frame: Any) -> dict[str, Any]:
    """What a posterior is, and the columns that are made of it."""
    posterior, scored = model.posterior, model.transform(frame).toPandas()
    vectors = {name: np.stack([its.toArray() for its in scored[name]])
               for name in ("probability", "interval")}  # fmt: skip
    found = {
        "mean": posterior.mean,
        "stddev": posterior.stddev,
        "ends": posterior.interval(0.8),
        **vectors,
        **{name: scored[name].to_numpy() for name in ("deviation", "draw")},
    }
    return {name: np.asarray(its).tolist() for name, its in found.items()}


def main(folder: str) -> None:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).getOrCreate()
    frame = frame_of_rows(spark)
    models = {kind: fitted(frame, kind) for kind in KINDS}
    found = {kind: figures(its, frame) for kind, its in models.items()}
    found["of classic"] = figures(LogisticRegressionModel.load(f"{folder}/classic"), frame)
    models["sampled"].save(f"{folder}/connect")
    print(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
