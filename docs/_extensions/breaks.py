"""Where a long name may be broken: `validation|Indicator|Col`, not in the middle of a word.

A table's columns are as narrow as their longest piece, so names must have pieces. The tag <wbr> is
not copied with the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Cells of tables, and headings; of these only such as are one word are broken.
PLACE = re.compile(r"<(td|th|h[1-3])\b[^>]*>.*?</\1>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
CODE = re.compile(r"<code\b.*?</code>", re.DOTALL)
# Tags and entities are passed over as they are.
BREAK = re.compile(
    r"(?<==)(?=&quot;)|<[^>]*>|&\w+;|&#\w+;|(?<=[a-z0-9])(?=[A-Z])|(?<=[._/(:=])(?=\w)"
)
WBR = "<wbr/>"


def with_breaks(body: str) -> str:
    """Return the HTML of a page with breaks in the names of tables and in headings of one name."""
    return PLACE.sub(_place, body)


def _place(place: re.Match[str]) -> str:
    if re.fullmatch("h[1-3]", place[1]):
        words = TAG.sub("", place[0]).split()
        return _pieces(place) if len(words) == 1 else place[0]
    return CODE.sub(_pieces, place[0])


def _pieces(text: re.Match[str]) -> str:
    return BREAK.sub(lambda found: found[0] or WBR, text[0])


def break_names(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Put the breaks into the page's text."""
    if "body" in context:
        context["body"] = with_breaks(context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", break_names)
    return {"parallel_read_safe": True}
