"""Our validators beside Spark's: the same folds, metrics and choice, in fewer readings."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyspark.ml import Estimator, Model, Pipeline, PipelineModel, Transformer
from pyspark.ml import tuning as spark_tuning
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
)
from pyspark.ml.feature import Bucketizer, SQLTransformer, StandardScaler, VectorAssembler
from pyspark.ml.linalg import Matrices
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.packing.job import Packing
from sparklr.search.select import best_map, simplest_map
from sparklr.tuning import CrossValidator, TrainValidationSplit, regParamGrid

pytestmark = pytest.mark.usefixtures("nothing_left")

TIGHT = {"tol": 1e-10, "maxIter": 1000}


def area(**params: Any) -> Any:
    """An area under a curve; with bins, Spark's own would scatter between two runs."""
    return BinaryClassificationEvaluator(numBins=0, **params)


def measure(name: str, **params: Any) -> Any:
    """A metric of predictions."""
    return MulticlassClassificationEvaluator(metricName=name, **params)


def maps_of(stage: Any, settings: Sequence[Mapping[str, Any]]) -> list[dict[Any, Any]]:
    """Param maps of a stage, from values by name."""
    return [{stage.getParam(name): value for name, value in one.items()} for one in settings]


def searched(
    kind: Any, estimator: Any, maps: Sequence[Any], evaluator: Any, frame: Any, **rest: Any
) -> Any:
    """What a validator of this kind makes of the frame."""
    given = {"seed": 11, "parallelism": 4, **rest}
    if issubclass(kind, spark_tuning.CrossValidator):
        given = {"numFolds": 2, **given}
    validator = kind(
        estimator=estimator, estimatorParamMaps=list(maps), evaluator=evaluator, **given
    )
    return validator.fit(frame)


def both(
    estimator: Any, maps: Sequence[Any], evaluator: Any, frame: Any, **rest: Any
) -> tuple[Any, Any]:
    """Ours and Spark's validator with the same estimator."""
    kinds = (CrossValidator, spark_tuning.CrossValidator)
    ours, theirs = (searched(it, estimator, maps, evaluator, frame, **rest) for it in kinds)
    return ours, theirs


def assert_alike(ours: Any, theirs: Any) -> None:
    """Two fitted validators have the same metrics, and so the same best map."""
    assert type(ours) is type(theirs) is spark_tuning.CrossValidatorModel
    assert_allclose(ours.avgMetrics, theirs.avgMetrics, atol=1e-6)
    assert_allclose(ours.stdMetrics, theirs.stdMetrics, atol=1e-6)
    assert ours.getSeed() == theirs.getSeed()
    assert ours.getNumFolds() == theirs.getNumFolds()


def assert_same_fit(ours: Any, expected: Any, atol: float = 1e-6) -> None:
    """Two models have the same coefficients."""
    ours, expected = (getattr(model, "stages", [model])[-1] for model in (ours, expected))
    assert_allclose(
        ours.coefficientMatrix.toArray(), expected.coefficientMatrix.toArray(), atol=atol
    )
    assert_allclose(ours.interceptVector.toArray(), expected.interceptVector.toArray(), atol=atol)


# By name: classes, Params of the estimator, settings of the maps, the evaluator.
CASES: dict[str, tuple[int, dict[str, Any], list[dict[str, Any]], Callable[[], Any]]] = {
    "penalties": (
        2,
        {},
        [
            {"regParam": 0.2, "elasticNetParam": 0.5},
            {"regParam": 0.01, "elasticNetParam": 0.0},
            {"regParam": 0.1, "elasticNetParam": 1.0, "standardization": False},
        ],
        area,
    ),
    "weights": (
        2,
        {"weightCol": "weight", "regParam": 0.05},
        [{"fitIntercept": False}, {"fitIntercept": True}],
        partial(area, weightCol="weight", metricName="areaUnderPR", rawPredictionCol="probability"),
    ),
    "threshold": (
        2,
        {"regParam": 0.1},
        [{"threshold": 0.1}, {"threshold": 0.5}],
        partial(measure, "accuracy"),
    ),
    "three classes": (
        3,
        {"weightCol": "weight"},
        [{"regParam": 0.1, "elasticNetParam": 0.3}, {"regParam": 0.01}],
        partial(measure, "logLoss", weightCol="weight"),
    ),
}
MORE_CASES = {
    "family and thresholds": (
        2,
        {"regParam": 0.02},
        [
            {"family": "multinomial"},
            {"family": "binomial"},
            {"thresholds": [0.9, 0.1]},
            {"thresholds": [0.2, 0.8], "family": "multinomial"},
        ],
        partial(measure, "accuracy"),
    ),
    "thresholds of three": (
        3,
        {"regParam": 0.02},
        [{"thresholds": [0.8, 0.1, 0.1]}, {"thresholds": [0.3, 0.3, 0.4]}, {"fitIntercept": False}],
        partial(measure, "f1"),
    ),
}


@pytest.fixture
def frames(two: Any, three: Any) -> dict[int, Any]:
    return {2: two, 3: three}


