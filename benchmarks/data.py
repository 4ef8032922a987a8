"""Rows to fit, made inside Spark from fixed seeds, with labels drawn from a true model.

Rows are made in chunks, and the seed of a chunk is its number, so that rows depend neither on
partitions nor on the sizes of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from pyspark.ml.feature import HashingTF, OneHotEncoder, VectorAssembler
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.judge import Array

Generator: TypeAlias = np.random.Generator
# Draws the features of this many rows, (rows, p).
Features: TypeAlias = Callable[[Generator, int], Array]

SEED = 2024
CHUNK = 1_000  # rows
PARTITION_BYTES = 100e6
# The standard deviation of the true margins, for an area under the ROC curve of 0.85.
MARGIN = 2.0

TOKENS = 50  # per row of text
RANKS = 10_000  # tokens to choose from, per position in a row

LEVELS = (3, 5, 8, 12, 20, 40, 81, 200)  # of the categorical columns
AMOUNTS = 4  # further columns, lognormal
ZIPF = 1.3  # level r has a probability in proportion to r^-ZIPF
# With this seed of the true model, some rare levels have positives that are not in the sample. The
# optimum on the sample is then far from the optimum on all rows, which makes the start difficult.
LEVELS_SEED = 3
RARE = -8.9  # the true intercept, for about 1% positives


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal features; correlated if there is a mixing matrix (p, p)."""

    features: int
    mixing: Array | None = None

    def __call__(self, generator: Generator, rows: int) -> Array:
        drawn = generator.standard_normal((rows, self.features))
        return drawn if self.mixing is None else drawn @ self.mixing


def correlated(features: int, condition: float) -> Normal:
    """Return normal features whose matrix has this condition number, in random directions."""
    generator = np.random.default_rng(SEED)
    turn = np.linalg.qr(generator.standard_normal((features, features)))[0]
    values = np.logspace(0, -np.log10(condition), features)
    return Normal(features, np.sqrt(features) * values[:, None] * turn.T)


def mixed_kinds(generator: Generator, rows: int) -> Array:
    """Draw 50 features: measurements in units from 0.01 to 100, flags, counts, skewed amounts."""
    common = generator.standard_normal((rows, 1))
    measured = 0.5 * common + generator.standard_normal((rows, 20)) + np.linspace(-3, 3, 20)
    flags = generator.random((rows, 10)) < np.linspace(0.05, 0.5, 10)
    counts = generator.poisson(np.logspace(-0.3, 1.3, 10), (rows, 10))
    amounts = np.exp(generator.standard_normal((rows, 10)) * np.linspace(0.3, 1.0, 10)) * 50
    return np.hstack((measured * np.logspace(-2, 2, 20), flags, counts, amounts))


@dataclass(frozen=True, eq=False)
class Truth:
    """The true model from which labels are drawn: coefficients (p, K), intercepts (K,)."""

    coefficients: Array
    intercepts: Array

    def labels(self, generator: Generator, features: Array) -> Array:
        """Draw one label per row; K = 1 gives two classes."""
        margins = features @ self.coefficients + self.intercepts
        if margins.shape[1] == 1:
            return np.asarray(margins[:, 0] > generator.logistic(size=len(margins)), dtype=float)
        return np.asarray((margins + generator.gumbel(size=margins.shape)).argmax(axis=1), float)


def true_model(draw: Features, columns: int, share: float) -> Truth:
    """Return a true model with this share of the features and margins of deviation MARGIN."""
    generator = np.random.default_rng(SEED)
    pilot = draw(generator, 5_000)
    used = generator.random((pilot.shape[1], 1)) < share
    coefficients = generator.standard_normal((pilot.shape[1], columns)) * used
    coefficients /= pilot.std(axis=0)[:, None]
    coefficients *= MARGIN / (pilot @ coefficients).std(axis=0)
    # Minus a half: classes of unequal size, so that the intercept matters.
    shift = -0.5 if columns == 1 else np.linspace(-0.5, 0.5, columns)
    return Truth(coefficients, shift - pilot.mean(axis=0) @ coefficients)


def dense_frame(
    spark: SparkSession, rows: int, draw: Features, *, columns: int = 1, share: float = 1.0
) -> DataFrame:
    """Return a frame of dense vectors with labels."""
    truth = true_model(draw, columns, share)
    task = partial(_dense_chunks, draw=draw, truth=truth)
    row_bytes = 8 * len(truth.coefficients)
    made = _chunks(spark, rows, row_bytes).mapInArrow(task, "label double, numbers array<double>")
    return made.select("label", array_to_vector(F.col("numbers")).alias("features"))


