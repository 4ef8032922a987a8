"""What the documentation shows is run: the README's Python and the docstrings' examples."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import sparklr.estimator

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_runs(spark: Any) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {"spark": spark})


def test_docstring_examples_run(spark: Any) -> None:
    result = doctest.testmod(sparklr.estimator, extraglobs={"spark": spark})
    assert result.attempted > 0
    assert result.failed == 0
