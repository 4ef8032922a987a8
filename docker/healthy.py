"""Whether a role answers: `healthy.py URL [KEY [LEAST]]`; KEY is a number's in its JSON."""

from __future__ import annotations

import json
import sys
from urllib.request import urlopen


def healthy(url: str, key: str | None = None, least: int = 1) -> bool:
    """Whether an answer comes and, if a key is given, has at least so large a number there."""
    try:
        with urlopen(url, timeout=5) as answer:
            return key is None or json.load(answer)[key] >= least
    except (OSError, ValueError, KeyError):
        return False


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(not healthy(*arguments[:2], *map(int, arguments[2:])))
