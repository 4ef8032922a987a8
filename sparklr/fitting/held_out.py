"""What goes with rows that are held out for early stopping, checked before any job if possible."""

from __future__ import annotations

from sparklr.fitting.spec import Spec
from sparklr.objective.moments import Moments
from sparklr.spark.errors import InvalidValueError


def check_early_stopping(spec: Spec, inference: str) -> None:
    """Refuse what does not go with held-out rows; `inference` is the value of that Param."""
    if spec.patience is None:
        return
    if inference == "always":
        raise InvalidValueError(
            "inference='always' does not go with validationIndicatorCol: standard errors are those "
            "of an optimum, and the iterate that held-out rows choose is none. Use "
            "inference='auto' or 'never', or clear validationIndicatorCol."
        )
    if spec.biasReduction != "none":
        raise InvalidValueError(
            f"biasReduction='{spec.biasReduction}' does not go with validationIndicatorCol: it is "
            "a property of the optimum, and early stopping ends before it. Clear one of the two."
        )


def check_held_labels(held: Moments, classes: int, *, label: str, column: str) -> None:
    """Refuse labels that occur in held-out rows alone: the model has no such class."""
    if held.rows and held.labels[-1] >= classes:
        raise InvalidValueError(
            f"Column '{label}': rows that are held out have the label {held.labels[-1]:g}, but the "
            f"rows of the fit only have labels up to {classes - 1}. Hold out other rows "
            f"('{column}'), or index the labels with pyspark.ml.feature.StringIndexer."
        )
