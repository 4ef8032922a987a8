"""Errors about a user's input that are Spark's own class and Python's at once.

Spark raises IllegalArgumentException for a missing column or a value out of range, and programs
catch that class; whoever writes Python expects ValueError or TypeError. These are both.
"""

from __future__ import annotations

from pyspark.errors import IllegalArgumentException


class InvalidValueError(IllegalArgumentException, ValueError):
    """A value, a column or a row that is not allowed."""


class NoRowsError(InvalidValueError):
    """A frame without rows of weight above zero."""


class InvalidTypeError(IllegalArgumentException, TypeError):
    """A column or an argument of a type that is not allowed."""