@pytest.mark.parametrize("name", CASES)
def test_metrics_and_choice_are_those_of_spark_alone(frames: dict[int, Any], name: str) -> None:
    classes, params, settings, make = CASES[name]
    evaluator = make()
    found = []
    for kind, estimator in (
        (CrossValidator, LogisticRegressionEstimator(**TIGHT, **params)),
        (spark_tuning.CrossValidator, LogisticRegression(**TIGHT, **params)),
    ):
        maps = maps_of(estimator, settings)
        found.append(searched(kind, estimator, maps, evaluator, frames[classes]))
    ours, theirs = found
    assert_alike(ours, theirs)
    assert len(set(np.round(ours.avgMetrics, 9))) == len(settings)
    for param in {param for one in settings for param in one}:
        assert ours.bestModel.getOrDefault(param) == theirs.bestModel.getOrDefault(param)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-4)


@pytest.mark.parametrize("name", MORE_CASES)
def test_metrics_are_those_of_sparks_validator(frames: dict[int, Any], name: str) -> None:
    classes, params, settings, make = MORE_CASES[name]
    estimator = LogisticRegressionEstimator(**TIGHT, **params)
    maps = maps_of(estimator, settings)
    ours, theirs = both(estimator, maps, make(), frames[classes], numFolds=3)
    assert_alike(ours, theirs)
    assert len(set(np.round(ours.avgMetrics, 9))) > 2
    assert_same_fit(ours.bestModel, theirs.bestModel)


# Folds


@pytest.fixture(scope="module")
def numbered(spark: Any) -> Any:
    """Rows of several partitions."""
    return spark.range(0, 300, 1, 5)


def ids(frame: Any) -> set[int]:
    return {row.id for row in frame.select("id").collect()}


@pytest.mark.parametrize(("folds", "seeds"), [(3, (0, 42)), (7, (-5,)), (49, (7,))])
def test_every_row_is_in_the_fold_that_spark_puts_it_in(
    numbered: Any, folds: int, seeds: Sequence[int]
) -> None:
    for seed in seeds:
        validator = CrossValidator(numFolds=folds, seed=seed)
        split = validator._split(numbered)
        assert list(split.held) == list(range(folds))
        assert set(split.frame.columns) == {"id", split.column}
        members = {row["id"]: row[split.column] for row in split.frame.collect()}
        theirs = validator._kFold(numbered)
        held = [its.withColumn("fold", F.lit(fold)) for fold, (_, its) in enumerate(theirs)]
        rows = reduce(DataFrame.union, held).coalesce(2).select("id", "fold").collect()
        assert sorted((row.id, row.fold) for row in rows) == sorted(members.items())
        assert len(members) == 300
        mine = {number for number, its in members.items() if its == 1}
        assert ids(theirs[1][0]) == members.keys() - mine == ids(split.without(1))
        assert ids(split.only(1)) == mine


@pytest.mark.parametrize("ratio", [0.75, 0.3])
def test_the_one_split_is_sparks(numbered: Any, ratio: float) -> None:
    validator = TrainValidationSplit(trainRatio=ratio, seed=9)
    split = validator._split(numbered)
    held = numbered.withColumn("random", F.rand(9)).where(F.col("random") >= ratio)
    assert list(split.held) == [1]
    assert ids(split.only(1)) == ids(held)
    assert ids(split.without(1)) == ids(numbered) - ids(held)


@pytest.mark.parametrize("kind", [LogisticRegressionEstimator, LogisticRegression])
def test_one_split_gives_sparks_metrics(two: Any, kind: Any) -> None:
    settings = [{"regParam": 0.3}, {"regParam": 0.01, "fitIntercept": False}]
    estimator, reference = LogisticRegressionEstimator(**TIGHT), kind(**TIGHT)
    ours = searched(
        TrainValidationSplit, estimator, maps_of(estimator, settings), area(), two, trainRatio=0.6
    )
    theirs = searched(
        spark_tuning.TrainValidationSplit,
        reference,
        maps_of(reference, settings),
        area(),
        two,
        trainRatio=0.6,
    )
    assert_allclose(ours.validationMetrics, theirs.validationMetrics, atol=1e-6)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-4)
    assert ours.subModels is None
    assert ours.getTrainRatio() == 0.6


@pytest.fixture
def parted(two: Any) -> Any:
    """Rows whose fold is in a column."""
    return two.withColumn("part", F.expr("pmod(hash(x0), 3)"))


def test_folds_of_a_column(parted: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.3}, {"regParam": 0.01}])
    ours, theirs = both(estimator, maps, area(), parted, foldCol="part", numFolds=3)
    assert_alike(ours, theirs)
    assert ours.getFoldCol() == "part"


