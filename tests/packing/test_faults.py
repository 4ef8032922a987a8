"""Rows that break a rule are counted as they are packed, and the first is told."""

from __future__ import annotations

from typing import Any

import pytest

from sparklr.packing.worker import PackPlan
from sparklr.rows.checks import RULES
from tests.packing.batches import BROKEN, NAN, batch, cut, pack
from tests.rows.test_arrow import dense_row, vector_column


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
