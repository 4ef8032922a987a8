"""What is measured: frames, the Params fitted on them, and how fast we mean to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch

from pyspark.sql import DataFrame, SparkSession

from benchmarks import data
from benchmarks.judge import Penalty
from benchmarks.search import Search

Make = Callable[[SparkSession, int], DataFrame]

# Fewer rows than these would measure nothing but the start of jobs.
FEWEST_ROWS = 2_000
CONDITION = 1e3


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows that one or several workloads share."""

    rows: int  # at full scale
    features: int
    make: Make
    row_bytes: int

    def rows_at(self, scale: float) -> int:
        """The number of rows at a scale: whole chunks."""
        wanted = max(FEWEST_ROWS, round(self.rows * scale))
        return wanted // data.CHUNK * data.CHUNK


@dataclass(frozen=True, eq=False)
class Workload:
    """One line of the table. The target is a ratio of seconds: ours to Spark's."""

    name: str
    says: str
    dataset: Dataset
    penalty: Penalty = field(default_factory=Penalty)
    target: float | None = None
    scores: bool = False  # transform is measured, instead of fit
    search: Search | None = None  # or a grid search is


def _dense(rows: int, features: int, make: Make) -> Dataset:
    return Dataset(rows, features, make, 8 * features)


def _independent(rows: int, features: int) -> Dataset:
    def make(spark: SparkSession, count: int) -> DataFrame:
        return data.dense_frame(spark, count, data.Normal(features))

    return _dense(rows, features, make)


def _make_correlated(spark: SparkSession, rows: int) -> DataFrame:
    return data.dense_frame(spark, rows, data.correlated(200, CONDITION), share=0.25)


def _make_mixed(spark: SparkSession, rows: int) -> DataFrame:
    return data.dense_frame(spark, rows, data.mixed_kinds)


def _make_multi(spark: SparkSession, rows: int) -> DataFrame:
    return data.dense_frame(spark, rows, data.correlated(200, 10.0), columns=10, share=0.5)


def _make_sparse(spark: SparkSession, rows: int) -> DataFrame:
    return data.sparse_frame(spark, rows, 100_000)


TINY = _independent(2_000, 10)
WELL = _independent(1_000_000, 100)
CORRELATED = _dense(500_000, 200, _make_correlated)
MIXED = _dense(500_000, 50, _make_mixed)
MULTI = _dense(200_000, 200, _make_multi)
SPARSE = Dataset(500_000, 100_000, _make_sparse, 12 * data.TOKENS)
GRID = _independent(200_000, 100)
GRID_50 = _independent(100_000, 50)
GROWING = [_independent(rows, 50) for rows in (100_000, 300_000, 1_000_000, 3_000_000)]

WORKLOADS = [
    Workload("tiny", "L2 0.01", TINY, Penalty(1e-2), 0.35),
    Workload("well", "independent features, L2 0.01", WELL, Penalty(1e-2), 0.75),
    Workload(
        "transform",
        "scores of the rows of `well`",
        WELL,
        Penalty(1e-2),
        1.05,
        scores=True,
    ),
    Workload("corr", "condition number 1,000, L2 1e-4", CORRELATED, Penalty(1e-4), 0.20),
    Workload("corr-l1", "as `corr`, L1 1e-4", CORRELATED, Penalty(1e-4, 1.0), 0.15),
    Workload("corr-en", "as `corr`, elastic net 0.5, 1e-3", CORRELATED, Penalty(1e-3, 0.5), 0.20),
    Workload("unpenalised", "mixed scales and kinds", MIXED, Penalty(), 0.40),
    Workload("multi", "10 classes, L2 1e-3", MULTI, Penalty(1e-3), 0.50),
    Workload("multi-l1", "as `multi`, L1 1e-3", MULTI, Penalty(1e-3, 1.0), 0.50),
    Workload("sparse", "50 non-zeros a row, L2 1e-4", SPARSE, Penalty(1e-4), 0.60),
    Workload("sparse-l1", "as `sparse`, L1 1e-4", SPARSE, Penalty(1e-4, 1.0), 0.70),
    *(
        Workload(
            f"rows-{its.rows // 1000}k",
            "independent features, L2 0.01",
            its,
            Penalty(1e-2),
        )
        for its in GROWING
    ),
    Workload(
        "grid", "3 folds × 10 penalties, area under ROC", GRID, target=0.06, search="validator"
    ),
    Workload(
        "grid-estimator",
        "as `grid`, our estimator in Spark's CrossValidator",
        GRID,
        target=0.35,
        search="estimator",
    ),
    Workload(
        "grid-pipeline", "as `grid`, behind a StandardScaler", GRID, target=0.08, search="pipeline"
    ),
    Workload(
        "grid-many",
        "5 folds × 60 maps, beside one fit of sparklr's in the place of Spark",
        GRID_50,
        target=12.0,
        search="many",
    ),
]
QUICK = ("tiny", "well", "corr-l1", "unpenalised", "multi")


def chosen(patterns: Iterable[str]) -> list[Workload]:
    """The workloads that any of the patterns matches, in their order; an error for one in vain."""
    found = []
    for pattern in patterns:
        matching = [one for one in WORKLOADS if fnmatch(one.name, pattern)]
        if not matching:
            names = ", ".join(one.name for one in WORKLOADS)
            raise ValueError(f"No workload is called '{pattern}'. There are: {names}.")
        found += matching
    return [one for one in WORKLOADS if one in found]
