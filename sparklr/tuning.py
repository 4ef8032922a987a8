"""Grid search: Spark's validators, with all folds and maps in the same passes over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from pyspark.ml import Model
from pyspark.ml import tuning as spark
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.tuning import CrossValidatorModel, ParamGridBuilder, TrainValidationSplitModel
from pyspark.ml.util import DefaultParamsReader, MLWriter
from pyspark.sql import DataFrame

from sparklr.display.progress import Progress
from sparklr.estimator import LogisticRegressionEstimator
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.fitting.split import Split
from sparklr.params import HasVerbose, keyword_only, keywords_of, verbose_if_set
from sparklr.saving.damage import damage
from sparklr.saving.files import OverwritingWriter, check_class, read_metadata, read_uid
from sparklr.search import found
from sparklr.search.folds import (
    cross_validation_split,
    drawn_by,
    halved_by,
    packed_split,
    train_validation_split,
)
from sparklr.search.gradient_path import GradientPath, gradient_path
from sparklr.search.penalty_grid import reg_param_grid
from sparklr.search.pictures import plot_path, plot_scores
from sparklr.search.select import best_map, penalties_of, simplest_map
from sparklr.search.trials import Trials, can_try, last_stage
from sparklr.spark.classic import for_readers
from sparklr.spark.types import AnyEstimator, ParamMap

# Programs that were written before the function had its present name import this one, which has
# the form of Spark's Params: hence the noqa.
regParamGrid = reg_param_grid  # noqa: N816

__all__ = [
    "CrossValidator",
    "CrossValidatorModel",
    "GradientPath",
    "ParamGridBuilder",
    "TrainValidationSplit",
    "TrainValidationSplitModel",
    "gradient_path",
    "plot_path",
    "plot_scores",
    "regParamGrid",
    "reg_param_grid",
]


class _ValidatorMixin(HasVerbose):
    """The code that both validators share."""

    def fit(self, dataset: DataFrame | PackedRows, params: Any = None) -> Any:
        """Search on a frame, or on rows that were packed with this validator's folds."""
        return cast(Any, super()).fit(dataset, params)

    def _trials(self, progress: Progress) -> Trials:
        validator: Any = self
        return Trials(
            validator.getEstimator(),
            validator.getEstimatorParamMaps(),
            validator.getEvaluator(),
            keep_models=validator.getCollectSubModels(),
            parallelism=validator.getParallelism(),
            progress=progress,
        )


