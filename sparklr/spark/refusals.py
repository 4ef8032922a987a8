"""What to say where a platform refuses something."""

from __future__ import annotations

import logging
import re
from functools import cache

log = logging.getLogger("sparklr")

JAVA_CLASS = re.compile(r"\b(?:[a-z]\w*\.)+[A-Z]\w*: ?")


def first_line(reason: BaseException) -> str:
    """What an error says, without the pages and names of Java that some bring along."""
    return JAVA_CLASS.sub("", str(reason).split("\n", 1)[0]).rstrip(" :")


@cache
def warn_once(text: str) -> None:
    """Log that the platform refuses something: once a process, as it will do so each time."""
    log.warning(text)
