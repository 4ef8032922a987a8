"""The Param `classWeights` of the estimator; a model has the value it was fitted with."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.ml.param import Param, Params, TypeConverters

from sparklr.params.rules import Range

BALANCED = "balanced"


def _to_class_weights(value: object) -> str | list[float]:
    if isinstance(value, str):
        return value.lower()
    return [float(each) for each in TypeConverters.toListFloat(value)]


def _are_class_weights(value: str | Sequence[float]) -> bool:
    if isinstance(value, str):
        return value == BALANCED
    return len(value) > 0 and all(0 < each < float("inf") for each in value)


CLASS_WEIGHTS = Range(_are_class_weights, f"'{BALANCED}' or one positive number per class")


class HasClassWeights(Params):
    """The `classWeights` Param."""

    classWeights: Param[str | list[float]] = Param(
        Params._dummy(),
        "classWeights",
        "Factors of the rows' weights by class: one positive number per class, or 'balanced', by "
        "which all classes have the same weight in total.",
        typeConverter=_to_class_weights,
    )

    def getClassWeights(self) -> str | list[float]:
        """Return the value of `classWeights`; raise if it is not set."""
        value = self.getOrDefault(self.classWeights)
        return value if isinstance(value, str) else list(value)
