"""Plots of the curves of a binary model, with matplotlib, which is optional."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sparklr.arrays import Array
from sparklr.scoring.calibration import Groups
from sparklr.scoring.metrics import ScoreCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The most points to plot, more than a plot has pixels; a curve may have millions of points.
MOST_POINTS = 4_000


def axes(ax: Axes | None) -> Axes:
    """Return the given axes, or the axes of a new figure that a notebook shows."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as lacking:
        raise ModuleNotFoundError(
            "Plots need matplotlib: install it with pip install 'sparklr[plot]'."
        ) from lacking
    return pyplot.subplots()[1]


def plot_roc(ax: Axes, curve: ScoreCurve) -> Axes:
    """Draw the ROC curve, and the diagonal, the curve of a random score."""
    _draw(ax, *curve.roc, f"AUC = {curve.area_under_roc:.4f}")
    ax.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="gray", label="chance")
    return _finish(ax, "false positive rate", "true positive rate")


def plot_pr(ax: Axes, curve: ScoreCurve) -> Axes:
    """Draw precision over recall, and the share of positives, the precision of a random score."""
    _draw(ax, *curve.pr, f"AUC = {curve.area_under_pr:.4f}")
    base = curve.base_rate
    ax.plot([0, 1], [base, base], linestyle="--", linewidth=1, color="gray",
            label=f"share of positives = {base:.4f}")  # fmt: skip
    return _finish(ax, "recall", "precision")


def plot_calibration(ax: Axes, groups: Groups, level: float, words: str) -> Axes:
    """Draw each group's observed share over its mean probability, with limits and the diagonal."""
    predicted, observed = groups.expected / groups.weights, groups.observed / groups.weights
    lower, upper = groups.wilson(level)
    ax.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color="gray", label="true probabilities")
    bars = np.maximum(np.stack((observed - lower, upper - observed)), 0.0)
    ax.errorbar(predicted, observed, yerr=bars, fmt="o-", capsize=3, label="groups of rows")
    ax.set_title(words, fontsize="medium")
    ax.set(xlabel="predicted probability", ylabel="observed share", aspect="equal")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(loc="lower right")
    return ax


def plot_forest(ax: Axes, names: Sequence[str], ratios: Array, limits: Array, what: str) -> Axes:
    """Draw odds ratios (m,) with their limits (m, 2), gray where these hold 1, on a log axis."""
    for at, (ratio, (lower, upper)) in enumerate(zip(ratios, limits, strict=True)):
        colour = "gray" if lower <= 1 <= upper else "C0"
        bars = np.array([[ratio - lower], [upper - ratio]])
        ax.errorbar([ratio], [at], xerr=bars, fmt="o", capsize=3, color=colour)
        figures = [f"{one:#.3g}".rstrip(".") for one in (ratio, lower, upper)]
        text = f"{figures[0]} [{figures[1]}, {figures[2]}]"
        ax.annotate(text, (1.02, at), xycoords=("axes fraction", "data"), va="center")
    ax.axvline(1, linestyle="--", linewidth=1, color="gray")
    ax.set_yticks(range(len(names)), names)
    ax.set(xscale="log", xlabel=what, ylim=(len(names) - 0.5, -0.5))
    ticks = ax.get_xaxis()
    ticks.set_major_formatter("{x:g}")
    ticks.set_minor_formatter("")
    return ax


def _draw(ax: Axes, x: Array, y: Array, label: str) -> None:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).astype(np.int64))
    ax.plot(x[kept], y[kept], label=label)


def _finish(ax: Axes, x: str, y: str) -> Axes:
    ax.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    ax.legend(loc="lower right")
    return ax
