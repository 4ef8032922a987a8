"""A model's scores as expressions of standard SQL, for a table with a column per feature.

    m_k = a_k + o + sum_j b_kj x_j                   for each row k of the coefficients
    P(1) = 1 / (1 + e^-m)                            with a single margin
    P(k) = 1 / (1 + sum_l e^(m_l - m_k)), l != k     with a margin per label

No exponent is beyond 600, where a database may raise an error in place of an infinity. There is no
NaN in standard SQL, and databases differ in how they compare it, so scores of a margin that is not
between -1e100 and 1e100 are NULL. Numbers are written with an exponent: without one, most databases
take them for decimals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array
from sparklr.scoring.numbers import ModelNumbers

Nulls: TypeAlias = Literal["any", "used"]

MOST_TERMS = 50  # in one level of parentheses: parsers of long chains run out of stack
FINITE = "BETWEEN -1E100 AND 1E100"
MOST = "6E2"  # an exponent
QUOTES = ('"', "`", "")
PLAIN = re.compile(r"[\w.\[\]]+")


@dataclass(frozen=True)
class SqlScores:
    """The scores of a model as SQL expressions, from `model.toSql`.

    As text it is a list of columns, for `SELECT id, {...} FROM table`.

    Attributes
    ----------
    margins : tuple of str
        The log odds of label 1 or, of a multinomial model, a margin per label.
    thresholds : tuple of float, optional
        One per margin; without them the most probable label is predicted.
    """

    margins: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None

    @property
    def probabilities(self) -> tuple[str, ...]:
        """The probability of each label."""
        return _probabilities(self.margins)

    @property
    def probability(self) -> str:
        """The probability of label 1, of a model with a single margin."""
        if len(self.margins) > 1:
            raise ValueError(
                f"This model has a probability for each of its {len(self.margins)} labels: read "
                "probabilities[label]."
            )
        return self.probabilities[1]

    @property
    def prediction(self) -> str:
        """The predicted label."""
        return _prediction(self.margins, self.thresholds)

    def query(self, table: str) -> str:
        """Return a query of all columns of a table and the scores, each margin written once.

        Parameters
        ----------
        table : str
            The name of the table, or a query in parentheses; it goes into the text as it is.

        Returns
        -------
        str
            The query. Its columns are those of the table, `margin`, `probability` (of label 1) and
            `prediction`; of a multinomial model `margin_0`, `probability_0` and so on.
        """
        names = self._names("margin")
        inner = ",\n    ".join(map(_named, self.margins, names))
        its = tuple(f"m.{name}" for name in names)
        outer = ",\n  ".join(self._columns(its))
        of_table = f"SELECT t.*,\n    {inner}\n  FROM {table} AS t"
        return f"SELECT m.*,\n  {outer}\nFROM (\n  {of_table}\n) AS m"

    def __str__(self) -> str:
        margins = map(_named, self.margins, self._names("margin"))
        return ",\n".join((*margins, *self._columns(self.margins)))

    def _columns(self, margins: tuple[str, ...]) -> list[str]:
        """Return the columns of probabilities and of the prediction, from these margins."""
        chances = _probabilities(margins)
        shown = chances if len(margins) > 1 else chances[1:]
        columns = list(map(_named, shown, self._names("probability")))
        return [*columns, _named(_prediction(margins, self.thresholds), "prediction")]

    def _names(self, word: str) -> list[str]:
        many = len(self.margins) > 1
        return [f"{word}_{k}" for k in range(len(self.margins))] if many else [word]


def sql_scores(
    numbers: ModelNumbers,
    thresholds: tuple[float, ...] | None,
    columns: Sequence[str],
    *,
    offset: str | None = None,
    quote: str = '"',
    nulls: Nulls = "any",
) -> SqlScores:
    """Return the scores of a model for a table whose columns have these names.

    columns : one per feature
    offset : the column of offsets
    """
    _check(numbers, columns, quote, nulls)
    names = [_quoted(name, quote) for name in columns]
    moved = None if offset is None else _quoted(offset, quote)
    rows, intercepts = numbers.arrays
    margins = [
        _margin(row, float(intercept), names, moved, nulls)
        for row, intercept in zip(rows, intercepts, strict=True)
    ]
    return SqlScores(tuple(margins), thresholds)


def _check(numbers: ModelNumbers, columns: Sequence[str], quote: str, nulls: str) -> None:
    single = numbers.family.per_class and numbers.classes < 2
    if single or not np.isfinite(numbers.arrays[1]).all():
        raise ValueError(
            "toSql: this model was fitted on one label alone, so its intercept is infinite, and "
            "standard SQL has no infinite numbers. Its prediction is always that label."
        )
    if isinstance(columns, str) or len(columns) != numbers.features:
        count = 1 if isinstance(columns, str) else len(columns)
        raise ValueError(
            f"toSql needs a list of columns, one for each of the {numbers.features} features of "
            f"the model in their order, but got {count}."
        )
    if quote not in QUOTES:
        raise ValueError(
            f"quote={quote!r} is not allowed: it must be '\"', as in standard SQL, '`', as in "
            "Spark and MySQL, or '', which takes the columns as expressions."
        )
    if nulls not in ("any", "used"):
        raise ValueError(f"nulls={nulls!r} is not allowed: it must be 'any' or 'used'.")


def _quoted(name: str, quote: str) -> str:
    if quote:
        return f"{quote}{name.replace(quote, 2 * quote)}{quote}"
    return _whole(name)


def _whole(expression: str) -> str:
    """Return an expression in parentheses, unless it is a name."""
    return expression if PLAIN.fullmatch(expression) else f"({expression})"


def _margin(
    row: Array, intercept: float, names: Sequence[str], offset: str | None, nulls: Nulls
) -> str:
    """Return the margin of one row of coefficients (p,); zeros are left out of the sum."""
    terms = [_signed(intercept)]
    if offset is not None:
        terms.append(f"+ {offset}")
    terms += [f"{_signed(row[j])} * {names[j]}" for j in np.flatnonzero(row).tolist()]
    total = _nested(terms, " ", "+ ").removeprefix("+ ")
    unread = [f"{names[j]} IS NOT NULL" for j in np.flatnonzero(row == 0).tolist()]
    if nulls == "used" or not unread:
        return total
    return f"CASE WHEN {_nested(unread, ' AND ', '')} THEN {total} END"


def _nested(terms: list[str], between: str, sign: str) -> str:
    """Return the terms in a row or, if they are many, in parentheses of a few levels."""
    while len(terms) > MOST_TERMS:
        groups = [terms[at : at + MOST_TERMS] for at in range(0, len(terms), MOST_TERMS)]
        terms = [f"{sign}({between.join(group).removeprefix('+ ')})" for group in groups]
    return between.join(terms)


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {_number(abs(value))}"


def _number(value: float) -> str:
    """Return a number with all of its digits, as a literal of a floating point type."""
    text = np.format_float_scientific(value, trim="-", exp_digits=1)
    return str(text).upper().replace("+", "")


def _probabilities(margins: tuple[str, ...]) -> tuple[str, ...]:
    if len(margins) == 1:
        return _of_one(margins[0])
    places = range(len(margins))
    return tuple(_of_many(margins, [j for j in places if j != k], k) for k in places)


def _of_one(margin: str) -> tuple[str, str]:
    """Return the probabilities of labels 0 and 1."""
    m = _whole(margin)

    def chance(exponent: str, low: str, high: str) -> str:
        return (
            f"CASE WHEN {m} BETWEEN -{MOST} AND {MOST} THEN 1E0 / (1E0 + EXP({exponent})) "
            f"WHEN {m} BETWEEN {MOST} AND 1E100 THEN {high} "
            f"WHEN {m} BETWEEN -1E100 AND -{MOST} THEN {low} END"
        )

    return chance(m, "1E0", "0E0"), chance(f"-{m}", "0E0", "1E0")


def _of_many(margins: tuple[str, ...], others: list[int], k: int) -> str:
    """Return the probability of label k among several."""
    terms = []
    for other in others:
        d = f"{_whole(margins[other])} - {_whole(margins[k])}"
        capped = f"CASE WHEN {d} > {MOST} THEN {MOST} WHEN {d} < -{MOST} THEN -{MOST} ELSE {d} END"
        terms.append(f"+ EXP({capped})")
    return f"CASE WHEN {_all_finite(margins)} THEN 1E0 / (1E0 {_nested(terms, ' ', '+ ')}) END"


def _prediction(margins: tuple[str, ...], thresholds: tuple[float, ...] | None) -> str:
    if len(margins) == 1:
        return _above(_whole(margins[0]), 0.5 if thresholds is None else thresholds[0])
    finite = _all_finite(margins)
    if thresholds is not None and 0 in thresholds:  # p / 0 is above all others
        return f"CASE WHEN {finite} THEN {_number(thresholds.index(0))} END"
    # The largest p_k / t_k is that of the largest m_k - log t_k.
    shifts = np.zeros(len(margins)) if thresholds is None else -np.log(thresholds)
    each = zip(map(_whole, margins), shifts, strict=True)
    moved = [f"{margin} {_signed(shift)}" if shift else margin for margin, shift in each]
    cases = []
    for k, its in enumerate(moved):
        largest = [f"{its} >= {other}" for other in moved if other != its] or [f"{its} = {its}"]
        cases.append(f"WHEN {_nested(largest, ' AND ', '')} THEN {_number(k)}")
    return f"CASE WHEN {finite} THEN CASE {' '.join(cases)} END END"


def _above(margin: str, threshold: float) -> str:
    """Return 1 where the margin is above log(t / (1 - t)), else 0."""
    if threshold in (0, 1):
        return f"CASE WHEN {margin} {FINITE} THEN {_number(1 - threshold)} END"
    odds = float(np.log(threshold / (1 - threshold)))
    cut = f"{'-' if odds < 0 else ''}{_number(abs(odds))}"
    return (
        f"CASE WHEN {margin} > {cut} AND {margin} {FINITE} THEN 1E0 "
        f"WHEN {margin} <= {cut} AND {margin} {FINITE} THEN 0E0 END"
    )


def _all_finite(margins: tuple[str, ...]) -> str:
    return _nested([f"{_whole(margin)} {FINITE}" for margin in margins], " AND ", "")


def _named(expression: str, name: str) -> str:
    return f"{expression} AS {name}"
