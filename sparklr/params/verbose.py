"""The Param `verbose`, of the estimator and of the validators."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

V = TypeVar("V", bound="HasVerbose")


class HasVerbose(Params):
    """Whether work shows a progress bar: for what reads rows, thus not for models."""

    verbose: Param[bool] = Param(
        Params._dummy(),
        "verbose",
        "Whether to show a progress bar. Not set: only in a terminal or a notebook, and only if "
        "the work takes longer than some two seconds.",
        typeConverter=TypeConverters.toBoolean,
    )

    def setVerbose(self: V, value: bool) -> V:
        """Set whether to show a progress bar."""
        self._set(verbose=value)
        return self

    def getVerbose(self) -> bool:
        """The value of `verbose`; an error if it is not set."""
        return bool(self.getOrDefault(self.verbose))


def verbose_if_set(stage: HasVerbose) -> bool | None:
    """The value of `verbose`, or None where the choice is left to the progress bar."""
    return stage.getVerbose() if stage.isSet(stage.verbose) else None
