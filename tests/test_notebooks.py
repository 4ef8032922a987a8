"""The notebooks: their code runs from top to bottom on fewer rows; few keep what it puts out."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Their rows are always the same, and so are their outputs, but for digits of rounding.
WITH_OUTPUTS = {"inference", "mean_field", "gradient_path"}

# What the cell tagged "parameters" is changed to, so that a notebook takes seconds.
SMALLER: dict[str, dict[str, Any]] = {
    "quick_start": {"ROWS": 1_500, "BINS": 4},
    "migrating": {"ROWS": 400, "FEATURES": 10, "TURNS": 1, "LONG": 30},
    "cluster": {"ROWS": 4_000, "FEATURES": 3, "PARTITIONS": 2},
    "mean_field": {"STEPS": 300},  # as it is: its outputs are compared
    "gradient_path": {"DRAWS": 60},  # as it is: its outputs are compared
    "inference": {"FOLDER": str(ROOT / "tests" / "inference" / "data")},
    "grid_search": {"ROWS": 900, "FOLDS": 2, "PENALTIES": 5, "FEWER": 2},
}


def cells(notebook: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [
        one for one in json.loads(notebook.read_text("utf-8"))["cells"] if one["cell_type"] == kind
    ]


@pytest.fixture
def pictures() -> Iterator[Any]:
    """Matplotlib without a display; what is drawn is thrown away."""
    import matplotlib
    from matplotlib import pyplot

    before = matplotlib.get_backend()
    pyplot.switch_backend("Agg")
    with matplotlib.rc_context():
        yield pyplot
    pyplot.close("all")
    pyplot.switch_backend(before)


def test_there_are_notebooks_and_each_has_smaller_sizes() -> None:
    assert {notebook.stem for notebook in NOTEBOOKS} == set(SMALLER)


@pytest.mark.notebooks
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.stem)
@pytest.mark.usefixtures("nothing_left")
def test_a_notebook_runs(spark: Any, pictures: Any, notebook: Path) -> None:
    """Cell by cell in one namespace, as a kernel would run it."""
    smaller = SMALLER[notebook.stem]
    names: dict[str, Any] = {"spark": spark}
    for at, cell in enumerate(cells(notebook)):
        exec(compile("".join(cell["source"]), f"{notebook.name}, code cell {at}", "exec"), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            assert smaller.keys() <= names.keys()
            names |= smaller
    assert names["spark"] is spark
    assert {name: names[name] for name in smaller} == smaller
    assert pictures.get_fignums()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.stem)
def test_a_notebook_keeps_nothing_of_its_runs(notebook: Path) -> None:
    for cell in cells(notebook):
        assert cell["outputs"] == [] or notebook.stem in WITH_OUTPUTS
        assert cell["execution_count"] is None
        assert cell["metadata"].keys() <= {"tags"}


@pytest.mark.parametrize("notebook", [one for one in NOTEBOOKS if one.stem in WITH_OUTPUTS])
def test_kept_outputs_tell_nothing_of_the_machine(notebook: Path) -> None:
    """No address in memory, no path, nothing of stderr; a picture or words for each plot."""
    outputs = [one for cell in cells(notebook) for one in cell["outputs"]]
    assert len(outputs) > 10
    for one in outputs:
        assert one.get("name") != "stderr"
        assert one.get("execution_count") is None
        texts = [
            one.get("text", ""),
            *(one.get("data", {}).get(f"text/{k}") for k in ("plain", "html")),
        ]
        words = "".join("".join(text or "") for text in texts)
        assert not re.search(r"0x[0-9a-f]{6}|/(home|tmp|root|work|Users)/|\d seconds", words)


@pytest.mark.notebooks
@pytest.mark.parametrize("notebook", [one for one in NOTEBOOKS if one.stem in WITH_OUTPUTS])
@pytest.mark.usefixtures("pictures")
def test_kept_outputs_are_what_the_code_prints_today(
    spark: Any, notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"spark": spark}
    for cell in cells(notebook):
        *first, last = ast.parse("".join(cell["source"])).body
        shown = last.value if isinstance(last, ast.Expr) else None
        body = ast.Module([*first, *([] if shown else [last])], [])
        exec(compile(body, notebook.name, "exec"), names)
        result = (
            eval(compile(ast.Expression(shown), notebook.name, "eval"), names) if shown else None
        )
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= SMALLER[notebook.stem]
        kept = {one["output_type"]: one for one in cell["outputs"]}
        assert capsys.readouterr().out == "".join(kept.get("stream", {}).get("text", ""))
        if "execute_result" in kept:
            assert "".join(kept["execute_result"]["data"]["text/html"]) == result._repr_html_()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.stem)
def test_a_notebook_is_plain_python_and_begins_with_a_title(notebook: Path) -> None:
    """No magics, which other front ends would not know."""
    for cell in cells(notebook):
        ast.parse("".join(cell["source"]))
    assert cells(notebook, "markdown")[0]["source"][0].startswith("# ")
