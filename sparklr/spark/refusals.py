"""Log messages for operations that a platform refuses."""

from __future__ import annotations

import logging
import re
from functools import cache

log = logging.getLogger("sparklr")

JAVA_CLASS = re.compile(r"\b(?:[a-z]\w*\.)+[A-Z]\w*: ?")


def first_line(reason: BaseException) -> str:
    """Return the first line of an error, without stack traces and Java class names."""
    return JAVA_CLASS.sub("", str(reason).split("\n", 1)[0]).rstrip(" :")


@cache
def warn_once(text: str) -> None:
    """Log a refusal of the platform once per process, because it will recur each time."""
    log.warning(text)
