"""Known answers through the estimator, with the rows on the driver and as Spark jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sparklr import LogisticRegressionEstimator
from sparklr.passes.jobs import SparkPasses
from tests.parity.known import (
    L1,
    L2,
    NET,
    assert_same,
    families,
    fit,
    intercepts,
    numbers,
    separable,
    setting_for,
    some_rows,
)
from tests.parity.make_spark import frame_of
from tests.parity.objective import Array, Setting, deviations, minimum, objective
from tests.tiers import first_and_deep


@pytest.fixture(params=["driver", "jobs"])
def where(request: Any, spark: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Passes over rows on the driver, or as Spark jobs; fails if it was not as wished."""
    passes = []
    read = SparkPasses.read

    def counted(self: SparkPasses, reading: Any) -> Array:
        passes.append(len(reading.probes))
        return read(self, reading)

    monkeypatch.setattr(SparkPasses, "read", counted)
    if request.param == "jobs":
        spark.conf.set("spark.sparklr.localMB", "0")
    try:
        yield request.param
    finally:
        spark.conf.unset("spark.sparklr.localMB")
    assert bool(passes) == (request.param == "jobs")


def estimate(frame: Any, setting: Setting, **params: Any) -> tuple[Array, Array]:
    """Coefficients and intercepts by the estimator, tightly."""
    model = LogisticRegressionEstimator(**vars(setting), tol=1e-12, **params).fit(frame)
    return model.coefficientMatrix.toArray(), model.interceptVector.toArray()


@families
@pytest.mark.usefixtures("where")
def test_estimator_on_hard_columns(spark: Any, classes: int) -> None:
    """Constant, doubled, far and scaled columns, and rows of weight zero, all at once.

    The doubled columns share the coefficient, so that both together are penalised half.
    """
    features, labels, weights = some_rows(classes)
    features = np.round(features * 2**10) / 2**10
    first, second, third = features.T
    constant = np.full(len(features), 7.0)
    hard = np.column_stack((constant, first + 1e6, second * 1e8, third, third))
    ignored = np.full((2, 5), [8.0, 1e9, -1e9, 1e9, 3.0])  # makes the constant vary
    frame = frame_of(
        spark,
        np.concatenate((ignored, hard)),
        np.concatenate((np.zeros(2), labels)),
        np.concatenate((np.zeros(2), weights)),
    ).repartition(3)
    setting = setting_for(classes, **L2)
    coefficients, offsets = estimate(frame, setting, weightCol="weight")
    wanted = minimum(np.delete(hard, 0, axis=1), labels, weights, setting, classes=classes)
    np.testing.assert_array_equal(coefficients[:, 0], 0.0)
    np.testing.assert_allclose(coefficients[:, 3], coefficients[:, 4], rtol=1e-9)
    spread = deviations(hard, weights)[1:]
    assert_same((coefficients[:, 1:] * spread,), (wanted[0] * spread,), 1e-6)
    margins = [hard @ coefficients.T + offsets, hard[:, 1:] @ wanted[0].T + wanted[1]]
    np.testing.assert_allclose(margins[0], margins[1], atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "sparse"), [(2, False), (3, True)], ids=["binomial-dense", "multinomial-sparse"]
)
@pytest.mark.usefixtures("where")
def test_estimator_on_one_row_a_partition(spark: Any, classes: int, sparse: bool) -> None:
    features, labels, weights = some_rows(classes, 24, 12)
    features[np.random.default_rng(0).random(features.shape) < 0.9 * sparse] = 0.0
    setting = setting_for(classes, **NET)
    frame = frame_of(spark, features, labels, weights, sparse=sparse)
    apart = estimate(frame.repartition(len(labels)), setting, weightCol="weight")
    whole = fit(features, labels, weights, setting=setting, classes=classes, blocks=1)
    assert_same(apart, numbers(whole), 1e-9)


@pytest.mark.parametrize("where", first_and_deep(["jobs", "driver"]), indirect=True)
@pytest.mark.usefixtures("where")
def test_estimator_on_separable_rows(spark: Any) -> None:
    from pyspark.ml.classification import LogisticRegression

    features, labels = separable(2, 2)
    frame = frame_of(spark, features, labels)
    ours, theirs = LogisticRegressionEstimator().fit(frame), LogisticRegression().fit(frame)
    values = [
        objective(
            model.coefficientMatrix.toArray(), model.interceptVector.toArray(),
            features, labels, np.ones(len(labels)), Setting(),
        )
        for model in (ours, theirs)
    ]  # fmt: skip
    assert values[0] <= values[1] * (1 + 1e-9)
    assert values[0] < 1e-7
    predicted = [row.prediction for row in ours.transform(frame).collect()]
    np.testing.assert_array_equal(predicted, labels)


@pytest.mark.usefixtures("where")
def test_estimator_with_weights_as_repetitions(spark: Any) -> None:
    features, labels, _ = some_rows(3)
    times = np.where(np.arange(len(labels)) % 3 == 0, 2, 1)
    setting = setting_for(3, **L1, standardization=False)
    weighted = frame_of(spark, features, labels, times.astype(float))
    repeated = frame_of(spark, np.repeat(features, times, axis=0), np.repeat(labels, times))
    assert_same(
        estimate(weighted, setting, weightCol="weight"),
        estimate(repeated.repartition(2), setting),
    )


@pytest.mark.parametrize("label", [0.0, 1.0])
@intercepts
def test_estimator_on_one_row_in_all(spark: Any, label: float, intercept: bool) -> None:
    from pyspark.ml.classification import LogisticRegression

    frame = frame_of(spark, np.array([[1.0, 2.0]]), np.array([label]))
    params = {"fitIntercept": intercept, "regParam": 0.1}
    ours = LogisticRegressionEstimator(**params).fit(frame)
    theirs = LogisticRegression(**params).fit(frame)
    np.testing.assert_array_equal(ours.coefficients.toArray(), 0.0)
    assert ours.intercept == theirs.intercept == (np.inf * (2 * label - 1) if intercept else 0.0)
    assert ours.numClasses == theirs.numClasses
    np.testing.assert_array_equal(ours.coefficients.toArray(), theirs.coefficients.toArray())
