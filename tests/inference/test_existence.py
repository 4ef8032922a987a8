"""Whether an estimate exists, and certificates of fits, on a Spark session."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.sql import SparkSession

from sparklr import (
    LogisticRegressionEstimator,
    LogisticRegressionModel,
    SeparationError,
    SeparationWarning,
)
from sparklr.fitting import existence
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import fit_of, frame_of
from tests.inference.references import reference
from tests.tiers import first_and_deep

pytestmark = pytest.mark.connect


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
