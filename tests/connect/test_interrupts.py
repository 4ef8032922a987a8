"""Ctrl-C stops the fit's job on the server, and nothing of the fit is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparklr import LogisticRegressionEstimator
from tests.waiting import interrupts, waiting

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def interruptible() -> Iterator[Callable[[Callable[[], Any]], None]]:
    with interrupts() as once:
        yield once


@pytest.fixture
def slow(two: Any, tmp_path: Path) -> Iterator[Any]:
    """Rows that nobody gets before the test is over."""
    names = two.select("label", "x0", "x1")
    yield names.mapInArrow(waiting(tmp_path), names.schema)
    (tmp_path / "free").touch()


def test_an_interrupted_fit_leaves_no_job(
    spark: Any, slow: Any, tmp_path: Path, interruptible: Callable[[Callable[[], Any]], None]
) -> None:
    interruptible((tmp_path / "fit-started").exists)
    with pytest.raises(KeyboardInterrupt):
        LogisticRegressionEstimator(featuresCols=["x0", "x1"]).fit(slow)
    assert spark.interruptAll() == []  # tells what there was to stop


@pytest.mark.deep
def test_a_stopped_fit_leaves_others_alone(
    spark: Any, slow: Any, two: Any, tmp_path: Path, interruptible: Any
) -> None:
    """Tags of the user's are on the fit's jobs too, and are theirs after it."""
    spark.addTag("theirs")
    try:
        interruptible((tmp_path / "fit-started").exists)
        with pytest.raises(KeyboardInterrupt):
            LogisticRegressionEstimator(featuresCols=["x0", "x1"]).fit(slow)
        assert spark.getTags() == {"theirs"}
        assert LogisticRegressionEstimator(regParam=0.1).fit(two).summary.accuracy > 0.5
    finally:
        spark.clearTags()
