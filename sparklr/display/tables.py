"""Pages of facts and tables, as plain text and as HTML; numbers as words of a table.

Knows nothing of models: `pages` decides what to say, this module how it looks.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 88  # characters of a line of text, tables excepted
NAME = 36  # characters of a row's name in text
GAP = "..."

LEFT = "text-align:left;vertical-align:baseline"
RIGHT = "text-align:right;vertical-align:baseline;white-space:nowrap"
CAPTION = "text-align:left;font-weight:bold;padding:0.5em 0;color:inherit;caption-side:top"


@dataclass(frozen=True)
class Table:
    """Rows of words: a name and numbers. A row that is a text tells what was left out."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...] | str, ...]

    def text(self) -> str:
        """The table with its columns aligned."""
        words = [_short(self.header), *(_short(row) for row in self.rows if isinstance(row, tuple))]
        widths = [max(len(line[at]) for line in words) for at in range(len(self.header))]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [_aligned(words[0], widths), rule]
        for row in self.rows:
            lines.append(row if isinstance(row, str) else _aligned(_short(row), widths))
        return "\n".join([self.title, rule, *lines])

    def html(self) -> str:
        """The table as an HTML element."""
        head = "".join(_cell("th", word, at, ' scope="col"') for at, word in enumerate(self.header))
        rows = "".join(self._html_row(row) for row in self.rows)
        return (
            f'<table><caption style="{CAPTION}">{escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _html_row(self, row: tuple[str, ...] | str) -> str:
        if isinstance(row, str):
            span = f'colspan="{len(self.header)}" style="text-align:center"'
            return f"<tr><td {span}>{escape(row)}</td></tr>"
        name = _cell("th", row[0], 0, ' scope="row"')
        return f"<tr>{name}{''.join(_cell('td', word, 1) for word in row[1:])}</tr>"


@dataclass(frozen=True)
class Page:
    """A title, facts by name, tables, and remarks at the end."""

    title: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The page in plain text."""
        width = max(len(name) for name, _ in self.facts) + 2
        lines = [self.title, "=" * len(self.title)]
        for name, value in self.facts:
            hang = " " * width
            wrapped = textwrap.fill(value, WIDTH, initial_indent=hang, subsequent_indent=hang)
            lines.append(name.ljust(width) + wrapped[width:])
        notes = [textwrap.fill(note, WIDTH) for note in self.notes]
        parts = ["\n".join(lines), *(table.text() for table in self.tables), "\n".join(notes)]
        return "\n\n".join(part for part in parts if part)

    def html(self) -> str:
        """The page as an HTML element; colours and fonts are those of the page around it."""
        facts = "".join(
            f'<tr><th scope="row" style="{LEFT}">{escape(name)}</th>'
            f'<td style="{LEFT}">{escape(value)}</td></tr>'
            for name, value in self.facts
        )
        title = f'<table><caption style="{CAPTION}">{escape(self.title)}</caption>'
        tables = "".join(table.html() for table in self.tables)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<div>{title}<tbody>{facts}</tbody></table>{tables}{notes}</div>"


def number(value: float) -> str:
    """A number to four places, or four digits where places would not show it."""
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return f"{value:g}".replace("-0", "0")
    return f"{value:,.4f}" if 1e-2 <= abs(value) < 1e10 else f"{value:.3e}"


def amount(value: float) -> str:
    """A count or a sum of weights."""
    if abs(value - round(value)) < 1e-6:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"


def percent(share: float) -> str:
    """A share in percent."""
    return "-" if math.isnan(share) else f"{100 * share:.1f}%"


def label_name(label: float) -> str:
    """A label: without its point where it is whole, as nearly all are."""
    return f"{label:.0f}" if float(label).is_integer() else f"{label:g}"


@dataclass(frozen=True)
class Ends:
    """Which of many are shown: some at both ends."""

    first: range
    last: range

    @classmethod
    def of(cls, count: int, most: int) -> Ends:
        """All of them up to `most`, else as many from both ends together."""
        if count <= most:
            return cls(range(count), range(0))
        return cls(range((most + 1) // 2), range(count - most // 2, count))

    @property
    def places(self) -> list[int]:
        """The places of those that are shown."""
        return [*self.first, *self.last]

    @property
    def left_out(self) -> int:
        """How many are not shown."""
        return self.last.start - self.first.stop if len(self.last) else 0

    def joined(self, words: Sequence[str], gap: str) -> list[str]:
        """Words for those shown, and `gap` between the ends if any are left out."""
        middle = [gap] if self.left_out else []
        return [*words[: len(self.first)], *middle, *words[len(self.first) :]]

    def rows(self, rows: Sequence[tuple[str, ...]], what: str) -> tuple[tuple[str, ...] | str, ...]:
        """Rows for those shown, and a remark between the ends if any are left out."""
        remark = [f"{GAP} {self.left_out:,} more {what} {GAP}"] if self.left_out else []
        return (*rows[: len(self.first)], *remark, *rows[len(self.first) :])


def _short(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of one line of text: a name from anywhere must not break it."""
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
