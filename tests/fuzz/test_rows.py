"""Rows as Spark may bring them, however malformed: told for what they are, or packed as they are.

Below Spark: an example costs a millisecond here, and a fifth of a second as a job.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.packing.summaries import check_magnitudes
from sparklr.packing.worker import PackPlan, pack_partition
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.rows.checks import RULES, ColumnNames
from sparklr.scoring.scorer import Scorer
from tests.fuzz.reference import fuzzed, outcome, slopes
from tests.packing.batches import pack
from tests.rows.test_arrow import VECTOR, dense_row, sparse_row

WIDTH = 3
WIDE = WIDTH + 2  # as good as a vector of two billion features
NAMES = ColumnNames("features", "label", "weight")
INF, NAN = float("inf"), float("nan")

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e-300, 1e-30, -1e30]),
    st.floats(-10, 10, width=32),
)
hostile = numbers | st.sampled_from([NAN, INF, -INF, 1e308, None])
labels = st.sampled_from([0.0, 1.0, 0.0, 1.0, -0.0])
hostile_labels = labels | st.sampled_from([None, NAN, INF, -INF, -1.0, 0.5, 2.0, 101.0, 1e300])
weights = st.sampled_from([1.0, 0.0, 2.5, 1e-9])
hostile_weights = weights | st.sampled_from([None, NAN, INF, -INF, -1.0, -0.0, 1e300, 5e-324])
good_vectors = st.one_of(
    st.lists(numbers, min_size=WIDTH, max_size=WIDTH).map(lambda its: dense_row(*its)),
    st.dictionaries(st.integers(0, WIDTH - 1), numbers).map(
        lambda its: sparse_row(WIDTH, dict(sorted(its.items())))
    ),
)
lists = st.none() | st.lists(hostile, max_size=WIDTH + 1)
hostile_vectors = st.one_of(
    st.none(),
    good_vectors,
    st.fixed_dictionaries(
        {
            "type": st.sampled_from([0, 1, 0, 1, 2, -1, None]),
            "size": st.sampled_from([WIDTH, WIDTH, 0, -1, 2**31 - 1, None]),
            "indices": st.none()
            | st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**31 - 1, None]), max_size=WIDTH + 1),
            "values": lists,
        }
    ),
)


@dataclass(frozen=True)
class Row:
    """One row of a frame, as Arrow's own Python objects."""

    vector: Any
    label: float | None
    weight: float | None

    def values(self) -> list[float] | None:
        """The features of a vector that is one; None for what is none."""
        vector = self.vector
        if vector is None or vector["values"] is None or None in vector["values"]:
            return None
        values = vector["values"]
        if vector["type"] == 1:
            return list(values)
        places, size = vector["indices"], vector["size"]
        sound = vector["type"] == 0 and places is not None and None not in places
        if not sound or size is None or len(places) != len(values):
            return None
        rising = all(one < other for one, other in itertools.pairwise([-1, *places, size]))
        if not rising:
            return None
        known = dict(zip(places, values, strict=True))
        return [known.get(at, 0.0) for at in range(min(size, WIDE))]

    def good(self, width: int) -> bool:
        """Whether it can be fitted."""
        values = self.values()
        if values is None or len(values) != width or not np.isfinite(values).all():
            return False
        if self.label is None or self.weight is None:
            return False
        counted = 0 <= self.weight < INF
        return counted and self.label >= 0 and float(self.label).is_integer()


def batches(rows: list[Row], size: int) -> list[pa.RecordBatch]:
    """These rows as Spark brings them, some a batch; perhaps none at all."""
    made = []
    for begin in range(0, max(len(rows), 1), size):
        part = rows[begin : begin + size]
        columns = [
            pa.array([row.vector for row in part], VECTOR),
            pa.array([row.label for row in part], pa.float64()),
            pa.array([row.weight for row in part], pa.float64()),
        ]
        made.append(pa.RecordBatch.from_arrays(columns, ["features", "label", "weight"]))
    return made


def some_rows(vectors: Any, labels: Any, weights: Any, **sizes: int) -> Any:
    return st.lists(st.builds(Row, vectors, labels, weights), **sizes)


