"""The workloads: frames, the Params for fits on them, and target ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from typing import Literal, TypeAlias

from pyspark.sql import DataFrame, SparkSession

from benchmarks import data, packaged
from benchmarks.judge import Penalty
from benchmarks.session import LOCAL, cluster_of

# fit: a fit; second: a fit on packed rows; transform: scores; the others are grid searches.
# validator: our validator against Spark's; estimator: our estimator in Spark's validator; pipeline:
# as validator, after a scaler. Against our own work without it: many: a large grid against a single
# fit; posterior: a fit with a posterior; interval: scores with an interval of the probability.
Kind: TypeAlias = Literal[
    "fit", "second", "transform", "validator", "estimator", "pipeline",
    "many", "posterior", "interval",
]  # fmt: skip
AGAINST_OURS: tuple[Kind, ...] = ("many", "posterior", "interval")
SEARCHES: tuple[Kind, ...] = ("validator", "estimator", "pipeline", "many")

NO_PENALTY, L2, L1 = Penalty(), Penalty(1e-4), Penalty(1e-4, 1.0)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows that one or several workloads share."""

    rows: int  # at full scale
    features: int
    make: Callable[[SparkSession, int], DataFrame]
    fewest: int = 2_000  # rows; with fewer rows only the start of jobs would be measured
    classes: int = 2
    sparse: bool = False
    real: bool = False  # real rows, of which there are no more, and few enough for any scale

    def rows_at(self, scale: float) -> int:
        """Return the number of rows at a scale, in whole chunks."""
        if self.real:
            return self.rows
        return max(self.fewest, round(self.rows * scale)) // data.CHUNK * data.CHUNK


@dataclass(frozen=True, eq=False)
class Workload:
    """One line of the table. The target is the ratio of our seconds to Spark's."""

    name: str
    says: str
    dataset: Dataset
    penalty: Penalty = NO_PENALTY
    target: float | None = None
    kind: Kind = "fit"
    master: str = LOCAL


def _dense(
    rows: int, features: int, draw: data.Features, classes: int = 2, share: float = 1.0
) -> Dataset:
    columns = 1 if classes == 2 else classes
    make = partial(data.dense_frame, draw=draw, columns=columns, share=share)
    return Dataset(rows, features, make, classes=classes)


def _independent(rows: int, features: int) -> Dataset:
    return _dense(rows, features, data.Normal(features))


TINY = _independent(2_000, 10)
WELL = _independent(1_000_000, 100)
CORRELATED = _dense(500_000, 200, data.correlated(200, 1e3), share=0.25)
MIXED = _dense(500_000, 50, data.mixed_kinds)
MULTI = _dense(200_000, 200, data.correlated(200, 10.0), classes=10, share=0.5)
SPARSE = Dataset(500_000, 100_000, partial(data.sparse_frame, features=100_000), sparse=True)
# With fewer rows no fit starts from a sample, and that start makes these rows difficult.
ONEHOT = Dataset(300_000, sum(data.LEVELS) - 4, data.onehot_frame, fewest=60_000, sparse=True)
TEXT = Dataset(6_000, packaged.FEATURES, packaged.text_frame, classes=5, sparse=True, real=True)
TEXT_TWO = replace(TEXT, make=partial(packaged.text_frame, only="pandas"), classes=2)
DIGITS = Dataset(1_797, 64, partial(packaged.array_frame, name="digits"), classes=10, real=True)
CANCER = Dataset(569, 30, partial(packaged.array_frame, name="breast_cancer"), real=True)
# With fewer rows some classes have none, and a rival could not know of them.
CLASSES = replace(_dense(100_000, 50, data.Normal(50), classes=1_000), fewest=10_000)
GRID = _independent(200_000, 100)
GRID_50 = _independent(100_000, 50)
GROWING = [_independent(rows, 50) for rows in (100_000, 300_000, 1_000_000, 3_000_000)]