@pytest.mark.parametrize(
    ("part", "folds", "message"),
    [
        ("part + 1", 3, r"must be whole and in range \[0, 3\), but got 3"),
        ("part + 0.5", 3, r"but got \d.5"),
        ("part - 1", 3, "but got -1"),
        ("nullif(part, 1)", 3, "but got null"),
        ("part", 4, "validation data at fold 3 is empty"),
        ("part * 0", 2, "training data at fold 0 is empty"),
    ],
)
def test_folds_of_a_column_that_are_wrong(parted: Any, part: str, folds: int, message: str) -> None:
    estimator = LogisticRegressionEstimator()
    frame = parted.withColumn("part", F.expr(part))
    with pytest.raises(Exception, match=message):
        searched(CrossValidator, estimator, [{}], area(), frame, foldCol="part", numFolds=folds)


# Models


def test_models_are_those_of_single_fits(two: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    settings = [{"regParam": 0.2, "elasticNetParam": 0.5}, {"regParam": 0.01, "threshold": 0.3}]
    maps = maps_of(estimator, settings)
    validator = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=maps,
        evaluator=area(),
        numFolds=2,
        seed=1,
        collectSubModels=True,
    )
    found = validator.fit(two)
    best = int(np.argmax(found.avgMetrics))
    expected = estimator.fit(two, maps[best])
    assert_same_fit(found.bestModel, expected)
    assert isinstance(found.bestModel, LogisticRegressionModel)
    assert found.bestModel.extractParamMap() == expected.extractParamMap()
    assert found.bestModel.uid == estimator.uid
    assert_allclose(found.bestModel.summary.accuracy, expected.summary.accuracy)
    assert found.bestModel.summary.predictions.count() == two.count()
    assert len(found.subModels) == 2
    for (train, _), models in zip(validator._kFold(two), found.subModels, strict=True):
        for extra, model in zip(maps, models, strict=True):
            alone = estimator.fit(train, extra)
            assert_same_fit(model, alone, 1e-5)
            assert model.getThreshold() == alone.getThreshold()
            assert model.summary.accuracy == pytest.approx(alone.summary.accuracy)
        assert models[0].summary.predictions.count() == train.count()
    assert searched(CrossValidator, estimator, maps, area(), two).subModels is None
    assert found.copy().bestModel.getRegParam() == maps[best][estimator.regParam]


def test_models_of_one_split(two: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.2}, {"regParam": 0.01}])
    kinds = (TrainValidationSplit, spark_tuning.TrainValidationSplit)
    ours, theirs = (
        searched(kind, estimator, maps, area(), two, collectSubModels=True) for kind in kinds
    )
    for one, other in zip(ours.subModels, theirs.subModels, strict=True):
        assert_same_fit(one, other, 1e-5)
        assert one.summary.accuracy == other.summary.accuracy


def test_rows_are_packed_once(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = packings(monkeypatch)
    estimator = LogisticRegressionEstimator()
    maps = maps_of(estimator, [{"regParam": 0.2}, {"regParam": 0.01}, {"threshold": 0.1}])
    searched(CrossValidator, estimator, maps, measure("accuracy"), two, collectSubModels=True)
    assert len(packed) == 1
    searched(
        CrossValidator,
        estimator,
        [*maps, {estimator.weightCol: "weight"}],
        measure("accuracy"),
        two,
    )
    assert len(packed) == 3


def packings(monkeypatch: pytest.MonkeyPatch) -> list[Packing]:
    """Every packing from now on."""
    seen: list[Packing] = []
    gather = Packing.gather

    def counted(self: Packing) -> Any:
        seen.append(self)
        return gather(self)

    monkeypatch.setattr(Packing, "gather", counted)
    return seen


# Pipelines


class Shift(Estimator[Any]):
    """Subtracts the mean of x0, times `amount`; its fits are counted."""

    amount: Param[float] = Param(
        Params._dummy(), "amount", "How much of it.", typeConverter=TypeConverters.toFloat
    )
    fits: list[float] = []  # noqa: RUF012  # of all instances: the validators copy them

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(amount=1.0)

    def _fit(self, dataset: Any) -> Any:
        amount = self.getOrDefault(self.amount)
        Shift.fits.append(amount)
        return Shifted(amount * dataset.agg(F.avg("x0")).first()[0])


class Shifted(Model):
    """Subtracts a number from x0, and leaves rows out where little is left."""

    def __init__(self, by: float = 0.0) -> None:
        super().__init__()
        self.by = by

    def _transform(self, dataset: Any) -> Any:
        return dataset.withColumn("x0", F.col("x0") - self.by).where("abs(x0) > 0.1")

    def copy(self, extra: Any = None) -> Any:
        made = super().copy(extra)
        made.by = self.by
        return made


class Few(Transformer):
    """Leaves only what is needed, of some rows."""

    def _transform(self, dataset: Any) -> Any:
        return dataset.where("x0 > -0.5").select("features", "label")


def assembler() -> Any:
    return VectorAssembler(inputCols=["x0", "x1", "x2"], outputCol="raw")


def plain(frame: Any) -> Any:
    return frame.drop("features")


def test_a_pipeline_has_sparks_metrics(two: Any) -> None:
    settings = [{"regParam": 0.2, "elasticNetParam": 0.8}, {"regParam": 0.01}]
    scaler = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
    found = []
    for kind, last in (
        (CrossValidator, LogisticRegressionEstimator(**TIGHT)),
        (spark_tuning.CrossValidator, LogisticRegression(**TIGHT)),
    ):
        pipeline = Pipeline(stages=[assembler(), scaler, last])
        found.append(searched(kind, pipeline, maps_of(last, settings), area(), plain(two)))
    ours, theirs = found
    assert_alike(ours, theirs)
    assert isinstance(ours.bestModel, PipelineModel)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-4)


