"""Notes the result of one test run in the table of docs/compatibility.md.

    python .ci/compatibility.py REPORT.xml SUITE

REPORT.xml is pytest's report in JUnit's form, and SUITE says in words which tests were run. The
versions are those of the Python that runs this and of the packages it finds. A row of the table
is a Spark line and a Python; an earlier row for both is replaced. Fails if a test failed.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

PAGE = Path(__file__).resolve().parents[1] / "docs" / "compatibility.md"
HEADER = (
    "pyspark", "Python", "numpy", "scipy", "pandas", "pyarrow",
    "suite", "passed", "failed", "skipped",
)  # fmt: skip
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def counts(report: Path) -> tuple[int, int, int]:
    """Tests passed, failed (or broken around the test) and skipped."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")
    passed = failed = skipped = 0
    for suite in suites:
        wrong = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
        left = int(suite.attrib["skipped"])
        passed += int(suite.attrib["tests"]) - wrong - left
        failed += wrong
        skipped += left
    return passed, failed, skipped


def key(row: list[str]) -> tuple[tuple[int, ...], ...]:
    """Spark's line and Python's, which make two rows one: '4.0.5' and '3.11.7' are 4.0 and 3.11."""
    return tuple(tuple(int(part) for part in text.split(".")[:2]) for text in row[:2])


def put(text: str, row: list[str]) -> str:
    """The page with this row in its table."""
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rows = sorted([old for old in rows if key(old) != key(row)] + [row], key=key)
    marks = ["---:" if name in ("passed", "failed", "skipped") else "---" for name in HEADER]
    written = [f"| {' | '.join(cells)} |\n" for cells in ([*HEADER], marks, *rows)]
    return f"{before}{BEGIN}{''.join(written)}{END}{after}"


def main() -> None:
    """Note it."""
    report, suite = Path(sys.argv[1]), sys.argv[2]
    passed, failed, skipped = counts(report)
    versions = [version("pyspark"), ".".join(map(str, sys.version_info[:3]))]
    versions += [version(name) for name in HEADER[2:6]]
    row = [*versions, suite, *(str(count) for count in (passed, failed, skipped))]
    PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), row), encoding="utf-8")
    if failed or not passed:
        sys.exit(f"{failed} tests failed and {passed} passed")


if __name__ == "__main__":
    main()
