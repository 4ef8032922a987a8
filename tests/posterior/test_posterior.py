"""A posterior as a user has it: on the model, in columns, in files, and where it is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml.linalg import DenseMatrix
from scipy.special import expit
from scipy.stats import norm

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.arrays import Array
from sparklr.fitting.cautions import ConvergenceWarning
from sparklr.objective.normal_margins import chance_moments
from tests.errors import assert_plain
from tests.posterior.sets import BINARY, plain, posterior_of

pytestmark = [pytest.mark.connect]

COLUMNS = {
    "probabilityIntervalCol": "interval",
    "probabilityStdCol": "deviation",
    "sampledProbabilityCol": "draw",
}
NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    rows = plain()
    table = pd.DataFrame(rows.matrix, columns=NAMES).assign(label=rows.labels)
    return spark.createDataFrame(table).coalesce(1).cache()


def estimator(**params: Any) -> LogisticRegressionEstimator:
    given = {"posterior": "gaussian", "regParam": 1 / 200, "featuresCols": NAMES, **params}
    return LogisticRegressionEstimator(**given)


@pytest.fixture(scope="module")
def model(frame: Any) -> LogisticRegressionModel:
    return estimator(tol=1e-8).fit(frame)


@pytest.mark.connect_slice
def test_the_posterior_of_a_fit_is_that_of_its_rows(model: LogisticRegressionModel) -> None:
    found, expected = model.posterior, posterior_of(plain(), "gaussian")
    assert found.names == [*NAMES, "(intercept)"]
    assert_allclose(found.mean, expected.mean, rtol=1e-4)
    assert_allclose(found.stddev, expected.deviations, rtol=1e-4)
    assert_allclose(found.covariance, expected.covariance, rtol=1e-3, atol=1e-6)
    assert_allclose(np.sqrt(np.diagonal(found.covariance)), found.stddev)
    half = norm.ppf(0.95) * found.stddev
    assert_allclose(found.interval(0.9), np.column_stack((found.mean - half, found.mean + half)))
    draws = found.draws(20_000, seed=3)
    assert_allclose(draws.mean(axis=0), found.mean, atol=0.03)
    assert_allclose(np.cov(draws.T), found.covariance, atol=0.005)
    assert_array_equal(found.draws(5, seed=3), found.draws(5, seed=3))
    assert found.diagnostics.readings == 2
    assert model.summary.passes >= 3  # the posterior's readings count


@pytest.mark.deep
def test_it_is_the_same_by_spark_jobs(
    spark: Any, frame: Any, model: LogisticRegressionModel
) -> None:
    """Each reading of the posterior is then a job, whose tasks get the factor."""
    for name, value in (("localMB", "0"), ("mapFiles", "false")):
        spark.conf.set(f"spark.sparklr.{name}", value)
    try:
        found = estimator(tol=1e-8).fit(frame.repartition(2)).posterior
    finally:
        for name in ("localMB", "mapFiles"):
            spark.conf.unset(f"spark.sparklr.{name}")
    assert_allclose(found.mean, model.posterior.mean, rtol=1e-6)
    assert_allclose(found.covariance, model.posterior.covariance, rtol=1e-6, atol=1e-9)


def test_the_page_has_a_row_per_coefficient(model: LogisticRegressionModel) -> None:
    text = str(model.posterior)
    assert "the best normal distribution" in text
    assert "in 2 readings of the rows; converged" in text
    for name in model.posterior.names:
        assert f"\n{name} " in text
    assert "<table>" in model.posterior._repr_html_()
    table = model.posterior.coefficientTable.toPandas()
    assert table["feature"].tolist() == model.posterior.names
    assert_allclose(table["mean"], model.posterior.mean)
    assert_allclose(table["mode"][:3], model.coefficients.toArray())
    # The prior's deviation is 1 for scaled features: regParam times the weight is 1.
    assert_allclose(table["priorStandardDeviation"][:3], 1 / model.summary._report.deviation)


def test_columns_are_made_of_the_posterior(frame: Any, model: LogisticRegressionModel) -> None:
    scored = model.copy()._set(**COLUMNS, intervalLevel=0.8).transform(frame).toPandas()
    matrix = np.column_stack((scored[NAMES], np.ones(len(scored))))
    posterior = model.posterior
    means = matrix @ posterior.mean
    deviations = np.sqrt(np.einsum("ij,jk,ik->i", matrix, posterior.covariance, matrix))
    half = norm.ppf(0.9) * deviations
    ends = np.array([its.toArray() for its in scored["interval"]])
    assert_allclose(ends, expit(np.column_stack((means - half, means + half))), rtol=1e-8)
    mean, deviation = chance_moments(means, deviations)
    assert_allclose(scored["deviation"], deviation, rtol=1e-6)
    normal = (np.log(scored["draw"] / (1 - scored["draw"])) - means) / deviations
    assert abs(normal.mean()) < 4 / np.sqrt(len(normal))
    assert 0.8 < normal.std() < 1.2
    chances = np.array([its.toArray() for its in scored["probability"]])
    plain_chances = model.predictProbability(scored[NAMES])
    assert_allclose(chances, plain_chances)
    averaged = model.copy()._set(averaged=True)
    assert_allclose(averaged.predictProbability(scored[NAMES])[:, 1], mean, rtol=1e-7)
    whole = averaged.transform(frame).toPandas()
    assert_allclose([its[1] for its in whole["probability"]], mean, rtol=1e-7)
    assert_array_equal(whole["prediction"], mean > 0.5)


@pytest.mark.deep
def test_draws_of_rows_are_by_the_seed(frame: Any, model: LogisticRegressionModel) -> None:
    drawn = model.copy()._set(sampledProbabilityCol="draw")
    first, again = (drawn.transform(frame).toPandas()["draw"] for _ in range(2))
    other = drawn.copy()._set(seed=-5).transform(frame).toPandas()["draw"]
    assert_array_equal(first, again)
    assert (first != other).all()


def test_a_fit_without_a_posterior_is_as_ever(frame: Any) -> None:
    """The estimator has a Param of the name that the model's posterior has."""
    fitted = estimator(posterior="none").fit(frame)
    assert not fitted.hasParam("posterior")
    assert fitted.hasParam("seed")
    with pytest.raises(ValueError, match="This model has no posterior") as refused:
        fitted.posterior  # noqa: B018
    assert_plain(refused.value, ("posterior='gaussian'",))


