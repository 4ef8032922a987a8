"""Leverages, residuals and Cook's distances, against R and statsmodels."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.inference import influence as module
from sparklr.inference.influence import COLUMNS, Spread
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import SMALL_SAMPLES, fit_of, frame_of
from tests.inference.local_fits import PLAIN
from tests.inference.local_fits import fit_of as fit_in_memory
from tests.inference.references import column, data, reference
from tests.tiers import first_and_deep

TWO_CLASSES = [name for name in PLAIN if reference(name).get("influence")]


@pytest.mark.parametrize("name", TWO_CLASSES)
def test_leverages_are_those_of_r_and_sum_to_the_rank(name: str) -> None:
    fit, information, _ = fit_in_memory(name)
    rows, known = data(name), reference(name)["influence"]
    values = np.append(fit.coefficients[0], fit.intercepts)
    made = Spread(values, information.root())(
        pa.array(rows.matrix.tolist(), pa.list_(pa.float64()))
    )
    margins, variances = (made.field(its).to_numpy() for its in ("margin", "variance"))
    if reference(name)["offset"]:
        margins = margins + column(name, "offset")
    chances = 1 / (1 + np.exp(-margins))
    weights = np.ones(len(margins)) if rows.weights is None else rows.weights
    leverage = weights * chances * (1 - chances) * variances
    assert_allclose(leverage[: len(known["hat"])], known["hat"], rtol=1e-6, atol=1e-12)
    assert_allclose(leverage.sum(), information.rank, rtol=1e-9)


@pytest.mark.connect
@pytest.mark.connect_slice
@pytest.mark.parametrize(
    "name", first_and_deep(["birthwt_weighted", "pima_offset", "birthwt", "ucb", "pima"], 2)
)
def test_influence_is_that_of_r(spark: SparkSession, name: str) -> None:
    summary, known = fit_of(spark, name).summary, reference(name)
    frame = summary.influence()
    assert frame.columns == [*frame_of(spark, name).columns, *COLUMNS]
    table = frame.toPandas()
    assert_allclose(table[data(name).names], data(name).matrix)
    shown = len(known["influence"]["hat"])
    assert_allclose(table.leverage[:shown], known["influence"]["hat"], rtol=1e-6)
    assert_allclose(table.cooksDistance[:shown], known["influence"]["cook"], rtol=1e-5)
    assert_allclose(table.leverage.sum(), summary.rank, rtol=1e-9)
    for kind in ("pearson", "deviance"):
        residual, expected = table[f"{kind}Residual"], known["residuals"][kind]["first"]
        assert_allclose(residual[:10], expected, rtol=1e-6, atol=1e-9)
        standard = table[f"standardized{kind.title()}Residual"]
        assert_allclose(standard, residual / np.sqrt(1 - table.leverage), rtol=1e-12)


def test_standardised_residuals_are_those_of_statsmodels(spark: SparkSession) -> None:
    table = fit_of(spark, "birthwt").summary.influence().toPandas()
    for name, expected in json.loads(SMALL_SAMPLES.read_text())["birthwt"]["influence"].items():
        assert_allclose(table[name], expected, rtol=1e-6, atol=1e-9)


def test_the_most_influential_rows_come_first(spark: SparkSession) -> None:
    summary = fit_of(spark, "birthwt").summary
    expected = sorted(reference("birthwt")["influence"]["cook"], reverse=True)
    assert_allclose(summary.influence(top=5).toPandas().cooksDistance, expected[:5], rtol=1e-6)
    with pytest.raises(ValueError, match="top must be a number of rows"):
        summary.influence(top=0)


@pytest.mark.connect
@pytest.mark.connect_slice
def test_vectors_dependent_columns_and_rows_that_stand_alone(spark: SparkSession) -> None:
    """A flag of a single row would give it leverage 1: without it nothing tells the coefficient."""
    rows = [(float(i % 3 > 0), i * 0.7 % 2, 2 * (i * 0.7 % 2) - 1) for i in range(30)]
    frame = spark.createDataFrame(rows, ["label", "x", "twice"])
    frame = VectorAssembler(inputCols=["x", "twice"], outputCol="features").transform(frame)
    summary = LogisticRegressionEstimator().fit(frame).summary
    table = summary.influence().select("x", *COLUMNS).toPandas()
    assert summary.rank == 2
    assert_allclose(table.leverage.sum(), 2, rtol=1e-9)
    plain = LogisticRegressionEstimator(featuresCols=["x"]).fit(frame).summary
    assert_allclose(table.cooksDistance, plain.influence().toPandas().cooksDistance, rtol=1e-6)
    margin, one = F.lit(0.0), F.lit(1.0)
    figures = module._figures(margin, F.lit(4.0), F.lit(True), one, 2)
    (row,) = frame.limit(1).select(*figures).collect()
    assert row[0] == 1.0
    assert list(row[3:]) == [None] * 3
    (row,) = (
        frame.limit(1).select(*module._figures(F.lit(800.0), one, F.lit(False), one, 2)).collect()
    )
    assert math.isclose(row[2], -40.0)
    assert row[0] == 0.0


def test_rows_with_missing_values_have_nulls(spark: SparkSession) -> None:
    """No fit has such rows, so they come from the same function on another frame."""
    fit = fit_of(spark, "birthwt")
    lacking = frame_of(spark, "birthwt").limit(3)
    lacking = lacking.withColumn("age", F.when(F.col("age") != F.lit(19.0), F.col("age")))
    values = np.append(fit.coefficients.toArray(), fit.intercept)
    information = fit.summary._information
    table = module.with_influence(lacking, fit, values, information).toPandas()
    assert (table[list(COLUMNS)].isna().all(axis=1) == table.age.isna()).all()
    assert 0 < table.age.isna().sum() < 3


def test_what_has_no_influence_is_refused(spark: SparkSession, monkeypatch: Any) -> None:
    with pytest.raises(InvalidValueError, match="influence is for binomial models"):
        fit_of(spark, "anes96").summary.influence()
    with pytest.raises(InvalidValueError, match=r"regParam=0\.1"):
        fit_of(spark, "birthwt", regParam=0.1).summary.influence()
    frame = frame_of(spark, "birthwt").withColumn("leverage", F.lit(1.0))
    estimator = LogisticRegressionEstimator(featuresCols=list(data("birthwt").names))
    with pytest.raises(InvalidValueError, match="already has the column leverage"):
        estimator.fit(frame).summary.influence()
    monkeypatch.setattr(module, "MOST_COEFFICIENTS", 9)
    with pytest.raises(InvalidValueError, match="at most 9, but the model has 10"):
        fit_of(spark, "birthwt").summary.influence()


@pytest.mark.deep
def test_the_plot_of_influence_has_a_circle_per_row(spark: SparkSession) -> None:
    summary = fit_of(spark, "birthwt").summary
    axes = summary.plot_influence()
    (circles,) = axes.collections
    assert len(circles.get_offsets()) == 189
    cook = pd.Series(reference("birthwt")["influence"]["cook"]).nlargest(5)
    assert [its.get_text() for its in axes.texts] == [f"{one:.3g}" for one in cook]
    named = summary.plot_influence(nameCol="lwt")
    lwt = data("birthwt").matrix[cook.index, data("birthwt").names.index("lwt")]
    assert [float(its.get_text()) for its in named.texts] == list(lwt)


def test_the_plot_of_coefficients_is_per_deviation(spark: SparkSession) -> None:
    summary = fit_of(spark, "birthwt", regParam=0.01).summary
    axes = summary.plot_coefficients()
    names = [its.get_text() for its in axes.get_yticklabels()]
    rows = data("birthwt")
    deviation = rows.matrix.std(axis=0, ddof=1)
    assert_allclose(summary.featureDeviations, deviation, rtol=1e-9)
    values = dict(zip(rows.names, summary._model.numbers.arrays[0][0] * deviation, strict=True))
    assert names == sorted(values, key=lambda name: -abs(values[name]))
    assert_allclose([its.get_width() for its in axes.patches], [values[name] for name in names])
    classes = fit_of(spark, "anes96").summary.plot_coefficients()
    legend = classes.get_legend()
    assert legend is not None
    assert [its.get_text() for its in legend.get_texts()] == [str(k) for k in range(7)]
