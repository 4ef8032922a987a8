"""`fitMultiple`: many fits on one packing, and in shared readings."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.tuning import CrossValidator
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.packing.job import Packing
from sparklr.passes.local import LocalPasses
from tests.tiers import first_and_deep

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("nothing_left")]

SETTINGS: list[dict[str, Any]] = [
    {"regParam": 0.1},
    {"regParam": 0.05, "elasticNetParam": 0.5},
    {"fitIntercept": False},
    {"regParam": 0.2, "standardization": False, "threshold": 0.3},
    {"family": "multinomial", "regParam": 0.01},
    {"regParam": 0.02, "elasticNetParam": 1.0, "solver": "owl-qn"},
]


def tight(**params: Any) -> LogisticRegressionEstimator:
    return LogisticRegressionEstimator(tol=1e-10, maxIter=1000, **params)


def maps_of(estimator: Any, settings: Sequence[dict[str, Any]] = SETTINGS) -> list[dict[Any, Any]]:
    return [{estimator.getParam(name): value for name, value in one.items()} for one in settings]


def assert_same_fit(ours: Any, expected: Any) -> None:
    for name in ("coefficientMatrix", "interceptVector"):
        found, its = (getattr(model, name).toArray() for model in (ours, expected))
        assert_allclose(found, its, atol=1e-6)
    assert ours.extractParamMap() == expected.extractParamMap()


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each packing from now on."""
    seen: list[int] = []
    gather = Packing.gather

    def counted(self: Packing) -> Any:
        seen.append(len(seen))
        return gather(self)

    monkeypatch.setattr(Packing, "gather", counted)
    return seen


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each reading from now on."""
    seen: list[int] = []
    read = LocalPasses.read

    def counted(self: LocalPasses, reading: Any) -> Any:
        seen.append(sum(block.rows for block in self.blocks))
        return read(self, reading)

    monkeypatch.setattr(LocalPasses, "read", counted)
    return seen


@pytest.mark.parametrize(
    "count", first_and_deep([len(SETTINGS), *range(1, len(SETTINGS))], first=2)
)
def test_models_are_those_of_fits_one_by_one(
    two: Any, packings: list[int], readings: list[int], count: int
) -> None:
    estimator = tight()
    maps = maps_of(estimator)[:count]
    found = dict(estimator.fitMultiple(two, maps))
    together = len(readings)
    assert len(packings) == 1
    assert sorted(found) == list(range(count))
    for at, extra in enumerate(maps):
        assert_same_fit(found[at], estimator.fit(two, extra))
        assert found[at].summary.totalIterations > 0
        assert found[at].uid == estimator.uid
    assert 0 < together <= len(readings) - together
    assert count == 1 or together < len(readings) - together


@pytest.mark.connect_slice
def test_three_classes_in_jobs(spark: Any, three: Any, packings: list[int]) -> None:
    spark.conf.set("spark.sparklr.localMB", "0")
    try:
        estimator = tight(weightCol="weight")
        maps = maps_of(estimator, SETTINGS[:2])
        found = estimator.fit(three, maps)
        assert len(packings) == 1
    finally:
        spark.conf.unset("spark.sparklr.localMB")
    for model, extra in zip(found, maps, strict=True):
        assert_same_fit(model, estimator.fit(three, extra))


def test_maps_of_other_columns_are_packed_apart(two: Any, packings: list[int]) -> None:
    frame = two.withColumn("flipped", 1 - F.col("label"))
    estimator = tight(regParam=0.1)
    settings: list[dict[str, Any]] = [
        {"labelCol": "flipped"},
        {"featuresCols": ["x0", "x2"]},
        {},
        {"weightCol": "weight"},
        {"labelCol": "flipped", "regParam": 0.3},
        {"weightCol": "weight", "fitIntercept": False},
    ]
    maps = maps_of(estimator, settings)
    found = estimator.fit(frame, maps)
    assert len(packings) == 4
    for model, extra in zip(found, maps, strict=True):
        assert_same_fit(model, estimator.fit(frame, extra))
    assert_allclose(found[0].coefficients.toArray(), -found[2].coefficients.toArray(), atol=1e-6)
    assert found[1].numFeatures == 2


def test_nothing_is_read_before_the_first_is_asked_for(two: Any, packings: list[int]) -> None:
    estimator = tight()
    waiting = estimator.fitMultiple(two, maps_of(estimator))
    assert packings == []
    assert iter(waiting) is waiting
    assert next(waiting)[0] == 0
    assert packings == [0]
    assert list(estimator.fitMultiple(two, [])) == []


@pytest.mark.connect_slice
def test_threads_share_an_iterator(two: Any, packings: list[int]) -> None:
    estimator = tight()
    waiting = estimator.fitMultiple(two, maps_of(estimator))
    begin = threading.Barrier(4)
    found: list[tuple[int, Any]] = []

    def drain() -> None:
        begin.wait()
        for pair in waiting:
            found.append(pair)

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(at for at, _ in found) == list(range(len(SETTINGS)))
    assert len(packings) == 1
    for at, model in found:
        assert model.getRegParam() == SETTINGS[at].get("regParam", 0.0)


@pytest.mark.deep
def test_threads_of_sparks_validator(two: Any) -> None:
    estimator = tight()
    metrics = []
    for parallelism in (1, 4):
        validator = CrossValidator(
            estimator=estimator,
            estimatorParamMaps=maps_of(estimator)[:4],
            evaluator=BinaryClassificationEvaluator(numBins=0),
            numFolds=2,
            seed=3,
            parallelism=parallelism,
        )
        metrics.append(validator.fit(two).avgMetrics)
    assert_allclose(metrics[0], metrics[1], rtol=1e-12)
    assert len(set(np.round(metrics[0], 9))) > 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"thresholds": [0.2, 0.3, 0.5]}, "thresholds has 3 values, but column 'label' has 2"),
        ({"elasticNetParam": 0.5, "regParam": 0.1, "solver": "newton"}, "solver"),
        ({"labelCol": "no such"}, "Column 'no such' does not exist"),
    ],
)
def test_a_map_that_cannot_be_fitted(two: Any, setting: dict[str, Any], message: str) -> None:
    estimator = tight()
    waiting = estimator.fitMultiple(two, maps_of(estimator, [SETTINGS[0], setting]))
    for _ in range(2):  # whichever thread asks
        with pytest.raises(ValueError, match=message):
            next(waiting)
