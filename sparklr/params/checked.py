"""Params whose values are checked when they are set: Spark's own checks run in its JVM."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

import pyspark
from pyspark.ml.param import Param, Params

from sparklr.spark.did_you_mean import did_you_mean
from sparklr.spark.errors import InvalidTypeError, InvalidValueError
from sparklr.spark.types import AnyParam, Keywords, ParamDict

C = TypeVar("C", bound="CheckedParams")
F = TypeVar("F", bound=Callable[..., object])
Q = ParamSpec("Q")
S = TypeVar("S")


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

    def getParam(self, paramName: str) -> AnyParam:
        """Like Spark's `getParam`, but the error about a name that is none says which is close."""
        try:
            return super().getParam(paramName)
        except (AttributeError, ValueError) as reason:
            raise type(reason)(_no_param(self, paramName, (p.name for p in self.params))) from None

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


def keyword_only(method: F) -> F:
    """Like Spark's `keyword_only`, but the error about an unknown keyword says which is close."""
    names = list(inspect.signature(method).parameters)[1:]
    checked = pyspark.keyword_only(method)

    @wraps(method)
    def wrapper(self: Params, *args: object, **kwargs: object) -> object:
        for name in kwargs:
            if name not in names:
                raise InvalidTypeError(_no_param(self, name, names))
        return checked(self, *args, **kwargs)

    return cast(F, wrapper)


def keywords_of(
    init: Callable[Concatenate[S, Q], None],
) -> Callable[[Callable[..., S]], Callable[Concatenate[S, Q], S]]:
    """Give a method the keywords of an `__init__`, so that their list stands once."""
    known = inspect.signature(init)

    def given(method: Callable[..., S]) -> Callable[Concatenate[S, Q], S]:
        own = known.replace(return_annotation=method.__annotations__["return"])
        # What `inspect.signature` shows; types do not know the attribute of a function.
        method.__signature__ = own  # type: ignore[attr-defined]
        return keyword_only(method)

    return given


def _no_param(owner: object, name: str, known: Iterable[str]) -> str:
    return (
        f"{type(owner).__name__} has no Param '{name}'.{did_you_mean(name, known)} "
        "explainParams() lists all of them."
    )
