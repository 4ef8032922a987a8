"""One workload measured: the rivals in turn on the same cached rows, then judged."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import DataFrame

from benchmarks import judge, yardstick
from benchmarks.judge import Coefficients
from benchmarks.memory import MemoryWatch, Peak
from benchmarks.record import Outcome, Side
from benchmarks.search import check_same_metrics, searching_jobs
from benchmarks.session import collect_garbage
from benchmarks.workloads import Dataset, Workload
from sparklr import LogisticRegressionEstimator, LogisticRegressionModel

OURS, SPARK = "sparklr", "Spark"
# Short runs are repeated until all pairs together have taken so long, or are so many.
ENOUGH_SECONDS = 15.0
MOST_PAIRS = 15
WARM_UP_ROWS = 2_000

Job = Callable[[DataFrame], Any]


class Arena:
    """A dataset's rows, cached in Spark, and what all workloads on it share."""

    def __init__(self, dataset: Dataset, frame: DataFrame, scratch: Path) -> None:
        self.dataset = dataset
        self.frame = frame
        self.rows = frame.count()
        self._scratch = scratch
        self._saved = False
        self._deviations: judge.Array | None = None

    @property
    def deviations(self) -> judge.Array:
        """The features' standard deviations."""
        if self._deviations is None:
            self._deviations = judge.standard_deviations(self.frame)
        return self._deviations

    def sample(self) -> DataFrame:
        """A few rows to warm up on."""
        share = min(1.0, max(0.02, WARM_UP_ROWS / self.rows))
        return self.frame.sample(fraction=share, seed=1)

    def yardstick(self, workload: Workload) -> yardstick.Measured:
        """scikit-learn's result."""
        if not yardstick.fits_in_memory(self.dataset.row_bytes, self.rows):
            return yardstick.Measured(note="too large")
        if not self._saved:
            yardstick.save_rows(self.frame, self._scratch)
            self._saved = True
        return yardstick.measure(self._scratch, workload.penalty)


@contextmanager
def open_arena(dataset: Dataset, frame: DataFrame, scratch: Path) -> Iterator[Arena]:
    """The rows, made and cached before anything is measured; `scratch` is emptied."""
    frame.persist()
    try:
        yield Arena(dataset, frame, scratch)
    finally:
        frame.unpersist(blocking=True)
        shutil.rmtree(scratch, ignore_errors=True)


def measure(workload: Workload, arena: Arena, pairs: int, *, in_memory: bool) -> Outcome:
    """The outcome of a workload; scikit-learn takes part if `in_memory`."""
    if workload.search is not None:
        return _measure_search(workload, arena, pairs)
    jobs = _scoring_jobs(workload, arena) if workload.scores else _fitting_jobs(workload)
    sides, models = take_turns(jobs, arena, pairs)
    known = Side()
    if not workload.scores:
        found = {name: _coefficients(model) for name, model in models.items()}
        if in_memory:
            took = arena.yardstick(workload)
            seconds = [] if took.seconds is None else [took.seconds]
            known = Side(seconds, took.iterations, note=took.note)
            found |= {} if took.found is None else {"sklearn": took.found}
        values = judge.objectives(arena.frame, found, workload.penalty, arena.deviations)
        for side, name in ((sides[OURS], OURS), (sides[SPARK], SPARK), (known, "sklearn")):
            side.objective = values.get(name)
        for name, model in models.items():
            sides[name].iterations = int(model.summary.totalIterations)
        sides[OURS].passes = int(models[OURS].summary.passes)
    return Outcome(
        workload.name, workload.says, arena.rows, arena.dataset.features, workload.target,
        sides[OURS], sides[SPARK], known,
    )  # fmt: skip


def _measure_search(workload: Workload, arena: Arena, pairs: int) -> Outcome:
    assert workload.search is not None
    jobs = dict(zip((OURS, SPARK), searching_jobs(workload.search), strict=True))
    # A search is long enough to need no warming up.
    sides, models = take_turns(jobs, arena, pairs, warm_up=False)
    if workload.search != "many":
        check_same_metrics(models[OURS], models[SPARK])
    return Outcome(
        workload.name, workload.says, arena.rows, arena.dataset.features, workload.target,
        sides[OURS], sides[SPARK], Side(),
    )  # fmt: skip


def take_turns(
    jobs: Mapping[str, Job], arena: Arena, pairs: int, *, warm_up: bool = True
) -> tuple[dict[str, Side], dict[str, Any]]:
    """Everybody's seconds and peak memory, and their last results: A B A B A B."""
    sample = arena.sample()
    for job in jobs.values() if warm_up else ():
        job(sample)
    sides = {name: Side(peak=Peak()) for name in jobs}
    results: dict[str, Any] = {}
    taken = 0.0
    turn = 0
    while turn < pairs or (pairs > 1 and taken < ENOUGH_SECONDS and turn < MOST_PAIRS):
        for name, job in jobs.items():
            results.pop(name, None)
            gc.collect()
            collect_garbage(arena.frame.sparkSession)
            with MemoryWatch() as watch:
                start = time.perf_counter()
                results[name] = job(arena.frame)
                seconds = time.perf_counter() - start
            side = sides[name]
            assert side.peak is not None
            side.seconds.append(seconds)
            side.peak = side.peak.over(watch.peak)
            taken += seconds
        turn += 1
    return sides, results


def _fitting_jobs(workload: Workload) -> dict[str, Job]:
    strength, share = workload.penalty.regParam, workload.penalty.elasticNetParam
    return {
        OURS: LogisticRegressionEstimator(regParam=strength, elasticNetParam=share).fit,
        SPARK: LogisticRegression(regParam=strength, elasticNetParam=share).fit,
    }


def _scoring_jobs(workload: Workload, arena: Arena) -> dict[str, Job]:
    """Both score with the same numbers, those of Spark's model of a few rows."""
    spark_model = LogisticRegression(regParam=workload.penalty.regParam).fit(arena.sample())
    our_model = LogisticRegressionModel.fromSpark(spark_model)

    def score(model: Any) -> Job:
        return lambda rows: model.transform(rows).write.format("noop").mode("overwrite").save()

    return {OURS: score(our_model), SPARK: score(spark_model)}


def _coefficients(model: Any) -> Coefficients:
    matrix = np.asarray(model.coefficientMatrix.toArray(), dtype=np.float64)
    return Coefficients(matrix, np.asarray(model.interceptVector.toArray(), dtype=np.float64))
