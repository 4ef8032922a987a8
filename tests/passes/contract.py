"""What every kind of passes must do, whoever holds the rows.

Sums are held to a direct computation, in long doubles and without blocks, slices or stacking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField, StructType

from sparklr.arrays import Array
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.sums import Probe
from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import open_passes
from sparklr.passes.protocol import Passes, read_round
from sparklr.rows.checks import ColumnNames
from tests.conftest import REMOTE
from tests.passes.asking import total

NAMES = ColumnNames("features", "label", "weight")
SCHEMA = StructType(
    [
        StructField("features", VectorUDT()),
        StructField("label", DoubleType()),
        StructField("weight", DoubleType()),
    ]
)
# Of the sum of all terms' sizes, as a sum in which they cancel is known no better.
RELATIVE = 1e-12


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a frame: matrix (n, p), labels, weights, and whether each is a sparse vector."""

    matrix: Array
    labels: Array
    weights: Array
    sparse: Sequence[bool]

    @property
    def kept(self) -> Any:
        """Which rows count."""
        return self.weights > 0

    def frame(self, spark: Any, partitions: int) -> Any:
        """A frame of these rows, some of them in each partition."""
        rows = []
        for values, label, weight, sparse in zip(
            self.matrix, self.labels, self.weights, self.sparse, strict=True
        ):
            vector = Vectors.dense(values)
            if sparse:
                vector = Vectors.sparse(
                    len(values), {int(j): values[j] for j in values.nonzero()[0]}
                )
            rows.append((vector, float(label), float(weight)))
        if REMOTE:  # the server's default is two partitions, and they keep the order
            frame = spark.createDataFrame(rows, SCHEMA)
            return frame if partitions == 2 else frame.repartition(partitions)
        return spark.createDataFrame(spark.sparkContext.parallelize(rows, partitions), SCHEMA)


def _numbers(rows: int, columns: int, density: float = 1.0) -> Array:
    random = np.random.default_rng([rows, columns])
    return random.normal(size=(rows, columns)) * (random.random((rows, columns)) < density)


def _labels(rows: int, classes: int = 2) -> Array:
    return np.random.default_rng(classes).integers(0, classes, rows).astype(float)


def _dense() -> Rows:
    return Rows(_numbers(200, 5), _labels(200), np.ones(200), [False] * 200)


def _sparse() -> Rows:
    weights = np.random.default_rng(0).choice([0.0, 0.5, 1.0, 3.0], 200)
    return Rows(_numbers(200, 12, 0.1), _labels(200), weights, [True] * 200)


def _both() -> Rows:
    """Dense rows and sparse ones, in dense blocks and sparse ones, with three classes."""
    matrix = np.vstack((_numbers(100, 8, 0.9), _numbers(140, 8, 0.1)))
    kinds = [number % 3 == 0 for number in range(100)] + [number % 4 > 0 for number in range(140)]
    return Rows(matrix, _labels(240, 3), np.ones(240), kinds)


def _far_dense() -> Rows:
    """Means of a million standard deviations."""
    matrix = _numbers(150, 4) + np.array([0, 1e6, 0, -1e6])
    return Rows(matrix, _labels(150), np.ones(150), [False] * 150)


def _far_sparse() -> Rows:
    """Sparse but for one column, whose mean is a thousand standard deviations."""
    matrix = _numbers(150, 12, 0.05)
    matrix[:, 7] = 1000.0 + _numbers(150, 1)[:, 0]
    return Rows(matrix, _labels(150), np.ones(150), [True] * 150)


CASES: dict[str, Callable[[], Rows]] = {
    "dense": _dense,
    "sparse": _sparse,
    "both": _both,
    "far dense": _far_dense,
    "far sparse": _far_sparse,
}


def _probe(family: Any, columns: int, order: Any, features: int, seed: int) -> Probe:
    random = np.random.default_rng([seed, columns, order])
    coefficients = 0.5 * random.normal(size=(columns, features))
    return Probe(family, coefficients, random.normal(size=columns), order)


def probes_of(name: str, rows: Rows) -> list[Probe]:
    """A round's probes, by name."""
    features = rows.matrix.shape[1]
    classes = int(rows.labels.max()) + 1
    if name == "one column" and classes == 2:
        return [_probe(BINOMIAL, 1, 2, features, 0)]
    if name == "one column":
        return [_probe(MULTINOMIAL, classes, 1, features, 0)]
    if name == "three columns":
        return [_probe(MULTINOMIAL, 3, 2, features, 0)]
    binomial = [_probe(BINOMIAL, 1, order, features, i) for i, order in enumerate((1, 0, 2, 1))]
    multinomial = [
        _probe(MULTINOMIAL, columns, order, features, i)
        for i, (columns, order) in enumerate([(4, 2), (3, 0), (3, 1), (4, 1), (3, 2)])
    ]
    if classes > 2:
        binomial = []
    if name == "mixed":
        return [*multinomial[:2], *binomial[:2], *multinomial[2:], *binomial[2:]]
    if classes > 2:
        return [_probe(MULTINOMIAL, 4, 1, features, number) for number in range(10)]
    return [_probe(BINOMIAL, 1, 1, features, number) for number in range(40)]


ROUNDS = ("one column", "three columns", "forty columns", "mixed")