class CrossValidator(_ValidatorMixin, spark.CrossValidator):
    """Spark's CrossValidator, much faster for a LogisticRegressionEstimator.

    Params, folds and metrics are Spark's own. For a LogisticRegressionEstimator, the rows are
    packed once for all folds and maps; for a Pipeline that ends in such an estimator, the stages
    before it are fitted once per fold. Spark runs the search for any other estimator.

    `selectionRule` chooses the map that is fitted on all rows: `"best"` as in Spark, or `"1se"`,
    the largest regParam whose mean metric is within one standard error of the best.

    Examples
    --------
    >>> from pyspark.ml.evaluation import BinaryClassificationEvaluator
    >>> from pyspark.ml.tuning import ParamGridBuilder
    >>> from sparklr.tuning import CrossValidator
    >>> rows = [(float(i % 7 > 3), i % 5 + 0.1 * i, float(i % 3)) for i in range(60)]
    >>> frame = spark.createDataFrame(rows, ["label", "age", "dose"])
    >>> estimator = LogisticRegressionEstimator(featuresCols=["age", "dose"])
    >>> grid = ParamGridBuilder().addGrid(estimator.regParam, [0.01, 0.1]).build()
    >>> search = CrossValidator(estimator=estimator, estimatorParamMaps=grid,
    ...                         evaluator=BinaryClassificationEvaluator(), seed=1)
    >>> len(search.fit(frame).avgMetrics)
    2
    """

    selectionRule: Param[str] = Param(
        Params._dummy(),
        "selectionRule",
        "Which map is fitted on all rows: best (best mean metric), or 1se (the largest regParam "
        "within one standard error of the best).",
        typeConverter=TypeConverters.toString,
    )

    _input_kwargs: dict[str, object]

    @keyword_only
    def __init__(
        self,
        *,
        estimator: AnyEstimator | None = None,
        estimatorParamMaps: Sequence[ParamMap] | None = None,
        evaluator: Evaluator | None = None,
        numFolds: int = 3,
        seed: int | None = None,
        parallelism: int = 1,
        collectSubModels: bool = False,
        foldCol: str = "",
        selectionRule: str = "best",
        verbose: bool | None = None,
    ) -> None:
        given = self._input_kwargs
        super().__init__()
        self._setDefault(selectionRule="best")
        self._set(**{name: value for name, value in given.items() if value is not None})

    @keywords_of(__init__)
    def setParams(self, **_: object) -> CrossValidator:
        """Set several Params by keyword."""
        given = self._input_kwargs
        self._set(**{name: value for name, value in given.items() if value is not None})
        return self

    def setSelectionRule(self, value: str) -> CrossValidator:
        """Set the rule that chooses the map to fit on all rows: best or 1se."""
        self._set(selectionRule=value)
        return self

    def getSelectionRule(self) -> str:
        """Return the value of `selectionRule`."""
        return str(self.getOrDefault(self.selectionRule))

    def _fit(self, dataset: DataFrame | PackedRows) -> CrossValidatorModel:
        estimator, maps = self.getEstimator(), self.getEstimatorParamMaps()
        penalties = penalties_of(self.getSelectionRule(), last_stage(estimator), maps)
        if not can_try(estimator, maps):
            return super()._fit(frame_of(dataset))
        evaluator, split = self.getEvaluator(), self.split(dataset)
        title = f"sparklr: {len(maps)} maps, {len(split.held)} folds"
        with Progress(verbose_if_set(self), title) as progress:
            trials = self._trials(progress)
            trials.run(split, dataset)
            metrics = trials.table(split.held)
            means, deviations = self._gen_avg_and_std_metrics(metrics)
            better = 1.0 if evaluator.isLargerBetter() else -1.0
            best = best_map(better * np.array(means))
            if penalties is not None:
                error = deviations[best] / np.sqrt(len(metrics) - 1)
                best = simplest_map(better * np.array(means), error, penalties)
            model = _final(estimator, maps, best, dataset, trials)
        subs: Any = None
        if self.getCollectSubModels():
            subs = [[trials.models[at, fold] for at in range(len(maps))] for fold in split.held]
        return self._copyValues(found.CrossValidatorModel(model, means, subs, deviations, best))

    def split(self, dataset: DataFrame | PackedRows) -> Split:
        """Return the folds of a data set: drawn, or those that packed rows were packed with."""
        count, column, seed = self.getNumFolds(), self.getFoldCol(), self.getSeed()
        if isinstance(dataset, PackedRows):
            return packed_split(dataset, drawn_by(count, column, seed))
        return cross_validation_split(dataset, self.uid, count, column, seed)

    def write(self) -> MLWriter:
        """Return a writer of this validator."""
        return _CrossValidatorWriter(self)

    @classmethod
    def read(cls) -> spark.CrossValidatorReader:
        """Return a reader of saved validators."""
        return _CrossValidatorReader(cls)


