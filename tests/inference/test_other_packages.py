"""Faults of other packages that docs/comparison.md names, beside what sparklr does there.

statsmodels 0.15 and firthmodels 0.8 are asked where they are installed, as in `make .venv`. What is
sparklr's is tested without them too, against recorded numbers. A test that fails because a fault
was mended is good news: then the page needs to be changed.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pyspark.errors import PySparkException
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import (
    GeneralizedLinearRegression,
    GeneralizedLinearRegressionModel,
)
from pyspark.sql import SparkSession

from sparklr import LogisticRegressionEstimator
from sparklr.arrays import Array
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL
from sparklr.objective.information import Information
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.separation.search import find_separation
from sparklr.spark.errors import InvalidValueError
from tests.inference.fits import fit_of, frame_of
from tests.inference.references import data, reference


def glm(frame: Any, names: list[str], **params: Any) -> Any:
    """Spark's generalized linear regression for labels 0 and 1."""
    assembled = VectorAssembler(inputCols=names, outputCol="features").transform(frame)
    return GeneralizedLinearRegression(family="binomial", **params).fit(assembled)


def page_or_error(summary: Any) -> str:
    """What is printed, or why nothing is."""
    try:
        return str(summary)
    except PySparkException as reason:
        return str(reason)


# Spark's GeneralizedLinearRegression


@pytest.mark.classic
@pytest.mark.deep
def test_spark_prints_other_degrees_of_freedom_for_the_null_deviance(spark: SparkSession) -> None:
    names = list(data("birthwt").names)
    theirs = glm(frame_of(spark, "birthwt"), names, tol=1e-12).summary
    ours, known = fit_of(spark, "birthwt").summary, reference("birthwt")
    (line,) = [one for one in str(theirs).splitlines() if "Null deviance" in one]
    assert f"on {known['df_residual']} degrees of freedom" in line  # it should be df_null
    assert known["df_residual"] != known["df_null"]
    assert f"null 234.6720 on {known['df_null']}" in str(ours)
    # Without such extremes both have the same numbers.
    assert_allclose(ours.coefficientStandardErrors, theirs.coefficientStandardErrors, rtol=1e-5)
    assert_allclose(ours.pValues, theirs.pValues, rtol=1e-4)
    assert_allclose([ours.deviance, ours.aic], [theirs.deviance, theirs.aic], rtol=1e-9)


@pytest.mark.classic
@pytest.mark.deep
def test_spark_has_p_values_of_exactly_zero(spark: SparkSession) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=2_000)
    label = (rng.random(2_000) < 1 / (1 + np.exp(-x))).astype(float)
    frame = spark.createDataFrame(pd.DataFrame({"x": x, "label": label}))
    theirs = glm(frame, ["x"]).summary
    ours = LogisticRegressionEstimator(featuresCols=["x"]).fit(frame).summary
    assert theirs.tValues[0] == pytest.approx(ours.tValues[0], rel=1e-4)
    assert ours.tValues[0] > 8.3
    assert theirs.pValues[0] == 0.0
    assert 0 < ours.pValues[0] < 1e-60


@pytest.mark.classic
@pytest.mark.deep
def test_spark_has_p_values_of_penalised_fits(spark: SparkSession) -> None:
    names = list(data("birthwt").names)
    theirs = glm(frame_of(spark, "birthwt"), names, regParam=0.1).summary
    assert np.isfinite(theirs.pValues).all()
    assert "regParam" not in str(theirs)
    with pytest.raises(InvalidValueError, match=r"regParam=0\.1 moves the coefficients"):
        _ = fit_of(spark, "birthwt", regParam=0.1).summary.pValues


@pytest.mark.classic
@pytest.mark.deep
def test_spark_has_no_table_where_a_column_depends_on_others(spark: SparkSession) -> None:
    frame = frame_of(spark, "birthwt").selectExpr("label", "age", "lwt", "2 * age - lwt as sum")
    names = ["age", "lwt", "sum"]
    theirs = glm(frame, names).summary
    assert theirs.rank == 4
    # Rounding decides whether it fails, or prints errors of 100,000 for all coefficients.
    failed = "No summary available" in page_or_error(theirs)
    assert failed or min(theirs.coefficientStandardErrors) > 1_000
    ours = LogisticRegressionEstimator(featuresCols=names).fit(frame).summary
    assert ours.rank == 3
    assert np.isfinite(ours.coefficientStandardErrors[-1])
    assert "not unique: 'sum' = 2 'age' - 'lwt'" in str(ours)


