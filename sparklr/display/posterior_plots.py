"""Plots of posteriors: coefficients, how true probabilities are, and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparklr.arrays import Array, BoolArray, IntArray
from sparklr.display.plots import NEGATIVE, POSITIVE, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DENSITIES = 12  # rows of densities; more rows are too low for a shape, and have intervals
HEIGHT = 0.72  # of the highest density of a row, in rows
BASE = 0.36  # of a density, below the middle of its row
PRIOR = "dimgray"
FAR = 3.0  # deviations to either side of a prior


@dataclass(frozen=True, eq=False)
class Drawn:
    """The posterior of one coefficient, and its prior's deviation, which may be infinite."""

    mode: float
    mean: float
    interval: Array
    prior: float
    axis: Array
    density: Array


def plot_posterior(
    ax: Axes, names: Sequence[str], classes: Sequence[tuple[str, Sequence[Drawn]]], what: str
) -> Axes:
    """Draw a row per coefficient, with a curve per class, and the prior behind them.

    The curves of a row have the same scale, so that the prior is as high beside the posterior as it
    is; those of different rows have not, or a narrow one would hide the others.
    """
    dense, many = len(names) <= MOST_DENSITIES, len(classes) > 1
    every = [its for _, drawn in classes for its in drawn]
    low = min(0.0, *(float(its.axis[0]) for its in every))
    high = max(0.0, *(float(its.axis[-1]) for its in every))
    pad = 0.03 * (high - low)
    ax.set(xlim=(low - pad, high + pad), ylim=(len(names) - 0.5, -0.5), xlabel=what)
    ax.set_yticks(range(len(names)), [short(name) for name in names])
    ax.axvline(0, linewidth=1, color="gray", zorder=0)
    for at in range(len(names)):
        row = [drawn[at] for _, drawn in classes]
        scale = HEIGHT / max(float(its.density.max()) for its in row)
        _prior(ax, row[0], at, scale, dense)
        for number, its in enumerate(row):
            base = at + BASE if dense else at
            base += 0.0 if dense or not many else 0.6 * ((number + 0.5) / len(row) - 0.5)
            if dense:
                height = base - scale * its.density
                ax.fill_between(its.axis, height, base, color=f"C{number}", alpha=0.3, linewidth=0)
                ax.plot(its.axis, height, color=f"C{number}", linewidth=1)
            ax.plot(its.interval, [base, base], color=f"C{number}", linewidth=2.5 if dense else 1.5)
            ax.plot(its.mean, base, "o", markersize=5, color=f"C{number}", zorder=3)
            ax.plot(its.mode, base, "|", markersize=11, markeredgewidth=1.2, color="black",
                    zorder=4)  # fmt: skip
    _legend(ax, [name for name, _ in classes] if many else [], every)
    return ax


def _prior(ax: Axes, its: Drawn, at: int, scale: float, dense: bool) -> None:
    """Draw the prior of a row: its density, or a line from -2 to 2 deviations."""
    if not np.isfinite(its.prior):
        return
    if not dense:
        ax.plot([-2 * its.prior, 2 * its.prior], [at, at], color="lightgray", linewidth=5,
                solid_capstyle="butt", zorder=0)  # fmt: skip
        return
    low, high = ax.get_xlim()
    axis = np.linspace(max(low, -FAR * its.prior), min(high, FAR * its.prior), 200)
    density = np.exp(-((axis / its.prior) ** 2) / 2) / (its.prior * np.sqrt(2 * np.pi))
    height = at + BASE - scale * density
    ax.plot(axis, height, color=PRIOR, linestyle="--", linewidth=1, zorder=1)


def _legend(ax: Axes, classes: Sequence[str], every: Sequence[Drawn]) -> None:
    """Say what the marks are; and of several classes, which colour is whose."""
    from matplotlib.lines import Line2D

    colour = "black" if classes else "C0"
    marks = [
        Line2D([], [], color=colour, marker="o", markersize=5, label="mean, with its interval"),
        Line2D([], [], linestyle="none", marker="|", markersize=11, markeredgewidth=1.2,
               color="black", label="mode: the fit's coefficient"),
    ]  # fmt: skip
    if any(np.isfinite(its.prior) for its in every):
        if len(ax.get_yticks()) <= MOST_DENSITIES:
            marks.append(Line2D([], [], color=PRIOR, linestyle="--", linewidth=1, label="prior"))
        else:
            marks.append(Line2D([], [], color="lightgray", linewidth=5, label="prior, 2 sd"))
    marks += [
        Line2D([], [], color=f"C{at}", linewidth=4, label=f"class {name}")
        for at, name in enumerate(classes)
    ]
    # Above the rows, where no curve is, whatever the coefficients are.
    ax.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, fontsize="small",
              frameon=False, borderaxespad=0.2)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reliability:
    """Groups of rows (k,) by probability: what was predicted of them, and what was seen.

    rows : their number
    plug_in, averaged : the mean of the probability at the optimum, and of its posterior mean
    observed, lower, upper : the share of positives, with limits
    """

    rows: IntArray
    plug_in: Array
    averaged: Array
    observed: Array
    lower: Array
    upper: Array


