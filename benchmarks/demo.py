"""The main job on local Spark, with our estimator and with Spark's own: `make demo`.

Both are fitted on the same cached rows through the same kind of pipeline. What judges them is
neither's own work: the objective and the ROC curve are computed here, in numpy, from collected
rows. This file uses only what the two estimators have in common.
"""

import os
import sys

# Left alone, Spark starts its workers with whatever `python3` comes first on PATH.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
# Left alone, Spark looks up the host's name, and warns where that name means the loopback address.
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

from sparklr import LogisticRegressionEstimator

Array = NDArray[np.float64]

ROWS = 50_000
FEATURES = [f"x{j}" for j in range(1, 21)]
SHOWN = 10  # coefficients in the table
REG_PARAM = 0.01
REPEATS = 3
SEED = 7
ROC_FILE = Path(__file__).resolve().parents[1] / "build" / "roc.png"


@dataclass(frozen=True)
class Truth:
    """The coefficients that the labels were drawn with."""

    coefficients: Array
    intercept: float


@dataclass(frozen=True)
class Result:
    """One estimator's fit, its cost, and how it does on the test rows."""

    name: str
    coefficients: Array
    intercept: float
    objective: float
    reported_objective: float
    iterations: int
    seconds: float
    auc: float
    false_positive_rate: Array
    true_positive_rate: Array


