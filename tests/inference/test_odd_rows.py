"""Inference on odd rows: each ends in the right numbers or in a sentence that says what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pyspark.ml.linalg import Matrices
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, SeparationWarning
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import fit_of, frame_of
from tests.inference.references import data, reference
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect

WIDE = [f"x{j}" for j in range(20)]


def wide(spark: Any, classes: int, **params: Any) -> Any:
    """The summary of a fit of twelve rows of twenty features."""
    rows = np.random.default_rng(0).normal(size=(12, 20))
    frame = pd.DataFrame(rows, columns=WIDE).assign(label=np.arange(12.0) % classes)
    estimator = LogisticRegressionEstimator(featuresCols=WIDE, **params)
    return estimator.fit(spark.createDataFrame(frame)).summary


@pytest.mark.parametrize("classes", first_and_deep([2, 3]))
def test_more_features_than_rows_are_separated(spark: Any, classes: int) -> None:
    """Without a penalty: any labels of rows that are independent can be told without a fault."""
    with pytest.warns(SeparationWarning, match="of 12 rows"):
        summary = wide(spark, classes)
    assert summary.separation.kind == "complete"
    assert summary.rank == 12 * (classes - 1)
    assert_allclose(summary.deviance, 0, atol=1e-6)
    table = summary.coefficientTable.toPandas()
    assert table.standardError.isna().all()
    assert table[["pValue", "lower", "upper"]].isna().all(axis=None)
    assert "on 0 degrees of freedom; null" in str(summary)
    # The deviance of the limit is known, and so is the likelihood ratio.
    assert_allclose(summary.likelihoodRatioTest().statistic, summary.nullDeviance, rtol=1e-6)


@pytest.mark.parametrize(
    ("classes", "mixing"), first_and_deep([(2, 0.0), (3, 0.0), (2, 1.0), (3, 1.0)])
)
def test_more_features_than_rows_with_a_penalty(spark: Any, classes: int, mixing: float) -> None:
    """There is an optimum, and no standard error: not by one step without the penalty either."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = wide(spark, classes, regParam=0.1, elasticNetParam=mixing)
    assert summary.converged
    assert summary.certificate.dualityGap < 1e-3
    with pytest.raises(InvalidValueError, match=r"regParam=0\.1 moves .*covariance='debiased'"):
        _ = summary.coefficientTable
    with pytest.raises(InvalidValueError, match="12 rows and 21 coefficients"):
        summary.inference(covariance="debiased")


@pytest.mark.deep
def test_more_features_than_rows_by_firths_method(spark: Any) -> None:
    summary = wide(spark, 2, biasReduction="firth")
    assert summary.rank == 12
    assert np.isfinite(summary.penalisedLogLikelihood)
    assert summary.coefficientTable.toPandas().standardError.isna().all()
    assert "not unique" in str(summary)


@pytest.mark.deep
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_has_no_estimates(spark: Any, label: float) -> None:
    frame = frame_of(spark, "endometrial").withColumn("label", F.lit(label))
    summary = LogisticRegressionEstimator(featuresCols=["NV", "PI", "EH"]).fit(frame).summary
    assert "all labels are equal" in str(summary)
    for name in ("pValues", "coefficientTable", "aic"):
        with pytest.raises(InvalidValueError, match="no coefficient was estimated"):
            getattr(summary, name)


@pytest.mark.deep
def test_bounds_have_no_standard_errors(spark: Any) -> None:
    lower = Matrices.dense(1, 3, [0.0] * 3)
    summary = fit_of(spark, "endometrial", lowerBoundsOnCoefficients=lower).summary
    with pytest.raises(InvalidValueError, match="at its bound has no standard error"):
        _ = summary.pValues


@pytest.mark.deep
def test_weights_of_one_number_are_counts(spark: Any) -> None:
    """All weights 0.25: four rows count as one; robust errors with squares stay."""
    frame, known = (
        frame_of(spark, "birthwt").withColumn("quarter", F.lit(0.25)),
        reference("birthwt"),
    )
    estimator = LogisticRegressionEstimator(
        featuresCols=list(data("birthwt").names), weightCol="quarter"
    )
    summary = estimator.fit(frame).summary
    doubled = 2 * np.array(known["standard_errors"])
    assert_allclose(summary.coefficientStandardErrors, doubled, rtol=1e-6)
    robust = summary.inference(covariance="HC0", weights="probability")
    expected = np.sqrt(np.diagonal(np.array(known["hc0"])))
    assert_allclose(robust.coefficientStandardErrors, expected, rtol=1e-6)


def test_a_profile_limit_of_an_infinite_coefficient_is_in_the_table(spark: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparationWarning)
        summary = fit_of(spark, "endometrial").summary
    inference = summary.inference(method="profile")
    flag = inference.coefficientTable.toPandas().set_index("feature").loc["NV"]
    lower = reference("endometrial")["infinite_lower_limit"]
    assert_allclose([flag.lower, flag.oddsRatioLower], [lower, np.exp(lower)], rtol=1e-5)
    assert (flag.upper, flag.oddsRatioUpper) == (np.inf, np.inf)
    (line,) = [one for one in str(inference).splitlines() if one.startswith("NV ")]
    assert line.split() == ["NV", "inf", "-", "-", "-", "1.2841", "inf", "inf"]


@pytest.mark.deep
def test_columns_that_depend_on_others_have_tests_of_their_terms(spark: Any) -> None:
    frame = frame_of(spark, "birthwt").withColumn("sum", F.expr("2 * age - lwt + 3"))
    names = ["age", "lwt", "smoke"]
    with_sum = LogisticRegressionEstimator(featuresCols=[*names, "sum"]).fit(frame).summary
    without = LogisticRegressionEstimator(featuresCols=names).fit(frame).summary
    tests = with_sum.dropOneTests().toPandas().set_index("term")
    expected = without.dropOneTests().toPandas().set_index("term")
    assert_allclose(tests.statistic["smoke"], expected.statistic["smoke"], rtol=1e-6)
    assert list(tests.degreesOfFreedom[["age", "lwt", "sum"]]) == [0, 0, 0]
    table = with_sum.inference(method="profile").coefficientTable.toPandas().set_index("feature")
    alone = without.inference(method="profile").coefficientTable.toPandas().set_index("feature")
    ends = ["lower", "upper"]
    assert_allclose(table.loc["smoke", ends], alone.loc["smoke", ends].tolist(), rtol=1e-5)
    assert table.loc[["age", "lwt", "sum", "(intercept)"], ends].isna().all(axis=None)
