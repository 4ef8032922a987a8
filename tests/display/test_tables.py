"""Tables as text and as HTML, and numbers in them."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from sparklr.display.tables import Ends, Page, Table, amount, label_name, number, percent

TABLE = Table("Sizes", ("name", "size"), (("a", "1.5"), "... 3 more ...", ("bcd", "12.25")))


def test_columns_of_text_are_aligned() -> None:
    assert TABLE.text().splitlines() == [
        "Sizes",
        "-----------",
        "name   size",
        "-----------",
        "a       1.5",
        "... 3 more ...",
        "bcd   12.25",
    ]


def test_a_page_of_text_wraps_long_facts_under_themselves() -> None:
    page = Page("Title", (("short", "x"), ("the longer", "word " * 20)), (TABLE,), ("note " * 30,))
    lines = page.text().splitlines()
    assert lines[:3] == ["Title", "=====", "short       x"]
    assert lines[3].startswith("the longer  word word")
    assert lines[4].startswith(" " * 12 + "word")
    assert max(map(len, lines)) <= 88
    assert lines[-1].startswith("note")
    assert TABLE.text() in page.text()


def test_a_long_or_broken_name_keeps_to_its_line_of_text() -> None:
    rows = (("a\nb\t c", "1"), ("x" * 40 + "y" * 40, "2"))
    lines = Table("", ("", ""), rows).text().splitlines()
    assert lines[4].split() == ["a", "b", "c", "1"]
    name, value = lines[5].split()
    assert len(name) <= 36
    assert (name[0], name[-1], value) == ("x", "y", "2")
    assert "..." in name


def test_html_is_well_formed_and_says_the_same() -> None:
    page = Page("Title", (("fact", "value"),), (TABLE,), ("note",))
    root = ElementTree.fromstring(page.html())
    words = [" ".join(text.split()) for text in root.itertext()]
    expected = ["Title", "fact", "value", "Sizes", "name", "size", "a", "1.5", "... 3 more ..."]
    assert words == [*expected, "bcd", "12.25", "note"]
    heads = [(cell.get("scope"), cell.text) for cell in root.iter("th")]
    assert ("col", "size") in heads
    assert ("row", "a") in heads


def test_html_escapes_every_word() -> None:
    bad = "<script>&\"'"
    page = Page(bad, ((bad, bad),), (Table(bad, (bad, bad), ((bad, bad), bad)),), (bad,))
    assert "<script" not in page.html()
    texts = list(ElementTree.fromstring(page.html()).itertext())
    assert texts == [bad] * 10


def test_html_sets_no_colours_and_no_fonts() -> None:
    """Notebooks are light or dark."""
    page = Page("Title", (("fact", "value"),), (TABLE,))
    for word in ("background", "color:#", "font-family", "class="):
        assert word not in page.html()


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1.0000"), (-12.34567, "-12.3457"), (0.012, "0.0120"),
        (0.001234567, "1.235e-03"), (-1e-12, "-1.000e-12"), (123456.7, "123,456.7000"),
        (1e11, "1.000e+11"), (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "-"),
    ],
)  # fmt: skip
def test_numbers(value: float, word: str) -> None:
    assert number(value) == word


def test_amounts_shares_and_labels() -> None:
    amounts = [amount(x) for x in (0.0, 1234.0, 5 - 1e-12, 12.5, 1234.567, 0.00123456)]
    assert amounts == ["0", "1,234", "5", "12.5", "1,234.57", "0.001235"]
    assert [percent(x) for x in (0.1234, 1.0, math.nan)] == ["12.3%", "100.0%", "-"]
    assert [label_name(x) for x in (0.0, 12.0, 0.5)] == ["0", "12", "0.5"]


def test_all_are_shown_up_to_the_most() -> None:
    shown = Ends.of(5, 5)
    assert (shown.places, shown.left_out) == ([0, 1, 2, 3, 4], 0)
    assert shown.joined(["a"] * 5, "gap") == ["a"] * 5


def test_the_middle_of_many_is_left_out_and_counted() -> None:
    shown = Ends.of(2005, 5)
    assert (shown.places, shown.left_out) == ([0, 1, 2, 2003, 2004], 2000)
    assert shown.joined(list("abcde"), "gap") == ["a", "b", "c", "gap", "d", "e"]
    rows = [(letter,) for letter in "abcde"]
    expected = (("a",), ("b",), ("c",), "... 2,000 more words ...", ("d",), ("e",))
    assert shown.rows(rows, "words") == expected
