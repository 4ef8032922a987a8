"""Fits, a grid and scores as a user runs them; locally or on a cluster, as the session is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from workload import (
    FEATURES,
    MANY,
    at_pass,
    descend,
    fit,
    folders,
    left,
    local_root,
    numbers,
    rows,
    say,
    start,
)  # fmt: skip

import sparklr
from sparklr.distributions import MeanFieldClassifier
from sparklr.packing.block_files import BlockStore
from sparklr.tuning import CrossValidator


def whose(batches: Any) -> Any:
    """Where this worker's sparklr comes from."""
    for _ in batches:
        import sparklr as theirs

        yield pa.RecordBatch.from_arrays([pa.array([theirs.__file__])], names=["file"])


def search(session: SparkSession) -> Any:
    """Three penalties, two folds."""
    estimator = sparklr.LogisticRegressionEstimator(maxBlockSizeInMB=0.05)
    grid = [{estimator.regParam: value} for value in (0.001, 0.01, 0.1)]
    return CrossValidator(
        estimator=estimator,
        estimatorParamMaps=grid,
        evaluator=BinaryClassificationEvaluator(numBins=0),
        numFolds=2,
        seed=3,
    ).fit(rows(session))


def main() -> None:
    session, root = start(), local_root()
    files = session.range(0, 4, 1, 4).mapInArrow(whose, "file string").distinct().collect()
    say("sparklr", driver=sparklr.__file__, workers=[row.file for row in files])

    where: list[list[str]] = []
    with at_pass(lambda _: where.append(folders(root)), 1) as passes:
        model = fit(rows(session))
    say("dense", numbers=numbers(model), passes=len(passes), left=left(session, root))
    say("folders", roots=sorted({str(Path(one).relative_to(root).parts[0]) for one in where[0]}))

    model = fit(rows(session).coalesce(1))
    say("one partition", numbers=numbers(model), left=left(session, root))

    say("many", numbers=numbers(fit(rows(session, count=MANY))), left=left(session, root))

    remove = BlockStore.remove
    BlockStore.remove = lambda *_: False  # type: ignore[method-assign,assignment]
    model = fit(rows(session))
    BlockStore.remove = remove  # type: ignore[method-assign]
    say("removed by a job", numbers=numbers(model), left=left(session, root))

    model = fit(rows(session, classes=3), weightCol="weight", elasticNetParam=0.5, solver="auto")
    say("three classes", numbers=numbers(model), left=left(session, root))

    found = search(session)
    say(
        "grid", numbers=numbers(found.bestModel), metrics=found.avgMetrics, left=left(session, root)
    )

    scored = found.bestModel.transform(rows(session))
    say("scores", numbers=_scores(scored), left=left(session, root))

    _infer(session, root)
    _posteriors(session, root)

    _first_order(session, root)
    _streams(session, root)

    session.conf.set("spark.sparklr.localMB", "128")
    with at_pass(lambda _: None) as passes:
        model = fit(rows(session))
    say("on the driver", numbers=numbers(model), passes=len(passes), left=left(session, root))
    session.stop()
    say("after", left=folders(root))


def _first_order(session: SparkSession, root: str) -> None:
    """Early stopping on held-out rows, and stochastic gradient descent."""
    frame = rows(session).withColumn("held", F.col("cluster") < 8)
    model = fit(frame, validationIndicatorCol="held", patience=2, solver="l-bfgs")
    curve = model.summary.validationHistory
    say("stopped early", numbers=[*numbers(model), *curve], left=left(session, root))

    model = descend(rows(session))
    say("sgd", numbers=numbers(model), left=left(session, root))


def _streams(session: SparkSession, root: str) -> None:
    """Batches learned one after another, by a posterior and by a descent, and a mean field."""
    for name, settings in (("stream", {}), ("wide stream", {"solver": "sgd", "learningRate": 0.1})):
        estimator = sparklr.LogisticRegressionEstimator(regParam=0.01, maxBlockSizeInMB=0.05)
        updates = estimator._set(**settings).updates(f"{root}/{name}")
        for batch in range(3):
            updates(rows(session).where(F.col("cluster") % 3 == batch), batch)
        model = sparklr.LogisticRegressionModel.loadLatest(f"{root}/{name}")
        found = [*numbers(model), model.progressiveLoss]
        say(name, numbers=found, batches=model.batchesLearned, left=left(session, root))
    neurons = MeanFieldClassifier(numNeurons=32, maxIter=20, seed=5).fit(rows(session))
    row = neurons.transform(rows(session)).agg(F.sum(vector_to_array("probability")[1])).first()
    say("mean field", numbers=[float(row[0])], left=left(session, root))


def _infer(session: SparkSession, root: str) -> None:
    """Robust and clustered errors, limits of the likelihood, and separated rows."""
    summary = fit(rows(session), regParam=0.0).summary
    each: list[dict[str, Any]] = [
        {"covariance": "model"},
        {"covariance": "HC1"},
        {"covariance": "CR1", "clusterCol": "cluster"},
    ]
    errors = [one for its in each for one in summary.inference(**its).coefficientStandardErrors]
    table = summary.inference(method="profile").coefficientTable.toPandas()
    limits = table[["lower", "upper"]].to_numpy().ravel().tolist()
    say("inference", numbers=errors, limits=limits, left=left(session, root))

    flag = (F.col("label") == 1) & (F.col("cluster") == 3) & (F.col("weight") == 1)
    values = F.concat(vector_to_array("features"), F.array(flag.cast("double")))
    frame = rows(session).withColumn("features", array_to_vector(values))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model = fit(frame, regParam=0.0, tol=1e-9)
    found = model.summary.separation
    say(
        "separated",
        numbers=model.summary.coefficientStandardErrors[:FEATURES],
        said=[str(one.message) for one in warned],
        found=[found.kind, found.direction.tolist(), found.rows, found.total],
        readings=found.readings,
        left=left(session, root),
    )


def _posteriors(session: SparkSession, root: str) -> None:
    """Each kind of posterior, found by jobs, and the columns that workers make of it."""
    for kind in ("laplace", "gaussian", "sampled"):
        model = fit(rows(session), posterior=kind, numDraws=128)
        its = model.posterior
        model.setProbabilityIntervalCol("ends").setProbabilityStdCol("deviation").setAveraged(True)
        scored = model.setSampledProbabilityCol("draw").transform(rows(session))
        ends = [F.sum(vector_to_array("ends")[at]) for at in (0, 1)]
        sums = scored.agg(*ends, F.sum("deviation"), F.sum("draw")).first()
        found = [*its.mean, *its.stddev, *its.interval(0.8).ravel(), *_scores(scored), *sums]
        say(kind, numbers=[float(one) for one in found], left=left(session, root))
    model.write().overwrite().save(f"file://{root}/posterior")
    say(
        "saved",
        path=f"file://{root}/posterior",
        mean=its.mean.tolist(),
        draws=its.draws(3).tolist(),
    )


def _scores(scored: Any) -> list[float]:
    """Sums of what every row was given."""
    probability = vector_to_array("probability")[1]
    row = scored.agg(F.sum(probability), F.sum(probability * probability), F.sum("prediction"))
    return [float(value) for value in row.first()]


if __name__ == "__main__":
    main()
