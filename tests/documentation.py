"""The Python of a page, run from top to bottom, and the outputs that the page shows.

A block ```text output after a block of Python shows what that prints.

    python -m tests.documentation README.md docs/start.md      write these outputs again
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```(?:\n+```text output\n(?P<shown>.*?)```)?", re.DOTALL
)

PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "```python" in page.read_text(encoding="utf-8")
]
# A figure below 1e-9 of what prints a p-value or a step is rounding, and differs by machine.
TINY = re.compile(r"\d(?:\.\d+)?e-1\d")


def name_of(page: Path) -> str:
    """Return the name of a page, as in "docs/tuning.md"."""
    return page.relative_to(ROOT).as_posix()


def run(page: Path, spark: Any) -> list[tuple[re.Match[str], str]]:
    """Run a page's blocks, each with the names of those before; return each and its output."""
    names = {"spark": spark}
    outputs = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block["code"], page.name, "exec"), names)
        outputs.append((block, stripped(printed.getvalue())))
    return outputs


def stripped(text: str) -> str:
    """Return a text without blanks at the ends of lines, and without empty lines around it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def write_outputs(page: Path, spark: Any) -> None:
    """Write what the blocks of a page print now into the blocks that show it."""
    text = page.read_text(encoding="utf-8")
    for block, printed in reversed(run(page, spark)):
        if block["shown"] is not None:
            text = f"{text[: block.start('shown')]}{printed}\n{text[block.end('shown') :]}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").getOrCreate()
    for path in sys.argv[1:]:
        write_outputs(ROOT / path, session)
