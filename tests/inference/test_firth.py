"""Inference of Firth's method: against R (logistf's conventions) and published figures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.inference import penalised
from sparklr.inference.layout import Layout
from sparklr.inference.on_rows import RowsOfModel
from sparklr.objective.families import BINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.spark.errors import InvalidValueError
from tests.errors import assert_plain
from tests.fitting.fits import CountedPasses
from tests.frames import jobs_started
from tests.inference.firth import state, with_ones
from tests.inference.fits import by_name, fit_of, frame_of, limits_of
from tests.inference.references import data, reference
from tests.tiers import first_and_deep

SPEC = Spec(BINOMIAL, biasReduction="firth", inference=True)
CASES = ["endometrial", "sex2", "birthwt", "birthwt_weighted"]
# Printed by Heinze and Schemper (2002) and Heinze (2006), and by logistf: the flags that separate.
PRINTED = {"endometrial": ("NV", 0.610, 7.855), "sex2": ("dia", 0.775, 8.030)}


def rows_of_model(name: str) -> tuple[RowsOfModel, Fit, CountedPasses]:
    rows = data(name)
    block = Block(rows.matrix, rows.labels, rows.weights, 0, {})
    passes = CountedPasses(LocalPasses.of([block], len(rows.names)))
    fit = fit_all({0: SPEC}, passes, 2)[0][0]
    problem = Problem.of(SPEC, passes.moments, 2)
    point = problem.point_of(fit.coefficients, fit.intercepts)
    passes.readings.clear()
    return RowsOfModel(problem, point, passes), fit, passes


@pytest.mark.parametrize("name", CASES)
def test_profile_limits_are_those_of_the_penalised_likelihood(name: str) -> None:
    rows, _, passes = rows_of_model(name)
    known, information = reference(name)["firth"], rows.read().information
    names = data(name).names
    limits = rows.profile_limits(information, _layout(names), 0.95)
    errors = np.array(known["standard_errors"])[:, None]
    assert_allclose((limits - known["profile_limits"]) / errors, 0, atol=1e-5)
    assert len(passes.readings) <= 20  # all limits together
    if name in PRINTED:
        flag, lower, upper = PRINTED[name]
        found = limits[list(names).index(flag)]
        assert_allclose(found, [lower, upper], atol=5e-4)


# The estimates and errors printed there, features first, then the intercept.
PUBLISHED = {
    "endometrial": {
        "NV": (2.9293, 1.5508),
        "PI": (-0.03475, 0.03958),
        "EH": (-2.6042, 0.7760),
        "(intercept)": (3.7746, 1.4887),
    },
    "sex2": {
        "age": (-1.1060, 0.4237),
        "oc": (-0.0688, 0.4438),
        "vic": (2.2689, 0.5484),
        "vicl": (-2.1114, 0.5431),
        "vis": (-0.7883, 0.4174),
        "dia": (3.0960, 1.6750),
        "(intercept)": (0.1203, 0.4855),
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_estimates_and_errors_are_reproduced(name: str) -> None:
    _, fit, _ = rows_of_model(name)
    assert fit.information is not None
    values = np.append(fit.coefficients[0], fit.intercepts)
    errors = np.sqrt(np.diagonal(fit.information.covariance()))
    terms = [*data(name).names, "(intercept)"]
    for term, value, error in zip(terms, values, errors, strict=True):
        assert_allclose((value, error), PUBLISHED[name][term], rtol=0, atol=6e-5)


def test_many_searches_run_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _, passes = rows_of_model("endometrial")
    information, layout = rows.read().information, _layout(data("endometrial").names)
    wanted = rows.profile_limits(information, layout, 0.95)
    together = max(passes.readings)
    monkeypatch.setattr(penalised, "STATE", 1)
    passes.readings.clear()
    assert_allclose(rows.profile_limits(information, layout, 0.95), wanted, rtol=1e-12)
    assert (together, max(passes.readings)) == (8, 1)


def _layout(names: Any) -> Layout:
    return Layout(np.zeros((1, len(names) + 1)), names, True, False)


def test_the_gradient_of_packed_rows_has_the_penalty() -> None:
    rows, _, passes = rows_of_model("endometrial")
    information = rows.read().information
    assert len(passes.readings) == 2
    away = information.gradient @ information.inverse @ information.gradient
    assert away < 1e-10


@pytest.mark.parametrize("name", CASES)
def test_each_term_is_tested_by_the_penalised_likelihood(name: str) -> None:
    rows, fit, passes = rows_of_model(name)
    known, names = reference(name)["firth"], data(name).names
    groups = {term: np.array([at]) for at, term in enumerate(names)}
    assert fit.information is not None
    found = rows.without(fit.information, {**groups, "all": np.arange(len(names))})
    statistics = [2 * passes.moments.weight * found[term][0] for term in names]
    assert_allclose(statistics, known["profile_statistics"][:-1], rtol=1e-6)
    assert {found[term][1] for term in names} == {1}
    # Without all features it is the null model, whose maximum is known in closed form.
    assert fit.penalised is not None
    ratio = fit.penalised.log_likelihood - fit.penalised.null
    assert_allclose(2 * ratio, 2 * passes.moments.weight * found["all"][0], rtol=1e-9)
    assert found["all"][1] == len(names)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_null_model_has_the_penalty_of_all_coefficients(intercept: bool) -> None:
    """As logistf's: its information has all columns, also those whose coefficients are zero."""
    rows = data("birthwt_weighted")
    assert rows.weights is not None
    block = Block(rows.matrix, rows.labels, rows.weights, 0, {})
    passes = LocalPasses.of([block], len(rows.names))
    spec = Spec(BINOMIAL, biasReduction="firth", inference=True, fitIntercept=intercept)
    found = fit_all({0: spec}, passes, 2)[0][0].penalised
    assert found is not None
    design = with_ones(rows.matrix) if intercept else rows.matrix

    def value(log_odds: float) -> float:
        beta = np.zeros(design.shape[1])
        beta[-1] = log_odds if intercept else 0.0
        return state(design, rows.labels, weights, beta).value

    weights: Array = rows.weights
    grid = np.linspace(-2, 1, 3_001)
    assert_allclose(found.null, max(map(value, grid)), rtol=1e-7)