def quiet_session() -> SparkSession:
    """A session on two local cores that prints nothing but errors once it is up."""
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("sparklr demo")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        # The default of 200 is made for clusters: here it would time the scheduler.
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        # A minute's run needs no cleaner, and it would report an error now and then: it and Spark's
        # own fit race to drop the same broadcasts.
        .config("spark.cleaner.referenceTracking", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def synthetic_rows(rows: int, seed: int) -> tuple[pd.DataFrame, Truth]:
    """Rows of a true logistic model whose features are correlated and of unequal scale.

    z ~ N(0, R) with R_jk = 0.6^|j − k|,  x_j = sd_j·(z_j + shift_j) with sd_j from 0.01 to 100,
    P(label = 1) = 1/(1 + exp(−m)) with m = b·x + b₀.  Z and X are rows × features.
    """
    generator = np.random.default_rng(seed)
    size = len(FEATURES)
    position = np.arange(size)
    correlation = 0.6 ** np.abs(position[:, None] - position)
    sd = generator.permutation(np.logspace(-2, 2, size))
    shift = generator.normal(size=size)
    scaled_coefficients = generator.normal(scale=0.5, size=size)

    Z = generator.standard_normal((rows, size)) @ np.linalg.cholesky(correlation).T
    X = sd * (Z + shift)
    # Sets the share of positive labels below one half, so that the intercept has work to do.
    truth = Truth(scaled_coefficients / sd, float(-1.0 - scaled_coefficients @ shift))
    margins = X @ truth.coefficients + truth.intercept
    labels = generator.random(rows) < 1.0 / (1.0 + np.exp(-margins))

    table = pd.DataFrame(X, columns=FEATURES)
    table["label"] = labels.astype(np.float64)
    return table, truth


def pipelines() -> dict[str, Pipeline]:
    """The two rivals, alike but for the estimator."""
    assembler = VectorAssembler(inputCols=FEATURES, outputCol="features")
    return {
        "sparklr": Pipeline(stages=[assembler, LogisticRegressionEstimator(regParam=REG_PARAM)]),
        "Spark ML": Pipeline(stages=[assembler, LogisticRegression(regParam=REG_PARAM)]),
    }


def fit_in_turn(
    rivals: dict[str, Pipeline], train: DataFrame
) -> tuple[dict[str, PipelineModel], dict[str, float]]:
    """Every rival's last model and median seconds per fit, taking turns: A B A B A B.

    Turns, because a machine that slows down halfway must slow both. Each fits a small sample first,
    untimed, so that neither pays for the JVM's or the Python workers' start.
    """
    sample = train.sample(fraction=0.02, seed=SEED)
    for pipeline in rivals.values():
        pipeline.fit(sample)

    models: dict[str, PipelineModel] = {}
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(REPEATS):
        for name, pipeline in rivals.items():
            start = time.perf_counter()
            models[name] = pipeline.fit(train)
            seconds[name].append(time.perf_counter() - start)
    return models, {name: statistics.median(times) for name, times in seconds.items()}


def penalised_objective(X: Array, y: Array, b: Array, b0: float, reg_param: float) -> float:
    """What both minimise: mean log loss plus reg_param/2·Σ (b_j·sd_j)².

    m = X b + b₀,  loss = log(1 + exp(m)) − y·m,  sd_j the unbiased standard deviation of column j.
    The intercept b₀ is not penalised. X is rows × features.
    """
    margins = X @ b + b0
    losses = np.logaddexp(0.0, margins) - y * margins
    scaled = b * X.std(axis=0, ddof=1)
    return float(losses.mean() + reg_param / 2.0 * (scaled @ scaled))


def roc_curve(labels: Array, scores: Array) -> tuple[Array, Array]:
    """False and true positive rates from (0, 0) to (1, 1), one point per distinct score."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), labels.size - 1)
    true_positives = np.cumsum(labels[order])[last_of_ties]
    false_positives = last_of_ties + 1 - true_positives
    return (
        np.append(0.0, false_positives / false_positives[-1]),
        np.append(0.0, true_positives / true_positives[-1]),
    )


def judge(
    name: str, fitted: PipelineModel, seconds: float, train: pd.DataFrame, test: DataFrame
) -> Result:
    """Everything that the table and the picture say about one fitted pipeline."""
    model = cast(LogisticRegressionModel, fitted.stages[-1])
    coefficients = np.asarray(model.coefficients.toArray(), dtype=np.float64)
    objective = penalised_objective(
        train[FEATURES].to_numpy(),
        train["label"].to_numpy(),
        coefficients,
        model.intercept,
        REG_PARAM,
    )

    scored = fitted.transform(test)
    # Without bins the evaluator's area is exact, and must be that of the curve drawn here.
    auc = BinaryClassificationEvaluator(numBins=0).evaluate(scored)
    collected: pd.DataFrame = scored.select(
        col("label"), vector_to_array(col("probability"))[1].alias("score")
    ).toPandas()
    false_positive_rate, true_positive_rate = roc_curve(
        collected["label"].to_numpy(), collected["score"].to_numpy()
    )
    return Result(
        name=name,
        coefficients=coefficients,
        intercept=model.intercept,
        objective=objective,
        reported_objective=model.summary.objectiveHistory[-1],
        iterations=model.summary.totalIterations,
        seconds=seconds,
        auc=auc,
        false_positive_rate=false_positive_rate,
        true_positive_rate=true_positive_rate,
    )


def print_table(ours: Result, theirs: Result, truth: Truth, sd: Array) -> None:
    """Both results side by side, and in two sentences how far apart they are."""

    def row(title: str, form: str, *values: Any) -> None:
        print(f"{title:<22}" + "".join(f"{value:>16{form}}" for value in values))

    row("", "", ours.name, theirs.name, "true")
    for j, name in enumerate(FEATURES[:SHOWN]):
        row(name, ".6g", ours.coefficients[j], theirs.coefficients[j], truth.coefficients[j])
    row("intercept", ".6g", ours.intercept, theirs.intercept, truth.intercept)
    row("objective", ".10f", ours.objective, theirs.objective)
    row("objective, as reported", ".10f", ours.reported_objective, theirs.reported_objective)
    row("iterations", "d", ours.iterations, theirs.iterations)
    row("median seconds to fit", ".3f", ours.seconds, theirs.seconds)
    row("AUC on test rows", ".6f", ours.auc, theirs.auc)

    apart = float(np.max(np.abs(ours.coefficients - theirs.coefficients) * sd))
    print()
    print(
        f"Of all {len(FEATURES)} coefficients, taken per standard deviation of their feature, "
        f"no two are further apart than {apart:.1e}."
    )
    print(f"{theirs.name} took {theirs.seconds / ours.seconds:.2f} times as long as {ours.name}.")


def draw_roc(results: Sequence[Result], file: Path) -> None:
    """Write the ROC curves to a PNG; the later ones are dashed, so that equal curves all show."""
    # A bare Figure draws with Agg: no display, and no backend chosen for the whole process.
    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    axes = figure.add_subplot()
    for result, style in zip(results, ("-", "--"), strict=True):
        axes.plot(
            result.false_positive_rate,
            result.true_positive_rate,
            style,
            linewidth=4.0 if style == "-" else 1.5,
            label=f"{result.name} (AUC {result.auc:.4f})",
        )
    axes.plot([0.0, 1.0], [0.0, 1.0], ":", color="grey", label="chance (AUC 0.5)")
    axes.set(
        title="ROC on the test rows",
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(0.0, 1.0),
        ylim=(0.0, 1.0),
        aspect="equal",
    )
    axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Fit both, print the table, draw the curves."""
    spark = quiet_session()
    try:
        table, truth = synthetic_rows(ROWS, SEED)
        train, test = spark.createDataFrame(table).randomSplit([0.8, 0.2], seed=SEED)
        train, test = train.cache(), test.cache()
        print(
            f"{train.count():,} rows to fit, {test.count():,} to test, {len(FEATURES)} features, "
            f"regParam {REG_PARAM}\n"
        )

        models, seconds = fit_in_turn(pipelines(), train)
        fitted_rows: pd.DataFrame = train.toPandas()
        results = [judge(name, models[name], seconds[name], fitted_rows, test) for name in models]
        ours, theirs = results
        print_table(ours, theirs, truth, fitted_rows[FEATURES].to_numpy().std(axis=0, ddof=1))
        draw_roc(results, ROC_FILE)
        print(f"ROC curves: {ROC_FILE}")
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
