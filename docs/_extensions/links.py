"""Links of the pages as the site has them, and a check that each leads somewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)

# [page.md](page.md#part), which on a code host names the file.
NAMED = re.compile(r"\[`?[\w/-]+\.md`?\](\((?!(?:\.\./)+(?:tests|notebooks)/)([^)#\s]+)[^)\s]*\))")
# A file that is no page of the site, though it ends like one.
OUTSIDE = re.compile(r"\]\(((?:\.\./)+(?:tests|notebooks)/[^)#\s]+\.md)\)")


def links_of_the_site(app: Sphinx, docname: str, source: list[str]) -> None:
    """Show a page's title, its first line, where a link's text is its file; load other files."""
    folder = Path(app.env.doc2path(docname)).parent

    def titled(link: re.Match[str]) -> str:
        first = (folder / link[2]).read_text(encoding="utf-8").partition("\n")[0]
        return f"[{first.removeprefix('# ')}]{link[1]}"

    source[0] = OUTSIDE.sub(r"](<path:\1>)", NAMED.sub(titled, source[0]))


class Page(HTMLParser):
    """The links of a page, and the names that a link can have."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.ids.add(value)


def broken_links(folder: Path) -> list[str]:
    """Return the links of the pages of a folder whose file or part of a file is missing."""
    found = (path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts)
    pages = {path: Page(path) for path in found}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(folder)}: {link}")
            elif parts.fragment and target in pages:
                known = unquote(parts.fragment) in pages[target].ids
                broken += [] if known else [f"{path.relative_to(folder)}: {link}"]
    return broken


def check(app: Sphinx, error: Exception | None) -> None:
    """Warn of each broken link; `-W` makes a warning an error."""
    if error is None and app.builder.format == "html":
        for link in broken_links(Path(app.outdir).resolve()):
            log.warning("a link leads nowhere: %s", link)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", links_of_the_site)
    app.connect("build-finished", check)
    return {"parallel_read_safe": True}