def plot_reliability(ax: Axes, groups: Reliability, words: str) -> Axes:
    """Draw each group's observed share over both predictions, joined by a line, and the diagonal.

    The number of the rows of a group is above its limits.
    """
    low = np.minimum(groups.observed - groups.lower, groups.observed)
    bars = np.maximum(np.stack((low, groups.upper - groups.observed)), 0.0)
    most = min(1.0, 1.12 * float(max(groups.upper.max(), groups.plug_in.max(),
                                     groups.averaged.max())))  # fmt: skip
    ax.plot([0, most], [0, most], linestyle="--", linewidth=1, color="gray",
            label="true probabilities")  # fmt: skip
    ax.hlines(groups.observed, groups.plug_in, groups.averaged, color="gray", linewidth=1)
    ax.errorbar(groups.averaged, groups.observed, yerr=bars, fmt="o", capsize=3, color=POSITIVE,
                elinewidth=1, label="averaged over the posterior")  # fmt: skip
    ax.plot(groups.plug_in, groups.observed, "o", markersize=10, markerfacecolor="none",
            markeredgecolor=NEGATIVE, label="plug-in: at the optimum", zorder=4)  # fmt: skip
    least, greatest = int(groups.rows.min()), int(groups.rows.max())
    size = f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"
    ax.set_title(f"{len(groups.rows)} groups of {size} rows; {words}", fontsize="medium")
    ax.set(xlabel="predicted probability", ylabel="observed share", aspect="equal")
    ax.set(xlim=(-0.02 * most, 1.02 * most), ylim=(-0.02 * most, 1.02 * most))
    if greatest > 2 * least:  # else the title says enough
        for x, y, count in zip(groups.averaged, groups.upper, groups.rows, strict=True):
            ax.annotate(f"{count:,}", (x, y), xytext=(0, 3), textcoords="offset points",
                        ha="center", fontsize="x-small", color="dimgray")  # fmt: skip
    ax.legend(loc="lower right", fontsize="small")
    return ax


@dataclass(frozen=True, eq=False)
class Course:
    """The probability over a feature (k,), with its interval, and the rows that were seen (n,)."""

    feature: Array
    plug_in: Array
    averaged: Array
    interval: Array
    seen: Array
    positive: BoolArray
    ends: tuple[float, float]  # of the feature in all rows


def plot_interval(ax: Axes, course: Course, name: str, level: float, words: str) -> Axes:
    """Draw the probability over a feature, and the rows as ticks: label 1 above, 0 below."""
    within = f"{100 * level:.4g}% interval"
    ax.fill_between(course.feature, *course.interval.T, color=POSITIVE, alpha=0.25, linewidth=0,
                    label=within)  # fmt: skip
    ax.plot(course.feature, course.averaged, color=POSITIVE, label="averaged over the posterior")
    ax.plot(course.feature, course.plug_in, color=NEGATIVE, linestyle="--", linewidth=1.2,
            label="plug-in: at the optimum")  # fmt: skip
    for positive, place in ((True, 1.03), (False, -0.03)):
        its = course.seen[course.positive == positive]
        ax.plot(its, np.full(len(its), place), "|", markersize=7, color="black", alpha=0.4)
    for end, said in zip(course.ends, ("ends of the rows", None), strict=True):
        ax.axvline(end, linestyle=":", linewidth=1, color="gray", label=said)
    ax.set_title(words, fontsize="medium")
    ax.set(xlabel=name, ylabel="probability of label 1")
    ax.set(xlim=(course.feature[0], course.feature[-1]), ylim=(-0.07, 1.07))
    ax.legend(fontsize="small", loc="best")
    return ax
