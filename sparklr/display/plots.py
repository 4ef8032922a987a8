"""Plots of curves, coefficients, rows and searches, with matplotlib, which is optional."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparklr.arrays import Array
from sparklr.scoring.calibration import Groups
from sparklr.scoring.metrics import ScoreCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The most points to plot, more than a plot has pixels; a curve may have millions of points.
MOST_POINTS = 4_000
MOST_AREA = 600.0  # square points of the largest circle
LINE = 0.055  # height of a line of text in a plot
POSITIVE, NEGATIVE = "C0", "C3"


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
    low, high = ax.get_xlim()
    if high < 100 * low:  # powers of ten alone would be one number or two
        from matplotlib.ticker import LogLocator

        ticks.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ticks.set_major_formatter("{x:g}")
    ticks.set_minor_formatter("")
    return ax


def plot_coefficients(ax: Axes, names: Sequence[str], values: Array, title: str) -> Axes:
    """Draw signed coefficients per deviation (C, m): bars or, of several classes, points."""
    places = np.arange(len(names))
    ax.axvline(0, linewidth=1, color="gray")
    if len(values) == 1:
        colours = [POSITIVE if value > 0 else NEGATIVE for value in values[0]]
        ax.barh(places, values[0], color=colours)
        what = "change of the log odds"
    else:
        for place in places:
            ax.axhline(float(place), linewidth=0.5, color="lightgray", zorder=0)
        for label, its in enumerate(values):
            ax.plot(its, places, "o", label=str(label))
        ax.legend(title="class", loc="upper left", bbox_to_anchor=(1.01, 1))
        what = "coefficient"
    ax.set_yticks(places, names)
    ax.set(xlabel=f"{what} per standard deviation of the feature", ylim=(len(names) - 0.5, -0.5))
    ax.set_title(title, fontsize="medium")
    return ax


def plot_convergence(ax: Axes, history: Array, held: Array, chosen: int | None) -> Axes:
    """Draw objectives (m,) over iterations and held-out losses (m,), with the chosen iterate.

    Without held-out losses, how far each objective is above the least, on a log axis.
    """
    steps = np.arange(len(history))
    above = history - history.min()
    if chosen is None and above.any():
        ax.semilogy(steps[above > 0], above[above > 0], "o-", markersize=4)
        ax.set(ylabel="objective above its least")
    else:
        ax.plot(steps, history, "o-", markersize=4, label="objective, of the rows of the fit")
        ax.set(ylabel="objective")
    if chosen is not None:
        ax.plot(steps, held, "o-", markersize=4, color="C1", label="loss of the held-out rows")
        ax.axvline(chosen, linestyle="--", linewidth=1, color="gray", label="the model")
        ax.set(ylabel="mean loss per row")
        ax.legend()
    ax.set(xlabel="iteration")
    ax.locator_params(axis="x", integer=True)
    return ax


def plot_influence(
    ax: Axes, leverage: Array, residuals: Array, cook: Array, names: Sequence[str], title: str
) -> Axes:
    """Draw rows by leverage and residual, area by Cook's distance; `names` are of the first."""
    area = MOST_AREA * cook / max(float(cook.max(initial=0)), np.finfo(float).tiny)
    ax.scatter(leverage, residuals, s=np.maximum(area, 2), facecolors="none", edgecolors=POSITIVE)
    ax.axhline(0, linewidth=1, linestyle="--", color="gray")
    ax.margins(0.1)
    low, high = ax.get_ylim()
    heights = (residuals[: len(names)] - low) / (high - low)
    right = ax.get_xlim()[1]
    for name, x, y, place in zip(names, leverage, residuals, _apart(heights), strict=False):
        side = -1 if x > 0.8 * right else 1
        ax.annotate(
            name, (x, y), xytext=(x + side * 0.05 * right, low + place * (high - low)),
            va="center", ha="left" if side > 0 else "right", fontsize="small",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "gray"},
        )  # fmt: skip
    ax.set(xlabel="leverage", ylabel="standardised Pearson residual")
    ax.set_title(title, fontsize="medium")
    return ax


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of maps that differ in regParam alone: penalties, means and their errors (m,)."""

    name: str
    penalties: Array
    means: Array
    errors: Array | None


def plot_scores(ax: Axes, curves: Sequence[Scores], chosen: tuple[int, int], what: str) -> Axes:
    """Draw means over regParam, with error bars, and mark the chosen one: its curve and place."""
    curve, place = chosen
    for at, its in enumerate(curves):
        # Bars of the same penalty stand side by side.
        x = its.penalties * 1.06 ** (at - (len(curves) - 1) / 2)
        ax.errorbar(x, its.means, yerr=its.errors, fmt="o-", capsize=3, elinewidth=1,
                    markersize=4, label=its.name or None)  # fmt: skip
        if at == curve:
            ax.plot(x[place], its.means[place], "o", markersize=11, markerfacecolor="none",
                    markeredgecolor="black", color="black")  # fmt: skip
    _mark(ax, curves[curve].penalties[place])
    _by_penalty(ax, np.concatenate([its.penalties for its in curves]))
    ax.set(ylabel=what)
    ax.legend(fontsize="small")
    return ax


def plot_path(
    ax: Axes, penalties: Array, values: Array, names: Sequence[str], chosen: float, what: str
) -> Axes:
    """Draw coefficients (m, p) over penalties (m,), and name the first of them at their ends."""
    for at, line in enumerate(values.T):
        named = at < len(names)
        ax.plot(penalties, line, color=f"C{at % 10}" if named else "lightgray",
                linewidth=1.5 if named else 0.8, zorder=2 if named else 1)  # fmt: skip
    ax.axhline(0, linewidth=1, color="gray")
    _mark(ax, chosen)
    _by_penalty(ax, penalties)
    ax.set(ylabel=what)
    ax.legend(fontsize="small")
    ends = values[np.argmin(penalties), : len(names)]
    low, high = ax.get_ylim()
    places = _apart((ends - low) / (high - low))
    for at, (name, end, place) in enumerate(zip(names, ends, places, strict=True)):
        ax.annotate(
            name, (penalties.min(), end), xytext=(1.04, place), textcoords="axes fraction",
            va="center", fontsize="small", color=f"C{at % 10}", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": f"C{at % 10}"},
        )  # fmt: skip
    return ax


def _mark(ax: Axes, penalty: float) -> None:
    ax.axvline(penalty, linestyle="--", linewidth=1, color="black", label=f"chosen: {penalty:.3g}")


def _by_penalty(ax: Axes, penalties: Array) -> None:
    """Give the axes the penalties of a search, strong ones on the left; 0 is on a linear piece."""
    least, most = penalties[penalties > 0].min(), penalties.max()
    end = least / 1.3
    if penalties.min() > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=least, linscale=0.5)
        end = -0.1 * least
    ax.set(xlabel="regParam, from strong to weak", xlim=(1.3 * most, end))


def _apart(places: Array) -> Array:
    """Return heights (m,) in a plot from 0 to 1, moved so that lines of text do not overlap."""
    order = np.argsort(places, kind="stable")
    moved = places[order].copy()
    for at in range(1, len(moved)):
        moved[at] = max(moved[at], moved[at - 1] + LINE)
    limit = 1.0
    for at in range(len(moved) - 1, -1, -1):
        moved[at] = limit = min(moved[at], limit)
        limit -= LINE
    result = np.empty_like(moved)
    result[order] = moved
    return result


def _draw(ax: Axes, x: Array, y: Array, label: str) -> None:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).astype(np.int64))
    ax.plot(x[kept], y[kept], label=label)


def _finish(ax: Axes, x: str, y: str) -> Axes:
    ax.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    ax.legend(loc="lower right")
    return ax
