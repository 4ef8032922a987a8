"""Makes what `tests/saving/test_format_*.py` load: an estimator and models in today's format.

    python tests/saved/make.py

writes tests/saved/format-4, the number being `sparklr.saving.files.FORMAT`. Run it once for a new
format, with the first sparklr that writes it, and never again: the files are there to show that
what an old version saved can still be loaded. `format-1` was made by sparklr 0.1.0 on Spark 4.3.0
with Python 3.11, `format-2` by the version after it, whose models keep their standard errors,
`format-3` by the first whose models may have a posterior, and `format-4` by the first whose models
keep the facts of a penalised fit too, or have learned from a stream.
Checksums and markers are dropped, for loading does not need them, and files get plain names in
place of Spark's random ones.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vectors
from pyspark.sql import DataFrame, SparkSession

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.saving.files import FORMAT
from sparklr.scoring.numbers import ModelNumbers

INF = float("inf")


def binomial() -> LogisticRegressionModel:
    """A model of two classes with names and a threshold."""
    model = LogisticRegressionModel._of(
        ModelNumbers.of(np.array([[0.5, -1.25, 0.1]]), np.array([0.75]), 2, family=BINOMIAL)
    )
    model._numbers = replace(model.numbers, names=("age", "dose", "a.b"))
    model._resetUid("binomial_1")
    return model.setFeaturesCols(["age", "dose", "a.b"]).setThreshold(0.3)._set(regParam=0.01)


def multinomial() -> LogisticRegressionModel:
    """A model of three classes whose coefficients are stored sparse."""
    coefficients = np.zeros((3, 40))
    coefficients[[0, 1, 2, 2], [3, 7, 7, 39]] = 0.1, -2.0, 1e-300, 4.5
    model = LogisticRegressionModel._of(
        ModelNumbers.of(coefficients, np.array([0.25, 0.0, -0.25]), 3, family=MULTINOMIAL)
    )
    model._resetUid("multinomial_1")
    return model.setThresholds([0.2, 0.5, 0.3])._set(family="multinomial", predictionCol="p")


def estimator() -> LogisticRegressionEstimator:
    """An estimator with bounds, some infinite, and a model to start from."""
    made = LogisticRegressionEstimator(
        featuresCols=["age", "dose", "a.b"],
        labelCol="ill",
        weightCol="weight",
        regParam=0.1,
        maxIter=17,
        tol=1e-9,
        standardization=False,
        threshold=0.25,
        solver="auto",
        lowerBoundsOnCoefficients=DenseMatrix(1, 3, [0.0, -INF, -1.5]),
        upperBoundsOnCoefficients=DenseMatrix(1, 3, [INF, 0.0, 0.1]),
        upperBoundsOnIntercepts=Vectors.dense(INF),
        lowerBoundsOnIntercepts=DenseVector([-2.0]),
        initialModel=binomial(),
    )
    made._resetUid("estimator_1")
    return made


def few_rows(session: SparkSession) -> DataFrame:
    """A dose and a flag: wherever the flag is 1 the label is 1."""
    doses, labels = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 2.0, 3.5), (0, 0, 1, 0, 1, 1, 1, 1)
    rows = [
        (float(y), x, float(at > 5)) for at, (x, y) in enumerate(zip(doses, labels, strict=True))
    ]
    return session.createDataFrame(rows, ["label", "dose", "flag"])


def fitted(session: SparkSession, **params: Any) -> LogisticRegressionModel:
    """A model that keeps what a fit found."""
    maker = LogisticRegressionEstimator(featuresCols=["dose", "flag"], **params)
    maker._resetUid("fitted_1")
    return maker.fit(few_rows(session))


def streamed(session: SparkSession) -> LogisticRegressionModel:
    """A model that has learned twice from the same rows."""
    maker = LogisticRegressionEstimator(featuresCols=["dose", "flag"], regParam=0.1)
    maker._resetUid("streamed_1")
    frame = few_rows(session).coalesce(1)
    return maker.partialFit(frame, maker.partialFit(frame))


def penalised(session: SparkSession) -> LogisticRegressionModel:
    """A model whose fit has no standard errors, after its area under the curve was read."""
    model = fitted(session, regParam=0.1)
    assert model.summary.areaUnderROC
    return model


def make(folder: Path, session: SparkSession) -> None:
    """Save them all, and tidy up."""
    made = {
        "estimator": estimator(),
        "binomial": binomial(),
        "multinomial": multinomial(),
        "fitted": fitted(session),
        "penalised": penalised(session),
        "gaussian": fitted(session, regParam=0.1, posterior="gaussian", averaged=True),
        "sampled": fitted(session, regParam=0.1, posterior="sampled", numDraws=256),
        "streamed": streamed(session),
    }
    for name, one in made.items():
        one.save(str(folder / name))
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        if file.name.startswith("part-"):
            file.rename(file.with_name("part-00000").with_suffix(file.suffix))
        else:
            file.unlink()


if __name__ == "__main__":
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = session.getOrCreate()
    make(Path(__file__).parent / f"format-{FORMAT}", spark)
    spark.stop()
