"""Grid searches to be measured: Spark's validator over Spark's estimator, and ours instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.tuning import CrossValidator as SparkCrossValidator
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql import DataFrame

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator

# estimator: only the estimator is ours; validator: the validator too; pipeline: both, behind a
# scaler; many: 5 folds x 60 maps, beside one fit of ours.
Search: TypeAlias = Literal["estimator", "validator", "pipeline", "many"]
Job: TypeAlias = Callable[[DataFrame], Any]

FOLDS, SEED = 3, 7
PENALTIES = [float(strength) for strength in np.geomspace(1e-4, 1e-1, 10)]
# Areas of Spark's evaluator scatter by some 1e-6 from call to call.
SCATTER = 1e-4


def searching_jobs(search: Search) -> tuple[Job, Job]:
    """Ours, and what it is measured against."""
    if search == "many":
        one = LogisticRegressionEstimator(regParam=1e-2)
        return _many(one).fit, one.fit
    scaled = "scaled" if search == "pipeline" else "features"
    ours: Any = LogisticRegressionEstimator(featuresCol=scaled)
    theirs: Any = LogisticRegression(featuresCol=scaled)
    validator: Any = SparkCrossValidator if search == "estimator" else CrossValidator
    return _job(validator, ours, search), _job(SparkCrossValidator, theirs, search)


def _job(validator: Any, estimator: Any, search: Search) -> Job:
    maps = ParamGridBuilder().addGrid(estimator.regParam, PENALTIES).build()
    if search == "pipeline":
        scaler = StandardScaler(inputCol="features", outputCol="scaled")
        estimator = Pipeline(stages=[scaler, estimator])
    made = validator(
        estimator=estimator,
        estimatorParamMaps=maps,
        evaluator=BinaryClassificationEvaluator(),
        numFolds=FOLDS,
        seed=SEED,
    )
    return made.fit  # type: ignore[no-any-return]


def _many(estimator: LogisticRegressionEstimator) -> CrossValidator:
    grid = ParamGridBuilder()
    grid.addGrid(estimator.regParam, [float(its) for its in np.geomspace(1e-4, 1e-1, 20)])
    grid.addGrid(estimator.elasticNetParam, [0.0, 0.5, 1.0])
    return CrossValidator(
        estimator=estimator,
        estimatorParamMaps=grid.build(),
        evaluator=BinaryClassificationEvaluator(),
        numFolds=5,
        seed=SEED,
    )


def check_same_metrics(ours: Any, theirs: Any) -> None:
    """Both searches must have come to the same numbers."""
    apart = float(np.abs(np.subtract(ours.avgMetrics, theirs.avgMetrics)).max())
    if apart > SCATTER:
        raise AssertionError(f"the mean metrics of the two searches are {apart:.2g} apart")
