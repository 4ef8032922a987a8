"""A saved model has its table of coefficients when it is loaded, to the last bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.tuning import CrossValidatorModel

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.saving import estimates
from sparklr.spark.errors import InvalidValueError
from sparklr.tuning import CrossValidator
from tests.inference.fits import fit_of, frame_of
from tests.inference.references import data
from tests.tiers import first_and_deep

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("spark")]


def saved_and_loaded(model: Any, path: Path) -> Any:
    model.write().overwrite().save(str(path))
    return LogisticRegressionModel.load(str(path))


# Params that change what the likelihood is, by the name of a case; others are fitted plainly.
PARAMS: dict[str, dict[str, Any]] = {
    "rare_balanced": {"classWeights": "balanced"},
    "sex2": {"biasReduction": "firth"},
}


@pytest.mark.connect_slice
@pytest.mark.parametrize(
    "name",
    first_and_deep(
        ["endometrial", "rare_balanced", "sex2", "pima_offset", "birthwt_weighted", "anes96"]
    ),
)
def test_a_loaded_model_has_the_table_of_the_fit(spark: Any, tmp_path: Path, name: str) -> None:
    model = fit_of(spark, name, **PARAMS.get(name, {}))
    summary, loaded = model.summary, saved_and_loaded(model, tmp_path / "model")
    assert not loaded.hasSummary
    found = loaded.estimates
    assert str(found) == str(summary) == str(model.estimates)
    assert_array_equal(found.covarianceMatrix.toArray(), summary.covarianceMatrix.toArray())
    table, expected = found.coefficientTable.toPandas(), summary.coefficientTable.toPandas()
    assert table.equals(expected)
    feature = data(name).names[1]
    assert found.waldTest([feature]) == summary.waldTest([feature])
    again = saved_and_loaded(loaded.copy(), tmp_path / "again")
    assert_array_equal(again.estimates.covarianceMatrix.toArray(), found.covarianceMatrix.toArray())
    assert str(again.estimates) == str(summary)


@pytest.mark.deep
def test_the_model_of_a_pipeline_has_it_too(spark: Any, tmp_path: Path) -> None:
    estimator = LogisticRegressionEstimator(featuresCols=list(data("birthwt").names))
    fitted = Pipeline(stages=[estimator]).fit(frame_of(spark, "birthwt"))
    fitted.write().overwrite().save(str(tmp_path / "pipeline"))
    (stage,) = PipelineModel.load(str(tmp_path / "pipeline")).stages
    assert str(stage.estimates) == str(fitted.stages[0].summary)


@pytest.mark.deep
def test_the_best_model_of_a_search_has_it_too(spark: Any, tmp_path: Path) -> None:
    names = list(data("birthwt").names)
    estimator = LogisticRegressionEstimator(featuresCols=names, inference="always")
    search = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=[{estimator.tol: 1e-6}, {estimator.tol: 1e-9}],
        evaluator=BinaryClassificationEvaluator(),
        numFolds=2,
        seed=1,
    )
    found = search.fit(frame_of(spark, "birthwt"))
    found.write().overwrite().save(str(tmp_path / "search"))
    best = CrossValidatorModel.load(str(tmp_path / "search")).bestModel
    assert str(best.estimates) == str(found.bestModel.summary)


def test_of_many_coefficients_only_the_errors_are_saved(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "MOST_COVARIANCES", 3)
    model = fit_of(spark, "birthwt")
    loaded = saved_and_loaded(model, tmp_path / "model")
    assert str(loaded.estimates) == str(model.summary)
    with pytest.raises(InvalidValueError, match="not their covariances"):
        _ = loaded.estimates.covarianceMatrix


@pytest.mark.classic
def test_a_model_that_was_sparks_in_between_says_what_it_lacks(spark: Any) -> None:
    model = fit_of(spark, "birthwt")
    back = LogisticRegressionModel.fromSpark(model.toSpark())
    with pytest.raises(InvalidValueError, match=r"from Spark's own model.*model\.inference\(fra"):
        _ = back.estimates
    frame = frame_of(spark, "birthwt")
    back.setFeaturesCols(list(data("birthwt").names))
    errors = back.inference(frame).coefficientStandardErrors
    assert_allclose(errors, model.estimates.coefficientStandardErrors, rtol=1e-6)


# files that are not whole


@pytest.fixture(scope="module")
def whole(spark: Any, tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("estimates") / "model"
    fit_of(spark, "birthwt").save(str(path))
    return path


def _row_missing(table: Any) -> Any:
    return table.slice(1)


def _row_twice(table: Any) -> Any:
    return pa.concat_tables([table, table.slice(0, 1)])


def _short(table: Any) -> Any:
    rows = table.to_pylist()
    rows[3]["covariances"] = rows[3]["covariances"][:-1]
    return pa.Table.from_pylist(rows, table.schema)


def _no_number(table: Any) -> Any:
    rows = table.to_pylist()
    rows[2]["covariances"] = None
    return pa.Table.from_pylist(rows, table.schema)


@pytest.mark.parametrize("harm", first_and_deep([_short, _row_missing, _row_twice, _no_number]))
def test_damaged_errors_are_refused(
    whole: Path, tmp_path: Path, harm: Callable[[Any], Any]
) -> None:
    path = Path(shutil.copytree(whole, tmp_path / "m", ignore=shutil.ignore_patterns("*.crc")))
    (file,) = (path / "estimates").glob("part-*")
    pq.write_table(harm(pq.read_table(file)), file)
    with pytest.raises(ValueError, match=r"damaged: .*[sS]ave it again\.$"):
        LogisticRegressionModel.load(str(path))


def test_a_model_without_its_folder_of_errors_is_refused(whole: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(whole, tmp_path / "m"))
    shutil.rmtree(path / "estimates")
    with pytest.raises(ValueError, match=r"estimates' cannot be read: .*save the model again\.$"):
        LogisticRegressionModel.load(str(path))


def test_what_is_saved_of_a_penalised_fit_is_what_was_before(spark: Any, tmp_path: Path) -> None:
    model = fit_of(spark, "birthwt", regParam=0.1)
    loaded = saved_and_loaded(model, tmp_path / "model")
    assert sorted(one.name for one in (tmp_path / "model").iterdir()) == ["data", "metadata"]
    with pytest.raises(InvalidValueError, match=r"regParam=0\.1"):
        _ = loaded.estimates
    assert np.isfinite(loaded.intercept)
