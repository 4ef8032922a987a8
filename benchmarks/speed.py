"""The picture of the README: each workload's time as a share of Spark's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.picture import BARS_END
from benchmarks.record import Outcome

FASTER, SLOWER = "#0072B2", "#D55E00"
DARK, RULE = "#4a4f58", "#e6e8eb"
WIDTH, AROUND, BAR = 8.0, 1.0, 0.27  # inches: the picture, what is around the bars, a bar

# For readers who do not know the workloads by name; one that is not here goes by its name.
WORDS = {
    "tiny": "small data",
    "well": "independent features",
    "transform": "scores of a model",
    "corr": "correlated features",
    "corr-l1": "correlated features, L1",
    "corr-en": "correlated features, elastic net",
    "unpenalised": "mixed features, no penalty",
    "multi": "10 classes",
    "multi-l1": "10 classes, L1",
    "sparse": "sparse features",
    "sparse-l1": "sparse features, L1",
    "rows-100k": "independent features",
    "rows-300k": "independent features",
    "rows-1000k": "independent features",
    "rows-3000k": "independent features",
    "grid": "grid search",
    "grid-estimator": "grid search, Spark's validator",
    "grid-pipeline": "grid search of a Pipeline",
}


def beside_spark(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those whose rival is Spark's own, the greatest saving first."""
    compared = [one for one in outcomes if one.target is None or one.target <= BARS_END]
    return sorted(compared, key=lambda one: one.ratio)


def draw_speed(outcomes: Sequence[Outcome], file: Path) -> None:
    """Write the picture: a bar for each workload that was measured beside Spark's own."""
    bars = beside_spark(outcomes)
    # A bare Figure draws with Agg: no display, and no backend chosen for the whole process.
    figure = Figure(figsize=(WIDTH, AROUND + BAR * max(1, len(bars))), layout="constrained")
    axes = figure.add_subplot()
    _draw_bars(axes, bars)
    _draw_spark(axes, [one.ratio for one in bars])
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


def _draw_bars(axes: Any, bars: Sequence[Outcome]) -> None:
    ratios = [one.ratio for one in bars]
    colors = [FASTER if ratio <= 1 else SLOWER for ratio in ratios]
    axes.barh(range(len(bars)), ratios, color=colors, height=0.68, zorder=2)
    for place, ratio in enumerate(ratios):
        axes.annotate(
            f"{ratio:.2f}", (ratio, place), (4, 0), textcoords="offset points", va="center",
            color=DARK, fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, zorder=4,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [_words(one) for one in bars], fontsize=9)
    axes.set_ylim(len(bars) - 0.4, -0.6)


def _draw_spark(axes: Any, ratios: Sequence[float]) -> None:
    axes.axvline(1.0, color=DARK, linewidth=1.2, zorder=3)
    axes.annotate(
        "Spark's own", (1.0, 1.0), (0, 4), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="center", color=DARK, fontsize=9,
    )  # fmt: skip
    axes.set_xlim(0, 1.15 * max([1.0, *ratios]))
    axes.set_xlabel("time of sparklr, divided by Spark's", color=DARK, fontsize=9)
    axes.tick_params(colors=DARK, length=0, labelsize=9)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.spines[:].set_visible(False)


def _words(outcome: Outcome) -> str:
    """What was measured, and on how much of it."""
    words = WORDS.get(outcome.name, outcome.name)
    return f"{words}  ·  {_amount(outcome.rows)} × {_amount(outcome.features)}"


def _amount(count: int) -> str:
    """A number as it is spoken of: 2k, 500k, 3M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)
