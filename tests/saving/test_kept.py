"""What a model keeps of its fit, without Spark: the same page and numbers, also from JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr import LogisticRegressionModel
from sparklr.saving import estimates
from sparklr.scoring.metrics import ScoreCurve
from sparklr.spark.errors import InvalidValueError
from tests.inference.references import reference
from tests.made_models import fitted_model, training
from tests.saving.kept_fits import CASES, fitted, from_json


@pytest.mark.parametrize("case", CASES)
def test_a_model_from_json_prints_the_page_of_the_fit(case: str) -> None:
    model = fitted(case)
    page = str(model.summary)
    assert str(model.estimates) == page
    loaded = from_json(model)
    assert not loaded.hasSummary
    assert str(loaded.estimates) == page
    assert loaded.estimates._repr_html_() == model.summary._repr_html_()
    names = ["deviance", "nullDeviance", "weightSum", "rank", "residualDegreeOfFreedomNull"]
    if "classWeights" not in CASES[case]:
        names += ["aic", "bic"]
        assert loaded.estimates.likelihoodRatioTest() == model.summary.likelihoodRatioTest()
    for name in names:
        assert getattr(loaded.estimates, name) == getattr(model.summary, name)
    assert loaded.estimates.certificate == model.summary.certificate
    assert loaded.toJson() == model.toJson()


def test_each_case_shows_what_it_is_for() -> None:
    """Or the test above would compare less than it says."""
    pages = {case: str(from_json(fitted(case)).estimates) for case in CASES}
    assert "with weights that sum to" in pages["birthwt_weighted"]
    assert "(intercept)" not in pages["birthwt_origin"]
    assert "SEPARATED ROWS: wherever 'NV' is above 0" in pages["endometrial"]
    assert "of class 4 against the mean of all" in pages["alligators"]
    assert "not unique: 'copy' = 2 'race2' - 3" in pages["birthwt, dependent"]
    assert "no row's log odds by" in pages["birthwt"]
    assert "at infinity along 'NV'" in pages["endometrial"]
    for case in ("endometrial, firth", "birthwt_weighted, firth"):
        assert "inverse information at Firth's estimates" in pages[case]
        assert "penalised log lik." in pages[case]
        assert "SEPARATED" not in pages[case]
    for case in ("rare_balanced", "alligators, class weights"):
        assert "HC0: robust to a wrong model" in pages[case]
        assert "likelihood ratio" not in pages[case]
    assert "class weights  0: 0.5081, 1: 31.25" in pages["rare_balanced"]
    assert "SEPARATED ROWS" in pages["endometrial, class weights"]
    assert "'moved'" in pages["pima_offset"]


def test_a_loaded_model_has_firths_tests_and_finite_estimates() -> None:
    """Also where it was looked for separation, and found."""
    model = fitted("endometrial, firth")
    known, before = reference("endometrial")["firth"], model.estimates.coefficientStandardErrors
    model.summary.__dict__["separation"] = fitted("endometrial").summary.separation
    loaded = from_json(model).estimates
    assert loaded.separation is not None
    assert "SEPARATED" not in str(loaded)
    assert str(loaded) == str(model.summary)
    assert loaded.coefficientStandardErrors == before
    assert_allclose(before, known["standard_errors"], rtol=1e-5)
    assert loaded.penalisedLogLikelihood == pytest.approx(known["penalised_log_likelihood"])
    assert loaded.likelihoodRatioTest().method == "penalised likelihood ratio"
    with pytest.raises(InvalidValueError, match=r"is for fits with biasReduction='firth'"):
        _ = from_json(fitted("birthwt")).estimates.penalisedLogLikelihood


def test_a_loaded_model_with_class_weights_has_robust_errors_and_no_likelihood() -> None:
    model = fitted("rare_balanced")
    loaded = from_json(model).estimates
    known = reference("rare_balanced")
    assert loaded.inference().covariance == "HC0"
    assert_allclose(loaded.coefficientStandardErrors, known["hc0_standard_errors"], rtol=1e-5)
    assert loaded.nullDeviance == pytest.approx(known["null_deviance"])
    for ask in (loaded.likelihoodRatioTest, lambda: loaded.aic, lambda: loaded.bic):
        with pytest.raises(InvalidValueError, match="is not defined for a fit with classWeights"):
            ask()
    found = model.estimates.waldTest(["dose", "years"])
    assert found == model.summary.waldTest(["dose", "years"])


def test_the_null_deviance_of_a_loaded_model_has_the_offset() -> None:
    known, loaded = reference("pima_offset"), from_json(fitted("pima_offset")).estimates
    assert loaded.nullDeviance == pytest.approx(known["null_deviance"])
    assert loaded.likelihoodRatioTest().statistic == pytest.approx(known["null_test"]["statistic"])


def test_the_forest_of_a_loaded_model_may_be_per_deviation() -> None:
    figure, model = pytest.importorskip("matplotlib.figure").Figure, fitted("birthwt")
    found, expected = (
        one.plot_forest(figure().add_subplot(), per="deviation")
        for one in (from_json(model).estimates.inference(), model.summary.inference())
    )
    drawn = [[line.get_xydata().tolist() for line in its.get_lines()] for its in (found, expected)]
    assert drawn[0]
    assert drawn[0] == drawn[1]


def test_what_needs_the_rows_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="which a model does not keep"):
        from_json(fitted("birthwt")).estimates.pseudoR2("tjur")


def test_the_separation_of_a_fit_comes_back() -> None:
    model = fitted("endometrial")
    given, found = model.summary.separation, from_json(model).estimates.separation
    assert given is not None
    assert found is not None
    assert_array_equal(found.direction, given.direction)
    assert found.sentence(model.featureNames) == given.sentence(model.featureNames)
    assert (found.rows, found.labels, found.features) == (13, (0, 13), given.features)
    assert found.least == given.least


def test_json_has_no_covariances_and_says_so() -> None:
    model = fitted("birthwt")
    loaded = from_json(model).estimates
    assert loaded.pValues == model.summary.pValues
    for ask in (
        lambda: loaded.covarianceMatrix,
        lambda: loaded.waldTest(["age"]),
        lambda: loaded.inference().varianceInflationFactors,
    ):
        with pytest.raises(InvalidValueError, match="toJson and models of more than 2,000"):
            ask()
    assert model.estimates.waldTest(["race2", "race3"]).statistic == pytest.approx(
        reference("birthwt")["wald_tests"]["race"]["statistic"], rel=1e-6
    )
    with pytest.raises(InvalidValueError, match="not their covariances"):
        from_json(fitted("alligators")).estimates.inference(referenceClass=0)


def test_of_many_coefficients_only_the_errors_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "MOST_COVARIANCES", 9)
    model = fitted("birthwt")
    assert str(model.estimates) == str(model.summary)
    assert model.estimates.coefficientStandardErrors == model.summary.coefficientStandardErrors
    with pytest.raises(InvalidValueError, match="not their covariances"):
        _ = model.estimates.covarianceMatrix


def test_intervals_at_another_level_are_those_of_the_summary() -> None:
    model = fitted("birthwt")
    found, expected = from_json(model).estimates, model.summary.inference(level=0.8)
    assert str(found.inference(level=0.8)) == str(expected)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        found.inference(level=80)


@pytest.mark.parametrize(
    ("case", "base"),
    [("anes96", 2), ("alligators", 2), ("iris_three", 0), ("alligators, class weights", 2)],
)
def test_classes_are_compared_with_one_as_in_the_summary(case: str, base: int) -> None:
    model = fitted(case)
    found = model.estimates.inference(referenceClass=base)
    expected = model.summary.inference(referenceClass=base)
    assert str(found) == str(expected)
    square = expected.covarianceMatrix.toArray()
    assert_allclose(found.covarianceMatrix.toArray(), square, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="referenceClass=9"):
        model.estimates.inference(referenceClass=9)


def test_beside_a_class_that_is_apart_only_the_summary_knows_the_other_differences() -> None:
    """What is kept are comparisons with the mean, which has the class that is apart in it."""
    model = fitted("iris_three")
    for errors, known in ((model.summary, True), (model.estimates, False)):
        square = errors.inference(referenceClass=1).covarianceMatrix.toArray()
        assert np.isfinite(square[5:, 5:]).all() == known


def test_a_copy_keeps_the_estimates() -> None:
    loaded = from_json(fitted("birthwt"))
    assert str(loaded.copy().estimates) == str(loaded.estimates)
    other = loaded.copy({loaded.threshold: 0.9})
    assert other.estimates.pValues == loaded.estimates.pValues


PENALISED = r"regParam=0\.1 moves the coefficients towards zero.* Fit with regParam=0"


def test_what_has_no_estimates_says_why() -> None:
    plain = fitted_model([[1.0, 2.0]], [0.5])
    with pytest.raises(
        InvalidValueError, match=r"no standard errors: .* model\.inference\(frame\)"
    ):
        _ = plain.estimates
    for model in (fitted("birthwt", regParam=0.1), fitted_model([[1.0]], [0.5], regParam=0.1)):
        for one in (model, from_json(model)):
            with pytest.raises(InvalidValueError, match=PENALISED):
                _ = one.estimates
    with pytest.raises(RuntimeError, match=r"No training summary.* in model\.estimates"):
        _ = from_json(fitted("birthwt")).summary


def test_a_penalised_model_keeps_the_facts_of_its_fit() -> None:
    model = fitted("birthwt", regParam=0.1)
    loaded = from_json(model).fitSummary
    for name in ("deviance", "nullDeviance", "numInstances", "stopReason", "objectiveHistory",
                 "totalIterations", "solver", "passes", "converged", "weightSum"):  # fmt: skip
        assert getattr(loaded, name) == getattr(model.summary, name), name
    assert loaded.pseudoR2() == model.summary.pseudoR2()
    assert from_json(model).toJson() == model.toJson()
    assert str(loaded) == str(model) == str(from_json(model))
    for ask in (lambda: loaded.areaUnderROC, lambda: loaded.aic, lambda: loaded.pseudoR2("tjur")):
        with pytest.raises(InvalidValueError):
            ask()
    with pytest.raises(InvalidValueError, match="does not know its fit: it does not come from"):
        _ = fitted_model([[1.0]], [0.5]).fitSummary


def test_the_area_that_was_read_is_kept() -> None:
    model = fitted("birthwt", regParam=0.1)
    assert "area under ROC" not in str(model)
    curve = ScoreCurve.of(np.array([0.2, 0.8]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    model.summary.__dict__["_curve"] = curve
    assert "area under ROC" in str(model)
    assert "area under ROC" in str(model.summary)
    assert from_json(model).fitSummary.areaUnderROC == curve.area_under_roc


def test_of_very_many_features_only_those_with_a_coefficient_keep_their_facts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimates, "MOST_FEATURES", 2)
    model = fitted_model([[0.0, 2.0, 0.0]], [0.5], regParam=0.1)
    model._summary = training(model, means=np.array([1.0, 2.0, 3.0]))
    loaded = from_json(model)
    assert loaded.fitSummary.featureMeans == [0.0, 2.0, 0.0]
    assert json.loads(model.toJson())["fit"]["deviation"] == [2.0]
    assert str(loaded) == str(model)


def test_the_fit_of_a_model_with_standard_errors_is_its_estimates() -> None:
    loaded = from_json(fitted("birthwt"))
    assert str(loaded.fitSummary) == str(loaded.estimates)
    assert loaded.fitSummary.aic == loaded.estimates.aic


def test_without_its_rows_an_offset_leaves_the_null_deviance_open() -> None:
    model = fitted_model([[1.0]], [0.5], offsetCol="moved", regParam=0.1)
    model._summary = training(model)
    loaded = from_json(model)
    assert "null deviance" not in str(loaded)
    with pytest.raises(InvalidValueError, match="with an offset it needs the rows"):
        _ = loaded.fitSummary.nullDeviance


def test_json_of_the_first_format_has_no_estimates() -> None:
    text = json.loads(fitted("birthwt").toJson())
    del text["fit"]
    loaded = LogisticRegressionModel.fromJson(json.dumps({**text, "sparklrFormat": 1}))
    with pytest.raises(InvalidValueError, match="by a version that did not save them"):
        _ = loaded.estimates


DAMAGED: dict[str, Any] = {
    "errors": [1.0],
    "labelWeights": [1.0, 2.0, 3.0],
    "deviation": [1.0],
    "dependences": [[1.0]],
    "converged": 1,
    "rank": 3.5,
    "loss": None,
    "solver": 3,
    "history": "0.5",
    "nullLoss": "none",
    "classFactors": [1.0, 2.0, 3.0],
    "penalised": {"log_likelihood": 1.0},
    "covariance": None,
    "certificate": {"kktResidual": 0.0},
    "separation": {"kind": "some"},
}


@pytest.mark.parametrize("key", DAMAGED)
def test_damaged_facts_of_a_fit_are_refused(key: str) -> None:
    text = json.loads(fitted("endometrial").toJson())
    text["fit"][key] = DAMAGED[key]
    with pytest.raises(ValueError, match="The JSON of this model is damaged"):
        LogisticRegressionModel.fromJson(json.dumps(text))
    del text["fit"][key]
    with pytest.raises(ValueError, match="The JSON of this model is damaged"):
        LogisticRegressionModel.fromJson(json.dumps(text))


def test_means_and_the_area_may_lack_but_not_be_damaged() -> None:
    """Before format 4 there were none."""
    text = json.loads(fitted("endometrial").toJson())
    for key, damaged in (
        ("means", [1.0]),
        ("areaUnderROC", "high"),
        ("rates", {"tried": [0.1], "kept": "best", "rule": "plain"}),
        ("held", [0.5]),
        ("chosen", 3),
        ("rank", None),
    ):
        changed = {**text, "fit": {**text["fit"], key: damaged}}
        with pytest.raises(ValueError, match="The JSON of this model is damaged"):
            LogisticRegressionModel.fromJson(json.dumps(changed))
    for key in ("means", "areaUnderROC", "rates", "held", "chosen"):
        del text["fit"][key]
    older = LogisticRegressionModel.fromJson(json.dumps({**text, "sparklrFormat": 3}))
    with pytest.raises(InvalidValueError, match="'featureMeans' is not known"):
        _ = older.fitSummary.featureMeans
    assert older.fitSummary.learningRates is None
