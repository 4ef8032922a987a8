"""Checks of Params before any job, alone and in combination."""

from __future__ import annotations

from sparklr.params.declared import RULES, DeclaredParams, check_value


def as_threshold(values: list[float]) -> float:
    """Return the threshold equivalent to two thresholds: predict 1 where p1/t1 > p0/t0."""
    zero, one = values
    return 1.0 / (1.0 + zero / one) if one != 0 else 0.0


def check_thresholds(params: DeclaredParams) -> None:
    """Refuse `threshold` and `thresholds` if both are set and they disagree."""
    if not (params.isSet(params.threshold) and params.isSet(params.thresholds)):
        return
    value = float(params.getOrDefault(params.threshold))
    values = [float(value) for value in params.getOrDefault("thresholds")]
    if len(values) != 2:
        raise ValueError(
            f"threshold={value:g} is for binary classification, but thresholds={values} has "
            f"{len(values)} values. Clear one of the two."
        )
    if abs(as_threshold(values) - value) >= 1e-5:
        raise ValueError(
            f"threshold={value:g} and thresholds={values} disagree: these thresholds are "
            f"equivalent to threshold={as_threshold(values):g}. Clear one of the two."
        )


def check_features(params: DeclaredParams) -> None:
    """Refuse `featuresCol` and `featuresCols` if both are set."""
    if params.isSet(params.featuresCol) and params.isSet(params.featuresCols):
        raise ValueError(
            f"featuresCol='{params.getFeaturesCol()}' and featuresCols="
            f"{list(params.getOrDefault('featuresCols'))} are both set. Clear one of the two."
        )


def check_params(params: DeclaredParams) -> None:
    """Refuse invalid Params before any job: Spark's `Params.set` and param maps check nothing."""
    for name in RULES:
        if params.hasParam(name) and params.isDefined(name):
            check_value(name, params.getOrDefault(name))
    check_thresholds(params)
    check_features(params)
