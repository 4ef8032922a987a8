"""The criteria for measurements: the objective from a separate pass, without sparklr's code.

    f(B, c) = 1/n sum_i loss_i + regParam ((1 - a)/2 sum_kj (s_j B_kj)^2 + a sum_kj |s_j B_kj|)

    two classes   m_i = B x_i + c,    loss_i = log(1 + exp(-+m_i)), minus for label 1
    more          m_i = B x_i + c,    loss_i = log sum_k exp(m_ik - m_iy)

where s_j is the unbiased standard deviation of feature j, computed by Spark's Summarizer.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse
from scipy.special import logsumexp

Array: TypeAlias = NDArray[np.float64]

# A run fails if our objective is worse by more than this share of Spark's objective.
WORST_GAP = 1e-8
# Areas under ROC of Spark's evaluator differ by about 1e-6 from call to call.
SCATTER = 1e-4
DENSE = 1  # in the field "type" of an unwrapped vector
OURS, SPARK = "sparklr", "Spark"


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The result of a fit: coefficients (K, p) and intercepts (K,), K = 1 for two classes."""

    matrix: Array
    intercepts: Array


@dataclass(frozen=True)
class Penalty:
    """The penalty on coefficients; the fields are named as the Params."""

    regParam: float = 0.0
    elasticNetParam: float = 0.0

    def of(self, matrix: Array, deviations: Array) -> float:
        """Return the penalty of coefficients (K, p), for these deviations of the features."""
        scaled = matrix * deviations
        ridge = (1 - self.elasticNetParam) / 2 * float((scaled**2).sum())
        return self.regParam * (ridge + self.elasticNetParam * float(np.abs(scaled).sum()))


@dataclass
class Side:
    """The measurements and results of one rival; values that do not apply are None."""

    seconds: list[float] = field(default_factory=list)
    gigabytes: float | None = None
    found: Coefficients | None = None
    iterations: int | None = None
    passes: int | None = None
    objective: float | None = None
    metrics: list[float] | None = None  # of a search, one metric per map
    imported: float | None = None  # seconds in which a rival without Spark took the rows over
    note: str = ""

    def median(self) -> float | None:
        """Return the median of the seconds."""
        return statistics.median(self.seconds) if self.seconds else None

    def then(self, later: Side) -> Side:
        """Return all seconds, the larger memory, and the later results."""
        held = [its for its in (self.gigabytes, later.gigabytes) if its is not None]
        seconds = [*self.seconds, *later.seconds]
        return replace(later, seconds=seconds, gigabytes=max(held, default=None))


@dataclass
class Outcome:
    """A measured workload: one line of the table, and of the JSON lines."""

    name: str
    scale: float
    rows: int
    features: int
    sides: dict[str, Side]
    machine: dict[str, str]

    @classmethod
    def of(cls, line: dict[str, Any]) -> Outcome:
        """Return an outcome from the dict of `asdict`."""
        return cls(**{**line, "sides": {name: Side(**its) for name, its in line["sides"].items()}})

    def ratio(self, rival: str = SPARK) -> float:
        """Return the median ratio over pairs of runs: a slow machine affects both of a pair."""
        pairs = zip(self.sides[OURS].seconds, self.sides[rival].seconds, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def gap(self, name: str, other: str = SPARK) -> float | None:
        """Return how much worse a rival's objective is, as a share of another's; < 0 is better."""
        found, least = (self.sides.get(one, Side()).objective for one in (name, other))
        return None if found is None or least is None else (found - least) / abs(least)

    def trouble(self) -> str:
        """Return why the run fails, or an empty text. A run never fails because of time."""
        gap = self.gap(OURS)
        if gap is not None and not gap <= WORST_GAP:  # NaN fails too
            return f"the objective is worse than Spark's: the gap {gap:.1e} is above {WORST_GAP:g}"
        ours, theirs = self.sides[OURS].metrics, self.sides[SPARK].metrics
        if ours is not None and theirs is not None:
            apart = float(np.abs(np.subtract(ours, theirs)).max())
            if not apart <= SCATTER:
                return f"the mean metrics of the searches are {apart:.1e} apart, above {SCATTER:g}"
        return ""


def row_losses(margins: Array, labels: Array) -> Array:
    """Return the loss of each row, for margins (n, K)."""
    if margins.shape[1] == 1:
        return np.logaddexp(0.0, np.where(labels == 1, -1.0, 1.0) * margins[:, 0])
    own = margins[np.arange(len(labels)), labels.astype(int)]
    return np.asarray(logsumexp(margins, axis=1) - own)


def objectives(
    frame: DataFrame, found: Mapping[str, Coefficients], penalty: Penalty, deviations: Array
) -> dict[str, float]:
    """Return the objective at each rival's coefficients, from one reading of the rows."""
    task = partial(_sum_losses, found=list(found.values()))
    parts = plain_rows(frame).mapInArrow(task, "rows bigint, losses array<double>").collect()
    rows = sum(part["rows"] for part in parts)
    losses = [sum(part["losses"][at] for part in parts) / rows for at in range(len(found))]
    return {
        name: loss + penalty.of(its.matrix, deviations)
        for (name, its), loss in zip(found.items(), losses, strict=True)
    }


def standard_deviations(frame: DataFrame) -> Array:
    """Return the standard deviation of each feature, by Spark's Summarizer."""
    row = frame.select(Summarizer.metrics("std").summary(F.col("features")).alias("all")).head()
    assert row is not None
    return np.asarray(row["all"]["std"].toArray(), dtype=np.float64)


def plain_rows(frame: DataFrame) -> DataFrame:
    """Return label and features in the form that `read_batch` needs."""
    return frame.select("label", F.unwrap_udt("features").alias("features"))


def read_batch(batch: pa.RecordBatch) -> tuple[Any, Array]:
    """Return the features of a batch, as an array or a CSR matrix, and its labels."""
    labels = batch.column(0).to_numpy(zero_copy_only=False)
    kinds, sizes, indices, values = batch.column(1).flatten()
    numbers = values.flatten().to_numpy(zero_copy_only=False)
    dense = kinds.to_numpy(zero_copy_only=False) == DENSE
    if dense.all():
        return numbers.reshape(len(labels), -1), labels
    assert not dense.any(), "vectors are either all dense or all sparse"
    counts = values.value_lengths().to_numpy(zero_copy_only=False)
    ends = np.concatenate(([0], np.cumsum(counts)))
    columns = indices.flatten().to_numpy(zero_copy_only=False)
    shape = (len(labels), sizes[0].as_py())
    return sparse.csr_matrix((numbers, columns, ends), shape=shape), labels


def _sum_losses(
    batches: Iterator[pa.RecordBatch], found: list[Coefficients]
) -> Iterator[pa.RecordBatch]:
    """Sum each rival's losses over the rows of a partition."""
    rows, sums = 0, np.zeros(len(found))
    for batch in batches:
        if not batch.num_rows:
            continue
        features, labels = read_batch(batch)
        rows += len(labels)
        for at, its in enumerate(found):
            margins = features @ its.matrix.T + its.intercepts
            sums[at] += row_losses(margins, labels).sum()
    columns = [pa.array([rows], pa.int64()), pa.array([sums], pa.list_(pa.float64()))]
    yield pa.RecordBatch.from_arrays(columns, names=["rows", "losses"])
