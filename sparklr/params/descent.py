"""The Params of gradient descent, `solver="gd"`."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

from sparklr.params.rules import Range

G = TypeVar("G", bound="HasDescent")

AUTO = "auto"
STEP_RULES = ("bb", "armijo", "fixed", "accelerated")


def _to_rate(value: object) -> float | str:
    return value.lower() if isinstance(value, str) else float(TypeConverters.toFloat(value))


def _is_rate(value: float | str) -> bool:
    return value == AUTO if isinstance(value, str) else value > 0


LEARNING_RATE = Range(_is_rate, f"'{AUTO}' or a number above 0")


class HasDescent(Params):
    """The Params of gradient descent; a model does not have them."""

    stepRule: Param[str] = Param(
        Params._dummy(),
        "stepRule",
        "How long the steps of solver='gd' are: bb (Barzilai and Borwein), armijo (a line search), "
        "fixed (learningRate), or accelerated (Nesterov's momentum with restarts).",
        typeConverter=TypeConverters.toString,
    )
    learningRate: Param[float | str] = Param(
        Params._dummy(),
        "learningRate",
        "The length of the first step of solver='gd', and with stepRule='fixed' of all, in units "
        "of 1 over a bound of the curvature, so that 1 is safe for any rows; 'auto' is 1. Of "
        "solver='sgd' the length of all steps, in units of such a bound for single rows, but with "
        "adagrad as it is; 'auto' compares 16 rates on held-out rows during the first epochs.",
        typeConverter=_to_rate,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(stepRule="bb", learningRate=AUTO)

    def setStepRule(self: G, value: str) -> G:
        """Set how long the steps of solver='gd' are: bb, armijo, fixed or accelerated."""
        self._set(stepRule=value)
        return self

    def getStepRule(self) -> str:
        """Return the value of `stepRule` or its default."""
        return str(self.getOrDefault(self.stepRule))

    def setLearningRate(self: G, value: float | str) -> G:
        """Set the length of the steps of gradient descent: a number, or "auto"."""
        self._set(learningRate=value)
        return self

    def getLearningRate(self) -> float | str:
        """Return the value of `learningRate` or its default."""
        value: float | str = self.getOrDefault(self.learningRate)
        return value