class TrainValidationSplit(_ValidatorMixin, spark.TrainValidationSplit):
    """Spark's TrainValidationSplit, faster in the same cases as our CrossValidator."""

    _input_kwargs: dict[str, object]

    @keyword_only
    def __init__(
        self,
        *,
        estimator: AnyEstimator | None = None,
        estimatorParamMaps: Sequence[ParamMap] | None = None,
        evaluator: Evaluator | None = None,
        trainRatio: float = 0.75,
        parallelism: int = 1,
        collectSubModels: bool = False,
        seed: int | None = None,
        verbose: bool | None = None,
    ) -> None:
        given = self._input_kwargs
        super().__init__()
        self._set(**{name: value for name, value in given.items() if value is not None})

    @keywords_of(__init__)
    def setParams(self, **_: object) -> TrainValidationSplit:
        """Set several Params by keyword."""
        given = self._input_kwargs
        self._set(**{name: value for name, value in given.items() if value is not None})
        return self

    def _fit(self, dataset: DataFrame | PackedRows) -> TrainValidationSplitModel:
        estimator, maps = self.getEstimator(), self.getEstimatorParamMaps()
        if not can_try(estimator, maps):
            return super()._fit(frame_of(dataset))
        evaluator, split = self.getEvaluator(), self.split(dataset)
        with Progress(verbose_if_set(self), f"sparklr: {len(maps)} maps") as progress:
            trials = self._trials(progress)
            trials.run(split, dataset)
            metrics = trials.table(split.held)[0]
            better = 1.0 if evaluator.isLargerBetter() else -1.0
            best = best_map(better * np.array(metrics))
            model = _final(estimator, maps, best, dataset, trials)
        subs: Any = None
        if self.getCollectSubModels():
            subs = [trials.models[at, 1] for at in range(len(maps))]
        return self._copyValues(found.TrainValidationSplitModel(model, metrics, subs, best))

    def split(self, dataset: DataFrame | PackedRows) -> Split:
        """Return the two parts of a data set: drawn, or as packed rows were packed."""
        ratio, seed = self.getTrainRatio(), self.getSeed()
        if isinstance(dataset, PackedRows):
            return packed_split(dataset, halved_by(ratio, seed))
        return train_validation_split(dataset, self.uid, ratio, seed)

    def write(self) -> MLWriter:
        """Return a writer of this validator."""
        return _TrainValidationSplitWriter(self)

    @classmethod
    def read(cls) -> spark.TrainValidationSplitReader:
        """Return a reader of saved validators."""
        return _TrainValidationSplitReader(cls)


class _CrossValidatorWriter(OverwritingWriter, spark.CrossValidatorWriter):
    """Spark's writer, able to overwrite on Spark Connect too."""


class _TrainValidationSplitWriter(OverwritingWriter, spark.TrainValidationSplitWriter):
    """Spark's writer, able to overwrite on Spark Connect too."""


class _CrossValidatorReader(spark.CrossValidatorReader):
    """Spark's reader always returns Spark's class; this one returns ours."""

    def load(self, path: str) -> Any:
        return _load(CrossValidator, path, self.sparkSession)


class _TrainValidationSplitReader(spark.TrainValidationSplitReader):
    """Spark's reader always returns Spark's class; this one returns ours."""

    def load(self, path: str) -> Any:
        return _load(TrainValidationSplit, path, self.sparkSession)


def _load(kind: Any, path: str, session: Any) -> Any:
    metadata = read_metadata(path, session)
    check_class(metadata, kind, f"'{path}'")
    # For a class outside its own package, Spark would read the maps as written by Scala.
    as_sparks = {**metadata, "class": f"pyspark.ml.tuning.{kind.__name__}"}
    with damage(f"The validator saved at '{path}' is damaged: "):
        _, estimator, evaluator, maps = spark._ValidatorSharedReadWrite.load(
            path, for_readers(session), as_sparks
        )
        made = kind(estimator=estimator, estimatorParamMaps=maps, evaluator=evaluator)
        made._resetUid(read_uid(metadata["uid"]))
        DefaultParamsReader.getAndSetParams(made, metadata, skipParams=["estimatorParamMaps"])
    return made


def _final(
    estimator: AnyEstimator,
    maps: Sequence[ParamMap],
    best: int,
    dataset: DataFrame | PackedRows,
    trials: Trials,
) -> Model:
    """Return the model of the best map on all rows; fit it now if it was not fitted before."""
    known = trials.final.get(best)
    if known is not None:
        return known()
    if isinstance(estimator, LogisticRegressionEstimator):
        return estimator.copy(dict(maps[best])).fit(dataset)
    return cast(Model, estimator.fit(frame_of(dataset), dict(maps[best])))