def _dense_chunks(
    batches: Iterator[pa.RecordBatch], draw: Features, truth: Truth
) -> Iterator[pa.RecordBatch]:
    for generator in _generators(batches):
        features = draw(generator, CHUNK)
        yield _batch(label=truth.labels(generator, features), numbers=features)


def sparse_frame(spark: SparkSession, rows: int, features: int) -> DataFrame:
    """Return a frame of sparse vectors with labels: 50 tokens per row, hashed by Spark."""
    made = _chunks(spark, rows, 12 * TOKENS).mapInArrow(
        _token_chunks, "label double, tokens array<int>"
    )
    hashing = HashingTF(inputCol="tokens", outputCol="features", numFeatures=features)
    return hashing.transform(made).select("label", "features")


@cache
def _token_weights() -> Array:
    generator = np.random.default_rng(SEED)
    return generator.normal(scale=MARGIN / TOKENS**0.5, size=TOKENS * RANKS)


def _token_chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Make rows of distinct tokens, of which few are common."""
    for generator in _generators(batches):
        ranks = (RANKS * generator.random((CHUNK, TOKENS)) ** 3).astype(np.int32)
        tokens = ranks * TOKENS + np.arange(TOKENS, dtype=np.int32)
        margins = _token_weights()[tokens].sum(axis=1)
        labels = (margins - 0.5 > generator.logistic(size=CHUNK)).astype(np.float64)
        yield _batch(label=labels, tokens=tokens)


def onehot_frame(spark: SparkSession, rows: int) -> DataFrame:
    """Return a frame of sparse vectors: one-hot columns without their last level, then amounts."""
    made = _chunks(spark, rows, 12 * (len(LEVELS) + AMOUNTS)).mapInArrow(
        _level_chunks, "label double, levels array<double>, amounts array<double>"
    )
    # The encoder reads the number of levels from here: few rows may not have all levels.
    nominal = [{"ml_attr": {"type": "nominal", "num_vals": size}} for size in LEVELS]
    columns = [
        F.col("levels")[at].alias(f"level{at}", metadata=its) for at, its in enumerate(nominal)
    ]
    amounts = [F.col("amounts")[at].alias(f"amount{at}") for at in range(AMOUNTS)]
    coded = [f"coded{at}" for at in range(len(LEVELS))]
    frame = made.select("label", *columns, *amounts)
    encoder = OneHotEncoder(inputCols=[f"level{at}" for at in range(len(LEVELS))], outputCols=coded)
    inputs = [*coded, *(f"amount{at}" for at in range(AMOUNTS))]
    assembler = VectorAssembler(inputCols=inputs, outputCol="features")
    return assembler.transform(encoder.fit(frame).transform(frame)).select("label", "features")


def _level_chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Make rows of levels, numbered from zero, and amounts, with few positives."""
    truth = np.random.default_rng(LEVELS_SEED)
    effects = [truth.normal(size=size) for size in LEVELS]
    slopes = 0.3 * truth.normal(size=AMOUNTS)
    weights = [np.arange(1.0, size + 1) ** -ZIPF for size in LEVELS]
    for generator in _generators(batches):
        drawn = [generator.choice(len(its), CHUNK, p=its / its.sum()) for its in weights]
        amounts = generator.lognormal(size=(CHUNK, AMOUNTS))
        margins = RARE + amounts @ slopes
        margins += sum(its[levels] for its, levels in zip(effects, drawn, strict=True))
        labels = (margins > generator.logistic(size=CHUNK)).astype(np.float64)
        yield _batch(label=labels, levels=np.column_stack(drawn).astype(float), amounts=amounts)


def _chunks(spark: SparkSession, rows: int, row_bytes: float) -> DataFrame:
    """Return the numbers of chunks, with as many partitions as Spark would have for such files."""
    chunks = max(1, rows // CHUNK)
    cores = spark.sparkContext.defaultParallelism
    partitions = cores * max(1, round(rows * row_bytes / PARTITION_BYTES / cores))
    return spark.range(0, chunks, 1, min(chunks, partitions))


def _generators(batches: Iterator[pa.RecordBatch]) -> Iterator[Generator]:
    """Yield the generator of each chunk."""
    for batch in batches:
        for chunk in batch.column(0).to_pylist():
            yield np.random.default_rng([SEED, chunk])


def _batch(**columns: np.ndarray) -> pa.RecordBatch:
    """Return a batch with these columns; matrices become lists."""
    arrays = []
    for values in columns.values():
        array = pa.array(values.ravel())
        if values.ndim == 2:
            ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
            array = pa.ListArray.from_arrays(ends, array)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