@pytest.mark.classic
@pytest.mark.deep
def test_spark_rounds_weights_in_its_criterion(spark: SparkSession) -> None:
    names = list(data("birthwt").names)
    frame = frame_of(spark, "birthwt").selectExpr("*", "0.4 as share")
    theirs = glm(frame, names, weightCol="share").summary
    assert theirs.aic == pytest.approx(2 * theirs.rank)
    ours = LogisticRegressionEstimator(featuresCols=names, weightCol="share").fit(frame).summary
    expected = 0.4 * reference("birthwt")["deviance"] + 2 * theirs.rank
    assert ours.aic == pytest.approx(expected, rel=1e-9)


@pytest.mark.classic
@pytest.mark.deep
def test_spark_says_nothing_of_separated_rows(spark: SparkSession) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = glm(frame_of(spark, "endometrial"), list(data("endometrial").names))
    assert theirs.coefficients[0] > 10  # where it stopped: there is no finite estimate
    assert theirs.summary.coefficientStandardErrors[0] > 100


@pytest.mark.classic
@pytest.mark.deep
def test_spark_does_not_save_its_table(spark: SparkSession, tmp_path: Path) -> None:
    theirs = glm(frame_of(spark, "birthwt"), list(data("birthwt").names))
    theirs.save(str(tmp_path / "model"))
    assert not GeneralizedLinearRegressionModel.load(str(tmp_path / "model")).hasSummary


# statsmodels and firthmodels


def fitted(matrix: Array, labels: Array) -> tuple[Information, LocalPasses]:
    """What the rows tell of the coefficients, from a fit in memory."""
    passes = LocalPasses.of([Block(matrix, labels, None)], matrix.shape[1])
    fit = fit_all({0: Spec(BINOMIAL, inference=True)}, passes, 2)[0][0]
    assert fit.information is not None
    return fit.information, passes


def errors_of(matrix: Array, labels: Array) -> Array:
    return np.asarray(np.sqrt(np.diagonal(fitted(matrix, labels)[0].covariance())))


def made_rows(rows: int = 400) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(rows, 3))
    chance = 1 / (1 + np.exp(-matrix[:, 0] - matrix[:, 1]))
    return matrix, (rng.random(rows) < chance).astype(float)


def with_ones(matrix: Array) -> Array:
    return np.column_stack((matrix, np.ones(len(matrix))))


def test_hc1_of_statsmodels_is_hc0() -> None:
    """R's sandwich multiplies HC0 by n / (n - k), and so does sparklr (test_inference.py)."""
    pytest.importorskip("statsmodels")
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    matrix, labels = made_rows()
    for model in (Logit(labels, with_ones(matrix)), GLM(labels, with_ones(matrix), Binomial())):
        zero, one = (model.fit(disp=0, cov_type=kind).bse for kind in ("HC0", "HC1"))
        assert_allclose(one, zero, rtol=1e-12)


def hard_rows() -> tuple[Array, Array, Array]:
    """Features far from zero, tiny, and collinear, (400, 3); the same without that; labels.

    The third column differs from the first by 2^-13 times its plain counterpart, so its coefficient
    is 2^13 times that of the counterpart, to the last digit, and so is its standard error. Likewise
    the second, with 2^27.
    """
    plain, labels = made_rows()
    u, v, e = plain.T
    return np.column_stack((u + 2.0**20, v * 2.0**-27, u + e * 2.0**-13)), plain, labels


# Of the plain columns: Logit(labels, with_ones(plain)).fit(tol=1e-14).bse, by statsmodels 0.15.
PLAIN_ERRORS = np.array(
    [0.1525057733707494, 0.15548980817358607, 0.12038812870266367, 0.12267664871053022]
)


def test_errors_are_right_on_hard_rows() -> None:
    hard, plain, labels = hard_rows()
    expected = errors_of(plain, labels)
    assert_allclose(expected, PLAIN_ERRORS, rtol=1e-6)
    found = errors_of(hard, labels)
    assert_allclose(found[1] / 2.0**27, expected[1], rtol=1e-6)
    assert_allclose(found[2] / 2.0**13, expected[2], rtol=1e-6)


