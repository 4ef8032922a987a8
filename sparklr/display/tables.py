"""Pages of facts and tables, as plain text and as HTML, and numbers as words of a table.

This module does not know models: `pages` decides the content, this module the layout.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from sparklr.arrays import Array

WIDTH = 88  # characters per line of text, except in tables
NAME = 36  # characters of a row name in text
GAP = "..."
MOST_DIGITS = 10  # of a number in a column, before and after the point
LEAST_P = 2e-16  # smaller p-values only differ in how far the distribution's tail is trusted

LEFT = "text-align:left;vertical-align:baseline"
RIGHT = "text-align:right;vertical-align:baseline;white-space:nowrap"
CAPTION = "text-align:left;font-weight:bold;padding:0.5em 0;color:inherit;caption-side:top"


@dataclass(frozen=True)
class Table:
    """Rows of words: a name and numbers. A row that is a string is a remark on omitted rows."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...] | str, ...]

    def text(self) -> str:
        """Return the table as text with aligned columns."""
        words = [_short(self.header), *(_short(row) for row in self.rows if isinstance(row, tuple))]
        widths = [max(len(line[at]) for line in words) for at in range(len(self.header))]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [_aligned(words[0], widths), rule]
        for row in self.rows:
            lines.append(row if isinstance(row, str) else _aligned(_short(row), widths))
        return "\n".join([self.title, rule, *lines])

    def html(self) -> str:
        """Return the table as an HTML element."""
        head = "".join(_cell("th", word, at, ' scope="col"') for at, word in enumerate(self.header))
        rows = "".join(self._html_row(row) for row in self.rows)
        return (
            f'<table><caption style="{CAPTION}">{escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def markdown(self) -> str:
        """Return the table in Markdown, with its title in bold above."""
        signs = [":---", *["---:"] * (len(self.header) - 1)]
        blanks = [""] * (len(self.header) - 1)
        rows = [(row, *blanks) if isinstance(row, str) else row for row in self.rows]
        lines = [_piped(self.header), _piped(signs), *map(_piped, rows)]
        return "\n".join([f"**{_marked(self.title)}**\n"] * bool(self.title) + lines)

    def _html_row(self, row: tuple[str, ...] | str) -> str:
        if isinstance(row, str):
            span = f'colspan="{len(self.header)}" style="text-align:center"'
            return f"<tr><td {span}>{escape(row)}</td></tr>"
        name = _cell("th", row[0], 0, ' scope="row"')
        return f"<tr>{name}{''.join(_cell('td', word, 1) for word in row[1:])}</tr>"


@dataclass(frozen=True)
class Page:
    """A title, named facts, tables, and notes at the end."""

    title: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the page as plain text."""
        width = max(len(name) for name, _ in self.facts) + 2
        lines = [self.title, "=" * len(self.title)]
        for name, value in self.facts:
            hang = " " * width
            wrapped = textwrap.fill(value, WIDTH, initial_indent=hang, subsequent_indent=hang)
            lines.append(name.ljust(width) + wrapped[width:])
        notes = [textwrap.fill(note, WIDTH) for note in self.notes]
        parts = ["\n".join(lines), *(table.text() for table in self.tables), "\n".join(notes)]
        return "\n\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """Return facts, tables and notes in Markdown; the title is left to the text around them."""
        signs = ("", ""), (":---", ":---")
        facts = [_piped(its) for its in (*signs, *self.facts)] if self.facts else []
        tables = [table.markdown() for table in self.tables]
        return "\n\n".join(["\n".join(facts)] * bool(facts) + tables + [*map(_marked, self.notes)])

    def html(self) -> str:
        """Return the page as an HTML element, in the colours and fonts of the page around it."""
        facts = "".join(
            f'<tr><th scope="row" style="{LEFT}">{escape(name)}</th>'
            f'<td style="{LEFT}">{escape(value)}</td></tr>'
            for name, value in self.facts
        )
        title = f'<table><caption style="{CAPTION}">{escape(self.title)}</caption>'
        tables = "".join(table.html() for table in self.tables)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<div>{title}<tbody>{facts}</tbody></table>{tables}{notes}</div>"


def _piped(words: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(map(_marked, words))} |"


def _marked(word: str) -> str:
    """Return a word as it is to be read, not as marks of Markdown or HTML."""
    text = " ".join(word.split())
    for sign in "\\|*_`[]":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("<", "&lt;")


def number(value: float) -> str:
    """Return a number with four decimals, or with four digits if it is very small or large."""
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return f"{value:g}".replace("-0", "0")
    return f"{value:,.4f}" if 1e-2 <= abs(value) < 1e10 else f"{value:.3e}"


def column(values: Array, places: int | None) -> list[str]:
    """Return the numbers of a column with as many decimals; None: as powers of ten."""
    style = ".3e" if places is None else f",.{places}f"
    return [f"{one:{style}}" if np.isfinite(one) else number(one) for one in values]


def places_for(values: Array) -> int | None:
    """Return how many decimals show three digits of the smallest of these numbers, at least four.

    None if that would be too long for the largest: then they are better shown as powers of ten.
    """
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(known):
        return 4
    least, most = np.floor(np.log10([known.min(), known.max()]))
    places = max(4, int(2 - least))
    return places if places + max(most, 0) <= MOST_DIGITS else None


def p_value(p: float) -> str:
    """Return a p-value, which is never shown as zero."""
    if math.isnan(p):
        return "-"
    if p < LEAST_P:
        return f"< {LEAST_P:.0e}"
    return f"{p:.4f}" if p >= 1e-4 else f"{p:.1e}"


def amount(value: float) -> str:
    """Return a count or a sum of weights as text."""
    if abs(value - round(value)) < 1e-6:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"


def percent(share: float) -> str:
    """Return a share in percent."""
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"


def label_name(label: float) -> str:
    """Return a label as text, without a decimal point if it is whole, as most labels are."""
    return f"{label:.0f}" if float(label).is_integer() else f"{label:g}"


@dataclass(frozen=True)
class Ends:
    """The places of the items that are shown out of many: some at each end."""

    first: range
    last: range

    @classmethod
    def of(cls, count: int, most: int) -> Ends:
        """Return all places up to `most` items; of more items, `most` places from both ends."""
        if count <= most:
            return cls(range(count), range(0))
        return cls(range((most + 1) // 2), range(count - most // 2, count))

    @property
    def places(self) -> list[int]:
        """The places of the items that are shown."""
        return [*self.first, *self.last]

    @property
    def left_out(self) -> int:
        """The number of items that are not shown."""
        return self.last.start - self.first.stop if len(self.last) else 0

    def joined(self, words: Sequence[str], gap: str) -> list[str]:
        """Return the words of the shown items, with `gap` between the ends if any are left out."""
        middle = [gap] if self.left_out else []
        return [*words[: len(self.first)], *middle, *words[len(self.first) :]]

    def rows(self, rows: Sequence[tuple[str, ...]], what: str) -> tuple[tuple[str, ...] | str, ...]:
        """Return the rows of the shown items, and a remark between the ends if some are missing."""
        remark = [f"{GAP} {self.left_out:,} more {what} {GAP}"] if self.left_out else []
        return (*rows[: len(self.first)], *remark, *rows[len(self.first) :])


def _short(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of one line, with the name shortened so that it cannot break the line."""
    name = " ".join(words[0].split())
    half = (NAME - len(GAP)) // 2
    return (name if len(name) <= NAME else name[: half + 1] + GAP + name[-half:], *words[1:])


def _aligned(words: tuple[str, ...], widths: list[int]) -> str:
    name, *others = words
    cells = [word.rjust(width) for word, width in zip(others, widths[1:], strict=True)]
    return "  ".join([name.ljust(widths[0]), *cells]).rstrip()


def _cell(tag: str, word: str, at: int, scope: str = "") -> str:
    style = RIGHT if at else LEFT
    return f'<{tag}{scope} style="{style}">{escape(word)}</{tag}>'
