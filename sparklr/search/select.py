"""The rules that choose the map to fit on all rows: the best map, or the simplest near it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparklr.arrays import Array
from sparklr.estimator import LogisticRegressionEstimator
from sparklr.spark.types import ParamMap

RULES = ("best", "1se")


def penalties_of(
    rule: str, ours: LogisticRegressionEstimator | None, maps: Sequence[ParamMap]
) -> list[tuple[float, float]] | None:
    """Return (regParam, elasticNetParam) of each map for the rule 1se, or None for best."""
    if rule not in RULES:
        raise ValueError(f"selectionRule='{rule}' is not allowed: use 'best' or '1se'.")
    if rule == "best":
        return None
    found = [] if ours is None else [ours.copy(dict(extra)) for extra in maps]
    penalties = [(its.getRegParam(), its.getElasticNetParam()) for its in found]
    if len({regParam for regParam, _ in penalties}) < 2:
        raise ValueError(
            "selectionRule='1se' chooses the largest regParam within one standard error of the "
            "best, so the maps must give a LogisticRegressionEstimator several values of "
            "regParam. Otherwise use 'best'."
        )
    return penalties


def best_map(scores: Array) -> int:
    """Return the map with the highest score; unlike in Spark, a score of NaN never wins."""
    if np.isnan(scores).all():
        raise ValueError(
            "The metrics of all maps are NaN. Check that the held-out rows have what the evaluator "
            "needs, such as rows of each class."
        )
    return int(np.nanargmax(scores))


def simplest_map(scores: Array, error: float, penalties: Sequence[tuple[float, float]]) -> int:
    """Return the map with the largest penalty whose score is within `error` of the best score."""
    within = np.flatnonzero(scores >= np.nanmax(scores) - error)
    return max(within.tolist(), key=lambda at: (*penalties[at], scores[at]))
