"""The Param `verbose` of the estimator and of the validators."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

V = TypeVar("V", bound="HasVerbose")


class HasVerbose(Params):
    """The `verbose` Param, for stages that read rows themselves, so not for models."""

    verbose: Param[bool] = Param(
        Params._dummy(),
        "verbose",
        "Whether to show a progress bar. If not set, it is shown only in a terminal or a notebook, "
        "and only if the work takes longer than about two seconds.",
        typeConverter=TypeConverters.toBoolean,
    )

    def setVerbose(self: V, value: bool) -> V:
        """Set whether to show a progress bar."""
        self._set(verbose=value)
        return self

    def getVerbose(self) -> bool:
        """Return the value of `verbose`; raise if it is not set."""
        return bool(self.getOrDefault(self.verbose))


def verbose_if_set(stage: HasVerbose) -> bool | None:
    """Return the value of `verbose`, or None to let the progress bar decide."""
    return stage.getVerbose() if stage.isSet(stage.verbose) else None
