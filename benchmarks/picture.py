"""The outcomes drawn: ratios beside their targets, and time by rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.record import Outcome

OURS, SPARK = "tab:blue", "tab:orange"
# Beyond it a ratio is not one to Spark's own.
BARS_END = 2.0


def draw(outcomes: Sequence[Outcome], file: Path) -> None:
    """Write the picture."""
    compared = [one for one in outcomes if one.target is not None and one.target <= BARS_END]
    growing = [one for one in outcomes if one.target is None]
    # A bare Figure draws with Agg: no display, and no backend chosen for the whole process.
    figure = Figure(figsize=(12.0, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_ratios(left, compared)
    _draw_growth(right, growing)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def _draw_ratios(axes: Any, outcomes: Sequence[Outcome]) -> None:
    places = range(len(outcomes))
    ratios = [one.ratio for one in outcomes]
    axes.barh(places, ratios, color=OURS, height=0.6)
    axes.plot(
        [one.target for one in outcomes], places, "|", color="black", markersize=18,
        markeredgewidth=2, label="target",
    )  # fmt: skip
    for place, ratio in zip(places, ratios, strict=True):
        axes.annotate(
            f"{ratio:.2f}", (ratio, place), (4, 0), textcoords="offset points", va="center"
        )
    axes.axvline(1.0, color="grey", linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(min([0.05, *(ratio / 2 for ratio in ratios)]), max([BARS_END, *ratios]) * 1.4)
    _plain_ticks(axes.xaxis, [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0])
    axes.set_yticks(places, [one.name for one in outcomes])
    axes.invert_yaxis()
    axes.set(title="Time of sparklr divided by Spark's", xlabel="ratio (log scale)")
    if outcomes:
        axes.legend(loc="lower right")


def _draw_growth(axes: Any, outcomes: Sequence[Outcome]) -> None:
    rows = [one.rows for one in outcomes]
    for name, color in (("sparklr", OURS), ("Spark", SPARK)):
        sides = [one.ours if name == "sparklr" else one.spark for one in outcomes]
        seconds = [side.median for side in sides]
        axes.plot(rows, seconds, "o-", color=color, label=name)
        last = seconds[-1] if seconds else None
        if last is not None:
            line = [last * count / rows[-1] for count in rows]
            label = "in proportion to rows" if name == "Spark" else None
            axes.plot(rows, line, "--", color=color, linewidth=1, alpha=0.6, label=label)
    axes.set(title="Time by rows, 50 features", xlabel="rows", ylabel="seconds")
    if outcomes:  # an axis without points cannot be logarithmic
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes.xaxis, rows)
        axes.legend(loc="upper left")


def _plain_ticks(axis: Any, places: Sequence[float]) -> None:
    """Numbers as they are read, in place of powers of ten."""
    axis.set_ticks(places, [f"{place:,}" for place in places])
    axis.set_ticks([], minor=True)
