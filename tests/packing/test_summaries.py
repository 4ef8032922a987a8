"""What a partition tells of its rows: moments, a sample, and how both travel and merge."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import chi2

from sparklr.arrays import Array
from sparklr.packing.sample import smallest_keys
from sparklr.packing.summaries import PartitionSummary, check_and_merge
from sparklr.packing.worker import PackPlan
from sparklr.rows.blocks import Block
from sparklr.rows.checks import ColumnNames
from tests.packing.batches import NAN, as_vectors, batch, cut, numbered, pack
from tests.rows.test_arrow import dense_row, vector_column


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


@pytest.mark.parametrize(("rows", "wider"), [(300, 60), (299, 20)])
def test_the_wider_sample_of_many_rows_holds_the_sample(
    rows: int, wider: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are random samples of all rows; of few rows there is the sample alone."""
    monkeypatch.setattr("sparklr.packing.summaries.SAMPLE_ROWS", 20)
    monkeypatch.setattr("sparklr.packing.summaries.WIDER_ROWS", 60)
    monkeypatch.setattr("sparklr.packing.summaries.WIDER_RATIO", 5)
    plan = PackPlan(block_bytes=4_000, sample_rows=100)
    parts = [
        pack(list(cut(batch(*numbered(count, 2), None), [97])), plan, at).summary
        for at, count in enumerate((100, rows - 100))
    ]
    merged = check_and_merge(parts, ColumnNames("features", "label"))
    sample, more = merged.sample, merged.wider_sample
    assert (sample.rows, more.rows) == (20, wider)
    assert {tuple(row) for row in sample.matrix} <= {tuple(row) for row in more.matrix}
    keys = np.concatenate([part.keys for part in parts])
    every = np.concatenate([part.sample.matrix for part in parts])
    smallest = every[np.argsort(keys)[:wider]]
    assert sorted(map(tuple, more.matrix)) == sorted(map(tuple, smallest))


def test_rows_of_one_kind_are_refused_where_some_are_to_be_held_out() -> None:
    matrix, labels = numbered(20, 2)
    names = ColumnNames("features", "label", held="v")
    for value, says in (
        (0.0, "'v' is false .* no row is held out"),
        (1.0, "'v' is true .* fitted"),
    ):
        rows = batch(matrix, labels, held=np.full(20, value))
        with pytest.raises(ValueError, match=says):
            check_and_merge([pack([rows]).summary], names)
    merged = check_and_merge([pack([batch(matrix, labels, held=labels == 2)]).summary], names)
    assert merged.folds[0].labels.tolist() == [0, 1]
    assert merged.held[0].labels.tolist() == [2]