def judge_for(estimator: Any) -> Any:
    """An evaluator that counts rows as the estimator does."""
    return area(weightCol="weight") if estimator.isSet("weightCol") else area()


SCALED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"withMean": True}, {"standardization": False}),
    ({"withStd": False}, {"fitIntercept": False}),
    ({"withStd": False, "withMean": True}, {"standardization": False, "elasticNetParam": 1.0}),
    ({"withMean": True}, {"weightCol": "weight"}),
]


@pytest.mark.parametrize(("scaling", "params"), SCALED)
def test_a_scaler_is_done_without(
    two: Any, monkeypatch: pytest.MonkeyPatch, scaling: dict[str, Any], params: dict[str, Any]
) -> None:
    """One packing for all folds and the final model; numbers as with the scaler."""
    frame = plain(two).withColumn("x1", 40.0 * F.col("x1") + 9.0).withColumn("x2", F.lit(3.0))
    last = LogisticRegressionEstimator(**{**TIGHT, **params})
    pipeline = Pipeline(
        stages=[assembler(), StandardScaler(inputCol="raw", outputCol="features", **scaling), last]
    )
    maps = maps_of(last, [{"regParam": 0.2}, {"regParam": 0.004}])
    packed, judge = packings(monkeypatch), judge_for(last)
    ours = searched(CrossValidator, pipeline, maps, judge, frame)
    assert len(packed) == 1
    theirs = searched(spark_tuning.CrossValidator, pipeline, maps, judge, frame)
    assert_alike(ours, theirs)
    assert_same_fit(ours.bestModel, theirs.bestModel, 1e-6)
    mine, its = (found.bestModel.stages[-1] for found in (ours, theirs))
    assert mine.uid == its.uid
    assert mine.featureNames == its.featureNames
    assert mine.summary.objectiveHistory[-1] == pytest.approx(its.summary.objectiveHistory[-1])
    assert mine.summary.areaUnderROC == pytest.approx(its.summary.areaUnderROC, abs=1e-9)
    assert str(mine.summary).count("\n") == str(its.summary).count("\n")


def scaler_kept() -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """Searches in which the scaler matters: what, scaler, estimator, arguments of the search."""
    scaler = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
    no_intercept = LogisticRegressionEstimator(**TIGHT, fitIntercept=False)
    yield "centred without intercept", scaler, no_intercept, {}
    bound = Matrices.dense(1, 3, [0.1, -9.0, -9.0])
    bounded = LogisticRegressionEstimator(**TIGHT, lowerBoundsOnCoefficients=bound)
    yield "bounds", scaler, bounded, {}
    weighted = LogisticRegressionEstimator(**TIGHT, weightCol="weight", standardization=False)
    yield "weights", scaler, weighted, {}
    yield "models", scaler, LogisticRegressionEstimator(**TIGHT), {"collectSubModels": True}
    other = LogisticRegressionEstimator(**TIGHT, featuresCol="raw")
    yield "unused", scaler, other, {}


