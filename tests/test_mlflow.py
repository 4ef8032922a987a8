"""A pipeline with a model of ours is logged with MLflow and loaded again."""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Estimator, Model, Pipeline, PipelineModel
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.documentation import ROOT, run, stripped

mlflow = pytest.importorskip("mlflow")

URI = "MLFLOW_TRACKING_URI"  # which `set_tracking_uri` sets, too

# What autolog replaces while it is on.
PATCHED = [(Estimator, "fit"), (Model, "transform"), (Evaluator, "evaluate")]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with MLflow's store in it. Settings and MLflow's own warnings end with the test."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv(URI, raising=False)  # so that it is put back
    mlflow.set_tracking_uri(f"file://{tmp_path}/runs")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"mlflow\.")
        warnings.filterwarnings("ignore", message=".*type hint is inferred as AnyType")
        importlib.import_module("mlflow.spark")
        yield tmp_path
    mlflow.set_tracking_uri(None)  # back to what the environment says, or to the default


def test_a_pipeline_comes_back_from_mlflow(two: Any, store: Path) -> None:
    stages = [
        VectorAssembler(inputCols=["x0", "x1", "x2"], outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="features"),
        LogisticRegressionEstimator(regParam=0.1, threshold=0.3, weightCol="weight"),
    ]
    frame = two.drop("features")
    fitted = Pipeline(stages=stages).fit(frame)
    with mlflow.start_run():
        logged = mlflow.spark.log_model(fitted, "model", pip_requirements=["pyspark", "sparklr"])
    loaded = mlflow.spark.load_model(logged.model_uri, dfs_tmpdir=str(store / "copied"))
    assert isinstance(loaded, PipelineModel)
    before, after = fitted.stages[-1], loaded.stages[-1]
    assert isinstance(after, LogisticRegressionModel)
    assert after.uid == before.uid
    assert after.extractParamMap() == before.extractParamMap()
    assert after.featureNames == before.featureNames
    assert loaded.transform(frame).collect() == fitted.transform(frame).collect()


@pytest.mark.deep
def test_a_model_that_names_its_columns_comes_back_from_mlflow(two: Any, store: Path) -> None:
    names = ["x2", "x0"]
    model = LogisticRegressionEstimator(featuresCols=names).fit(two)
    with mlflow.start_run():
        logged = mlflow.spark.log_model(model, "model", pip_requirements=["pyspark", "sparklr"])
    loaded = mlflow.spark.load_model(logged.model_uri, dfs_tmpdir=str(store / "copied"))
    (stage,) = loaded.stages  # MLflow wraps a model in a pipeline
    assert stage.featureNames == stage.getFeaturesCols() == names
    assert stage.transform(two).collect() == model.transform(two).collect()


@pytest.mark.deep
def test_the_python_of_the_page_about_mlflow_runs(
    spark: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(store)  # where the page draws its pictures
    # Autolog loads each model in another process to see what it imports, until this ends.
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "1")
    plain = {(kind, name): getattr(kind, name) for kind, name in PATCHED}
    for block, printed in run(ROOT / "docs" / "how-to" / "mlflow.md", spark):
        assert printed == stripped(block["shown"])
    assert {(kind, name): getattr(kind, name) for kind, name in PATCHED} == plain
    (card,) = store.glob("runs/*/*/artifacts/card.md")
    pictures = re.findall(r"\]\(<(.+)>\)", card.read_text(encoding="utf-8"))
    assert len(pictures) == 4
    assert all((card.parent / picture).is_file() for picture in pictures)


def test_nothing_of_mlflow_is_left_behind() -> None:
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ
    assert not os.environ.get(URI, "").endswith("/runs")
    assert not mlflow.get_tracking_uri().endswith("/runs")
    assert mlflow.active_run() is None
