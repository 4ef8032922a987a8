"""The name that a misspelled one was probably meant to be, as the end of an error."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CLOSE = 0.75  # the share of letters in common, as difflib counts it


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return " Did you mean 'age'?" if a known name is close to this one, in any case, else ""."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=CLOSE)
    return f" Did you mean '{by_lower[found[0]]}'?" if found else ""
