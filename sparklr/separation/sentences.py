"""What a user reads about rows that are separated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparklr.arrays import Array, IntArray

# At most so many features are named one by one.
FEW_NAMES = 4


def separation_sentence(
    direction: Array,
    features: Sequence[int],
    labels: Sequence[int],
    total: int,
    names: Sequence[str],
    *,
    complete: bool,
) -> str:
    """Return in a sentence how a direction (C, p + 1) separates the rows.

    features : those without a finite estimate
    labels : the number of rows of each label that are raised
    """
    used = np.flatnonzero(np.any(direction[:, :-1] != 0, axis=0))
    what = _terms(direction, used, names)
    if len(used) == 0:
        rule = _one_sided(direction[:, -1], total)
    elif (line := _line(direction)) is not None:
        rule = _by_threshold(*line, what, labels, total)
    else:
        rule = (
            f"along a direction in the coefficients of {what} no row's label becomes less "
            f"probable, and that of {sum(labels)} of {total} rows more probable for ever"
        )
    if complete:
        return f"{rule}: no coefficient has a finite estimate"
    if len(features) == 1:
        alone = len(used) == 1
        its = "its coefficient" if alone else f"the coefficient of '{names[features[0]]}'"
        return f"{rule}: {its} has no finite estimate"
    named = _listed([f"'{names[j]}'" for j in features])
    return f"{rule}: the coefficients of {named} have no finite estimates"


def along(direction: Array, names: Sequence[str]) -> str:
    """Return a direction in words."""
    used = np.flatnonzero(np.any(direction[:, :-1] != 0, axis=0))
    return _terms(direction, used, names) if len(used) else "the intercept"


def _line(direction: Array) -> tuple[Array, int, str, str] | None:
    """Return the margin (p + 1,) of one label beside all others, this label, and both in words.

    None if the others differ among themselves.
    """
    if len(direction) == 1:
        return direction[0], 1, "the label is 1", "the label is 0"
    for label in reversed(range(len(direction))):
        others = np.delete(direction, label, axis=0)
        if (others == others[0]).all():
            other = f"the label is {1 - label}" if len(others) == 1 else f"the label is not {label}"
            return direction[label] - others[0], label, f"the label is {label}", other
    return None


def _by_threshold(
    line: Array, label: int, above: str, below: str, what: str, labels: Sequence[int], total: int
) -> str:
    """Return on which sides of a threshold the label is known, and in how many rows."""
    alone = np.count_nonzero(line[:-1]) == 1
    scale = float(line[np.abs(line[:-1]).argmax()])  # the largest term is shown with a plus
    scale = scale if alone else np.copysign(1.0, scale)
    threshold = f"{-line[-1] / scale + 0.0:.{10 if alone else 6}g}"
    up, down = ("above", "below") if scale > 0 else ("below", "above")
    counts = (labels[label], sum(labels) - labels[label])
    sides = [
        f"is {side} {threshold} {which} ({count} of {total} rows)"
        for side, which, count in zip((up, down), (above, below), counts, strict=True)
        if count
    ]
    return f"wherever {what} " + ", and wherever it ".join(sides)


def _one_sided(intercepts: Array, total: int) -> str:
    """Return which labels do not occur, for a direction in the intercepts alone, (C,)."""
    if len(intercepts) == 1:
        return f"all {total} rows have the label {int(intercepts[0] > 0)}"
    present = np.flatnonzero(intercepts == intercepts.max())
    if len(present) == 1:
        return f"all {total} rows have the label {present[0]}"
    absent = np.flatnonzero(intercepts < intercepts.max())
    which = _listed([str(label) for label in absent])
    return f"no row has the label{'s' if len(absent) > 1 else ''} {which}"


def _terms(direction: Array, used: IntArray, names: Sequence[str]) -> str:
    """Return the sum of a direction's terms if it is one sum, else the names of the features."""
    line = _line(direction)
    quoted = [f"'{names[int(j)]}'" for j in used]
    if line is None or len(used) == 1:
        return _listed(quoted)
    if len(used) > FEW_NAMES:
        return f"a sum of {len(used)} features ({_listed(quoted)})"
    factors = line[0][:-1] * np.sign(line[0][np.abs(line[0][:-1]).argmax()])
    text = ""
    for j, name in zip(used, quoted, strict=True):
        size = f"{abs(factors[int(j)]):.6g} " if abs(factors[int(j)]) != 1 else ""
        text += f" {'-' if factors[int(j)] < 0 else '+'} {size}{name}"
    return text[3:] if text.startswith(" + ") else "-" + text[3:]


def _listed(items: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c", or the first of many and their number."""
    if len(items) > FEW_NAMES:
        return f"{', '.join(items[:FEW_NAMES])} and {len(items) - FEW_NAMES} others"
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
