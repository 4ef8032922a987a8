"""Values of the metadata's JSON: numbers, flags and strings, refused where they are damaged."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from sparklr.arrays import Array


def as_text(value: float) -> float | str:
    """Return a number for JSON, which has no infinite numbers: those as strings."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def as_texts(values: Array | tuple[float, ...]) -> list[float | str]:
    """Return numbers for JSON."""
    return [as_text(value) for value in values]


def as_number(value: object) -> float:
    """Return the number that `as_text` was given; refuse what is none."""
    if type(value) not in (int, float) and value not in ("inf", "-inf", "nan"):
        raise TypeError(f"{value!r} is not a number")
    return float(str(value))


def as_number_or_none(value: object) -> float | None:
    """Return a number, or None for None."""
    return None if value is None else as_number(value)


def as_numbers(values: object) -> Array:
    """Return the numbers that `as_texts` was given."""
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not a list of numbers")
    return np.array([as_number(value) for value in values], dtype=float)


def as_whole(value: object) -> int:
    """Return an integer; refuse what is none."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an integer")
    return value


def as_flag(value: object) -> bool:
    """Return true or false; refuse what is neither."""
    if type(value) is not bool:
        raise TypeError(f"{value!r} is not true or false")
    return value


def as_string(value: object) -> str:
    """Return a string; refuse what is none."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def read_names(names: object, features: int) -> tuple[str, ...] | None:
    """Return the names of the features, one per feature, or None."""
    typed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is not None and not (typed and len(cast("list[str]", names)) == features):
        raise ValueError("featureNames must have one string per feature")
    return None if names is None else tuple(cast("list[str]", names))
