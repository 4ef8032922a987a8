"""The rivals in the session, sparklr and Spark's own, and the rows that all rivals share."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.tuning import CrossValidator as SparkCrossValidator
from pyspark.ml.tuning import CrossValidatorModel, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession

import sparklr
from benchmarks import judge
from benchmarks.judge import OURS, SPARK, Array, Coefficients, Side
from benchmarks.session import BUILD, forget_peaks, jvm_of, peak_gigabytes
from benchmarks.workloads import Dataset, Workload
from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.tuning import CrossValidator

Job: TypeAlias = Callable[[DataFrame], Any]

WARM_UP_ROWS = 2_000


class Rows:
    """A dataset's rows, cached in Spark, and values computed from them once for all rivals."""

    def __init__(self, dataset: Dataset, spark: SparkSession, scale: float) -> None:
        self.dataset = dataset
        self.frame = dataset.make(spark, dataset.rows_at(scale)).persist()
        self.count = self.frame.count()

    @cached_property
    def sample(self) -> DataFrame:
        """A few rows for warming up."""
        share = min(1.0, max(0.02, WARM_UP_ROWS / self.count))
        return self.frame.sample(fraction=share, seed=1)

    @cached_property
    def deviations(self) -> Array:
        """The features' standard deviations."""
        return judge.standard_deviations(self.frame)

    @cached_property
    def file(self) -> Path:
        """The rows as files, for another process."""
        file = BUILD / "rows"
        rows = judge.plain_rows(self.frame).write.mode("overwrite").option("compression", "none")
        rows.parquet(str(file))
        return file

    @cached_property
    def packed(self) -> sparklr.PackedRows:
        """The rows as sparklr keeps them for several fits."""
        return sparklr.pack(self.frame)

    def close(self) -> None:
        """Free memory and disk."""
        if "packed" in self.__dict__:
            self.packed.unpersist()
        self.frame.unpersist(blocking=True)
        shutil.rmtree(BUILD / "rows", ignore_errors=True)


class Rival(Protocol):
    """An adapter that runs a workload's job on all rows, or on a sample to warm up."""

    @property
    def name(self) -> str: ...
    def fit(self, rows: Rows, /, *, warm_up: bool = False) -> Side: ...


@dataclass(frozen=True)
class InSession:
    """A job in this process and its session: sparklr's or Spark's own."""

    name: str
    job: Job

    def fit(self, rows: Rows, *, warm_up: bool = False) -> Side:
        """Return the seconds of the job alone; garbage of other jobs is collected before."""
        gc.collect()
        jvm_of(rows.frame.sparkSession).java.lang.System.gc()
        forget_peaks()
        start = time.perf_counter()
        model = self.job(rows.sample if warm_up else rows.frame)
        seconds = time.perf_counter() - start
        return Side([seconds], peak_gigabytes(), **_found_by(model))


def _found_by(model: Any) -> dict[str, Any]:
    if model is None:
        return {}
    if isinstance(model, CrossValidatorModel):
        return {"metrics": [float(its) for its in model.avgMetrics]}
    matrix = np.asarray(model.coefficientMatrix.toArray(), dtype=np.float64)
    intercepts = np.asarray(model.interceptVector.toArray(), dtype=np.float64)
    return {
        "found": Coefficients(matrix, intercepts),
        "iterations": int(model.summary.totalIterations),
        "passes": getattr(model.summary, "passes", None),
    }


def rivals_in_session(workload: Workload, rows: Rows) -> tuple[InSession, InSession]:
    """Return our job and Spark's, or the job that replaces Spark's."""
    params = asdict(workload.penalty)
    ours: Job = LogisticRegressionEstimator(**params).fit
    theirs: Job = LogisticRegression(**params).fit
    if workload.kind == "transform":
        # Both score with the same numbers, from Spark's model on a few rows.
        model = LogisticRegression(**params).fit(rows.sample)
        ours, theirs = _scoring(LogisticRegressionModel.fromSpark(model)), _scoring(model)
    elif workload.kind == "second":
        ours = partial(_fit_packed, LogisticRegressionEstimator(**params), rows.packed)
    elif workload.kind == "posterior":
        theirs, ours = ours, LogisticRegressionEstimator(posterior="gaussian", **params).fit
    elif workload.kind == "interval":
        fitted = LogisticRegressionEstimator(posterior="gaussian", **params).fit(rows.sample)
        ours = _scoring(fitted.copy().setProbabilityIntervalCol("interval"))
        theirs = _scoring(fitted)
    elif workload.kind == "many":
        one, strengths = LogisticRegressionEstimator(regParam=1e-2), np.geomspace(1e-4, 1e-1, 20)
        ours = _search(CrossValidator, one, 5, regParam=strengths, elasticNetParam=(0, 0.5, 1))
        theirs = one.fit
    elif workload.kind != "fit":
        validator = SparkCrossValidator if workload.kind == "estimator" else CrossValidator
        column = "scaled" if workload.kind == "pipeline" else "features"
        grid = {"regParam": np.geomspace(1e-4, 1e-1, 10)}
        ours = _search(validator, LogisticRegressionEstimator(featuresCol=column), 3, **grid)
        theirs = _search(SparkCrossValidator, LogisticRegression(featuresCol=column), 3, **grid)
    return InSession(OURS, ours), InSession(SPARK, theirs)


def _fit_packed(
    estimator: LogisticRegressionEstimator, packed: sparklr.PackedRows, _: DataFrame
) -> Any:
    return estimator.fit(packed)


def _scoring(model: Any) -> Job:
    def score(rows: DataFrame) -> None:
        model.transform(rows).write.format("noop").mode("overwrite").save()

    return score


def _search(validator: Any, estimator: Any, folds: int, **grid: Any) -> Job:
    """Return the fit of a validator; an estimator on scaled features gets a scaler before it."""
    maps = ParamGridBuilder()
    for name, values in grid.items():
        maps.addGrid(getattr(estimator, name), [float(value) for value in values])
    if estimator.getFeaturesCol() == "scaled":
        scaler = StandardScaler(inputCol="features", outputCol="scaled")
        estimator = Pipeline(stages=[scaler, estimator])
    made = validator(
        estimator=estimator,
        estimatorParamMaps=maps.build(),
        evaluator=BinaryClassificationEvaluator(),
        numFolds=folds,
        seed=7,
    )
    return made.fit  # type: ignore[no-any-return]
