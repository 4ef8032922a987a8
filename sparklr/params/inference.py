"""The Param `inference` of the estimator."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

T = TypeVar("T", bound="HasInference")

INFERENCE = ("auto", "always", "never")


class HasInference(Params):
    """The `inference` Param; a model has a method of that name instead."""

    inference: Param[str] = Param(
        Params._dummy(),
        "inference",
        "Whether a fit ends with the Hessian that standard errors need: always, never, or auto "
        "(a fit that is made alone, without penalty and bounds, of at most 500 coefficients).",
        typeConverter=TypeConverters.toString,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(inference="auto")

    def setInference(self: T, value: str) -> T:
        """Set whether a fit ends with the Hessian that standard errors need."""
        self._set(inference=value)
        return self

    def getInference(self) -> str:
        """Return the value of `inference` or its default."""
        return str(self.getOrDefault(self.inference))
