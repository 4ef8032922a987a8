"""The record of what was tested on which versions: rows are put where they belong, as they are."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def record() -> Any:
    """The script that writes the page, which lies in no package."""
    spec = importlib.util.spec_from_file_location("record", ROOT / ".ci" / "compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def matrix() -> dict[str, Any]:
    """The names that the file of the sessions defines; it can be read only once."""
    pytest.importorskip("nox", reason="nox runs these tests elsewhere, without itself")
    return runpy.run_path(str(ROOT / ".ci" / "noxfile.py"))


def row(spark: str, python: str, passed: int = 7) -> list[str]:
    return [spark, python, "1.26.4", "1.17", "2.3", "25.0", "some", str(passed), "0", "1"]


def page(record: Any, *rows: list[str]) -> str:
    text = f"# Title\n\n{record.BEGIN}{record.END}\nmore\n"
    for one in rows:
        text = record.put(text, one)
    return str(text)


def test_rows_stand_in_the_order_of_versions(record: Any) -> None:
    """As numbers: 3.9 is before 3.10."""
    text = page(record, row("4.3.0", "3.11.7"), row("4.3.0", "3.9.1"), row("3.5.9", "3.12.1"))
    lines = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| ")][2:]
    assert lines == [["| 3.5.9", "3.12.1"], ["| 4.3.0", "3.9.1"], ["| 4.3.0", "3.11.7"]]


def test_a_newer_patch_takes_the_place_of_the_older(record: Any) -> None:
    first, second = row("4.0.4", "3.11.7", 1), row("4.0.5", "3.11.9", 2)
    assert page(record, first, second) == page(record, second)


def test_what_stands_around_the_table_stays(record: Any) -> None:
    text = page(record, row("4.3.0", "3.11.7"))
    assert text.startswith(f"# Title\n\n{record.BEGIN}| pyspark |")
    assert text.endswith(f"{record.END}\nmore\n")


COUNTS = 'tests="9" failures="{}" errors="{}" skipped="2"'
REPORT = f"<testsuites><testsuite {COUNTS}></testsuite></testsuites>"


def noted(
    record: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, failures: int, errors: int
) -> list[str]:
    """The last cells of the row that a report with so many failures and errors gives."""
    report, written = folder / "report.xml", folder / "page.md"
    report.write_text(REPORT.format(failures, errors), encoding="utf-8")
    written.write_text(page(record), encoding="utf-8")
    monkeypatch.setattr(record, "PAGE", written)
    monkeypatch.setattr(sys, "argv", ["record", str(report), "some"])
    try:
        record.main()
    finally:
        text = written.read_text(encoding="utf-8").split(record.END)[0]
        cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    return cells[-4:]


def test_tests_are_counted(record: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert noted(record, monkeypatch, tmp_path, 0, 0) == ["some", "7", "0", "2"]


@pytest.mark.parametrize(("failures", "errors"), [(1, 0), (0, 1)])
def test_a_failure_is_noted_and_fails(
    record: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failures: int, errors: int
) -> None:
    with pytest.raises(SystemExit, match="1 tests failed and 6 passed"):
        noted(record, monkeypatch, tmp_path, failures, errors)
    assert "| some | 6 | 1 | 2 |" in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_the_page_can_take_a_row(record: Any) -> None:
    """The markers are there, and every row that stands there is understood."""
    text = record.PAGE.read_text(encoding="utf-8")
    assert "| 9.9.9 | 3.11.7 |" in record.put(text, row("9.9.9", "3.11.7"))


def test_every_test_file_of_the_matrix_exists(matrix: dict[str, Any]) -> None:
    paths = matrix["CONTRACT_AND_PARITY"]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_a_line_of_the_page_for_each_of_the_matrix(record: Any, matrix: dict[str, Any]) -> None:
    text = record.PAGE.read_text(encoding="utf-8").split("## Lines")[1].split("##")[0]
    said = [line.split(" | ") for line in text.splitlines() if line[:3] in ("| 3", "| 4")]
    found = {cells[0].strip("| "): cells[-2] for cells in said}
    lines = matrix["LINES"].items()
    assert found == {name: f"{it.pythons[0]} to {it.pythons[-1]}" for name, it in lines}
