"""Sums of scores by cluster, from Arrow batches, without Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.inference import clusters
from sparklr.inference.clusters import ClusterSums, products_of_sums
from sparklr.objective.families import BINOMIAL

RNG = np.random.default_rng(5)
MATRIX = RNG.normal(size=(90, 2))
LABELS = (RNG.random(90) < 0.4).astype(float)
WEIGHTS = RNG.integers(1, 4, 90).astype(float)
OFFSETS = RNG.normal(size=90)
NAMES = [f"c{at}" for at in RNG.integers(0, 7, 90)]
POINT, INTERCEPT, ORIGIN = np.array([0.5, -1.0]), 0.2, np.array([0.1, 0.3])
FACTORS = np.array([0.5, 2.0])


def batches(names: list[str | None]) -> list[pa.RecordBatch]:
    columns: dict[str, Any] = {
        "features": MATRIX.tolist(),
        "label": LABELS,
        "cluster": pa.array(names, pa.string()),
        "weight": WEIGHTS,
        "offset": OFFSETS,
    }
    whole = pa.RecordBatch.from_pydict(columns)
    return [whole.slice(0, 40), whole.slice(40, 20), whole.slice(60)]


def products(names: list[str | None]) -> dict[str, list[Any]]:
    """What the two stages make of the batches as two partitions, with a shuffle between them."""
    task = ClusterSums(BINOMIAL, POINT[None], np.array([INTERCEPT]), ORIGIN, FACTORS)
    first, second, third = batches(names)
    partial = pa.Table.from_batches([*task(iter([first, second])), *task(iter([third]))])
    ordered = partial.sort_by([("cluster", "ascending")])
    (found,) = products_of_sums(ordered.to_batches(max_chunksize=3))
    result: dict[str, list[Any]] = found.to_pydict()
    return result


def expected() -> Array:
    rows = np.column_stack((MATRIX - ORIGIN, np.ones(90)))
    away = expit(rows[:, :2] @ POINT + INTERCEPT + OFFSETS) - LABELS
    scores = rows * (away * WEIGHTS * FACTORS[LABELS.astype(int)])[:, None]
    each = [scores[np.array(NAMES) == name].sum(axis=0) for name in sorted(set(NAMES))]
    return np.asarray(sum(np.outer(one, one) for one in each))


@pytest.mark.parametrize("most", [clusters.MOST_BYTES, 100])
def test_products_are_those_of_the_sums_by_cluster(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Also if a partition hands its sums on before its end."""
    monkeypatch.setattr(clusters, "MOST_BYTES", most)
    found = products([*NAMES])
    assert (found["clusters"], found["lacking"]) == ([7], [0])
    total = np.frombuffer(found["products"][0]).reshape(3, 3)
    assert_allclose(total, expected(), rtol=1e-12)


def test_rows_without_a_cluster_are_counted() -> None:
    found = products([None if at in (0, 70) else name for at, name in enumerate(NAMES)])
    assert (found["clusters"], found["lacking"]) == ([7], [2])
    assert products([None] * 90)["clusters"] == [0]
