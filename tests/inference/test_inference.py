"""Inference as users have it, on a Spark session, against R."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pyspark.sql import SparkSession
from scipy.special import expit
from scipy.stats import norm

from sparklr import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
    LogisticRegressionEstimator,
    LogisticRegressionModel,
    SeparationError,
    SeparationWarning,
)
from sparklr.fitting import existence
from sparklr.inference.covariances import Options
from sparklr.inference.inference import Inference
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import fit_of, frame_of
from tests.inference.references import FOLDER, data, of_classes, reference
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect

SMALL_SAMPLES = FOLDER / "small_samples.json"  # of make_small_samples.py


def by_name(inference: Any, known: Any) -> pd.DataFrame:
    """The table of a binomial model in the order of the references."""
    table = inference.coefficientTable.toPandas().set_index("feature")
    terms = ["(intercept)" if name == "intercept" else name for name in known["terms"]]
    return table.loc[terms]


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


def limits_of(table: pd.DataFrame) -> Any:
    return table[["lower", "upper"]].to_numpy()


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


def test_variance_inflation_is_that_of_car(spark: SparkSession) -> None:
    factors = fit_of(spark, "birthwt").summary.inference().varianceInflationFactors.toPandas()
    assert list(factors.feature) == list(data("birthwt").names)
    expected = reference("birthwt")["inflation"]["vif"]
    assert_allclose(factors.varianceInflationFactor, expected, rtol=1e-6)


def test_marginal_effects_are_those_of_r(spark: SparkSession) -> None:
    table = fit_of(spark, "birthwt").summary.marginalEffects().toPandas().set_index("feature")
    for kind in ("difference", "derivative"):
        known = reference("birthwt")["marginal_effects"][kind]
        for name, effect, error in zip(
            known["columns"], known["effects"], known["standard_errors"], strict=True
        ):
            if table.kind[name] == kind:
                assert_allclose(table.effect[name], effect, rtol=1e-6)
                assert_allclose(table.standardError[name], error, rtol=1e-6)
    assert list(table.kind[["smoke", "age"]]) == ["difference", "derivative"]


def test_marginal_effects_and_residuals_of_classes(spark: SparkSession) -> None:
    """As in statsmodels; the deviance is the sum of its residuals' squares."""
    summary, known = fit_of(spark, "anes96").summary, of_classes("anes96")
    table = summary.marginalEffects().toPandas()
    names = list(data("anes96").names)
    assert list(table.feature) == names * 7
    assert list(table["class"]) == [float(k) for k in range(7) for _ in names]
    expected = known["marginal_effects"]["difference"]
    assert_allclose(table.effect, np.ravel(expected["effects"]), rtol=1e-6, atol=1e-9)
    assert_allclose(table.standardError, np.ravel(expected["standard_errors"]), rtol=1e-6)
    for kind, numbers in known["residuals"].items():
        found = np.array(summary.residuals(kind).toPandas()[f"{kind}Residuals"].tolist())
        assert_allclose(found[:5], numbers["first"], rtol=1e-6, atol=1e-9)
        assert_allclose((found**2).sum(), numbers["sum_of_squares"], rtol=1e-6)
    deviance = summary.residuals().toPandas().devianceResiduals
    assert_allclose((deviance**2).sum(), summary.deviance, rtol=1e-9)
    with pytest.raises(InvalidValueError, match="residualsType='working' is for binomial"):
        summary.residuals("working")