def direct_sums(probe: Probe, rows: Rows, origin: Array | None) -> tuple[Array, Array]:
    """A probe's sums from their definition, and the sums of the terms' sizes."""
    exact = np.longdouble
    labels, weights = rows.labels[rows.kept].astype(int), rows.weights[rows.kept].astype(exact)
    matrix = rows.matrix[rows.kept].astype(exact) - (0.0 if origin is None else origin)
    points = np.column_stack((matrix, np.ones(len(labels), dtype=exact)))
    margins = matrix @ probe.coefficients.T.astype(exact) + probe.offsets
    binomial = probe.family is BINOMIAL
    if binomial:  # two classes, of which the first has margin 0
        margins = np.column_stack((np.zeros(len(labels), dtype=exact), margins))
    everyone = np.arange(len(labels))
    logs = np.logaddexp.reduce(margins, axis=1)
    losses = logs - margins[everyone, labels]
    chances = np.exp(margins - logs[:, None])
    slopes = chances.copy()
    slopes[everyone, labels] -= 1
    curvatures = chances[:, :, None] * np.eye(margins.shape[1])
    curvatures -= chances[:, :, None] * chances[:, None, :]
    if binomial:
        slopes, curvatures = slopes[:, 1:], curvatures[:, 1:, 1:]
    found = []
    for size in (lambda part: part, np.abs):
        parts = [[size(weights) @ size(losses)]]
        if probe.order > 0:
            parts.append(np.einsum("n,nk,nj->kj", weights, size(slopes), size(points)).ravel())
        if probe.order > 1:
            terms = np.einsum("n,nkl,nj->nkjl", weights, size(curvatures), size(points))
            parts.append(np.einsum("nkjl,ni->kjli", terms, size(points)).ravel())
        found.append(np.concatenate(parts).astype(float))
    return found[0], found[1]


def assert_sums(flat: Array, probes: Sequence[Probe], rows: Rows, origin: Array | None) -> None:
    """One reading's sums are those of the definition."""
    expected, sizes = (
        np.concatenate(parts)
        for parts in zip(*(direct_sums(probe, rows, origin) for probe in probes), strict=True)
    )
    assert flat.shape == expected.shape
    wrong = np.flatnonzero(np.abs(flat - expected) > RELATIVE * sizes)
    assert len(wrong) == 0, (wrong, flat[wrong], expected[wrong], sizes[wrong])


@dataclass(frozen=True, eq=False)
class Opened:
    """Passes over the rows of a case, and what was read so far."""

    rows: Rows
    passes: Passes
    readings: dict[str, Array] = field(default_factory=dict)

    def probes(self, name: str) -> list[Probe]:
        return probes_of(name, self.rows)

    def total(self, name: str) -> Array:
        """The first reading of a round."""
        if name not in self.readings:
            self.readings[name] = total(self.passes, self.probes(name))
        return self.readings[name]


@contextmanager
def opened(spark: Any, rows: Rows, storage: PackSettings, partitions: int = 2) -> Iterator[Opened]:
    """Passes over a frame of these rows, as the estimator opens them."""
    columns = [F.unwrap_udt("features").alias("features"), "label", "weight"]
    frame = rows.frame(spark, partitions).select(*columns)
    with open_passes(frame, NAMES, storage) as passes:
        yield Opened(rows, passes)


class PassesContract:
    """For a module with a fixture `case`, which opens one case after another."""

    @pytest.mark.parametrize("name", ROUNDS)
    def test_one_reading_sums_for_every_probe(self, case: Opened, name: str) -> None:
        assert_sums(case.total(name), case.probes(name), case.rows, case.passes.moments.origin)

    def test_reading_again_gives_the_same_to_the_bit(self, case: Opened) -> None:
        first = case.total("mixed")
        again = total(case.passes, case.probes("mixed"))
        assert again.tobytes() == first.tobytes()

    def test_a_round_in_several_readings_gives_the_same(self, case: Opened) -> None:
        probes = case.probes("mixed")
        half = 8 * sum(probe.length for probe in probes) // 2
        sums, readings = read_round(case.passes, probes, half)
        assert readings > 1
        flat = np.concatenate([part.flat for part in sums])
        assert_sums(flat, probes, case.rows, case.passes.moments.origin)

    def test_moments_are_those_of_the_rows(self, case: Opened) -> None:
        rows, moments = case.rows, case.passes.moments
        matrix, labels = rows.matrix[rows.kept], rows.labels[rows.kept]
        weights = rows.weights[rows.kept].astype(np.longdouble)
        mean = weights @ matrix / weights.sum()
        spread = weights @ (matrix - mean) ** 2
        variance = spread / (weights.sum() - weights @ weights / weights.sum())
        assert moments.rows == len(labels)
        assert_allclose(moments.weight, float(weights.sum()), rtol=RELATIVE)
        scale = np.abs(matrix).max(axis=0)
        assert_allclose(moments.mean / scale, (mean / scale).astype(float), atol=RELATIVE)
        # A mean of a million deviations leaves ten digits of each.
        assert_allclose(moments.variance, variance.astype(float), rtol=1e-9)
        assert_array_equal(moments.minimum, matrix.min(axis=0))
        assert_array_equal(moments.maximum, matrix.max(axis=0))
        assert moments.nonzeros == np.count_nonzero(matrix)
        shares = [float(weights[labels == label].sum()) for label in np.unique(labels)]
        assert_array_equal(moments.labels, np.unique(labels))
        assert_allclose(moments.label_weights, shares, rtol=RELATIVE)

    def test_the_sample_is_of_the_rows(self, case: Opened) -> None:
        rows, sample = case.rows, case.passes.sample
        matrix = sample.matrix.toarray() if sample.sparse else sample.matrix
        weights = np.ones(sample.rows) if sample.weights is None else sample.weights
        drawn = np.column_stack((matrix, sample.labels, weights))
        given = np.column_stack((rows.matrix, rows.labels, rows.weights))[rows.kept]
        # So few rows are all in the sample.
        assert_array_equal(drawn[np.lexsort(drawn.T)], given[np.lexsort(given.T)])
