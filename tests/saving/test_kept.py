"""What a model keeps of its fit, without Spark: the same page and numbers, also from JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr import LogisticRegressionModel
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import family_for
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.saving import estimates
from sparklr.separation.search import find_separation
from sparklr.spark.errors import InvalidValueError
from tests.inference.references import data, reference
from tests.made_models import fitted_model, training

# With weights, without an intercept, separated, with classes, and with a column that depends.
CASES = ["birthwt", "birthwt_weighted", "birthwt_origin", "endometrial", "alligators", "dependent"]


def fitted(case: str, **params: Any) -> LogisticRegressionModel:
    """A model with a summary, of rows in memory."""
    name = "birthwt" if case == "dependent" else case
    rows, known = data(name), reference(name)
    matrix, names = rows.matrix, list(rows.names)
    if case == "dependent":
        matrix, names = np.column_stack((matrix, matrix[:, 0] * 2 - 3)), [*names, "copy"]
    passes = LocalPasses.of([Block(matrix, rows.labels, rows.weights, 0, {})], len(names))
    classes = int(rows.labels.max()) + 1
    intercept = known.get("intercept", True)
    spec = Spec(family_for(classes), fitIntercept=intercept, inference=True)
    fit = fit_all({0: spec}, passes, classes)[0][0]
    assert fit.certificate is not None
    found = fit.separation
    if not fit.certificate.estimateExists:
        found = find_separation(passes, spec.family, classes, intercept=intercept)
    model = fitted_model(
        fit.coefficients, fit.intercepts, classes, names, fitIntercept=intercept, **params
    )
    moments = passes.moments
    kept = ("history", "solver", "reason", "converged", "loss", "information", "certificate")
    model._summary = training(
        model,
        separation=found,
        rows=moments.rows,
        label_weights=moments.histogram(classes),
        deviation=np.sqrt(moments.variance),
        **{name: getattr(fit, name) for name in kept},
    )
    return model


def from_json(model: LogisticRegressionModel) -> LogisticRegressionModel:
    return LogisticRegressionModel.fromJson(model.toJson())


@pytest.mark.parametrize("case", CASES)
def test_a_model_from_json_prints_the_page_of_the_fit(case: str) -> None:
    model = fitted(case)
    page = str(model.summary)
    assert str(model.estimates) == page
    loaded = from_json(model)
    assert not loaded.hasSummary
    assert str(loaded.estimates) == page
    assert loaded.estimates._repr_html_() == model.summary._repr_html_()
    for name in ("deviance", "nullDeviance", "aic", "bic", "rank", "residualDegreeOfFreedomNull"):
        assert getattr(loaded.estimates, name) == getattr(model.summary, name)
    assert loaded.estimates.likelihoodRatioTest() == model.summary.likelihoodRatioTest()
    assert loaded.estimates.certificate == model.summary.certificate
    assert loaded.toJson() == model.toJson()


def test_each_case_shows_what_it_is_for() -> None:
    """Or the test above would compare less than it says."""
    pages = {case: str(from_json(fitted(case)).estimates) for case in CASES}
    assert "with weights that sum to" in pages["birthwt_weighted"]
    assert "(intercept)" not in pages["birthwt_origin"]
    assert "SEPARATED ROWS: wherever 'NV' is above 0" in pages["endometrial"]
    assert "of class 4 against the mean of all" in pages["alligators"]
    assert "not unique: 'copy' = 2 'race2' - 3" in pages["dependent"]
    assert "no row's log odds by" in pages["birthwt"]


def test_the_separation_of_a_fit_comes_back() -> None:
    model = fitted("endometrial")
    given, found = model.summary.separation, from_json(model).estimates.separation
    assert given is not None
    assert found is not None
    assert_array_equal(found.direction, given.direction)
    assert found.sentence(model.featureNames) == given.sentence(model.featureNames)
    assert (found.rows, found.labels, found.features) == (13, (0, 13), given.features)


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


@pytest.mark.parametrize("case", ["anes96", "alligators", "iris_three"])
def test_classes_are_compared_with_one_as_in_the_summary(case: str) -> None:
    model = fitted(case)
    found = model.estimates.inference(referenceClass=2)
    expected = model.summary.inference(referenceClass=2)
    assert str(found) == str(expected)
    square = expected.covarianceMatrix.toArray()
    assert_allclose(found.covarianceMatrix.toArray(), square, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="referenceClass=9"):
        model.estimates.inference(referenceClass=9)


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
    assert json.loads(fitted("birthwt", regParam=0.1).toJson())["fit"] is None
    with pytest.raises(RuntimeError, match=r"No training summary.* in model\.estimates"):
        _ = from_json(fitted("birthwt")).summary


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