def test_a_sampled_model_is_an_ordinary_model(frame: Any, model: LogisticRegressionModel) -> None:
    asked = model.copy()._set(**COLUMNS, averaged=True)
    drawn = asked.sample(seed=4)
    expected = model.posterior.draws(1, seed=4)[0]
    assert_allclose([*drawn.coefficients, drawn.intercept], expected)
    assert drawn.featureNames == NAMES
    assert drawn.getRegParam() == model.getRegParam()
    assert "interval" not in drawn.transform(frame).columns
    with pytest.raises(ValueError, match="This model has no posterior") as refused:
        drawn.posterior  # noqa: B018
    assert_plain(refused.value, ())


def test_a_posterior_is_saved_with_its_model(
    frame: Any, model: LogisticRegressionModel, tmp_path: Path
) -> None:
    asked = model.copy()._set(**COLUMNS)
    asked.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    assert str(loaded.posterior) == str(model.posterior)
    assert_array_equal(loaded.posterior.covariance, model.posterior.covariance)
    assert loaded.transform(frame).toPandas().equals(asked.transform(frame).toPandas())
    assert str(pickle.loads(pickle.dumps(asked)).posterior) == str(model.posterior)
    with pytest.raises(ValueError, match="comes from JSON"):
        LogisticRegressionModel.fromJson(model.toJson()).posterior  # noqa: B018


@pytest.mark.deep
def test_a_damaged_posterior_is_named(
    spark: Any, model: LogisticRegressionModel, tmp_path: Path
) -> None:
    where = str(tmp_path / "model")
    model.save(where)
    frame = spark.read.parquet(f"{where}/posterior")
    rows = frame.where("place > 0").toPandas()
    spark.createDataFrame(rows, frame.schema).write.mode("overwrite").parquet(f"{where}/posterior")
    with pytest.raises(ValueError, match="there must be one row per coefficient") as refused:
        LogisticRegressionModel.load(where)
    assert_plain(refused.value, ())


@pytest.mark.deep
def test_a_sampled_posterior_has_draws_in_files_too(frame: Any, tmp_path: Path) -> None:
    three = frame.selectExpr(*NAMES, "pmod(cast(a * 100 as int), 3) as label")
    sampled = estimator(posterior="sampled", numDraws=1024).fit(three)
    posterior = sampled.posterior
    assert posterior.names[:4] == ["0: a", "0: b", "0: c", "0: (intercept)"]
    assert_allclose(posterior.mean.reshape(3, 4).sum(axis=0), 0, atol=1e-12)
    assert "split R-hat" in str(posterior)
    sampled.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    assert_array_equal(loaded.posterior.draws(9), posterior.draws(9))
    assert_array_equal(loaded.posterior.interval(0.5), posterior.interval(0.5))
    assert_array_equal(*(_columns_of_classes(its, three)["s"] for its in (sampled, loaded)))


