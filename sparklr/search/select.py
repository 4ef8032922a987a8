"""Which map is fitted on all rows: the one with the best metric, or the simplest close to it."""

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
    """For the rule 1se, (regParam, elasticNetParam) of each map; None for the other rule."""
    if rule not in RULES:
        raise ValueError(f"selectionRule='{rule}' is not allowed: use 'best' or '1se'.")
    if rule == "best":
        return None
    found = [] if ours is None else [ours.copy(dict(extra)) for extra in maps]
    penalties = [(its.getRegParam(), its.getElasticNetParam()) for its in found]
    if len({regParam for regParam, _ in penalties}) < 2:
        raise ValueError(
            "selectionRule='1se' chooses the largest regParam near the best, so the maps must "
            "give a LogisticRegressionEstimator several values of it. Use 'best' otherwise."
        )
    return penalties


def best_map(scores: Array) -> int:
    """The map with the highest score; one that has none (NaN) is not it, as it can be in Spark."""
    if np.isnan(scores).all():
        raise ValueError(
            "The evaluator gave no map a metric (all are NaN): look whether the held-out rows have "
            "what it needs, as rows of each class."
        )
    return int(np.nanargmax(scores))


def simplest_map(scores: Array, error: float, penalties: Sequence[tuple[float, float]]) -> int:
    """The map with the largest penalty whose score is within an error of the best one's."""
    within = np.flatnonzero(scores >= np.nanmax(scores) - error)
    return max(within.tolist(), key=lambda at: (*penalties[at], scores[at]))
