"""Rows to fit, made inside Spark from fixed seeds, with labels drawn from a true model.

The unit is a chunk of rows: its seed is its number, so rows depend neither on partitions nor on
the sizes of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from pyspark.ml.feature import HashingTF
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.judge import Array

Generator: TypeAlias = np.random.Generator
# So many rows of features, drawn.
Features: TypeAlias = Callable[[Generator, int], Array]

SEED = 2024
CHUNK = 1_000  # rows
PARTITION_BYTES = 100e6
# The deviation of the true margins: a perfect model's area under the ROC curve is then 0.85.
MARGIN = 2.0

TOKENS = 50  # a row of text
RANKS = 10_000  # tokens to choose from, for each place in a row


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal features; with a mixing matrix (p, p), correlated ones."""

    features: int
    mixing: Array | None = None

    def __call__(self, generator: Generator, rows: int) -> Array:
        drawn = generator.standard_normal((rows, self.features))
        return drawn if self.mixing is None else drawn @ self.mixing


def correlated(features: int, condition: float) -> Normal:
    """Normal features whose matrix has this condition number, in no special directions."""
    generator = np.random.default_rng(SEED)
    turn = np.linalg.qr(generator.standard_normal((features, features)))[0]
    values = np.logspace(0, -np.log10(condition), features)
    return Normal(features, np.sqrt(features) * values[:, None] * turn.T)


def mixed_kinds(generator: Generator, rows: int) -> Array:
    """50 features: measurements in units from 0.01 to 100, flags, counts and skewed amounts."""
    common = generator.standard_normal((rows, 1))
    measured = 0.5 * common + generator.standard_normal((rows, 20)) + np.linspace(-3, 3, 20)
    flags = generator.random((rows, 10)) < np.linspace(0.05, 0.5, 10)
    counts = generator.poisson(np.logspace(-0.3, 1.3, 10), (rows, 10))
    amounts = np.exp(generator.standard_normal((rows, 10)) * np.linspace(0.3, 1.0, 10)) * 50
    return np.hstack((measured * np.logspace(-2, 2, 20), flags, counts, amounts))


@dataclass(frozen=True, eq=False)
class Truth:
    """The model that labels are drawn from: coefficients (p, K), intercepts (K,)."""

    coefficients: Array
    intercepts: Array

    def labels(self, generator: Generator, features: Array) -> Array:
        """A label for each row; K = 1 makes two classes."""
        margins = features @ self.coefficients + self.intercepts
        if margins.shape[1] == 1:
            return np.asarray(margins[:, 0] > generator.logistic(size=len(margins)), dtype=float)
        return np.asarray((margins + generator.gumbel(size=margins.shape)).argmax(axis=1), float)


def true_model(draw: Features, columns: int, share: float) -> Truth:
    """A truth in which this share of the features has a part, for margins of deviation MARGIN."""
    generator = np.random.default_rng(SEED)
    pilot = draw(generator, 5_000)
    used = generator.random((pilot.shape[1], 1)) < share
    coefficients = generator.standard_normal((pilot.shape[1], columns)) * used
    coefficients /= pilot.std(axis=0)[:, None]
    coefficients *= MARGIN / (pilot @ coefficients).std(axis=0)
    # Minus a half: classes of unequal size, so that the intercept has work to do.
    shift = -0.5 if columns == 1 else np.linspace(-0.5, 0.5, columns)
    return Truth(coefficients, shift - pilot.mean(axis=0) @ coefficients)


@dataclass(frozen=True, eq=False)
class _DenseChunks:
    """The task that makes dense rows, from the numbers of chunks."""

    draw: Features
    truth: Truth

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for chunk in _numbers(batches):
            generator = np.random.default_rng([SEED, chunk])
            features = self.draw(generator, CHUNK)
            labels = self.truth.labels(generator, features)
            ends = np.arange(CHUNK + 1, dtype=np.int32) * features.shape[1]
            lists = pa.ListArray.from_arrays(ends, pa.array(features.ravel()))
            yield pa.RecordBatch.from_arrays([pa.array(labels), lists], names=["label", "numbers"])


def dense_frame(
    spark: SparkSession, rows: int, draw: Features, *, columns: int = 1, share: float = 1.0
) -> DataFrame:
    """Dense vectors with labels."""
    truth = true_model(draw, columns, share)
    task = _DenseChunks(draw, truth)
    width = len(truth.coefficients)
    made = _chunks(spark, rows, 8.0 * width).mapInArrow(task, "label double, numbers array<double>")
    return made.select("label", array_to_vector(F.col("numbers")).alias("features"))


@cache
def _token_weights() -> Array:
    generator = np.random.default_rng(SEED)
    return generator.normal(scale=MARGIN / TOKENS**0.5, size=TOKENS * RANKS)


def _token_chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The task that makes rows of tokens, none of them twice in a row, few of them common."""
    for chunk in _numbers(batches):
        generator = np.random.default_rng([SEED, chunk])
        ranks = (RANKS * generator.random((CHUNK, TOKENS)) ** 3).astype(np.int32)
        tokens = ranks * TOKENS + np.arange(TOKENS, dtype=np.int32)
        margins = _token_weights()[tokens].sum(axis=1)
        labels = (margins - 0.5 > generator.logistic(size=CHUNK)).astype(np.float64)
        ends = np.arange(CHUNK + 1, dtype=np.int32) * TOKENS
        lists = pa.ListArray.from_arrays(ends, pa.array(tokens.ravel()))
        yield pa.RecordBatch.from_arrays([pa.array(labels), lists], names=["label", "tokens"])


def sparse_frame(spark: SparkSession, rows: int, features: int) -> DataFrame:
    """Sparse vectors: 50 tokens a row, hashed by Spark."""
    made = _chunks(spark, rows, 12.0 * TOKENS).mapInArrow(
        _token_chunks, "label double, tokens array<int>"
    )
    hashing = HashingTF(inputCol="tokens", outputCol="features", numFeatures=features)
    return hashing.transform(made).select("label", "features")


def _chunks(spark: SparkSession, rows: int, row_bytes: float) -> DataFrame:
    """The numbers of chunks, over as many partitions as Spark would have files of such rows."""
    chunks = max(1, rows // CHUNK)
    cores = spark.sparkContext.defaultParallelism
    partitions = cores * max(1, round(rows * row_bytes / PARTITION_BYTES / cores))
    return spark.range(0, chunks, 1, min(chunks, partitions))


def _numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    for batch in batches:
        yield from batch.column(0).to_pylist()
