"""Complaints about rows: how they merge, and what the sentence says."""

from __future__ import annotations

import pytest

from sparklr.rows.checks import RULES, ColumnNames, RowFaults

NAMES = ColumnNames("my features", "my label", "my weight", offset="my offset", held="my held")


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