def test_a_scaler_that_matters_is_fitted_in_each_fold(
    two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = packings(monkeypatch)
    for what, scaler, last, more in scaler_kept():
        pipeline = Pipeline(stages=[assembler(), scaler, last])
        maps = maps_of(last, [{"regParam": 0.2}, {"regParam": 0.004}])
        packed.clear()
        judge = judge_for(last)
        ours = searched(CrossValidator, pipeline, maps, judge, plain(two), **more)
        assert len(packed) == 3, what
        theirs = searched(spark_tuning.CrossValidator, pipeline, maps, judge, plain(two), **more)
        assert_alike(ours, theirs)


def test_stages_before_are_fitted_once_a_fold_and_setting(
    two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shift, "fits", [])
    shift, last = Shift(), LogisticRegressionEstimator(**TIGHT, featuresCol="raw")
    pipeline = Pipeline(stages=[shift, assembler(), last])
    maps: list[dict[Any, Any]] = [
        {shift.amount: amount, last.regParam: penalty, last.fitIntercept: False}
        for penalty in (0.3, 0.02)
        for amount in (0.0, 3.0)
    ]
    ours = searched(CrossValidator, pipeline, maps, area(), plain(two), collectSubModels=True)
    # Two folds of two settings, and the best on all rows.
    assert sorted(Shift.fits[:-1]) == [0.0, 0.0, 3.0, 3.0]
    assert Shift.fits[-1] == maps[int(np.argmax(ours.avgMetrics))][shift.amount]
    theirs = searched(
        spark_tuning.CrossValidator, pipeline, maps, area(), plain(two), collectSubModels=True
    )
    assert_alike(ours, theirs)
    assert len(set(np.round(ours.avgMetrics, 9))) > 2
    for mine, its in zip(ours.subModels, theirs.subModels, strict=True):
        for one, other in zip(mine, its, strict=True):
            assert one.stages[0].by == pytest.approx(other.stages[0].by)
            assert_same_fit(one, other, 1e-5)
    assert ours.subModels[1][1].stages[-1].summary.accuracy > 0.5
    assert ours.bestModel.transform(plain(two)).where("prediction is null").count() == 0


def test_params_of_sparks_own_stages(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scaler = StandardScaler(inputCol="raw", outputCol="features")
    buckets = Bucketizer(inputCol="x0", outputCol="b0", handleInvalid="skip")
    assembler = VectorAssembler(inputCols=["b0", "x1", "x2"], outputCol="raw")
    last = LogisticRegressionEstimator(**TIGHT, fitIntercept=False)
    pipeline = Pipeline(stages=[buckets, assembler, scaler, last])
    thirds = [-9.0, -0.4, 0.4, 9.0]
    maps = [
        {scaler.withMean: True, buckets.splits: thirds, last.regParam: 0.1},
        {scaler.withMean: False, buckets.splits: thirds, last.regParam: 0.1},
        {scaler.withMean: False, buckets.splits: [-9.0, 0.0, 9.0], last.regParam: 0.1},
        {scaler.withMean: False, buckets.splits: thirds, last.threshold: 0.8},
    ]
    packed = packings(monkeypatch)
    ours = searched(CrossValidator, pipeline, maps, measure("accuracy"), plain(two))
    # Without an intercept, features that a fold's scaler centres cannot do without it.
    assert len(packed) == 2 + 1 + 1
    theirs = searched(spark_tuning.CrossValidator, pipeline, maps, measure("accuracy"), plain(two))
    assert_alike(ours, theirs)
    assert len(set(np.round(ours.avgMetrics, 9))) > 2
    assert_same_fit(ours.bestModel, theirs.bestModel)


STATEMENTS = {
    "rows": "SELECT * FROM __THIS__ WHERE x0 > -0.5",
    "columns": "SELECT features, label FROM __THIS__ WHERE x0 > -0.5",
    "windows": (
        "SELECT label, array(x0 - 3 * max(x0) OVER (), x1) AS features FROM __THIS__ WHERE x1 < 9"
    ),
}


@pytest.mark.parametrize("kind", [*STATEMENTS, "of the user"])
def test_stages_that_look_at_several_rows_or_drop_some(two: Any, kind: str) -> None:
    known = kind in STATEMENTS
    stage = SQLTransformer(statement=STATEMENTS[kind]) if known else Few()
    last = LogisticRegressionEstimator(**TIGHT, fitIntercept=False)
    maps = maps_of(last, [{"regParam": 0.1}, {"regParam": 0.01}])
    ours, theirs = both(Pipeline(stages=[stage, last]), maps, area(), two)
    assert_alike(ours, theirs)
    assert_same_fit(ours.bestModel, theirs.bestModel)


def test_what_ends_in_another_estimator_is_left_to_spark(two: Any) -> None:
    other = LogisticRegression(maxIter=2, featuresCol="raw")
    maps = maps_of(other, [{"regParam": 0.1}])
    ours, theirs = both(Pipeline(stages=[assembler(), other]), maps, area(), two)
    assert_alike(ours, theirs)
    assert type(ours.bestModel.stages[-1]).__name__ == "LogisticRegressionModel"
    assert not isinstance(ours.bestModel.stages[-1], LogisticRegressionModel)


def test_maps_of_stages_themselves(two: Any) -> None:
    few, last = Few(), LogisticRegressionEstimator(**TIGHT)
    pipeline = Pipeline(stages=[last])
    maps = [{pipeline.stages: [last]}, {pipeline.stages: [few, last]}]
    assert_alike(*both(pipeline, maps, area(), two))


# Evaluators


class Brier(Evaluator):
    """The mean squared error of probabilities; counts its calls."""

    def __init__(self, *, larger: bool = False, fails_at: int | None = None) -> None:
        super().__init__()
        self.larger, self.fails_at = larger, fails_at
        self.frames: list[int] = []
        self._lock = threading.Lock()

    def _evaluate(self, dataset: Any) -> float:
        rows = dataset.select("label", "probability").collect()
        with self._lock:
            self.frames.append(len(rows))
            if len(self.frames) == self.fails_at:
                raise RuntimeError("cannot judge this")
        errors = [row.label - row.probability[1] for row in rows]
        return float(np.square(errors).mean())

    def isLargerBetter(self) -> bool:
        return self.larger


def test_an_evaluator_of_the_user(two: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 3.0}, {"regParam": 0.01}, {"regParam": 0.5}])
    smaller, piped = Brier(), Brier()
    ours = searched(CrossValidator, estimator, maps, smaller, two)
    assert len(smaller.frames) == 6
    assert sum(smaller.frames) == 3 * two.count()
    theirs = searched(spark_tuning.CrossValidator, estimator, maps, Brier(), two)
    assert_alike(ours, theirs)
    assert np.argmin(ours.avgMetrics) != np.argmax(ours.avgMetrics) == 0
    assert ours.bestModel.getRegParam() == theirs.bestModel.getRegParam() < 3.0
    larger = searched(CrossValidator, estimator, maps, Brier(larger=True), two)
    assert larger.bestModel.getRegParam() == 3.0
    split = searched(TrainValidationSplit, estimator, maps, Brier(), two)
    assert split.bestModel.getRegParam() < 3.0
    found = searched(CrossValidator, Pipeline(stages=[estimator]), maps, piped, two)
    assert_alike(found, theirs)
    assert len(piped.frames) == 6


