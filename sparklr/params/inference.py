"""The Params `inference` and `separation` of the estimator."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

T = TypeVar("T", bound="HasInference")

INFERENCE = ("auto", "always", "never")
SEPARATION = ("warn", "error", "ignore")


class HasInference(Params):
    """The `inference` and `separation` Params; a model has a method of the first name instead."""

    inference: Param[str] = Param(
        Params._dummy(),
        "inference",
        "Whether a fit ends with the Hessian that standard errors need: always, never, or auto "
        "(a fit that is made alone, without penalty and bounds, of at most 500 coefficients).",
        typeConverter=TypeConverters.toString,
    )

    separation: Param[str] = Param(
        Params._dummy(),
        "separation",
        "What to do where the rows are separated, so that no finite estimate exists: warn, error, "
        "or ignore. Looked for in fits that end with the Hessian: see inference.",
        typeConverter=TypeConverters.toString,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(inference="auto", separation="warn")

    def setInference(self: T, value: str) -> T:
        """Set whether a fit ends with the Hessian that standard errors need."""
        self._set(inference=value)
        return self

    def setSeparation(self: T, value: str) -> T:
        """Set what to do where no finite estimate exists: warn, error, or ignore."""
        self._set(separation=value)
        return self

    def getSeparation(self) -> str:
        """Return the value of `separation` or its default."""
        return str(self.getOrDefault(self.separation))

    def getInference(self) -> str:
        """Return the value of `inference` or its default."""
        return str(self.getOrDefault(self.inference))
