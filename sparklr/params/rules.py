"""The rule of a Param, beyond its doc and its type converter, and the ranges that rules use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparklr.spark.did_you_mean import did_you_mean
from sparklr.spark.errors import InvalidValueError


@dataclass(frozen=True)
class Range:
    """The allowed values among those that a converter accepts, and their description in words.

    names : the allowed values if they are names
    """

    holds: Callable[[Any], bool]
    words: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParamRule:
    """The rule of a Param. No field has a default, so that each is set on purpose.

    range : the allowed values; None where the converter alone decides, or where they depend on
        the rows
    affects_rows : whether the Param changes which columns are read or how they are packed, so
        that fits with different values cannot share blocks
    per_feature : whether its values are coefficients, or intercepts that belong to coefficients,
        so that they change their meaning when features are shifted or scaled; or whether a fit
        finds more than coefficients by it, which is not converted
    """

    range: Range | None
    affects_rows: bool
    per_feature: bool

    def check(self, name: str, value: object) -> None:
        """Refuse a value out of range; `name` is the name of the Param."""
        if self.range is None:
            return
        words = self.range.words
        if isinstance(value, float) and (math.isnan(value) or math.isinf(value)):
            raise InvalidValueError(
                f"{name}={value} is not allowed: it must be a finite number, {words}."
            )
        if not self.range.holds(value):
            raise InvalidValueError(
                f"{name}={value!r} is not allowed: it must be {words}."
                f"{did_you_mean(value, self.range.names)}"
            )


def one_of(names: tuple[str, ...]) -> Range:
    """Return the range of these names, in upper or lower case."""
    return Range(lambda value: str(value).lower() in names, f"one of {', '.join(names)}", names)


def _are_thresholds(values: Any) -> bool:
    return len(values) > 1 and all(v >= 0 for v in values) and sum(v == 0 for v in values) < 2


def _are_names(values: Any) -> bool:
    return 0 < len(values) == len(set(values)) and all(values)


AT_LEAST_ZERO = Range(lambda value: bool(value >= 0), "0 or more")
ABOVE_ZERO = Range(lambda value: bool(value > 0), "above 0")
AT_LEAST_ONE = Range(lambda value: bool(value >= 1), "1 or more")
BELOW_ONE = Range(lambda value: bool(0 <= value < 1), "0 or more, and below 1")
INSIDE_UNIT = Range(lambda value: bool(0 < value < 1), "between 0 and 1, both excluded")
AT_LEAST_TWO = Range(lambda value: bool(value >= 2), "2 or more")
ZERO_IS_AUTOMATIC = Range(AT_LEAST_ZERO.holds, "0 (automatic) or more")
UNIT = Range(lambda value: bool(0 <= value <= 1), "in [0, 1]")
THRESHOLDS = Range(_are_thresholds, "two or more numbers, none negative, at most one zero")
NAMES = Range(_are_names, "one or more column names, each named once")