def test_an_evaluator_of_another_label_or_weight(two: Any) -> None:
    frame = two.withColumn("other", F.expr("cast(x0 > 0 as double)"))
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.5}])
    plain_metrics = searched(CrossValidator, estimator, maps, area(), frame).avgMetrics
    for evaluator in (
        area(labelCol="other"),
        area(weightCol="weight"),
        measure("accuracy", labelCol="other"),
    ):
        ours, theirs = both(estimator, maps, evaluator, frame)
        assert_alike(ours, theirs)
        assert not np.allclose(ours.avgMetrics, plain_metrics)


@pytest.mark.parametrize(
    "make",
    [
        partial(measure, "accuracy"),
        area,
        partial(measure, "f1", weightCol="some"),
        partial(area, metricName="areaUnderPR", weightCol="some"),
    ],
    ids=["accuracy", "area", "weighted f1", "weighted area"],
)
def test_rows_of_weight_zero(two: Any, make: Callable[[], Any]) -> None:
    frame = two.withColumn("some", F.expr("if(x1 > 2, 0.0, weight)"))
    estimator = LogisticRegressionEstimator(**TIGHT, weightCol="some")
    maps = maps_of(estimator, [{"regParam": 0.5}, {"regParam": 0.01, "threshold": 0.4}])
    assert_alike(*both(estimator, maps, make(), frame))


