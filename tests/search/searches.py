"""What tests of searches share: evaluators, param maps, and the search itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import tuning as spark_tuning
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
)

from sparklr.arrays import Array
from sparklr.packing.job import Packing
from sparklr.scoring.scorer import Scorer

TIGHT = {"tol": 1e-10, "maxIter": 1000}


def area(**params: Any) -> Any:
    """An area under a curve; with bins, Spark's own would scatter between two runs."""
    return BinaryClassificationEvaluator(numBins=0, **params)


def measure(name: str, **params: Any) -> Any:
    """A metric of predictions."""
    return MulticlassClassificationEvaluator(metricName=name, **params)


class Brier(Evaluator):
    """A user's own evaluator: the mean squared error of probabilities. It counts its calls."""

    def __init__(self, *, larger: bool = False, fails_at: int | None = None) -> None:
        super().__init__()
        self.larger, self.fails_at = larger, fails_at
        self.frames: list[int] = []
        self._lock = threading.Lock()

    def _evaluate(self, dataset: Any) -> float:
        rows = dataset.select("label", "probability").collect()
        with self._lock:
            self.frames.append(len(rows))
            if len(self.frames) == self.fails_at:
                raise RuntimeError("cannot judge this")
        labels = np.array([row.label for row in rows])
        return self.error(labels, np.array([row.probability[1] for row in rows]))

    @staticmethod
    def error(labels: Array, probability: Array) -> float:
        return float(np.square(labels - probability).mean())

    def isLargerBetter(self) -> bool:
        return self.larger


def maps_of(stage: Any, settings: Sequence[Mapping[str, Any]]) -> list[dict[Any, Any]]:
    """Param maps of a stage, from values by name."""
    return [{stage.getParam(name): value for name, value in one.items()} for one in settings]


def validator_of(
    kind: Any, estimator: Any, maps: Sequence[Any], evaluator: Any, **rest: Any
) -> Any:
    """A validator of this kind, with the folds that all these tests have."""
    given = {"seed": 11, "parallelism": 4, **rest}
    if issubclass(kind, spark_tuning.CrossValidator):
        given = {"numFolds": 2, **given}
    return kind(estimator=estimator, estimatorParamMaps=list(maps), evaluator=evaluator, **given)


def searched(
    kind: Any, estimator: Any, maps: Sequence[Any], evaluator: Any, frame: Any, **rest: Any
) -> Any:
    """What a validator of this kind makes of the frame."""
    return validator_of(kind, estimator, maps, evaluator, **rest).fit(frame)


@contextmanager
def packings() -> Iterator[list[Packing]]:
    """Every packing from now on."""
    seen: list[Packing] = []
    gather = Packing.gather

    def counted(self: Packing) -> Any:
        seen.append(self)
        return gather(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Packing, "gather", counted)
        yield seen


def assert_alike(ours: Any, theirs: Any) -> None:
    """Two fitted validators have the same metrics, and so the same best map."""
    assert isinstance(ours, spark_tuning.CrossValidatorModel)
    assert type(theirs) is spark_tuning.CrossValidatorModel
    assert_allclose(ours.avgMetrics, theirs.avgMetrics, atol=1e-6)
    assert_allclose(ours.stdMetrics, theirs.stdMetrics, atol=1e-6)
    assert ours.getSeed() == theirs.getSeed()
    assert ours.getNumFolds() == theirs.getNumFolds()


def assert_same_fit(ours: Any, expected: Any, atol: float = 1e-6) -> None:
    """Two models have the same coefficients; of a Pipeline the last stage counts."""
    for found, its in zip(_numbers(ours), _numbers(expected), strict=True):
        assert_allclose(found, its, atol=atol)


def _numbers(fitted: Any) -> tuple[Array, Array]:
    """The coefficients and intercepts of a model, a Pipeline's model or a scorer."""
    if isinstance(fitted, Scorer):
        return np.asarray(fitted.coefficients), fitted.intercepts
    model = getattr(fitted, "stages", [fitted])[-1]
    return model.coefficientMatrix.toArray(), model.interceptVector.toArray()


def all_differ(metrics: Sequence[float]) -> bool:
    """Whether no two maps have the same metric."""
    return len(set(np.round(metrics, 9))) == len(metrics)
