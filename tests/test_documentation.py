"""What the documentation shows is run: the Python of README and docs, the docstrings' examples."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

import sparklr
import sparklr.distributions
import sparklr.estimator
import sparklr.exports.of_model
import sparklr.inference.inference
import sparklr.inference.kept
import sparklr.inference.posterior
import sparklr.model
import sparklr.packed
import sparklr.search.penalty_grid
import sparklr.streams
import sparklr.summary
import sparklr.tuning

ROOT = Path(__file__).resolve().parents[1]


PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if "```python" in page.read_text(encoding="utf-8")
]


def tier_of(page: Path) -> Any:
    """Two pages, with searches and with many readings, take longer than all the rest."""
    return pytest.mark.deep if page.name in ("tuning.md", "inference.md") else ()


# What the code of a page needs beside the package.
NEEDS = {"exports.md": ("onnx", "onnxruntime")}


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=tier_of(page), id=page.name) for page in PAGES]
)
def test_the_python_of_a_page_runs(spark: Any, page: Path) -> None:
    """From top to bottom, each block with the names of those before."""
    for package in NEEDS.get(page.name, ()):
        pytest.importorskip(package)
    names = {"spark": spark}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)


def test_the_tests_that_a_page_names_are_there() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for file, test in named:
        path = ROOT / "tests" / file
        assert path.is_file(), file
        assert f"def {test}" in path.read_text(encoding="utf-8"), (file, test)


@pytest.mark.parametrize(
    "module",
    [
        sparklr.distributions, sparklr.estimator, sparklr.exports.of_model,
        sparklr.inference.inference,
        sparklr.inference.kept, sparklr.inference.posterior, sparklr.model, sparklr.packed,
        sparklr.search.penalty_grid, sparklr.streams, sparklr.summary, sparklr.tuning,
    ],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_docstring_examples_run(spark: Any, module: Any) -> None:
    names = {name: getattr(sparklr, name) for name in sparklr.__all__}
    result = doctest.testmod(module, extraglobs={"spark": spark, **names})
    assert result.attempted > 0
    assert result.failed == 0