def test_maps_of_other_columns(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = two.withColumn("flipped", 1 - F.col("label")).withColumn("again", F.col("features"))
    estimator = LogisticRegressionEstimator(**TIGHT, regParam=0.05)
    settings = [
        {"labelCol": "flipped"},
        {"featuresCols": ["x1"]},
        {"featuresCol": "again"},
        {"weightCol": "weight"},
        {"regParam": 0.5},
    ]
    maps = maps_of(estimator, settings)
    packed = packings(monkeypatch)
    ours = searched(CrossValidator, estimator, maps, area(), frame)
    assert len(packed) == 5
    theirs = searched(spark_tuning.CrossValidator, estimator, maps, area(), frame)
    assert_alike(ours, theirs)
    assert_same_fit(ours.bestModel, theirs.bestModel)


# The choice of a map


@pytest.mark.parametrize("metric", ["accuracy", "logLoss"])
def test_one_standard_error(two: Any, metric: str) -> None:
    evaluator = measure(metric)
    estimator = LogisticRegressionEstimator(**TIGHT, elasticNetParam=0.5)
    penalties = [0.001, 0.05, 0.02, 0.1, 0.2, 0.6]
    maps = maps_of(estimator, [{"regParam": penalty} for penalty in penalties])
    kinds = {
        rule: searched(
            CrossValidator, estimator, maps, evaluator, two, numFolds=5, seed=8, selectionRule=rule
        )
        for rule in ("best", "1se")
    }
    found = kinds["1se"]
    scores = np.array(found.avgMetrics) * (1 if evaluator.isLargerBetter() else -1)
    best = int(scores.argmax())
    error = found.stdMetrics[best] / np.sqrt(5 - 1)
    near = [at for at in range(len(maps)) if scores[at] >= scores[best] - error]
    chosen = max(penalties[at] for at in near)
    assert 1 < len(near) < len(maps)
    assert kinds["best"].bestModel.getRegParam() == penalties[best] < chosen
    assert found.bestModel.getRegParam() == chosen
    assert_same_fit(found.bestModel, estimator.fit(two, {estimator.regParam: chosen}))
    assert_allclose(found.avgMetrics, kinds["best"].avgMetrics, rtol=1e-12)


def test_a_rule_that_cannot_be_followed_is_refused_before_any_job(two: Any) -> None:
    failing = two.withColumn("label", F.raise_error(F.lit("a job ran")).cast("double"))
    ours, other = LogisticRegressionEstimator(), LogisticRegression()
    several = [{"regParam": 0.1}, {"regParam": 0.2}]
    for rule, estimator, maps, message in (
        ("2se", ours, maps_of(ours, several), "'2se' is not allowed: use 'best' or '1se'"),
        ("1se", ours, maps_of(ours, [{"threshold": 0.1}, {"threshold": 0.2}]), "several values"),
        ("1se", ours, maps_of(ours, several[:1] * 2), "several values"),
        ("1se", other, maps_of(other, several), "LogisticRegressionEstimator several"),
    ):
        with pytest.raises(ValueError, match=message):
            searched(CrossValidator, estimator, maps, area(), failing, selectionRule=rule)


@pytest.mark.parametrize(
    ("classes", "params"),
    [
        (2, {"elasticNetParam": 1.0}),
        (2, {"elasticNetParam": 0.5, "weightCol": "weight", "standardization": False}),
        (2, {"elasticNetParam": 0.5, "fitIntercept": False}),
        (3, {"elasticNetParam": 0.5, "weightCol": "weight"}),
        (2, {"elasticNetParam": 0.7, "family": "multinomial"}),
    ],
)
def test_the_largest_penalty_leaves_nothing_and_a_smaller_one_something(
    frames: dict[int, Any], classes: int, params: dict[str, Any]
) -> None:
    frame = frames[classes]
    estimator = LogisticRegressionEstimator(**TIGHT, **params)
    (first,) = regParamGrid(frame, estimator, n=1)
    penalty = first[estimator.regParam]
    shares = (1.0 + 1e-9, 0.999)
    models = estimator.fit(frame, [{estimator.regParam: penalty * share} for share in shares])
    left = [np.count_nonzero(model.coefficientMatrix.toArray()) for model in models]
    assert left[0] == 0 < left[1]


def test_the_grid_is_geometric(two: Any) -> None:
    estimator = LogisticRegressionEstimator(elasticNetParam=0.5)
    grid = regParamGrid(two, estimator, n=5, ratio=0.01)
    assert all(set(one) == {estimator.regParam} for one in grid)
    values = np.array([one[estimator.regParam] for one in grid])
    assert_allclose(values[1:] / values[:-1], 0.01 ** (1 / 4))
    default = [one[estimator.regParam] for one in regParamGrid(two, estimator)]
    assert len(default) == 20
    assert_allclose([default[0], default[-1]], [values[0], 1e-4 * values[0]])
    ridge = regParamGrid(two, LogisticRegressionEstimator(), n=1)
    (largest,) = ridge[0].values()
    assert_allclose(largest, values[0] * 0.5 / 1e-3)
    wide = LogisticRegressionEstimator(elasticNetParam=0.5)
    few = [one[wide.regParam] for one in regParamGrid(two.limit(3), wide, n=2)]
    assert_allclose(few[1] / few[0], 1e-2)
    assert len(searched(CrossValidator, estimator, grid, area(), two).avgMetrics) == 5


def test_a_grid_that_cannot_be_made(two: Any) -> None:
    ours = LogisticRegressionEstimator()
    bounded = LogisticRegressionEstimator(
        lowerBoundsOnCoefficients=Matrices.dense(1, 3, [0.0, 0.0, 0.0])
    )
    estimator: Any
    for estimator, rest, error, message in (
        (LogisticRegression(), {}, TypeError, "takes a LogisticRegressionEstimator"),
        (Pipeline(stages=[ours]), {}, TypeError, "got a Pipeline"),
        (ours, {"n": 0}, ValueError, "n must be at least 1"),
        (ours, {"ratio": 0.0}, ValueError, "ratio between 0 and 1"),
        (ours, {"ratio": 1.0}, ValueError, "ratio between 0 and 1"),
        (bounded, {}, ValueError, "[Bb]ounds"),
    ):
        with pytest.raises(error, match=message):
            regParamGrid(two, estimator, **rest)


# Params and files


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


@pytest.mark.parametrize("kind", [CrossValidator, TrainValidationSplit])
def test_a_validator_comes_back_from_its_file(two: Any, tmp_path: Any, kind: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.2, "elasticNetParam": 0.5}, {"regParam": 0.01}])
    rest: dict[str, Any] = {"trainRatio": 0.7}
    if kind is CrossValidator:
        rest = {"numFolds": 2, "foldCol": "part", "selectionRule": "1se"}
    validator = kind(
        estimator=estimator,
        estimatorParamMaps=maps,
        evaluator=area(),
        seed=4,
        parallelism=2,
        collectSubModels=True,
        verbose=False,
        **rest,
    )
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
    first, again = validator.fit(frame), loaded.fit(frame)
    assert_same_fit(first.bestModel, again.bestModel, 1e-12)
    name = "avgMetrics" if kind is CrossValidator else "validationMetrics"
    assert_allclose(getattr(first, name), getattr(again, name), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "sparklr.model.LogisticRegressionModel"}, "holds sparklr.model.Log"),
        ({"uid": 3}, "is damaged: ValueError: uid must be a string"),
        ({"paramMap": {}}, "is damaged: KeyError: 'estimatorParamMaps'"),
        ({"paramMap": {"estimatorParamMaps": [[{"parent": "nobody"}]]}}, "KeyError: 'nobody'"),
        ({"paramMap": {"estimatorParamMaps": [], "numFolds": 0.5}}, "is damaged: TypeError: "),
        (None, "holds something without a class name, not sparklr.tuning.CrossValidator"),
    ],
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


