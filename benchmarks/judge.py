"""The objective at given coefficients, from a pass of its own; shares no code with sparklr.

    f(B, c) = 1/n sum_i loss_i + regParam ((1 - a)/2 sum_kj (s_j B_kj)^2 + a sum_kj |s_j B_kj|)

    two classes   m_i = B x_i + c,    loss_i = log(1 + exp(-+m_i)), minus for label 1
    more          m_i = B x_i + c,    loss_i = log sum_k exp(m_ik - m_iy)

with s_j the unbiased standard deviation of feature j, as Spark's Summarizer finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy import sparse

Array: TypeAlias = NDArray[np.float64]

# Worse by more than this share of Spark's objective is a failure.
WORST_GAP = 1e-6
DENSE = 1  # in the field "type" of an unwrapped vector


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What a fit found: coefficients (K, p) and intercepts (K,), K = 1 for two classes."""

    matrix: Array
    intercepts: Array


@dataclass(frozen=True)
class Penalty:
    """How much coefficients cost, by the names of the Params."""

    regParam: float = 0.0
    elasticNetParam: float = 0.0

    def of(self, matrix: Array, deviations: Array) -> float:
        """The penalty of coefficients (K, p) of features with these standard deviations."""
        scaled = matrix * deviations
        ridge = (1 - self.elasticNetParam) / 2 * float((scaled**2).sum())
        return self.regParam * (ridge + self.elasticNetParam * float(np.abs(scaled).sum()))


def relative_gap(ours: float, theirs: float) -> float:
    """By which share of theirs ours is worse; below zero it is better."""
    return (ours - theirs) / abs(theirs)


def is_worse(gap: float) -> bool:
    """Whether a gap is a failure; one that is no number is."""
    return not gap <= WORST_GAP


def row_losses(margins: Array, labels: Array) -> Array:
    """The loss of each row, from its margins (n, K)."""
    if margins.shape[1] == 1:
        return np.logaddexp(0.0, np.where(labels == 1, -1.0, 1.0) * margins[:, 0])
    own = margins[np.arange(len(labels)), labels.astype(int)]
    largest = margins.max(axis=1)
    summed = np.exp(margins - largest[:, None]).sum(axis=1)
    return np.asarray(np.log(summed) + largest - own)


def objectives(
    frame: DataFrame, found: Mapping[str, Coefficients], penalty: Penalty, deviations: Array
) -> dict[str, float]:
    """The objective of everybody's coefficients, in one reading of the rows."""
    losses = mean_losses(frame, list(found.values()))
    return {
        name: loss + penalty.of(its.matrix, deviations)
        for (name, its), loss in zip(found.items(), losses, strict=True)
    }


def mean_losses(frame: DataFrame, found: list[Coefficients]) -> list[float]:
    """Everybody's loss, averaged over the rows of a frame with columns label and features."""
    task = _SumLosses(tuple(found))
    parts = plain_rows(frame).mapInArrow(task, "rows bigint, losses array<double>").collect()
    rows = sum(part["rows"] for part in parts)
    return [sum(part["losses"][at] for part in parts) / rows for at in range(len(found))]


def standard_deviations(frame: DataFrame) -> Array:
    """The standard deviation of each feature, by Spark's own hand."""
    row = frame.select(Summarizer.metrics("std").summary(F.col("features")).alias("all")).head()
    assert row is not None
    return np.asarray(row["all"]["std"].toArray(), dtype=np.float64)


def plain_rows(frame: DataFrame) -> DataFrame:
    """Label and features as `read_batch` takes them."""
    return frame.select("label", F.unwrap_udt("features").alias("features"))


def read_batch(batch: pa.RecordBatch) -> tuple[Any, Array]:
    """The features of a batch, as an array or as a CSR matrix, and its labels."""
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


@dataclass(frozen=True, eq=False)
class _SumLosses:
    """The task: each candidate's losses, summed over the rows of a partition."""

    found: tuple[Coefficients, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows, sums = 0, np.zeros(len(self.found))
        for batch in batches:
            if not batch.num_rows:
                continue
            features, labels = read_batch(batch)
            rows += len(labels)
            for at, its in enumerate(self.found):
                margins = features @ its.matrix.T + its.intercepts
                sums[at] += row_losses(margins, labels).sum()
        columns = [pa.array([rows], pa.int64()), pa.array([sums], pa.list_(pa.float64()))]
        yield pa.RecordBatch.from_arrays(columns, names=["rows", "losses"])
