"""Areas, calibration and fit of predicted probabilities, on a Spark session, against R."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose
from pyspark.sql import SparkSession

from sparklr import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
)
from tests.inference.fits import fit_of, frame_of
from tests.inference.references import reference
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect


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