def test_effects_of_an_infinite_coefficient_have_no_error(spark: SparkSession) -> None:
    """The flag NV of endometrial: its difference has a limit, but a derivative would have none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparationWarning)
        summary = fit_of(spark, "endometrial").summary
    table = summary.marginalEffects().toPandas().set_index("feature")
    rest = table.drop(index="NV")
    assert (table.kind["NV"], np.isnan(table.standardError["NV"])) == ("difference", True)
    matrix, known = data("endometrial"), reference("endometrial")
    flag = known["columns"].index("NV")
    margins = np.delete(matrix.matrix, flag, axis=1) @ known["rest_coefficients"][:-1]
    chances = expit(margins + known["rest_coefficients"][-1])
    assert_allclose(table.effect["NV"], (1 - chances).mean(), rtol=1e-5)
    assert np.isfinite(rest[["effect", "standardError"]]).all(axis=None)


@pytest.mark.parametrize("name", first_and_deep(["birthwt_weighted", "pima_offset", "pima"], 2))
def test_residuals_are_those_of_r(spark: SparkSession, name: str) -> None:
    summary, known = fit_of(spark, name).summary, reference(name)["residuals"]
    for kind in ("deviance", "pearson", "working", "response"):
        found = summary.residuals(kind).toPandas()[f"{kind}Residuals"]
        assert_allclose(found[:10], known[kind]["first"], rtol=1e-6, atol=1e-9)
        assert_allclose((found**2).sum(), known[kind]["sum_of_squares"], rtol=1e-6)
    with pytest.raises(ValueError, match="residualsType"):
        summary.residuals("raw")


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


@pytest.mark.connect_slice
@pytest.mark.parametrize("name", first_and_deep(["endometrial", "sex2"]))
def test_separated_rows_are_said_to_be(spark: SparkSession, name: str) -> None:
    known = reference(name)
    (endless,) = known["infinite"]
    with pytest.warns(SeparationWarning, match=f"Wherever '{endless}' is above 0"):
        summary = fit_of(spark, name).summary
    found = summary.separation
    assert found is not None
    assert (found.kind, found.rows, found.total) == (
        "quasi-complete",
        known["rows_beyond"],
        known["rows"],
    )
    assert not summary.certificate.estimateExists
    table = summary.coefficientTable.toPandas().set_index("feature")
    assert table.coefficient[endless] == np.inf
    assert np.isnan(table.standardError[endless])
    rest = table.loc[["(intercept)" if one == "intercept" else one for one in known["rest_terms"]]]
    assert_allclose(rest.coefficient, known["rest_coefficients"], rtol=1e-5)
    errors = np.sqrt(np.diagonal(np.array(known["rest_covariance"])))
    assert_allclose(rest.standardError, errors, rtol=1e-5)
    assert_allclose(summary.deviance, known["deviance"], rtol=1e-6)
    assert f"SEPARATED ROWS: wherever '{endless}' is above 0" in str(summary)
    assert summary.converged
    assert summary.stopReason.startswith(f"at infinity along '{endless}'")
    assert summary.passes <= 8
    ratio = summary.likelihoodRatioTest()
    assert_allclose(ratio.statistic, summary.nullDeviance - known["deviance"], rtol=1e-6)
    assert ratio.degreesOfFreedom == len(known["columns"])


def test_separation_is_an_error_or_nothing_if_so_asked(spark: SparkSession) -> None:
    with pytest.raises(SeparationError, match="Wherever 'NV' is above 0 the label is 1"):
        fit_of(spark, "endometrial", separation="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit_of(spark, "endometrial", separation="ignore")
    summary, open_question = model.summary, "not known whether they exist: "
    assert f"{open_question}read summary.separation" in str(summary)
    loaded = LogisticRegressionModel.fromJson(model.toJson())  # which has no summary
    assert f"{open_question}model.inference(frame) looks for" in str(loaded.estimates)
    assert summary.passes > 8  # the fit does not end in the limit, but by its tolerance
    assert summary.separation is not None  # asked for now, so the rows are read again
    assert "SEPARATED ROWS" in str(summary)


def test_separation_of_many_coefficients_is_looked_for_when_asked(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existence, "AT_ONCE", 2)
    with pytest.warns(SeparationWarning, match=r"summary\.separation finds out"):
        summary = fit_of(spark, "endometrial").summary
    assert np.isfinite(summary.coefficientTable.toPandas().coefficient).all()
    found = summary.separation
    assert found is not None
    assert found.features == (0,)
    assert np.isinf(summary.coefficientTable.toPandas().coefficient).sum() == 1


def test_overlapping_rows_are_proved_to_overlap(spark: SparkSession) -> None:
    summary = fit_of(spark, "birthwt").summary
    assert summary.separation is None
    assert summary.certificate.estimateExists
    assert summary.certificate.kktResidual < 1e-7
    assert summary.certificate.newtonDecrement < 1e-5
    assert summary.certificate.dualityGap is None
    assert summary.conditionNumber == summary.certificate.conditionNumber < 10


def test_a_penalised_fit_has_a_certificate_too(spark: SparkSession) -> None:
    summary = fit_of(spark, "birthwt", regParam=0.01, elasticNetParam=0.5).summary
    certificate = summary.certificate
    assert certificate.kktResidual < 1e-5
    assert certificate.dualityGap is not None
    assert certificate.dualityGap < 1e-3
    assert not certificate.estimateExists
    with pytest.raises(InvalidValueError, match=r"conditionNumber.*regParam=0\.01"):
        _ = summary.conditionNumber


def test_a_dependent_column_is_named(spark: SparkSession) -> None:
    frame = frame_of(spark, "birthwt").selectExpr("label", "age", "lwt", "2 * age - lwt + 3 as sum")
    estimator = LogisticRegressionEstimator(featuresCols=["age", "lwt", "sum"])
    assert "not unique: 'sum' = 2 'age' - 'lwt' + 3" in str(estimator.fit(frame).summary)


@pytest.mark.parametrize("name", first_and_deep(["pima", "birthwt_weighted"]))
def test_scores_are_judged_as_r_judges_them(spark: SparkSession, name: str) -> None:
    summary, known = fit_of(spark, name).summary, reference(name)
    assert isinstance(summary, BinaryLogisticRegressionTrainingSummary)
    assert_allclose(summary.areaUnderROCInterval(), known["roc"]["limits"], rtol=1e-6)
    calibration, expected = summary.calibration(), known["calibration"]
    assert_allclose(calibration.brierScore, expected["brier_score"], rtol=1e-6)
    assert_allclose([calibration.intercept, calibration.slope], [0, 1], atol=1e-6)
    test, groups = summary.hosmerLemeshowTest(), known["hosmer_lemeshow"]["cumulative"]
    assert_allclose(test.statistic, groups["statistic"], rtol=1e-5)
    assert_allclose(test.pValue, groups["p"], rtol=1e-5)
    curve = calibration.curve.toPandas()
    assert_allclose(curve.weight, groups["rows"])
    assert_allclose(curve.observed * curve.weight, groups["observed"])
    assert_allclose(curve.predicted * curve.weight, groups["expected"], rtol=1e-6)
    assert "Brier score" in str(calibration)
    axes = summary.plot_calibration()
    assert axes.get_xlabel() == "predicted probability"


def test_other_rows_have_two_more_degrees_of_freedom(spark: SparkSession) -> None:
    model, known = fit_of(spark, "pima"), reference("pima_held_out")
    summary = model.evaluate(frame_of(spark, "pima_held_out"))
    assert isinstance(summary, BinaryLogisticRegressionSummary)
    test, groups = summary.hosmerLemeshowTest(), known["hosmer_lemeshow"]["cumulative"]
    assert_allclose(test.statistic, groups["statistic"], rtol=1e-5)
    assert test.degreesOfFreedom == groups["degrees_of_freedom"]
    calibration, expected = summary.calibration(), known["calibration"]
    assert_allclose(calibration.intercept, expected["intercept"], atol=1e-6)
    assert_allclose(calibration.slope, expected["slope"], rtol=1e-6)
    with pytest.raises(ValueError, match="groups must be 2 or more"):
        summary.calibration(1)
