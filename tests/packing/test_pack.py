"""Packing without Spark: record batches in; blocks, a summary and complaints out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2

from sparklr.arrays import Array
from sparklr.objective.moments import Moments, moments_of
from sparklr.packing.summaries import PartitionSummary, smallest_keys, stack_blocks
from sparklr.packing.worker import SCHEMA, SUMMARY, PackPlan, pack_partition
from sparklr.rows.blocks import Block
from sparklr.rows.checks import RULES, ColumnNames, RowFaults
from tests.rows.test_arrow import dense_row, sparse_row, vector_column

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True, eq=False)
class Packed:
    """What packing a partition gave."""

    blocks: list[Block]
    small: list[bool]  # of each block
    payloads: list[bytes]
    summary: PartitionSummary

    @property
    def whole(self) -> Block:
        return stack_blocks(self.blocks)


def pack(batches: Sequence[Any], plan: PackPlan | None = None, partition: int = 3) -> Packed:
    """Pack batches, and hold what comes out to what every partition must keep to."""
    rows: list[dict[str, Any]] = []
    for out in pack_partition(iter(batches), partition, plan or PackPlan()):
        assert out.schema == SCHEMA
        rows += out.to_pylist()
    assert {row["partition"] for row in rows} == {partition}
    *blocks, last = rows
    assert (last["position"], last["small"]) == (SUMMARY, True)
    assert [row["position"] for row in blocks] == list(range(len(blocks)))
    summary = PartitionSummary.from_bytes(last["payload"])
    assert (summary.partition, summary.blocks) == (partition, len(blocks))
    payloads = [row["payload"] for row in blocks]
    found = [Block.from_buffer(payload) for payload in payloads]
    return Packed(found, [row["small"] for row in blocks], payloads, summary)


def batch(features: Any, labels: Any, weights: Any = None) -> pa.RecordBatch:
    """A record batch; `features` an Arrow column, or a matrix that is to be an array column."""
    if isinstance(features, np.ndarray):
        features = pa.array(features.tolist(), pa.list_(pa.float64()))
    columns = {"features": features, "label": pa.array(labels, pa.float64(), from_pandas=False)}
    if weights is not None:
        columns["weight"] = pa.array(weights, pa.float64(), from_pandas=False)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def as_vectors(matrix: Array, kind: str) -> Any:
    """A matrix as a column of vectors: dense, sparse, or one after the other."""
    rows = []
    for number, row in enumerate(matrix):
        if kind == "dense" or (kind == "mixed" and number % 2):
            rows.append(dense_row(*row))
        else:
            rows.append(sparse_row(len(row), {int(j): row[j] for j in np.flatnonzero(row)}))
    return vector_column(rows)


def cut(rows: pa.RecordBatch, sizes: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows in batches of these sizes over and over; slices, so offsets are not zero."""
    begin = 0
    number = 0
    while begin < rows.num_rows:
        yield rows.slice(begin, sizes[number % len(sizes)])
        begin += sizes[number % len(sizes)]
        number += 1


def numbered(rows: int, features: int = 4) -> tuple[Array, Array]:
    """Features and labels of rows that can be told apart: the first feature is the row's number."""
    random = np.random.default_rng(rows)
    matrix = random.normal(size=(rows, features))
    matrix[:, 0] = np.arange(rows)
    return matrix, np.arange(rows) % 3.0


def dense(matrix: Any) -> Array:
    return matrix.toarray() if sp.issparse(matrix) else matrix