@fuzzed
@given(some_rows(hostile_vectors, hostile_labels, hostile_weights, max_size=8), st.integers(1, 5))
def test_any_rows_are_told_or_packed_as_they_are(rows: list[Row], size: int) -> None:
    with np.errstate(all="ignore"):  # magnitudes are judged later, of all rows together
        packed = pack(batches(rows, size))
    found = packed.summary.faults
    widths = [len(values) for row in rows if (values := row.values()) is not None]
    good = not rows or (
        widths[:1] != [] and 0 < widths[0] < WIDE and all(row.good(widths[0]) for row in rows)
    )
    assert bool(found) != good, found
    if found:
        sentence = found.sentence(NAMES)
        assert any(f"'{role}'" in sentence for role in ("features", "label", "weight"))
        assert "To fit, " in sentence
        assert set(found.counts) <= set(RULES)
        assert all(0 < count <= len(rows) for count in found.counts.values())
        assert packed.blocks == []
        return
    kept = [row for row in rows if row.weight]
    if not kept:
        assert packed.blocks == []
        return
    matrices = [block.matrix for block in packed.blocks]
    dense = [m.toarray() if sp.issparse(m) else m for m in matrices]
    expected = np.array([row.values() for row in kept])
    assert np.array_equal(np.concatenate(dense), expected)
    counted = [np.ones(b.rows) if b.weights is None else b.weights for b in packed.blocks]
    assert np.concatenate(counted).tolist() == [row.weight for row in kept]


@fuzzed
@given(st.lists(hostile_vectors, max_size=6))
def test_any_vectors_are_refused_or_scored(vectors: list[Any]) -> None:
    scorer = Scorer(np.array([[1.0, -2.0, 0.5]]), np.array([0.25]), family=BINOMIAL)
    column = pa.array(vectors, VECTOR)
    rows = [Row(vector, 0.0, 1.0) for vector in vectors]
    scores = outcome(lambda: scorer.score_column(column, {"raw": attrgetter("raw")}), ValueError)
    if isinstance(scores, ValueError):
        assert str(scores).startswith("A row has ")
        assert not all(row.vector is None or row.good(WIDTH) for row in rows)
        return
    for row, score in zip(rows, scores.to_pylist(), strict=True):
        assert (score is None) == (row.vector is None)
        values = row.values()
        if values is not None and np.isfinite(values).all():
            assert len(values) == WIDTH
            margin = 0.25 + values[0] - 2 * values[1] + 0.5 * values[2]
            assert score["raw"] == pytest.approx([-margin, margin], rel=1e-9, abs=1e-9)


def fitted(blocks: list[Block], classes: int, strength: float) -> tuple[Any, Any]:
    passes = LocalPasses.of(blocks, blocks[0].features)
    check_magnitudes(passes.moments, NAMES)
    family: Any = BINOMIAL if classes <= 2 else MULTINOMIAL
    spec = Spec(family, regParam=strength, tol=1e-10)
    fits, _ = fit_all({0: spec}, passes, classes)
    return fits[0].coefficients, fits[0].intercepts


magnitudes = st.sampled_from([1e-300, 1e-200, 1e-100, 1e-9, 1.0, 1e9, 1e100, 1e149, 1e200, 1e308])


@fuzzed
@given(
    st.integers(0, 10_000),
    st.lists(magnitudes, min_size=WIDTH, max_size=WIDTH),
    magnitudes,
    st.sampled_from([2, 3]),
    st.booleans(),
)
def test_numbers_of_any_magnitude_are_fitted_rightly_or_refused(
    seed: int, scales: list[float], weight: float, classes: int, sparse: bool
) -> None:
    random = np.random.default_rng(seed)
    base = random.normal(size=(24, WIDTH)) * (random.random((24, WIDTH)) < 0.7)
    own = np.arange(24) % classes
    with np.errstate(over="ignore"):
        matrix = base * np.array(scales)
    rows = []
    for values, label in zip(matrix.tolist(), own.tolist(), strict=True):
        stored = {at: value for at, value in enumerate(values) if value}
        vector = sparse_row(WIDTH, stored) if sparse else dense_row(*values)
        rows.append(Row(vector, float(label), weight))
    with np.errstate(all="ignore"):
        packed = pack(batches(rows, 7))
        if packed.summary.faults:
            assert not np.isfinite(matrix).all()
            return
        fit = outcome(lambda: fitted(packed.blocks, classes, 0.1), ValueError)
    if isinstance(fit, ValueError):
        assert any(word in str(fit) for word in ("overflow", "vanish", "add up to"))
        products = [scale * scale * weight for scale in scales]
        extreme = [weight * 24, *products, *(scale * scale for scale in scales)]
        assert not all(1e-270 < size < 1e290 for size in extreme) or not 1e-140 < weight < 1e140
        return
    coefficients, intercepts = fit
    # The same fit in numbers of about one: the penalty sees the scaled features alone.
    alike = np.asarray(coefficients) * np.array(scales)
    residual = slopes(alike, intercepts, base, own.astype(float), np.ones(24), 0.1)
    assert np.abs(residual).max() < 1e-5


def test_a_batch_of_no_rows_packs_to_nothing() -> None:
    assert [row.num_rows for row in pack_partition(batches([], 3), 0, PackPlan())] == [1]
