"""Variance inflation, marginal effects and residuals on a Spark session, against R."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.sql import SparkSession
from scipy.special import expit

from sparklr import (
    SeparationWarning,
)
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import fit_of
from tests.inference.references import data, of_classes, reference
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect


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
