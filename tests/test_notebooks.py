"""The notebooks: their code runs from top to bottom on fewer rows; no output is kept in them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))

# What the cell tagged "parameters" is changed to, so that a notebook takes seconds.
SMALLER: dict[str, dict[str, int]] = {
    "quick_start": {"ROWS": 1_500, "BINS": 4},
    "migrating": {"ROWS": 400, "FEATURES": 10, "TURNS": 1, "LONG": 30},
    "cluster": {"ROWS": 4_000, "FEATURES": 3, "PARTITIONS": 2},
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
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert cell["metadata"].keys() <= {"tags"}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.stem)
def test_a_notebook_is_plain_python_and_begins_with_a_title(notebook: Path) -> None:
    """No magics, which other front ends would not know."""
    for cell in cells(notebook):
        ast.parse("".join(cell["source"]))
    assert cells(notebook, "markdown")[0]["source"][0].startswith("# ")
