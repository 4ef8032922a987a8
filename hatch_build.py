"""What the metadata of the archives say of the place where the source is hosted.

    SPARKLR_URL=https://HOST/OWNER/sparklr python -m hatchling build

The links of an index's page are made from this variable, and so are those of README.md, which are
paths and would lead nowhere on an index. Without the variable there are no links, and README.md is
taken as it is. The release workflow sets it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "SPARKLR_URL"
# Paths as GitHub has them, whose workflows and templates are in .github/.
PATHS = {
    "Source": "",
    "Documentation": "/blob/main/docs/index.md",
    "Changelog": "/blob/main/docs/changelog.md",
    "Issues": "/issues",
}
# The target of a link or a picture of README.md that is a path.
LINK = re.compile(r"(?P<before>(?P<picture>!?)\[[^\]]*\]\()(?!https?:|#)(?P<path>[^)\s]+)")


def checked(url: str) -> str:
    """Return the address without a slash at its end; refuse what is none."""
    parts = urlsplit(url)
    if url and (parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment):
        raise ValueError(
            f"{VARIABLE}={url!r} is not allowed: it must be the address of the repository, as "
            f"https://HOST/OWNER/sparklr. Unset {VARIABLE} to build without links."
        )
    return url.rstrip("/")


def absolute(readme: str, url: str, version: str) -> str:
    """Return the text with the addresses of its files at the tag of the version."""

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found["picture"] else "blob"
        return f"{found['before']}{url}/{kind}/v{version}/{found['path']}"

    return LINK.sub(link, readme)


class Links(MetadataHookInterface):
    """Called by hatchling, for the sake of `dynamic` in pyproject.toml."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add the links and the text of README.md."""
        url = checked(os.environ.get(VARIABLE, ""))
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if url:
            metadata["urls"] = {name: url + path for name, path in PATHS.items()}
            text = absolute(text, url, str(metadata["version"]))
        else:
            metadata["urls"] = {}
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