def assert_same_moments(moments: Moments, expected: Moments) -> None:
    for name, value in expected.to_arrays().items():
        assert_allclose(moments.to_arrays()[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("density", [0.05, 0.9])
@pytest.mark.parametrize("kind", ["array", "dense", "sparse", "mixed"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_blocks_hold_the_rows_with_weight_above_zero(
    kind: str, density: float, weighted: bool
) -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(300, 8)) * (random.random((300, 8)) < density)
    labels = random.integers(0, 3, 300).astype(float)
    weights = random.choice([0.0, 0.5, 1.0, 2.0], 300) if weighted else None
    column = matrix if kind == "array" else as_vectors(matrix, kind)
    plan = PackPlan(block_bytes=2_000)
    packed = pack(list(cut(batch(column, labels, weights), [17, 1, 40])), plan)
    kept = np.ones(300, dtype=bool) if weights is None else weights > 0
    each = np.ones(300) if weights is None else weights
    assert len(packed.blocks) > 1
    assert {block.sparse for block in packed.blocks} == {density < 0.2}
    assert_array_equal(dense(packed.whole.matrix), matrix[kept])
    assert_array_equal(packed.whole.labels, labels[kept])
    given = np.concatenate(
        [np.ones(b.rows) if b.weights is None else b.weights for b in packed.blocks]
    )
    assert_array_equal(given, each[kept])
    assert packed.summary.features == 8
    assert packed.summary.seen == 300
    assert not packed.summary.faults
    rows = Block(matrix[kept], labels[kept], each[kept])
    assert_same_moments(packed.summary.moments, moments_of(rows))


def test_weights_that_are_all_one_are_left_out() -> None:
    matrix, labels = numbered(20)
    packed = pack([batch(matrix, labels, np.ones(20))])
    assert [block.weights for block in packed.blocks] == [None]
    assert_array_equal(packed.whole.matrix, matrix)


@pytest.mark.parametrize("sizes", [[7], [64, 1], [1_000]], ids=str)
@pytest.mark.parametrize("kind", ["array", "sparse"])
def test_blocks_are_about_as_large_as_planned(kind: str, sizes: list[int]) -> None:
    matrix, labels = numbered(1_000, 20)
    if kind == "sparse":
        matrix[:, 3:] = 0.0
    column = matrix if kind == "array" else as_vectors(matrix, kind)
    planned = 8_000
    packed = pack(list(cut(batch(column, labels), sizes)), PackPlan(block_bytes=planned))
    assert all(block.sparse == (kind == "sparse") for block in packed.blocks)
    *most, last = (len(payload) for payload in packed.payloads)
    assert len(most) >= 3
    assert min(most) > 0.5 * planned
    assert max([*most, last]) < 2 * planned


def test_a_row_wider_than_a_block_is_a_block() -> None:
    matrix, labels = numbered(5, 100)
    for sizes in ([1], [5]):
        packed = pack(list(cut(batch(matrix, labels), sizes)), PackPlan(block_bytes=64))
        assert [block.rows for block in packed.blocks] == [1] * 5
        assert_array_equal(packed.whole.matrix, matrix)


def test_many_tiny_batches_make_few_blocks() -> None:
    matrix, labels = numbered(500)
    rows = batch(matrix, labels)
    nothing = rows.slice(0, 0)
    batches = [piece for row in cut(rows, [1]) for piece in (nothing, row)]
    packed = pack(batches, PackPlan(block_bytes=8_000))
    assert len(packed.blocks) < 5
    assert_array_equal(packed.whole.matrix, matrix)
    assert_array_equal(packed.whole.labels, labels)


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_an_empty_partition_has_a_summary_only(batches: int) -> None:
    matrix, labels = numbered(1)
    packed = pack([batch(matrix, labels).slice(0, 0)] * batches)
    summary = packed.summary
    assert packed.blocks == []
    assert (summary.features, summary.seen, summary.moments.rows) == (None, 0, 0)
    assert (summary.sample.rows, len(summary.keys), bool(summary.faults)) == (0, 0, False)


def test_rows_of_weight_zero_are_seen_but_not_packed() -> None:
    matrix, labels = numbered(10)
    packed = pack([batch(matrix, labels, np.zeros(10))])
    assert packed.blocks == []
    assert (packed.summary.seen, packed.summary.moments.rows) == (10, 0)
    assert packed.summary.features == 4
    assert packed.summary.sample.rows == 0


@pytest.mark.parametrize(
    ("features", "label", "rule"),
    [
        (dense_row(NAN, 1.0), 0.0, "not finite"),
        (dense_row(1.0), 0.0, "size"),
        (None, 0.0, "null features"),
        (dense_row(1.0, 1.0), -1.0, "label negative"),
        (dense_row(1.0, 1.0), None, "null label"),
    ],
)
def test_rows_of_weight_zero_are_checked_all_the_same(features: Any, label: Any, rule: str) -> None:
    good = dense_row(1.0, 2.0)
    packed = pack([batch(vector_column([good, features]), [0.0, label], [1.0, 0.0])])
    assert packed.summary.faults.counts == {rule: 1}


@pytest.mark.parametrize("spare", [-1, 0])
def test_a_partition_is_small_as_a_whole_or_not_at_all(spare: int) -> None:
    matrix, labels = numbered(400)
    rows = list(cut(batch(matrix, labels), [10]))
    plan = PackPlan(block_bytes=2_000)
    size = sum(len(payload) for payload in pack(rows, plan).payloads)
    packed = pack(rows, PackPlan(block_bytes=2_000, small_bytes=size + spare))
    assert len(packed.blocks) > 4
    assert packed.small == [spare == 0] * len(packed.blocks)
    assert_array_equal(packed.whole.matrix, matrix)


def test_nothing_is_small_where_nothing_may_be() -> None:
    matrix, labels = numbered(50)
    assert pack([batch(matrix, labels)], PackPlan(small_bytes=0)).small == [False]


def summaries() -> dict[str, PartitionSummary]:
    """Summaries of all kinds."""
    matrix, labels = numbered(30)
    sparse = np.where(np.random.default_rng(0).random((30, 9)) < 0.1, 3.0, 0.0)
    bad = batch(vector_column([dense_row(1.0, NAN), None]), [-1.0, 0.5], [1.0, -2.0])
    return {
        "dense": pack([batch(matrix, labels)]).summary,
        "weighted": pack([batch(matrix, labels, labels)]).summary,
        "sparse": pack([batch(as_vectors(sparse, "sparse"), labels)]).summary,
        "empty": pack([]).summary,
        "bad": pack([bad]).summary,
    }


@pytest.mark.parametrize("name", ["dense", "weighted", "sparse", "empty", "bad"])
def test_a_summary_survives_its_journey(name: str) -> None:
    summary = summaries()[name]
    back = PartitionSummary.from_bytes(summary.to_bytes())
    for field in ("partition", "features", "blocks", "seen"):
        assert getattr(back, field) == getattr(summary, field), field
    assert isinstance(back.seen, int)
    for field, value in summary.moments.to_arrays().items():
        assert_array_equal(back.moments.to_arrays()[field], value, err_msg=field)
    assert isinstance(back.moments.rows, int)
    assert back.sample.to_bytes() == summary.sample.to_bytes()
    assert_array_equal(back.keys, summary.keys)
    assert back.faults == summary.faults


def test_the_summaries_differ_in_what_they_tell() -> None:
    found = summaries()
    assert found["bad"].faults
    assert found["sparse"].sample.sparse
    assert found["weighted"].sample.weights is not None
    assert found["empty"].features is None


def sample_of(partition: int, rows: int, plan: PackPlan) -> tuple[Array, Block]:
    matrix, labels = numbered(rows, 2)
    batches = list(cut(batch(matrix, labels, 1.0 + matrix[:, 0]), [311]))
    summary = pack(batches, plan, partition).summary
    return summary.keys, summary.sample


def test_few_rows_are_all_in_the_sample() -> None:
    _, sample = sample_of(0, 100, PackPlan(block_bytes=500))
    assert_array_equal(sample.matrix, numbered(100, 2)[0])


def test_a_sample_is_a_part_of_the_rows() -> None:
    plan = PackPlan(block_bytes=4_000, sample_rows=150)
    keys, sample = sample_of(0, 1_000, plan)
    matrix, labels = numbered(1_000, 2)
    rows = sample.matrix[:, 0].astype(int)
    assert len(keys) == sample.rows == len(set(rows)) == 150
    assert_array_equal(sample.matrix, matrix[rows])
    assert_array_equal(sample.labels, labels[rows])
    assert_array_equal(sample.weights, 1.0 + rows)
    again, _ = sample_of(0, 1_000, plan)
    assert_array_equal(again, keys)
    other, _ = sample_of(1, 1_000, plan)
    assert not set(other) & set(keys)


def test_a_sample_keeps_within_its_bytes() -> None:
    plan = PackPlan(block_bytes=4_000, sample_bytes=16 * 40)
    _, sample = sample_of(0, 1_000, plan)
    assert 35 <= sample.rows <= 40


def test_every_row_is_as_likely_to_be_in_a_sample() -> None:
    plan = PackPlan(block_bytes=4_000, sample_rows=100)
    counts = np.zeros(20)
    for partition in range(150):
        rows = sample_of(partition, 1_000, plan)[1].matrix[:, 0]
        counts += np.bincount((rows // 50).astype(int), minlength=20)
    expected = 150 * 100 / 20
    # Drawing without replacement varies less than the chi-square distribution supposes.
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < chi2.ppf(0.999, 19)
    assert statistic > chi2.ppf(0.001, 19) * 0.9  # nor does it take the same number from each


def test_samples_merge_by_their_smallest_keys() -> None:
    plan = PackPlan(block_bytes=4_000, sample_rows=100)
    samples = [sample_of(partition, 200 + 100 * partition, plan) for partition in range(4)]
    keys, merged = smallest_keys(samples, 60)
    every = np.concatenate([keys for keys, _ in samples])
    rows = np.concatenate([block.matrix for _, block in samples])
    smallest = np.argsort(every)[:60]
    assert_array_equal(np.sort(keys), every[smallest])
    assert {tuple(row) for row in merged.matrix} == {tuple(row) for row in rows[smallest]}
    for key, row in zip(keys, merged.matrix, strict=True):  # each row keeps its own key
        assert_array_equal(row, rows[every == key][0])
    everything, whole = smallest_keys(samples, 1_000)
    assert_array_equal(everything, every)
    assert_array_equal(whole.matrix, rows)


GOOD = dense_row(1.0, 2.0)
# rule -> a batch that breaks it, how many rows do, and the example that is told
BROKEN: dict[str, tuple[Any, int, str]] = {
    "null features": (batch(vector_column([GOOD, None, None]), [0, 1, 0]), 2, ""),
    "null element": (
        batch(pa.array([[1.0, 2.0], [None, 2.0]], pa.list_(pa.float64())), [0, 1]),
        1,
        "at feature 0",
    ),
    "broken vector": (
        batch(vector_column([GOOD, {**sparse_row(2, {0: 1.0}), "indices": [2]}]), [0, 1]),
        1,
        "",
    ),
    "size": (
        batch(vector_column([GOOD, dense_row(1.0), sparse_row(5, {})]), [0, 1, 1]),
        2,
        "size 1 instead of 2",
    ),
    "too wide": (
        batch(vector_column([sparse_row(2**31 - 1, {5: 1.0})] * 2), [0, 1]),
        2,
        "size 2147483647",
    ),
    "not finite": (
        batch(vector_column([GOOD, sparse_row(2, {1: NAN}), dense_row(INF, 0.0)]), [0, 1, 1]),
        2,
        "nan at feature 1",
    ),
    "no features": (batch(vector_column([dense_row(), sparse_row(0, {})]), [0, 1]), 1, ""),
    "null label": (batch(vector_column([GOOD] * 3), [0, None, NAN]), 2, ""),
    "label not whole": (batch(vector_column([GOOD] * 4), [0, 0.5, INF, -INF]), 3, "0.5"),
    "label negative": (batch(vector_column([GOOD] * 3), [1, -2, -1]), 2, "-2"),
    "label too large": (batch(vector_column([GOOD] * 4), [0, 2, 3, 7]), 2, "3"),
    "null weight": (batch(vector_column([GOOD] * 3), [0, 1, 1], [1, None, NAN]), 2, ""),
    "weight negative": (batch(vector_column([GOOD] * 3), [0, 1, 1], [1, -0.25, -INF]), 2, "-0.25"),
    "weight infinite": (batch(vector_column([GOOD] * 2), [0, 1], [1, INF]), 1, "inf"),
}


def test_every_rule_has_a_batch_that_breaks_it() -> None:
    assert set(BROKEN) == set(RULES)


@pytest.mark.parametrize("rule", list(BROKEN))
def test_a_broken_rule_is_counted_with_an_example(rule: str) -> None:
    rows, count, example = BROKEN[rule]
    packed = pack([rows], PackPlan(classes=3))
    complaints = packed.summary.faults
    assert set(complaints.counts) == {rule}
    assert complaints.examples == {rule: example}
    assert rule == "no features" or complaints.counts[rule] == count
    assert packed.blocks == []
    assert packed.summary.sample.rows == 0
    assert packed.summary.seen == rows.num_rows


@pytest.mark.parametrize("rule", sorted(set(BROKEN) - {"no features"}))
def test_rows_are_counted_to_the_end_and_the_first_example_stays(rule: str) -> None:
    rows, count, example = BROKEN[rule]
    # The first row of each is good, so the example is not the batch's first row.
    complaints = pack([*cut(rows, [1]), rows], PackPlan(classes=3)).summary.faults
    assert complaints.counts == {rule: 2 * count}
    assert complaints.examples == {rule: example}


def test_labels_may_be_of_any_size_where_no_metadata_tell() -> None:
    assert not pack([BROKEN["label too large"][0]]).summary.faults


def test_complaints_merge() -> None:
    one, other = RowFaults(), RowFaults()
    assert not one
    one.add("size", 0, "nothing")
    assert not one
    one.add("size", 2, "first")
    other.add("size", 3, "second")
    other.add("null label", 1)
    one.merge(other)
    assert one
    assert one.counts == {"size": 5, "null label": 1}
    assert one.examples == {"size": "first", "null label": ""}


NAMES = ColumnNames("my features", "my label", "my weight")


@pytest.mark.parametrize("rule", list(RULES))
def test_a_complaint_names_column_count_value_and_remedy(rule: str) -> None:
    role, what, remedy = RULES[rule]
    one, many = RowFaults(), RowFaults()
    one.add(rule, 1)
    many.add(rule, 20, "-7")
    for text in (one.sentence(NAMES), many.sentence(NAMES)):
        assert f"'my {role}'" in text
        assert what in text
        assert remedy in text
        assert text.endswith(".")
    assert "1 row has" in one.sentence(NAMES)
    assert "first" not in one.sentence(NAMES).replace("first row's", "")
    assert "20 rows have" in many.sentence(NAMES)
    assert "(first: -7)" in many.sentence(NAMES)


def test_the_first_rule_broken_is_told() -> None:
    complaints = RowFaults()
    for rule in reversed(RULES):
        complaints.add(rule, 1)
    assert "null" in complaints.sentence(NAMES)
    assert "my features" in complaints.sentence(NAMES)