# on a session


@pytest.mark.connect
@pytest.mark.connect_slice
@pytest.mark.parametrize("name", first_and_deep(CASES))
def test_the_whole_road(spark: Any, name: str, tmp_path: Path) -> None:
    known, frame = reference(name)["firth"], frame_of(spark, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fit_of(spark, name, biasReduction="firth")
    summary = model.summary
    table = by_name(summary, reference(name))
    assert_allclose(table.coefficient, known["coefficients"], rtol=1e-4, atol=1e-6)
    assert_allclose(table.standardError, known["standard_errors"], rtol=1e-6)
    assert_allclose(table.pValue, known["p"], rtol=1e-4)
    assert_allclose(summary.penalisedLogLikelihood, known["penalised_log_likelihood"], rtol=1e-10)
    assert_allclose(summary.logLikelihood, known["log_likelihood"], rtol=1e-6)
    assert_allclose(summary.aic, 2 * len(table) - 2 * known["log_likelihood"], rtol=1e-6)
    assert_allclose(
        summary.objectiveHistory[-1] * summary.weightSum, -summary.penalisedLogLikelihood
    )
    test = summary.likelihoodRatioTest()
    assert test.method == "penalised likelihood ratio"
    assert test.degreesOfFreedom == len(table) - 1
    assert_allclose(test.pValue, chi2.sf(test.statistic, test.degreesOfFreedom), rtol=1e-9)
    page = str(summary)
    for words in ("Firth's bias reduction", "penalised log lik.", 'method="profile"'):
        assert words in page
    assert "SEPARATED" not in page
    limits = limits_of(by_name(summary.inference(method="profile"), reference(name)))
    errors = np.array(known["standard_errors"])[:, None]
    assert_allclose((limits - known["profile_limits"]) / errors, 0, atol=1e-5)
    drop = summary.dropOneTests().toPandas().set_index("term")
    names = list(data(name).names)
    assert_allclose(drop.statistic[names], known["profile_statistics"][:-1], rtol=1e-5)
    assert_allclose(drop.pValue[names], known["profile_p"][:-1], rtol=1e-4)
    model.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    assert loaded.getBiasReduction() == "firth"
    again = by_name(loaded.inference(frame), reference(name))
    assert_allclose(again.standardError, known["standard_errors"], rtol=1e-6)
    first = loaded.transform(frame).select("probability").first()
    assert first is not None
    design = with_ones(data(name).matrix)
    margin = float(design[0] @ np.array(known["coefficients"]))
    assert_allclose(first[0][1], 1 / (1 + np.exp(-margin)), rtol=1e-5)


def test_what_firths_method_has_not_is_refused(spark: Any) -> None:
    model = fit_of(spark, "endometrial", biasReduction="firth")
    for covariance in ("HC0", "HC1", "debiased"):
        with pytest.raises(InvalidValueError, match="does not go with biasReduction='firth'"):
            model.summary.inference(covariance=covariance)
    plain = fit_of(spark, "birthwt").summary
    with pytest.raises(InvalidValueError, match="is for fits with biasReduction='firth'"):
        _ = plain.penalisedLogLikelihood
    rest = frame_of(spark, "endometrial").where("PI > 15")
    with pytest.raises(InvalidValueError, match="standard errors away"):
        model.inference(rest)


def test_fits_of_both_kinds_share_the_rows(spark: Any) -> None:
    names = list(data("endometrial").names)
    estimator = LogisticRegressionEstimator(featuresCols=names, separation="ignore")
    maps = [{estimator.biasReduction: "firth"}, {estimator.regParam: 0.1}]
    fits = dict(estimator.fitMultiple(frame_of(spark, "endometrial"), maps))
    known = reference("endometrial")["firth"]["coefficients"]
    assert_allclose(fits[0].coefficients.toArray(), known[:-1], rtol=1e-5)
    assert [fits[at].summary.solver for at in (0, 1)] == ["firth", "newton"]


def test_combinations_that_make_no_sense_are_refused_before_any_job(spark: Any) -> None:
    frame, jobs = frame_of(spark, "birthwt"), jobs_started(spark)
    for name, value in (("regParam", 0.1), ("solver", "newton"), ("family", "multinomial")):
        estimator = LogisticRegressionEstimator(
            featuresCols=list(data("birthwt").names), biasReduction="firth", **{name: value}
        )
        with pytest.raises(InvalidValueError, match="biasReduction='firth'") as caught:
            estimator.fit(frame)
        assert_plain(caught.value, (str(value),))
    assert jobs_started(spark) == jobs
    three = LogisticRegressionEstimator(
        featuresCols=list(data("iris_three").names), biasReduction="firth"
    )
    with pytest.raises(InvalidValueError, match="is for binomial models"):
        three.fit(frame_of(spark, "iris_three"))


def test_separation_is_looked_for_only_if_asked(spark: Any) -> None:
    summary = fit_of(spark, "endometrial", biasReduction="firth").summary
    found = summary.separation
    assert found is not None
    assert (found.kind, found.features) == ("quasi-complete", (0,))
    # The estimates are finite all the same.
    table = summary.inference().coefficientTable.toPandas()
    assert np.isfinite(table[["coefficient", "standardError"]]).to_numpy().all()
    assert "SEPARATED" not in str(summary)