@pytest.mark.parametrize("piped", [False, True])
def test_what_was_found_comes_back_from_its_file(two: Any, tmp_path: Any, piped: bool) -> None:
    last = LogisticRegressionEstimator(featuresCol="raw" if piped else "features")
    estimator: Any = Pipeline(stages=[assembler(), last]) if piped else last
    maps = maps_of(last, [{"regParam": 0.1}])
    found = searched(CrossValidator, estimator, maps, area(), two, collectSubModels=not piped)
    path = str(tmp_path / "found")
    found.write().option("persistsubmodels", str(not piped)).save(path)
    loaded = spark_tuning.CrossValidatorModel.load(path)
    assert loaded.avgMetrics == pytest.approx(found.avgMetrics)
    assert loaded.stdMetrics == pytest.approx(found.stdMetrics)
    assert_same_fit(loaded.bestModel, found.bestModel, 0.0)
    assert type(loaded.bestModel) is type(found.bestModel)
    if not piped:
        assert_same_fit(loaded.subModels[1][0], found.subModels[1][0], 0.0)
    assert loaded.transform(two).columns == found.transform(two).columns


def test_a_validator_among_the_stages_of_a_pipeline(two: Any, tmp_path: Any) -> None:
    last = LogisticRegressionEstimator(**TIGHT, featuresCol="raw")
    maps = maps_of(last, [{"regParam": 0.1}, {"regParam": 0.01}])
    search = CrossValidator(
        estimator=last, estimatorParamMaps=maps, evaluator=area(), numFolds=2, seed=1
    )
    pipeline = Pipeline(stages=[assembler(), search])
    path = str(tmp_path / "pipeline")
    pipeline.save(path)
    loaded = Pipeline.load(path)
    assert type(loaded.getStages()[1]) is CrossValidator
    found = [one.fit(two).stages[1] for one in (pipeline, loaded)]
    assert_alike(*found)
    alone = search.fit(assembler().transform(two))
    assert_alike(found[0], alone)


def test_a_copy_with_other_params(two: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.3}, {"regParam": 0.01}])
    search = CrossValidator(estimator=estimator, estimatorParamMaps=maps, evaluator=area(), seed=1)
    extra = {search.selectionRule: "1se", search.numFolds: 2, estimator.elasticNetParam: 1.0}
    made = search.copy(extra)
    assert type(made) is CrossValidator
    assert (made.getSelectionRule(), made.getNumFolds()) == ("1se", 2)
    assert (search.getSelectionRule(), search.getNumFolds()) == ("best", 3)
    assert made.getEstimator().getElasticNetParam() == 1.0
    assert search.getEstimator().getElasticNetParam() == 0.0
    found = search.fit(two, {search.numFolds: 2, estimator.elasticNetParam: 1.0})
    assert_allclose(found.avgMetrics, made.fit(two).avgMetrics)


# What goes wrong


@pytest.mark.parametrize("piped", [False, True])
def test_maps_that_would_change_nothing(two: Any, piped: bool) -> None:
    """Spark fits the same model for each of them."""
    ours, another = LogisticRegressionEstimator(), LogisticRegressionEstimator()
    estimator: Any = Pipeline(stages=[assembler(), ours]) if piped else ours
    for kind in (CrossValidator, TrainValidationSplit):
        with pytest.raises(ValueError, match=f"name regParam of {another.uid}, which is neither"):
            searched(kind, estimator, [{another.regParam: 0.1}], area(), two)
        with pytest.raises(TypeError, match="Param map keys must be Params, but got 'regParam'"):
            searched(kind, estimator, [{"regParam": 0.1}], area(), two)


@pytest.mark.parametrize("piped", [False, True])
def test_an_evaluator_that_fails(two: Any, piped: bool) -> None:
    estimator: Any = LogisticRegressionEstimator()
    maps = maps_of(estimator, [{"regParam": 0.3}, {"regParam": 0.01}])
    if piped:
        estimator = Pipeline(stages=[estimator])
    with pytest.raises(RuntimeError, match="cannot judge this"):
        searched(CrossValidator, estimator, maps, Brier(fails_at=3), two.where("x0 < 9"))


def test_a_stage_that_fails(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no such stage")

    monkeypatch.setattr(Shift, "_fit", fail)
    last = LogisticRegressionEstimator(featuresCol="raw")
    pipeline = Pipeline(stages=[Shift(), assembler(), last])
    with pytest.raises(RuntimeError, match="no such stage"):
        searched(CrossValidator, pipeline, [{}], area(), plain(two).where("x0 < 9"))


def test_a_map_that_cannot_be_fitted(two: Any) -> None:
    estimator = LogisticRegressionEstimator()
    maps = maps_of(estimator, [{"regParam": 0.3}, {"thresholds": [0.2, 0.3, 0.5]}])
    for kind in (CrossValidator, TrainValidationSplit):
        with pytest.raises(ValueError, match="thresholds has 3 values"):
            searched(kind, estimator, maps, area(), two)


def test_a_map_without_a_metric_is_not_the_best() -> None:
    assert best_map(np.array([np.nan, 0.1, 0.3, np.nan])) == 2
    assert simplest_map(np.array([np.nan, 0.29, 0.3]), 0.02, [(3, 0), (2, 0), (1, 0)]) == 1
    with pytest.raises(ValueError, match="metrics of all maps are NaN"):
        best_map(np.array([np.nan, np.nan]))
