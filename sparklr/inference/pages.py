"""Tables of estimates for the pages that summaries print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparklr.arrays import Array
from sparklr.display.pages import MOST_CLASSES, MOST_FEATURES, MOST_ROWS
from sparklr.display.tables import Ends, Table, column, number, p_value, places_for
from sparklr.inference.estimates import Estimates
from sparklr.inference.layout import Layout

MOST_SHOWN = 5  # dependences on a page, and columns in one of them
HEADER = ("feature", "coefficient", "std. error", "z", "p", "lower", "upper", "odds ratio")


def estimate_tables(layout: Layout, estimates: Estimates) -> tuple[Table, ...]:
    """Return a table per class, or one table; of many features, those with the largest |z|."""
    classes = Ends.of(len(layout.classes), MOST_CLASSES).places
    most = max(min(MOST_FEATURES, MOST_ROWS // max(len(classes), 1)), 2)
    return tuple(_table(layout, estimates, layout.classes[at], most) for at in classes)


def _table(layout: Layout, estimates: Estimates, margin: int, most: int) -> Table:
    places, names = layout.places(margin), layout.row_names()
    size = np.where(np.isinf(estimates.coefficients), np.inf, np.abs(estimates.z))[places]
    shown = _largest(size, most, bool(layout.intercept))
    lower, upper = estimates.interval
    its = places[shown]
    with np.errstate(over="ignore"):
        ratios = np.exp(estimates.coefficients[its])
    digits = places_for(estimates.errors[its])
    columns = [
        column(estimates.coefficients[its], digits),
        column(estimates.errors[its], digits),
        column(estimates.z[its], 3),
        [p_value(one) for one in estimates.p[its]],
        column(lower[its], digits),
        column(upper[its], digits),
        [number(one) for one in ratios],
    ]
    body: list[tuple[str, ...] | str] = [
        (names[at], *words) for at, words in zip(shown, zip(*columns, strict=True), strict=True)
    ]
    if layout.intercept:  # its odds ratio compares nothing
        body[0] = (*body[0][:-1], "")
    if len(shown) < len(names):
        body.append(f"... {len(names) - len(shown):,} more features, with smaller |z| ...")
    return Table(_title(layout, estimates.level, margin), HEADER, tuple(body))


def _largest(size: Array, most: int, intercept: bool) -> Array:
    """Return which rows are shown: all in their order or, of too many, the largest first."""
    features = np.arange(int(intercept), len(size))
    if len(features) > most:
        order = np.argsort(-np.nan_to_num(size[features], nan=-1.0), kind="stable")
        features = features[order[:most]]
    return np.append(np.arange(int(intercept)), features)


def _title(layout: Layout, level: float, margin: int) -> str:
    which = ""
    if layout.per_class:
        which = f" of class {margin}"
        which += " against the mean of all" if layout.base is None else f" against {layout.base}"
    return f"Coefficients{which}, with {100 * level:.4g}% intervals"


def table_notes(layout: Layout, estimates: Estimates) -> tuple[str, ...]:
    """Return what the reader of the tables must know."""
    notes = ["odds ratio: the factor on the odds where the feature rises by one."]
    unknown = np.isnan(estimates.errors[layout.all_places])
    if unknown.any():
        notes.append(
            "-: a coefficient without a standard error, because the rows do not determine it."
        )
    return tuple(notes)


def dependence_words(dependence: Array, names: Sequence[str]) -> str:
    """Return how one column depends on others, (p + 1,): each row's [x, 1] times it is zero."""
    used = [int(j) for j in np.flatnonzero(dependence) if j < len(names)]
    if len(used) == 1:
        return f"'{names[used[0]]}' is constant"
    last, shown = used[-1], used[:-1]
    terms = [(-dependence[j] / dependence[last], f"'{names[j]}'") for j in shown[:MOST_SHOWN]]
    words = " ".join(
        f"{'-' if factor < 0 else '+'} {_times(abs(factor))}{of}" for factor, of in terms
    )
    if len(shown) > MOST_SHOWN:
        words += f" + {len(shown) - MOST_SHOWN:,} more"
    constant = -dependence[-1] / dependence[last]
    if constant:
        words += f" {_sign(constant)} {abs(constant):.4g}"
    return f"'{names[last]}' = {words.removeprefix('+ ')}"


def _sign(factor: float) -> str:
    return "-" if factor < 0 else "+"


def _times(factor: float) -> str:
    return "" if abs(factor - 1) < 1e-9 else f"{factor:.4g} "
