"""Our estimator and Spark's own, fitted on the same rows and compared: `make demo`."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import DataFrame

from benchmarks import data, judge
from benchmarks.session import BUILD, quiet_session
from sparklr import LogisticRegressionEstimator

ROWS, FEATURES = 50_000, 20
DRAW = data.correlated(FEATURES, 10.0)
PENALTY = judge.Penalty(regParam=0.001)
SHOWN = 8  # coefficients in the table
REPEATS = 3
SEED = 7


def fit_in_turn(train: DataFrame) -> tuple[list[Any], list[float]]:
    """Return both models and median seconds; fits run in turn, so a slow machine affects both."""
    strength = PENALTY.regParam
    rivals = [LogisticRegressionEstimator(regParam=strength), LogisticRegression(regParam=strength)]
    models: list[Any] = [rival.fit(train.sample(0.05, SEED)) for rival in rivals]  # to warm up
    seconds: list[list[float]] = [[] for _ in rivals]
    for _ in range(REPEATS):
        for at, rival in enumerate(rivals):
            start = time.perf_counter()
            models[at] = rival.fit(train)
            seconds[at].append(time.perf_counter() - start)
    return models, [statistics.median(its) for its in seconds]


def print_table(train: DataFrame, models: list[Any], **more: list[Any]) -> None:
    """Print both models and the true model of the labels, and more lines of figures."""
    matrices = [(its.coefficientMatrix.toArray(), its.interceptVector.toArray()) for its in models]
    found = {
        name: judge.Coefficients(*its)
        for name, its in zip((judge.OURS, judge.SPARK), matrices, strict=True)
    }
    deviations = judge.standard_deviations(train)
    objectives = judge.objectives(train, found, PENALTY, deviations)
    truth = data.true_model(DRAW, 1, 1.0)
    columns = [*(its.matrix[0] for its in found.values()), truth.coefficients[:, 0]]

    def line(title: str, form: str, values: Any) -> None:
        print(f"{title:<24}" + "".join(f"{value:>15{form}}" for value in values))

    line("", "", [*found, "true"])
    for at in range(SHOWN):
        line(f"coefficient {at}", ".7f", (its[at] for its in columns))
    line("intercept", ".7f", [*(model.intercept for model in models), truth.intercepts[0]])
    line("objective, recomputed", ".10f", objectives.values())
    line("iterations", "d", [model.summary.totalIterations for model in models])
    for title, values in more.items():
        line(title.replace("_", " "), ".4f", values)
    apart = float(np.abs((columns[0] - columns[1]) * deviations).max())
    print(f"\nThe {FEATURES} coefficients, per standard deviation, differ by {apart:.0e} at most.")


def draw_roc(ours: Any, spark: Any) -> str:
    """Draw the curves of our summary and of Spark's, and return the name of the file."""
    # A bare Figure draws with Agg: it needs no display and sets no backend for the process.
    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    axes = ours.plot_roc(figure.add_subplot())
    curve = np.array(spark.roc.collect()).T
    axes.plot(*curve, "k:", label=f"Spark's own: AUC = {spark.areaUnderROC:.4f}")
    axes.set_title("ROC on the test rows")
    axes.legend(loc="lower right")
    figure.savefig(BUILD / "roc.png", dpi=150)
    return str(BUILD / "roc.png")


def main() -> None:
    """Fit both, print the table, draw the curves."""
    with quiet_session() as spark:
        frame = data.dense_frame(spark, ROWS, DRAW)
        train, test = (part.cache() for part in frame.randomSplit([0.8, 0.2], SEED))
        print(
            f"Logistic regression by sparklr and by Spark itself: {train.count():,} training rows, "
            f"{test.count():,} test rows, {FEATURES} features, regParam {PENALTY.regParam}.\n"
        )
        models, seconds = fit_in_turn(train)
        summaries = [model.evaluate(test) for model in models]
        areas = [its.areaUnderROC for its in summaries]
        print_table(train, models, area_under_ROC_on_test=areas, median_seconds_to_fit=seconds)
        print(f"ROC curves: {draw_roc(*summaries)}")


if __name__ == "__main__":
    main()
