"""Params whose values are checked when they are set: Spark's own checks run in its JVM."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TypeVar

from pyspark.ml.param import Param, Params

from sparklr.spark.errors import InvalidTypeError, InvalidValueError
from sparklr.spark.types import AnyParam, Keywords, ParamDict

C = TypeVar("C", bound="CheckedParams")


class CheckedParams(Params):
    """Params that refuse a value out of range, with the Param's name in the error."""

    @abstractmethod
    def _check(self, name: str, value: object) -> None:
        """Refuse the value of a Param, given by name, if it is out of range."""

    def set(self, param: AnyParam, value: object) -> None:
        """Like Spark's `set`, but errors name the Param."""
        self._shouldOwn(param)
        if value is None:
            raise InvalidTypeError(f"{param.name}=None is not allowed. To unset a Param, clear it.")
        self._set(**{param.name: value})

    def copy(self: C, extra: ParamDict | None = None) -> C:
        """Return a copy with the same uid and the values of `extra`."""
        check_map({} if extra is None else extra)
        return super().copy(extra)

    def _set(self: C, **kwargs: object) -> C:
        """Like Spark's `_set`, but None leaves a Param unset, and values are checked."""
        given = {name: value for name, value in kwargs.items() if value is not None}
        before = dict(self._paramMap)
        try:
            for name, value in given.items():
                self._set_one(name, value)
        except (TypeError, ValueError):
            self._paramMap = before
            raise
        return self

    def _check_together(self) -> None:
        """Refuse values of several Params that do not go together."""

    def _set_together(self, values: Keywords) -> None:
        """Set all of these Params, or none of them if a value or a combination is refused."""
        before = dict(self._paramMap)
        try:
            self._set(**values)
            self._check_together()
        except (TypeError, ValueError):
            self._paramMap = before
            raise

    def _set_one(self, name: str, value: object) -> None:
        try:
            super()._set(**{name: value})
        except (ArithmeticError, ValueError) as reason:  # a TypeError names the Param
            raise InvalidValueError(f"{name} cannot be set to the given value: {reason}") from None
        self._check(name, self.getOrDefault(name))


def check_map(values: Iterable[object]) -> None:
    """Refuse a param map with a key that is not a Param: Spark ignores such keys."""
    for key in values:
        if not isinstance(key, Param):
            raise InvalidTypeError(
                f"Param map keys must be Params, but got {key!r}. Write estimator.regParam, "
                "not 'regParam'."
            )
