"""A search's Params, its copies, and what is saved of it and comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.ml import Pipeline
from pyspark.ml import tuning as spark_tuning
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator, TrainValidationSplit
from tests.search.by_hand import assert_metrics, by_hand
from tests.search.conftest import Search
from tests.search.searches import TIGHT, area, assert_same_fit, maps_of, searched, validator_of
from tests.search.stages import assembled, assembler
from tests.tiers import first_and_deep

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_params_by_keyword_and_by_setter() -> None:
    validator = CrossValidator(numFolds=4, selectionRule="1se", verbose=False)
    assert (validator.getNumFolds(), validator.getSelectionRule()) == (4, "1se")
    assert validator.getVerbose() is False
    assert CrossValidator().getSelectionRule() == "best"
    assert validator.setParams(numFolds=6, seed=2).getNumFolds() == 6
    assert (validator.getSeed(), validator.getSelectionRule()) == (2, "1se")
    assert validator.setSelectionRule("best").getSelectionRule() == "best"
    split = TrainValidationSplit(trainRatio=0.5, verbose=True)
    assert (split.getTrainRatio(), split.getVerbose()) == (0.5, True)
    assert split.setParams(trainRatio=0.4).getTrainRatio() == 0.4
    # As Spark's own: what is drawn by default is drawn by the name of the class.
    assert CrossValidator().getSeed() == spark_tuning.CrossValidator().getSeed()
    assert split.getSeed() == spark_tuning.TrainValidationSplit().getSeed()


def test_a_copy_with_other_params(two: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.3}, {"regParam": 0.01}])
    search = validator_of(CrossValidator, estimator, maps, area(), numFolds=3)
    extra = {search.selectionRule: "1se", search.numFolds: 2, estimator.elasticNetParam: 1.0}
    made = search.copy(extra)
    assert type(made) is CrossValidator
    assert (made.getSelectionRule(), made.getNumFolds()) == ("1se", 2)
    assert (search.getSelectionRule(), search.getNumFolds()) == ("best", 3)
    assert made.getEstimator().getElasticNetParam() == 1.0
    assert search.getEstimator().getElasticNetParam() == 0.0
    found = search.fit(two, {search.numFolds: 2, estimator.elasticNetParam: 1.0})
    lasso = estimator.copy({estimator.elasticNetParam: 1.0})
    assert_metrics(found, by_hand(CrossValidator, lasso, maps, area(), two, numFolds=2))


@pytest.mark.deep
@pytest.mark.parametrize("kind", [CrossValidator, TrainValidationSplit])
def test_a_validator_comes_back_from_its_file(two: Any, tmp_path: Any, kind: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.2, "elasticNetParam": 0.5}, {"regParam": 0.01}])
    rest: dict[str, Any] = {"seed": 4, "collectSubModels": True, "verbose": False}
    if kind is CrossValidator:
        rest |= {"foldCol": "part", "selectionRule": "1se"}
    else:
        rest |= {"trainRatio": 0.7}
    validator = validator_of(kind, estimator, maps, area(), **rest)
    path = str(tmp_path / "validator")
    kind().setEstimator(estimator).setEvaluator(area()).setEstimatorParamMaps([{}]).save(path)
    validator.write().overwrite().save(path)
    loaded = kind.load(path)
    assert type(loaded) is kind
    assert loaded.uid == validator.uid
    plain_params = [param for param in validator.params if not param.name.startswith("e")]
    for param in plain_params:
        assert loaded.isSet(param) == validator.isSet(param)
        if validator.isDefined(param):
            assert loaded.getOrDefault(param) == validator.getOrDefault(param)
    assert isinstance(loaded.getEstimator(), LogisticRegressionEstimator)
    assert loaded.getEstimatorParamMaps() == maps
    assert loaded.getEvaluator().getNumBins() == 0
    frame = two.withColumn("part", F.expr("pmod(hash(x0), 2)"))
    assert_metrics(loaded.fit(frame), by_hand(kind, estimator, maps, area(), frame, **rest))


@pytest.mark.parametrize(
    ("change", "message"),
    first_and_deep(
        [
            ({"class": "sparklr.model.LogisticRegressionModel"}, "holds sparklr.model.Log"),
            ({"paramMap": {"estimatorParamMaps": [[{"parent": "nobody"}]]}}, "KeyError: 'nobody'"),
            ({"uid": 3}, "is damaged: ValueError: uid must be a string"),
            ({"paramMap": {}}, "is damaged: KeyError: 'estimatorParamMaps'"),
            ({"paramMap": {"estimatorParamMaps": [], "numFolds": 0.5}}, "is damaged: TypeError: "),
            (None, "holds something without a class name, not sparklr.tuning.CrossValidator"),
        ],
        first=2,
    ),
)
def test_a_damaged_validator_is_refused(
    tmp_path: Any, change: dict[str, Any] | None, message: str
) -> None:
    path = str(tmp_path / "validator")
    estimator = LogisticRegressionEstimator()
    CrossValidator(estimator=estimator, estimatorParamMaps=[{}], evaluator=area()).save(path)
    (file,) = (tmp_path / "validator" / "metadata").glob("part-*")
    text = file.read_text()
    file.write_text(text[:40] if change is None else json.dumps({**json.loads(text), **change}))
    file.with_name(f".{file.name}.crc").unlink()
    with pytest.raises(ValueError, match=message) as refusal:
        CrossValidator.load(path)
    assert path in str(refusal.value)


def test_no_validator_at_a_path(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match="no folder 'metadata'"):
        CrossValidator.load(str(tmp_path / "nothing"))


@pytest.mark.deep
def test_what_was_found_comes_back_from_its_file(two: Any, kept: Search, tmp_path: Any) -> None:
    loaded = saved_and_loaded(kept.found, two, str(tmp_path / "found"), models=True)
    assert_same_fit(loaded.subModels[1][0], kept.found.subModels[1][0], 0.0)


@pytest.mark.deep
def test_what_was_found_of_a_pipeline_comes_back_from_its_file(two: Any, tmp_path: Any) -> None:
    last = LogisticRegressionEstimator(featuresCol="raw")
    pipeline = Pipeline(stages=[assembler(), last])
    found = searched(CrossValidator, pipeline, maps_of(last, [{"regParam": 0.1}]), area(), two)
    saved_and_loaded(found, two, str(tmp_path / "found"), models=False)


def saved_and_loaded(found: Any, frame: Any, path: str, *, models: bool) -> Any:
    """What was found, from its file; with the models of folds or without."""
    found.write().option("persistsubmodels", str(models)).save(path)
    loaded = spark_tuning.CrossValidatorModel.load(path)
    assert loaded.avgMetrics == pytest.approx(found.avgMetrics)
    assert loaded.stdMetrics == pytest.approx(found.stdMetrics)
    assert_same_fit(loaded.bestModel, found.bestModel, 0.0)
    assert type(loaded.bestModel) is type(found.bestModel)
    assert loaded.transform(frame).columns == found.transform(frame).columns
    return loaded


def test_a_validator_among_the_stages_of_a_pipeline(two: Any, tmp_path: Any) -> None:
    last = LogisticRegressionEstimator(**TIGHT, featuresCol="raw")
    maps = maps_of(last, [{"regParam": 0.1}, {"regParam": 0.01}])
    path = str(tmp_path / "pipeline")
    search = validator_of(CrossValidator, last, maps, area())
    Pipeline(stages=[assembler(), search]).save(path)
    loaded = Pipeline.load(path)
    assert type(loaded.getStages()[1]) is CrossValidator
    expected = by_hand(CrossValidator, last, maps, area(), two, before=lambda _, __: assembled)
    assert_metrics(loaded.fit(two).stages[1], expected)
