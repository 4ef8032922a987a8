"""Log messages for operations that a platform refuses."""

from __future__ import annotations

import logging
import re
from functools import cache

from pyspark.errors import PySparkException

try:
    from py4j.protocol import Py4JError
except ImportError:  # pyspark-client, which has Spark Connect alone
    Py4JError = PySparkException

log = logging.getLogger("sparklr")

# What a platform raises where it refuses a call: Connect, serverless and shared clusters have
# errors of Spark's or of py4j's, and a session without a JVM lacks the attribute. No other error is
# a refusal: a fault of our own must not turn into a slow way taken in silence.
REFUSALS = (AttributeError, PySparkException, Py4JError)

JAVA_CLASS = re.compile(r"\b(?:[a-z]\w*\.)+[A-Z]\w*: ?")


def first_line(reason: BaseException) -> str:
    """Return the first line of an error, without stack traces and Java class names."""
    return JAVA_CLASS.sub("", str(reason).split("\n", 1)[0]).rstrip(" :")


@cache
def warn_once(text: str) -> None:
    """Log a refusal of the platform once per process, because it will recur each time."""
    log.warning(text)