def _columns_of_classes(model: LogisticRegressionModel, three: Any) -> dict[str, Array]:
    asked = model.copy()._set(
        averaged=True, probabilityStdCol="s", probabilityIntervalCol="i", sampledProbabilityCol="d"
    )
    scored = asked.transform(three)
    sizes = {its: scored.schema[its].metadata["ml_attr"]["num_attrs"] for its in "sid"}
    assert sizes == {"s": 3, "i": 6, "d": 3}
    rows = scored.toPandas()
    return {its: np.stack([one.toArray() for one in rows[its]]) for its in ("probability", *"sid")}


def test_columns_of_several_classes_are_of_draws(frame: Any) -> None:
    three = frame.selectExpr(*NAMES, "pmod(cast(a * 100 as int), 3) as label")
    model = estimator(posterior="laplace").fit(three)
    made = _columns_of_classes(model, three)
    drawn = np.stack(
        [model.sample(seed).predictProbability(three.toPandas()[NAMES]) for seed in range(200)]
    )
    assert_allclose(made["probability"], drawn.mean(axis=0), atol=0.05)
    assert_allclose(made["s"], drawn.std(axis=0), rtol=0.4, atol=0.01)
    assert_allclose(made["d"].sum(axis=1), 1)
    assert (made["i"][:, ::2] < made["probability"]).all()
    assert (made["probability"] < made["i"][:, 1::2]).all()
    asked = model.copy()._set(averaged=True)
    assert_allclose(asked.predictProbability(three.toPandas()[NAMES]), made["probability"])


# Each before the rows are packed, but for the last.
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("elasticNetParam=0.5 has an L1 part", {"elasticNetParam": 0.5}),
    ("does not go with bounds", {"lowerBoundsOnCoefficients": DenseMatrix(1, 3, [0.0] * 3)}),
    ("does not go with biasReduction='firth'", {"biasReduction": "firth", "regParam": 0.0}),
    ("does not go with classWeights", {"classWeights": "balanced"}),
    ("is for binomial models, but the family is multinomial", {"family": "multinomial"}),
    ("averaged=True needs a posterior", {"posterior": "none", "averaged": True}),
    ("probabilityStdCol='s' needs a posterior", {"posterior": "none", "probabilityStdCol": "s"}),
    ("does not go with offsetCol='a'", {"offsetCol": "a", "averaged": True}),
    ("has not found the optimum", {"maxIter": 1}),
]


@pytest.mark.parametrize(("why", "params"), REFUSED, ids=[why for why, _ in REFUSED])
@pytest.mark.filterwarnings("ignore")
def test_a_posterior_is_refused_where_there_is_none(
    frame: Any, why: str, params: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        estimator(**params).fit(frame)
    assert_plain(refused.value, ())


@pytest.mark.parametrize(
    ("why", "label", "reg"),
    [
        ("the rows are separated", "cast(a > 0 as int)", 0.0),
        ("nothing bounds its coefficients", "1", 0.1),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_rows_without_a_posterior_are_refused(frame: Any, why: str, label: str, reg: float) -> None:
    rows = frame.selectExpr(*NAMES, f"{label} as label")
    with pytest.raises(ValueError, match=why) as refused:
        estimator(regParam=reg, separation="ignore").fit(rows)
    assert_plain(refused.value, ())


@pytest.mark.deep
def test_separated_rows_have_a_posterior_with_a_prior(frame: Any) -> None:
    rows = frame.selectExpr(*NAMES, "cast(a > 0 as int) as label")
    assert estimator(regParam=0.01).fit(rows).posterior.mean[0] > 1


@pytest.mark.deep
def test_sums_of_features_are_refused_without_a_prior(frame: Any) -> None:
    rows = frame.selectExpr("a", "b", "a + b as c", "label")
    with pytest.raises(ValueError, match="some features are sums of others"):
        estimator(regParam=0.0).fit(rows)
    assert np.isfinite(estimator().fit(rows).posterior.stddev).all()


@pytest.mark.deep
def test_too_many_coefficients_are_refused_before_any_job(spark: Any) -> None:
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    numbers = F.array_repeat(F.lit(1.0), 3000)
    features = array_to_vector(numbers).alias("features")
    wide = spark.range(4).select(features, F.lit(0).alias("label"))
    with pytest.raises(ValueError, match=r"at most 2,000 coefficients.*3,001"):
        LogisticRegressionEstimator(posterior="laplace", regParam=0.1).fit(wide)


def test_a_search_that_does_not_end_is_a_warning(
    frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparklr.posterior.of_information.MOST_READINGS", 1)
    with pytest.warns(ConvergenceWarning, match="The posterior is not the one asked for: stopped"):
        found = estimator(posteriorTol=1e-6).fit(frame).posterior
    assert not found.diagnostics.converged


def test_every_set_has_a_positive_definite_covariance() -> None:
    for make in BINARY.values():
        found = posterior_of(make(), "gaussian")
        known = np.isfinite(found.deviations)
        assert np.linalg.eigvalsh(found.covariance[np.ix_(known, known)]).min() > 0
