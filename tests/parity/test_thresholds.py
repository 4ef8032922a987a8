"""Thresholds set in any order: what our stages then tell, and what Spark's own tell."""

from __future__ import annotations

from typing import Any

import pytest

from sparklr import LogisticRegressionEstimator
from tests.made_models import made_model
from tests.parity.make_differential import read_lines, stages
from tests.parity.sequences import assert_told_alike, told, walked

KINDS = ("estimator", "model")
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    """Sequences of steps, and what Spark's stages tell after each."""
    entries = read_lines("thresholds.json")["sequences"]
    assert len(entries) >= 200
    return entries


@each_kind
def test_thresholds_are_told_as_spark_tells_them(recorded: list[dict[str, Any]], kind: str) -> None:
    ours = LogisticRegressionEstimator() if kind == "estimator" else made_model()
    for entry in recorded:
        assert_told_alike(walked(ours, entry["steps"]), entry[kind], entry["steps"])


@each_kind
def test_the_setters_clear_each_others_param_without_help(kind: str) -> None:
    ours = LogisticRegressionEstimator() if kind == "estimator" else made_model()
    assert told(ours.setThreshold(0.3).setThresholds([0.5, 0.5]))[2:] == [False, True]
    assert told(ours.setThreshold(0.3))[2:] == [True, False]


@pytest.mark.parity_full
def test_the_record_is_what_spark_tells_and_so_do_fitted_models(
    spark: Any, recorded: list[dict[str, Any]]
) -> None:
    from pyspark.ml.classification import LogisticRegression

    both = stages(spark, LogisticRegressionEstimator), stages(spark, LogisticRegression)
    for kind in KINDS:
        ours, theirs = (made[kind] for made in both)
        for entry in recorded:
            steps = entry["steps"]
            assert walked(theirs, steps) == entry[kind], steps
            assert_told_alike(walked(ours, steps), entry[kind], steps)
