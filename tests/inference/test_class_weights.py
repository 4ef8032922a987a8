"""Class weights as users have them: with robust errors, against R, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.spark.errors import InvalidValueError
from tests.errors import assert_plain
from tests.frames import jobs_started
from tests.inference.fits import by_name, fit_of, frame_of
from tests.inference.references import reference

pytestmark = pytest.mark.connect


@pytest.fixture(scope="module")
def model(spark: Any) -> Any:
    return fit_of(spark, "rare_balanced", classWeights="balanced", tol=1e-12)


@pytest.mark.connect_slice
def test_the_default_is_the_sandwich_of_r(spark: Any, model: Any) -> None:
    """And it takes no job after the fit."""
    known, before = reference("rare_balanced"), jobs_started(spark)
    summary = model.summary
    errors = known["hc0_standard_errors"]
    found = summary.inference()
    assert (found.covariance, found.level) == ("HC0", 0.95)
    assert_allclose([*summary.coefficientStandardErrors], errors, rtol=1e-6)
    assert "HC0: robust to a wrong model" in str(summary)
    assert "class weights squared" in str(summary)
    assert "class weights  0: 0.5081, 1: 31.25" in str(summary)
    assert jobs_started(spark) == before
    table = by_name(found, known)
    assert_allclose(table.coefficient, known["coefficients"], rtol=1e-6)
    assert_allclose(table.standardError, errors, rtol=1e-6)
    assert summary.deviance == pytest.approx(known["deviance"], rel=1e-10)
    assert summary.nullDeviance == pytest.approx(known["null_deviance"], rel=1e-10)


def test_other_ways_to_the_same_errors(spark: Any, model: Any) -> None:
    known = reference("rare_balanced")["hc0_standard_errors"]
    frame = frame_of(spark, "rare_balanced")
    made = [
        model.inference(frame),
        model.summary.inference(weights="probability"),
    ]
    for found in made:
        assert_allclose(found.coefficientStandardErrors, known, rtol=1e-6)
    numbered = frame.withColumn("row", F.monotonically_increasing_id())
    by_row = model.inference(numbered, covariance="CR0", clusterCol="row")
    assert_allclose(by_row.coefficientStandardErrors, known, rtol=1e-6)
    hc1 = model.summary.inference(covariance="HC1")
    factor = np.sqrt(2000 / 1996)
    assert_allclose(hc1.coefficientStandardErrors, factor * np.array(known), rtol=1e-6)


def test_what_needs_a_likelihood_is_refused(model: Any) -> None:
    summary = model.summary
    for name in ("aic", "bic"):
        with pytest.raises(InvalidValueError) as caught:
            getattr(summary, name)
        assert_plain(caught.value, (f"'{name}'", "classWeights", "threshold"))
    for use in (summary.likelihoodRatioTest, summary.dropOneTests, summary.marginalEffects):
        with pytest.raises(InvalidValueError, match="classWeights"):
            use()
    for covariance in ("model", "debiased"):
        with pytest.raises(InvalidValueError) as caught:
            summary.inference(covariance=covariance)
        assert_plain(caught.value, (f"covariance='{covariance}'", "classWeights", "HC0"))
    with pytest.raises(InvalidValueError, match="no likelihood"):
        summary.inference(method="profile")
    assert summary.waldTest(["dose"]).pValue < 1e-6


def test_a_fit_is_that_of_such_weights_of_rows(spark: Any) -> None:
    frame = frame_of(spark, "rare").withColumn("count", F.lit(2.0))
    factors = F.when(F.col("label") == 1, 8.0).otherwise(1.0)
    frame = frame.withColumn("both", F.col("count") * factors)
    names = ["dose", "exposed", "years"]
    plain = LogisticRegressionEstimator(featuresCols=names, weightCol="both", tol=1e-12).fit(frame)
    estimator = LogisticRegressionEstimator(featuresCols=names, weightCol="count", tol=1e-12)
    weighed = estimator.setClassWeights([1.0, 8.0]).fit(frame)
    assert_allclose(weighed.coefficients.toArray(), plain.coefficients.toArray(), rtol=1e-7)
    assert weighed.intercept == pytest.approx(plain.intercept, rel=1e-7)
    assert weighed.summary.weightSum == plain.summary.weightSum
    assert weighed.summary.deviance == pytest.approx(plain.summary.deviance, rel=1e-10)
    assert weighed.summary.nullDeviance == pytest.approx(plain.summary.nullDeviance, rel=1e-10)
    # Measures of predictions weigh rows by weightCol alone.
    evaluated = weighed.evaluate(frame)
    rows = weighed.transform(frame).select(F.avg(F.expr("double(prediction = label)"))).collect()
    assert evaluated.accuracy == pytest.approx(rows[0][0])
    assert weighed.summary.accuracy == evaluated.accuracy