def test_errors_of_statsmodels_are_wrong_on_hard_rows() -> None:
    pytest.importorskip("statsmodels")
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    hard, plain, labels = hard_rows()
    expected = Logit(labels, with_ones(plain)).fit(disp=0).bse
    assert_allclose(expected, PLAIN_ERRORS, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logit = Logit(labels, with_ones(hard)).fit(disp=0).bse
        general = GLM(labels, with_ones(hard), family=Binomial()).fit().bse
    for found in (logit, general):  # NaN, or hundreds of times too small
        assert not found[2] / 2.0**13 > 0.1 * expected[2]


def doubled_column() -> tuple[Array, Array]:
    """Two columns of birthwt, and the first again; labels."""
    rows = data("birthwt")
    age, lwt = (rows.matrix[:, rows.names.index(name)] for name in ("age", "lwt"))
    return np.column_stack((age, lwt, age)), rows.labels


def test_columns_that_are_not_identified_have_no_errors() -> None:
    matrix, labels = doubled_column()
    ours = errors_of(matrix, labels)
    assert np.isnan(ours[[0, 2]]).all()
    assert_allclose(ours[[1, 3]], errors_of(matrix[:, :2], labels)[1:], rtol=1e-6)


def test_statsmodels_has_errors_of_columns_that_are_not_identified() -> None:
    pytest.importorskip("statsmodels")
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    matrix, labels = doubled_column()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GLM(labels, with_ones(matrix), family=Binomial()).fit().bse
    assert np.isfinite(theirs).all()


def test_statsmodels_says_nothing_of_rows_that_a_flag_separates() -> None:
    """endometrial: GLM prints what it stopped at, Logit that it did not converge."""
    pytest.importorskip("statsmodels")
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    rows = data("endometrial")
    flag, matrix = rows.names.index("NV"), with_ones(rows.matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = GLM(rows.labels, matrix, family=Binomial()).fit()
    assert theirs.params[flag] > 10
    assert theirs.bse[flag] > 100
    with pytest.warns(UserWarning, match="failed to converge"):
        Logit(rows.labels, matrix).fit(disp=0)


def fit_of_classes(name: str) -> Any:
    """A fit of MNLogit."""
    from statsmodels.discrete.discrete_model import MNLogit

    rows = data(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MNLogit(rows.labels, with_ones(rows.matrix)).fit(disp=0, maxiter=100)


def test_statsmodels_has_errors_of_classes_that_are_apart() -> None:
    """iris: of setosa, which is apart, they are as large as the steps happened to be many."""
    pytest.importorskip("statsmodels")
    errors = fit_of_classes("iris_three").bse
    assert not np.nanmax(errors) < 1_000


def test_influence_of_statsmodels_fails_with_classes() -> None:
    pytest.importorskip("statsmodels")
    with pytest.raises((ValueError, AttributeError, NotImplementedError)):
        _ = fit_of_classes("anes96").get_influence().cooks_distance


def test_limits_of_r_are_interpolated() -> None:
    """`confint`, recorded beside the exact limits that both give by the likelihood."""
    known = reference("birthwt")
    away = np.abs(np.subtract(known["confint_limits"], known["profile_limits"]))
    away = away / np.array(known["standard_errors"])[:, None]
    assert 1e-4 < away.max() < 3e-4


def two_directions() -> tuple[Array, Array]:
    """Rows (63, 3) that two directions separate, of which one lies on the edge of the other's box.

    The label of 3 rows is 1 where b > 0, that of 20 where c > b: both b and c grow for ever. But c
    alone, at its bound of 1, raises more than b and c together would.
    """
    c, b = np.repeat([0.0, 1.0, 0.0], [3, 20, 40]), np.repeat([1.0, -1.0, 0.0], [3, 20, 40])
    rng = np.random.default_rng(1)
    labels = np.concatenate((np.ones(23), (rng.random(40) < 0.5).astype(float)))
    return np.column_stack((c, b, rng.normal(size=63))), labels


def test_both_directions_are_found() -> None:
    matrix, labels = two_directions()
    _, passes = fitted(matrix, labels)
    found = find_separation(passes, BINOMIAL, 2, intercept=True)
    assert (found.kind, found.features, found.rows) == ("quasi-complete", (0, 1), 23)


def test_a_single_programme_calls_one_of_them_finite() -> None:
    """That of Konis, as firthmodels and, by its documentation, R's detectseparation solve it."""
    detect = pytest.importorskip("firthmodels.separation").detect_separation
    matrix, labels = two_directions()
    found = detect(matrix, labels)
    assert found.separation
    assert list(found.is_finite[:2]) == [False, True]
