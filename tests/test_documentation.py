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
import sparklr.exports.made_from
import sparklr.exports.of_model
import sparklr.inference.inference
import sparklr.inference.kept
import sparklr.inference.of_model
import sparklr.inference.posterior
import sparklr.model
import sparklr.packed
import sparklr.search.gradient_path
import sparklr.search.penalty_grid
import sparklr.streams
import sparklr.summary
import sparklr.tuning
from tests.documentation import PAGES, ROOT, TINY, name_of, run, stripped

# With searches or many readings, or with Spark's own stages, whose fits take seconds.
SLOW = ("docs/tuning.md", "docs/inference.md", "docs/how-to/categorical.md", "docs/how-to/text.md")
# Where the page needs a store: tests/test_mlflow.py.
ELSEWHERE = ("docs/how-to/mlflow.md",)


# What the code of a page needs beside the package.
NEEDS = {"exports.md": ("onnx", "onnxruntime")}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, marks=pytest.mark.deep if name_of(page) in SLOW else (), id=name_of(page)
        )
        for page in PAGES
        if name_of(page) not in ELSEWHERE
    ],
)
def test_the_python_of_a_page_runs_and_prints_what_the_page_shows(spark: Any, page: Path) -> None:
    for package in NEEDS.get(page.name, ()):
        pytest.importorskip(package)
    for block, printed in run(page, spark):
        if block["shown"] is not None:
            assert TINY.sub("tiny", stripped(block["shown"])) == TINY.sub("tiny", printed)


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
        sparklr.distributions, sparklr.estimator,
        sparklr.exports.made_from, sparklr.exports.of_model,
        sparklr.inference.inference, sparklr.inference.kept,
        sparklr.inference.of_model, sparklr.inference.posterior,
        sparklr.model, sparklr.packed,
        sparklr.search.gradient_path, sparklr.search.penalty_grid,
        sparklr.streams, sparklr.summary, sparklr.tuning,
    ],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_docstring_examples_run(spark: Any, module: Any) -> None:
    names = {name: getattr(sparklr, name) for name in sparklr.__all__}
    result = doctest.testmod(module, extraglobs={"spark": spark, **names})
    assert result.attempted > 0
    assert result.failed == 0
