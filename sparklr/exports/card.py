"""A model card: a page in Markdown about a model, its data, its measures and its coefficients."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.ml.param import Params

from sparklr.display.tables import Page
from sparklr.spark.errors import InvalidValueError
from sparklr.summary import (
    BinaryLogisticRegressionSummary,
    LogisticRegressionSummary,
    LogisticRegressionTrainingSummary,
    evaluation_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADING = "Coefficients"
OF_THE_DATA = ("rows", "classes", "features", "offset", "class weights")
PACKAGES = ("sparklr", "pyspark", "numpy", "scipy")
LONGEST = 80  # characters of a Param's value
DPI = 110


def card_text(
    page: Page,
    params: Params,
    evaluation: LogisticRegressionSummary | None,
    where: str,
    pictures: Mapping[str, str],
) -> str:
    """Return the card: the page of the model, the Params that were set, measures and pictures.

    where : which rows the evaluation is of
    pictures : paths by title
    """
    # A title that says no more than the heading is left out.
    tables = [replace(its, title="") if its.title == HEADING else its for its in page.tables]
    data = tuple(fact for fact in page.facts if fact[0] in OF_THE_DATA)
    fit = tuple(fact for fact in page.facts if fact[0] not in OF_THE_DATA)
    parts = [
        f"# {page.title}",
        "## Data",
        Page("", data).markdown(),
        "## Fit",
        Page("", fit).markdown(),
        f"## {HEADING}",
        Page("", (), tuple(tables), page.notes).markdown(),
    ]
    if evaluation is not None:
        its = evaluation_of(evaluation)
        parts += [f"## Measures on {where}", Page("", its.facts, its.tables, its.notes).markdown()]
    if pictures:
        parts.append("## Pictures")
        parts += [f"![{title}](<{path}>)" for title, path in pictures.items()]
    parts += ["## Params that were set", _set_params(params).markdown()]
    parts += ["## Versions", Page("", _versions()).markdown()]
    return "\n\n".join(part for part in parts if part) + "\n"


def draw(evaluation: LogisticRegressionSummary | None, folder: str | Path) -> dict[str, str]:
    """Draw what the summary can draw into a folder, which is made; return the paths by title."""
    drawn: dict[str, Callable[[Axes], object]] = {}
    if isinstance(evaluation, BinaryLogisticRegressionSummary):
        drawn["ROC curve"] = evaluation.plot_roc
        drawn["Precision and recall"] = evaluation.plot_pr
        drawn["Calibration"] = evaluation.plot_calibration
    if isinstance(evaluation, LogisticRegressionTrainingSummary):
        drawn["Coefficients"] = evaluation.plot_coefficients
    if not drawn:
        raise InvalidValueError(
            "There is nothing to draw: a model of several labels is drawn with its training "
            "summary, and a loaded one of two labels from rows: card(frame, pictures=...)."
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as lacking:
        raise ModuleNotFoundError(
            "Plots need matplotlib: install it with pip install 'sparklr[plot]'."
        ) from lacking
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = {}
    for title, plot in drawn.items():
        figure = Figure(figsize=(6.0, 4.5), layout="constrained")
        plot(figure.add_subplot())
        path = Path(folder) / f"{title.lower().replace(' ', '_')}.png"
        figure.savefig(path, dpi=DPI)
        paths[title] = path.as_posix()
    return paths


def _set_params(params: Params) -> Page:
    """Return the Params that were set, by name."""
    facts = []
    for param in params.params:
        if params.isSet(param):
            value = " ".join(str(params.getOrDefault(param)).split())
            facts.append((param.name, value if len(value) <= LONGEST else f"{value[:LONGEST]}..."))
    return Page("", tuple(facts), (), () if facts else ("None: all have their defaults.",))


def _versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what made the card."""
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # as pyspark-client has another name than its module
            found.append((name, "not known"))
    return tuple(found)