WORKLOADS = [
    Workload("tiny", "few rows, L2 0.01", TINY, Penalty(1e-2), 0.20),
    Workload("well", "independent features, L2 0.01", WELL, Penalty(1e-2), 0.60),
    Workload("second", "a second fit, on packed rows", WELL, Penalty(1e-2), 0.15, "second"),
    Workload("transform", "scores of a model", WELL, Penalty(1e-2), 1.05, "transform"),
    Workload(
        "posterior", "best normal posterior beside a fit", WELL, Penalty(1e-2), 2.0, "posterior"
    ),
    Workload("interval", "intervals beside scores", WELL, Penalty(1e-2), None, "interval"),
    Workload("corr", "correlated features, L2 1e-4", CORRELATED, L2, 0.15),
    Workload("corr-l1", "correlated features, L1 1e-4", CORRELATED, L1, 0.15),
    Workload("corr-en", "correlated features, elastic net", CORRELATED, Penalty(1e-3, 0.5), 0.15),
    Workload("unpenalised", "mixed features, no penalty", MIXED, NO_PENALTY, 0.30),
    Workload("multi", "10 classes, L2 1e-3", MULTI, Penalty(1e-3), 0.40),
    Workload("multi-l1", "10 classes, L1 1e-3", MULTI, Penalty(1e-3, 1.0), 0.45),
    Workload("sparse", "hashed tokens, L2 1e-4", SPARSE, L2, 0.50),
    Workload("sparse-l1", "hashed tokens, L1 1e-4", SPARSE, L1, 0.50),
    Workload("onehot", "one-hot levels, L2 1e-4", ONEHOT, L2, 0.30),
    Workload("onehot-l1", "one-hot levels, L1 1e-4", ONEHOT, L1, 0.30),
    Workload("onehot-plain", "one-hot levels, no penalty", ONEHOT, NO_PENALTY, 0.30),
    Workload("text", "docstrings, 5 packages, L2 1e-3", TEXT, Penalty(1e-3), 0.50),
    Workload("text-two", "docstrings of pandas or not, L2 1e-3", TEXT_TWO, Penalty(1e-3), 0.50),
    Workload("text-l1", "docstrings of pandas or not, L1 1e-3", TEXT_TWO, Penalty(1e-3, 1.0), 0.50),
    Workload("digits", "images of digits, L2 1e-3", DIGITS, Penalty(1e-3)),
    Workload("digits-l1", "images of digits, L1 1e-3", DIGITS, Penalty(1e-3, 1.0)),
    Workload("cancer", "breast cancer, L2 0.01", CANCER, Penalty(1e-2)),
    Workload("classes", "1,000 classes, L2 1e-3", CLASSES, Penalty(1e-3), 0.50),
    *(
        Workload(f"rows-{its.rows // 1000}k", "independent features, L2 0.01", its, Penalty(1e-2))
        for its in GROWING
    ),
    Workload("grid", "grid search, 3 folds × 10", GRID, target=0.06, kind="validator"),
    Workload(
        "grid-estimator", "Spark's grid search, 3 folds × 10", GRID, target=0.35, kind="estimator"
    ),
    Workload("grid-pipeline", "grid search behind a scaler", GRID, target=0.08, kind="pipeline"),
    Workload("grid-many", "5 folds × 60 beside one fit", GRID_50, target=12.0, kind="many"),
]
# The same rows in two executor processes, where each pass is a job.
WORKLOADS += [
    replace(
        one,
        name=f"cluster-{one.name}",
        says=f"{one.says}, 2 executors",
        target=None,
        master=cluster_of(2),
    )
    for one in WORKLOADS
    if one.name in ("well", "corr", "grid")
]
QUICK = ("tiny", "well", "second", "corr-l1", "unpenalised", "multi", "onehot*")


def chosen(patterns: Iterable[str]) -> list[Workload]:
    """Return the workloads that match a pattern, in their order; refuse a pattern without match."""
    found = []
    for pattern in patterns:
        matching = [one for one in WORKLOADS if fnmatch(one.name, pattern)]
        if not matching:
            names = ", ".join(one.name for one in WORKLOADS)
            raise ValueError(f"No workload is called '{pattern}'. The workloads are: {names}.")
        found += matching
    return [one for one in WORKLOADS if one in found]
