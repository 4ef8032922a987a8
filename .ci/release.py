"""Says whether a tag may become a release.

    python .ci/release.py v1.0.0

The tag must be "v" and the version of pyproject.toml, and the changelog must have an entry of that
version with a date. Needs Python alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version_of(project: str) -> str:
    """Return the version that the text of pyproject.toml states."""
    (version,) = re.findall(r'^version = "([^"]+)"$', project, re.MULTILINE)
    return str(version)


def faults(tag: str, version: str, changelog: str) -> list[str]:
    """Return what is wrong, a sentence each; nothing if the tag may become a release."""
    found = []
    if tag != f"v{version}":
        found.append(
            f"The tag is {tag}, but the version in pyproject.toml is {version}: tag the commit as "
            f"v{version}, or set the version there and in the files that CONTRIBUTING.md lists."
        )
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$\n(?P<entry>.*?)(?=^## |\Z)"
    section = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section["entry"].strip():
        found.append(
            f"docs/changelog.md has no entry for {version}: move what is under [Unreleased] to a "
            f'heading "## [{version}] - YYYY-MM-DD".'
        )
    return found


def main() -> None:
    """Check the tag of the command line."""
    version = version_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    changelog = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")
    found = faults(sys.argv[1], version, changelog)
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
