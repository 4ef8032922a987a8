"""The documentation's reference, its quoted errors and its figures agree with the code."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml.param import Param

import sparklr
from sparklr import distributions, tuning
from sparklr.params import RULES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def load(path: Path) -> Any:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


text = load(DOCS / "_extensions" / "reference_text.py")
breaks = load(DOCS / "_extensions" / "breaks.py")
PAGES = "\n".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.rst")))
CLASSES = re.findall(r"\.\. sparklr-class:: (\S+)", PAGES)
OWNERS = [path for path in CLASSES if text.with_params(text.found(path)) is not None]


@pytest.mark.parametrize("path", OWNERS)
def test_every_param_has_its_meaning_default_and_range(path: str) -> None:
    owner = text.with_params(text.found(path))
    rows = {row.name: row for row in text.param_rows(owner)}
    kind = type(owner)
    assert set(rows) == {it for it in dir(kind) if isinstance(getattr(kind, it), Param)}
    for name, row in rows.items():
        assert len(row.meaning) > 10, name
        assert row.range, name
        param = owner.getParam(name)
        if not owner.hasDefault(param):
            assert row.default == text.NOT_SET, name
        elif name != "seed":  # of a validator, the hash of a name
            assert repr(owner.getOrDefault(param)) in row.default.replace('"', "'"), name


def test_the_range_of_a_param_is_that_of_its_rule() -> None:
    owner = sparklr.LogisticRegressionEstimator()
    words = {row.name: row.range for row in text.param_rows(owner)}
    ruled = {name: rule.range.words for name, rule in RULES.items() if rule.range is not None}
    assert ruled.items() <= words.items()


def test_own_sentences_are_about_params_that_are_there() -> None:
    owners = [text.with_params(text.found(path)) for path in OWNERS]
    known = {row.name for owner in owners for row in text.param_rows(owner)}
    assert set(text.MEANINGS) <= known
    assert set(text.RANGES) <= known


def test_every_public_name_has_its_place() -> None:
    public = {f"sparklr.{name}" for name in sparklr.__all__}
    public |= {f"sparklr.distributions.{name}" for name in distributions.__all__}
    public |= {f"sparklr.tuning.{name}" for name in tuning.__all__}
    shown = set(CLASSES) | set(re.findall(r"\.\. autofunction:: (\S+)", PAGES))
    # Other names of these, and Spark's own classes: the pages name them.
    others = {it.rpartition(".")[2] for it in public - shown}
    assert others == {
        "CrossValidatorModel", "LogisticRegression", "ParamGridBuilder",
        "TrainValidationSplitModel", "regParamGrid",
    }  # fmt: skip
    assert all(f"``{name}``" in PAGES or f"``sparklr.{name}``" in PAGES for name in others)


@pytest.mark.parametrize("path", CLASSES)
def test_every_public_member_has_its_place(path: str) -> None:
    kind = text.found(path)
    lines = "\n".join(text.class_text(path, kind, text.with_params(kind)))
    fields = list(getattr(kind, "_fields", ()))
    if dataclasses.is_dataclass(kind):
        fields += [field.name for field in dataclasses.fields(kind)]
    for name in dir(kind):
        of_python = hasattr(BaseException, name) or hasattr(tuple, name)
        if name.startswith("_") or of_python:
            continue
        if name in fields:
            assert re.search(rf"\b{name}\b", kind.__doc__ or ""), name
        else:
            assert f":: {path}.{name}\n" in lines or f"``{name}``" in lines, name


def sentences_of_the_code() -> Iterator[str]:
    """Yield each text of the code; what an f-string inserts is "…"."""
    for path in sorted((ROOT / "sparklr").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                )


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<td><code>maxIter</code></td>", "<td><code>max|Iter</code></td>"),
        ("<td><code><span>a.b_c</span></code></td>", "<td><code><span>a.|b_|c</span></code></td>"),
        ("<td>maxIter</td><p><code>maxIter</code></p>",) * 2,  # text, and code outside of tables
        ('<td class="aB">x</td>',) * 2,
        ("<td><code>f(&quot;x&quot;)</code></td>",) * 2,
        ("<td><code>kind=&quot;x&quot;</code></td>", "<td><code>kind=|&quot;x&quot;</code></td>"),
        ("<h1>TheModel<a>#</a></h1>", "<h1>The|Model<a>#</a></h1>"),
        ("<h2>Of TheModel</h2>",) * 2,  # there is a blank to break it at
    ],
)
def test_names_in_tables_and_headings_are_broken_between_their_words(html: str, shown: str) -> None:
    assert breaks.with_breaks(html) == shown.replace("|", breaks.WBR)


def test_every_quoted_error_is_one_of_the_code() -> None:
    """A quotation leaves out what is inserted, "…", and may begin and end within a sentence."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith('| "')]
    quoted = [one for row in rows for one in re.findall(r'"([^"]+)"', row)]
    code = "\n".join(sentences_of_the_code())
    assert len(quoted) > 40
    missing = []
    for one in quoted:
        pieces = [piece.strip() for piece in one.split("…")]
        pattern = r"[^\n]*?".join(re.escape(piece) for piece in pieces if piece)
        if not re.search(pattern, code):
            missing.append(one)
    assert missing == []


def test_the_figures_of_the_readme_are_those_of_the_benchmark() -> None:
    measured = (DOCS / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    rows = {tuple(cells(line)) for line in measured if line.count("|") > 10}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    shown = [cells(line) for line in readme if re.match(r"\| [^|]+ \| [\d,]+ × [\d,]+ \|", line)]
    assert len(shown) >= 5
    for row in shown:
        assert any(set(row) <= set(of_benchmark) for of_benchmark in rows), row


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]
