"""Inference as users have it, on a Spark session, against R."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.sql import SparkSession
from scipy.stats import norm

from sparklr import (
    LogisticRegressionEstimator,
    LogisticRegressionModel,
)
from sparklr.inference.covariances import Options
from sparklr.inference.inference import Inference
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import SMALL_SAMPLES, by_name, fit_of, frame_of, limits_of
from tests.inference.references import data, reference
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect


@pytest.mark.connect_slice
@pytest.mark.parametrize(
    "name",
    first_and_deep(
        ["birthwt", "ucb", "pima_offset", "birthwt_origin", "birthwt_weighted", "pima"], 3
    ),
)
def test_the_summary_has_the_numbers_of_r(spark: SparkSession, name: str) -> None:
    summary, known = fit_of(spark, name).summary, reference(name)
    table = by_name(summary, known)
    assert_allclose(table.coefficient, known["coefficients"], rtol=1e-6)
    assert_allclose(table.standardError, known["standard_errors"], rtol=1e-6)
    assert_allclose(table.pValue, known["p"], rtol=1e-5)
    assert_allclose(table.log10PValue, known["log10_p"], rtol=2e-6, atol=1e-6)
    assert_allclose(table[["lower", "upper"]], known["wald_limits"], rtol=1e-6, atol=1e-6)
    assert_allclose(table.oddsRatioUpper, np.exp(table.upper))
    assert_allclose(summary.coefficientStandardErrors, known["standard_errors"], rtol=1e-6)
    assert_allclose(summary.tValues, known["z"], rtol=1e-5)
    assert_allclose(summary.pValues, known["p"], rtol=1e-5)
    assert_allclose(summary.deviance, known["deviance"], rtol=1e-12)
    assert_allclose(summary.nullDeviance, known["null_deviance"], rtol=1e-12)
    assert_allclose(summary.logLikelihood, known["log_likelihood"], rtol=1e-12)
    assert_allclose([summary.aic, summary.bic], [known["aic"], known["bic"]], rtol=1e-12)
    assert summary.residualDegreeOfFreedom == known["df_residual"]
    assert summary.degreesOfFreedom == known["df_residual"]
    assert summary.residualDegreeOfFreedomNull == known["df_null"]
    assert (summary.rank, summary.dispersion) == (len(known["terms"]), 1.0)
    ratios = known["pseudo_r2"]
    for kind, key in (
        ("mcfadden", "mcfadden"),
        ("cox-snell", "cox_snell"),
        ("nagelkerke", "nagelkerke"),
        ("tjur", "tjur"),
    ):
        assert_allclose(summary.pseudoR2(kind), ratios[key], rtol=1e-9 if kind != "tjur" else 1e-6)
    test = summary.likelihoodRatioTest()
    expected = known["null_test"]
    assert_allclose(test.statistic, expected["statistic"], rtol=1e-9)
    assert test.degreesOfFreedom == expected["degrees_of_freedom"]
    assert_allclose(test.pValue, expected["p"], rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "covariance", "weights", "key"),
    first_and_deep(
        [
            ("birthwt_weighted", "HC0", "probability", ("probability", "hc0")),
            ("birthwt_weighted", "HC1", "frequency", ("hc1",)),
            ("birthwt", "HC1", "frequency", ("hc1",)),
            ("ucb", "HC1", "probability", ("probability", "hc1")),
        ],
        2,
    ),
)
def test_robust_errors_are_those_of_r(
    spark: SparkSession, name: str, covariance: str, weights: str, key: tuple[str, ...]
) -> None:
    known = reference(name)
    expected = known
    for part in key:
        expected = expected[part]
    inference = fit_of(spark, name).summary.inference(covariance=covariance, weights=weights)
    errors = np.sqrt(np.diagonal(np.array(expected)))
    assert_allclose(by_name(inference, known).standardError, errors, rtol=1e-6)


@pytest.mark.connect_slice
@pytest.mark.parametrize("covariance", first_and_deep(["CR1", "CR0"]))
def test_clustered_errors_are_those_of_r(spark: SparkSession, covariance: str) -> None:
    known = reference("bacteria")
    clusters = known["clusters"]
    model = fit_of(spark, "bacteria")
    summary = model.summary
    inference = summary.inference(covariance=covariance, clusterCol="cluster")
    table = by_name(inference, known)
    expected = np.array(clusters[covariance.lower()])
    assert_allclose(table.standardError, np.sqrt(np.diagonal(expected)), rtol=1e-6)
    if covariance == "CR1":
        assert_allclose(limits_of(table), clusters["cr1_t_limits"], rtol=1e-5, atol=1e-6)
        assert_allclose(table.pValue, clusters["cr1_t_p"], rtol=1e-5)
        words = " ".join(str(inference).split())
        assert "50 clusters; Student's t on 49 degrees of freedom" in words
        both = summary.inference(covariance="CR1", clusterCol="cluster", smallSample=False)
        assert_allclose(by_name(both, known).pValue, 2 * norm.sf(np.abs(table.zValue)))
        single = inference.waldTest(["late"])
        assert_allclose(single.pValue, table.pValue["late"], rtol=1e-9)
        lacking = frame_of(spark, "bacteria").selectExpr("*", "nullif(cluster, 3) as some")
        with pytest.raises(InvalidValueError, match="'some' has rows without a cluster"):
            model.inference(lacking, covariance="CR1", clusterCol="some")


@pytest.mark.parametrize("name", first_and_deep(["birthwt_weighted", "birthwt"]))
def test_small_samples_are_by_student_as_in_statsmodels(spark: SparkSession, name: str) -> None:
    summary, known = fit_of(spark, name).summary, reference(name)
    expected = json.loads(SMALL_SAMPLES.read_text())[name]
    for covariance in ("model", "HC0"):
        inference = summary.inference(covariance=covariance, smallSample=True)
        table = by_name(inference, known)
        assert_allclose(table.pValue, expected[covariance]["p"], rtol=1e-5)
        assert_allclose(limits_of(table), expected[covariance]["limits"], rtol=1e-5, atol=1e-6)
        words = " ".join(str(inference).split())
        assert f"Student's t on {expected['degrees']:g} degrees of freedom" in words
    test = summary.inference(smallSample=True).waldTest(["race2", "race3"])
    assert_allclose(test.statistic, expected["race"]["statistic"], rtol=1e-6)
    assert_allclose(test.pValue, expected["race"]["p"], rtol=1e-6)
    normal = by_name(summary.inference(smallSample=False), known)
    assert_allclose(normal.pValue, known["p"], rtol=1e-5)


def test_a_small_sample_needs_more_rows_than_coefficients() -> None:
    options = Options("model", None, "frequency", 0.95, None, smallSample=True)
    assert options.degrees(1) == 1
    with pytest.raises(InvalidValueError, match="0 degrees of freedom are left"):
        options.degrees(0)


def test_classes_are_compared_with_the_one_that_is_named(spark: SparkSession) -> None:
    known = reference("anes96")
    summary = fit_of(spark, "anes96").summary
    table = summary.inference(referenceClass=0).coefficientTable.toPandas()
    order = ["(intercept)" if name == "intercept" else name for name in known["terms"]]
    table = table.set_index(["class", "feature"]).loc[
        [(float(k), name) for k in range(1, 7) for name in order]
    ]
    assert_allclose(table.coefficient, np.ravel(known["coefficients"]), rtol=1e-6, atol=1e-8)
    assert_allclose(table.standardError, known["standard_errors"], rtol=1e-6)
    assert summary.residualDegreeOfFreedom == known["df_residual"]
    assert_allclose(summary.aic, known["aic"], rtol=1e-12)
    with pytest.raises(InvalidValueError, match="coefficientTable"):
        _ = summary.pValues
    with pytest.raises(InvalidValueError, match="is for two classes"):
        summary.pseudoR2("tjur")


def test_a_category_is_tested_as_a_whole(spark: SparkSession) -> None:
    expected = reference("birthwt")["wald_tests"]["race"]
    test = fit_of(spark, "birthwt").summary.waldTest(["race2", "race3"])
    assert_allclose(test.statistic, expected["statistic"], rtol=1e-6)
    assert test.degreesOfFreedom == expected["degrees_of_freedom"]
    assert_allclose(test.pValue, expected["p"], rtol=1e-6)
    with pytest.raises(ValueError, match="'rase'"):
        fit_of(spark, "birthwt").summary.waldTest(["rase"])


@pytest.mark.parametrize(
    "name", first_and_deep(["birthwt", "ucb", "iris_two", "birthwt_origin"], 2)
)
def test_profile_intervals_are_exact(spark: SparkSession, name: str) -> None:
    known = reference(name)
    inference = fit_of(spark, name).summary.inference(method="profile")
    limits, errors = limits_of(by_name(inference, known)), np.array(known["standard_errors"])
    assert_allclose((limits - known["profile_limits"]) / errors[:, None], 0, atol=1e-5)
    assert "profile likelihood" in str(inference)


@pytest.mark.parametrize(
    "name", first_and_deep(["birthwt", "pima_offset", "ucb", "birthwt_weighted"], 2)
)
def test_each_term_is_tested_as_by_drop1(spark: SparkSession, name: str) -> None:
    known = reference(name)
    groups = {str(term): list(its) for term, its in dict(known["groups"]).items()}
    table = fit_of(spark, name).summary.dropOneTests(groups).toPandas().set_index("term")
    alone = [one for one in data(name).names if not any(one in its for its in groups.values())]
    assert list(table.index) == [*groups, *alone]
    assert set(table.index) == set(known["drop_one"])
    for term, expected in known["drop_one"].items():
        assert_allclose(table.statistic[term], expected["statistic"], rtol=1e-5)
        assert table.degreesOfFreedom[term] == expected["degrees_of_freedom"]
        assert_allclose(table.pValue[term], expected["p"], rtol=1e-5)


@pytest.mark.deep
def test_terms_of_several_classes_are_tested_as_by_two_fits(spark: SparkSession) -> None:
    summary = fit_of(spark, "anes96").summary
    table = summary.dropOneTests().toPandas().set_index("term")
    names = [name for name in data("anes96").names if name != "age"]
    small = LogisticRegressionEstimator(featuresCols=names).fit(frame_of(spark, "anes96")).summary
    assert_allclose(table.statistic["age"], small.deviance - summary.deviance, rtol=1e-5)
    assert table.degreesOfFreedom["age"] == 6


def test_one_step_takes_a_small_penalty_out_again(spark: SparkSession) -> None:
    known = reference("birthwt")
    summary = fit_of(spark, "birthwt", regParam=1e-3).summary
    assert "regParam=0.001" in str(summary)
    with pytest.raises(InvalidValueError, match=r"regParam=0\.001"):
        _ = summary.pValues
    table = by_name(summary.inference(covariance="debiased"), known)
    assert_allclose(table.coefficient, known["coefficients"], atol=0.02)
    assert_allclose(table.standardError, known["standard_errors"], rtol=0.01)


def test_a_model_without_a_summary_reads_the_rows_again(spark: SparkSession) -> None:
    known, frame = reference("birthwt"), frame_of(spark, "birthwt")
    model = LogisticRegressionModel.fromJson(fit_of(spark, "birthwt").toJson())
    inference = model.inference(frame)
    assert isinstance(inference, Inference)
    errors = by_name(inference, known).standardError
    assert_allclose(errors, known["standard_errors"], rtol=1e-6)
    with pytest.raises(InvalidValueError, match="standard errors away"):
        model.inference(frame.where("age > 25"))


def test_what_makes_no_sense_is_refused(spark: SparkSession) -> None:
    summary = fit_of(spark, "birthwt", inference="never").summary
    with pytest.raises(InvalidValueError, match="inference='always'"):
        _ = summary.coefficientStandardErrors
    summary = fit_of(spark, "birthwt").summary
    for wrong in (
        {"covariance": "HC3"},
        {"covariance": "CR1"},
        {"clusterCol": "age"},
        {"weights": "probability"},
        {"weights": "trials"},
        {"level": 95},
        {"referenceClass": 1},
        {"method": "exact"},
        {"smallSample": True, "covariance": "debiased"},
        {"smallSample": True, "method": "profile"},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            summary.inference(**wrong)


def test_the_page_has_the_table(spark: SparkSession) -> None:
    page = str(fit_of(spark, "birthwt").summary)
    assert "201.2848 on 179 degrees of freedom; null 234.6720 on 188" in page
    assert "33.3872 on 9 degrees of freedom, p = 0.0001" in page
    (smoke,) = [line for line in page.splitlines() if line.startswith("smoke ")]
    assert len(smoke.split()) == 8


def test_a_forest_plot_has_a_row_per_feature(spark: SparkSession) -> None:
    axes = fit_of(spark, "birthwt").summary.inference(level=0.9).plot_forest()
    assert [its.get_text() for its in axes.get_yticklabels()] == list(data("birthwt").names)
    assert "per unit, with 90% intervals" in axes.get_xlabel()
    scaled = fit_of(spark, "birthwt").summary.inference().plot_forest(per="deviation")
    known, lwt = reference("birthwt"), list(data("birthwt").names).index("lwt")
    deviation = data("birthwt").matrix[:, lwt].std(ddof=1)
    lower, upper = np.exp(deviation * np.array(known["wald_limits"][lwt]))
    assert f"[{lower:.3g}, {upper:.3g}]" in scaled.texts[lwt].get_text()
    assert "per standard deviation" in scaled.get_xlabel()
    with pytest.raises(ValueError, match="per must be one of unit, deviation"):
        fit_of(spark, "birthwt").summary.inference().plot_forest(per="row")
    assert any("[1.5" in its.get_text() or "[1.3" in its.get_text() for its in axes.texts)
