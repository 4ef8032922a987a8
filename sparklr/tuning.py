"""Grid search: Spark's validators, with all folds and maps in the same readings of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pyspark import keyword_only
from pyspark.ml import Model
from pyspark.ml import tuning as spark
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReader, MLWriter
from pyspark.sql import DataFrame

from sparklr.display.progress import Progress, silent
from sparklr.estimator import LogisticRegressionEstimator, request_of
from sparklr.fitting.shared import open_shared_fits
from sparklr.params import HasVerbose, verbose_if_set
from sparklr.saving.files import OverwritingWriter, check_class, damage, read_metadata, read_uid
from sparklr.search.folds import Split, cross_validation_split, train_validation_split
from sparklr.search.select import best_map, penalties_of, simplest_map
from sparklr.search.trials import Trials, can_try, last_stage
from sparklr.spark.classic import for_readers
from sparklr.spark.types import AnyEstimator, ParamMap

__all__ = ["CrossValidator", "TrainValidationSplit", "regParamGrid"]


class _ValidatorMixin(HasVerbose):
    """What both validators do alike."""

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


class CrossValidator(spark.CrossValidator, _ValidatorMixin):
    """Spark's CrossValidator, much faster where the estimator is ours.

    Params, folds and metrics are Spark's own. With a LogisticRegressionEstimator the rows are
    packed once for all folds and maps; with a Pipeline that ends in one, the stages before it are
    fitted once a fold. Any other estimator is left to Spark.

    `selectionRule` chooses the map that is fitted on all rows: `"best"`, as Spark does, or
    `"1se"`: the largest regParam whose mean metric is within one standard error of the best.

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
        "Which map is fitted on all rows: best (mean metric), or 1se (the largest regParam within "
        "one standard error of it).",
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

    @keyword_only
    def setParams(
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
    ) -> CrossValidator:
        """Set several Params by keyword."""
        given = self._input_kwargs
        self._set(**{name: value for name, value in given.items() if value is not None})
        return self

    def setSelectionRule(self, value: str) -> CrossValidator:
        """Set how the map to be fitted on all rows is chosen: best or 1se."""
        self._set(selectionRule=value)
        return self

    def getSelectionRule(self) -> str:
        """The value of `selectionRule`."""
        return str(self.getOrDefault(self.selectionRule))

    def _fit(self, dataset: DataFrame) -> spark.CrossValidatorModel:
        estimator, maps = self.getEstimator(), self.getEstimatorParamMaps()
        penalties = penalties_of(self.getSelectionRule(), last_stage(estimator), maps)
        if not can_try(estimator, maps):
            return super()._fit(dataset)
        evaluator, split = self.getEvaluator(), self._split(dataset)
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
        return self._copyValues(spark.CrossValidatorModel(model, means, subs, deviations))

    def _split(self, dataset: DataFrame) -> Split:
        return cross_validation_split(
            dataset, self.uid, self.getNumFolds(), self.getFoldCol(), self.getSeed()
        )

    def write(self) -> MLWriter:
        """A writer of this validator."""
        return _CrossValidatorWriter(self)

    @classmethod
    def read(cls) -> spark.CrossValidatorReader:
        """A reader of what `write` wrote."""
        return _CrossValidatorReader(cls)


class TrainValidationSplit(spark.TrainValidationSplit, _ValidatorMixin):
    """Spark's TrainValidationSplit, much faster where the estimator is ours; see CrossValidator."""

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

    @keyword_only
    def setParams(
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
    ) -> TrainValidationSplit:
        """Set several Params by keyword."""
        given = self._input_kwargs
        self._set(**{name: value for name, value in given.items() if value is not None})
        return self

    def _fit(self, dataset: DataFrame) -> spark.TrainValidationSplitModel:
        estimator, maps = self.getEstimator(), self.getEstimatorParamMaps()
        if not can_try(estimator, maps):
            return super()._fit(dataset)
        evaluator, split = self.getEvaluator(), self._split(dataset)
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
        return self._copyValues(spark.TrainValidationSplitModel(model, metrics, subs))

    def _split(self, dataset: DataFrame) -> Split:
        return train_validation_split(dataset, self.uid, self.getTrainRatio(), self.getSeed())

    def write(self) -> MLWriter:
        """A writer of this validator."""
        return _TrainValidationSplitWriter(self)

    @classmethod
    def read(cls) -> spark.TrainValidationSplitReader:
        """A reader of what `write` wrote."""
        return _TrainValidationSplitReader(cls)


class _CrossValidatorWriter(OverwritingWriter, spark.CrossValidatorWriter):
    """Spark's own, with room made on Spark Connect too."""


class _TrainValidationSplitWriter(OverwritingWriter, spark.TrainValidationSplitWriter):
    """Spark's own, with room made on Spark Connect too."""


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
    # Spark takes the maps of a class outside of its own package for some that Scala wrote.
    as_sparks = {**metadata, "class": f"pyspark.ml.tuning.{kind.__name__}"}
    with damage(f"What is saved at '{path}' is damaged: "):
        _, estimator, evaluator, maps = spark._ValidatorSharedReadWrite.load(
            path, for_readers(session), as_sparks
        )
        made = kind(estimator=estimator, estimatorParamMaps=maps, evaluator=evaluator)
        made._resetUid(read_uid(metadata["uid"]))
        DefaultParamsReader.getAndSetParams(made, metadata, skipParams=["estimatorParamMaps"])
    return made


def regParamGrid(
    dataset: DataFrame,
    estimator: LogisticRegressionEstimator,
    n: int = 20,
    ratio: float | None = None,
) -> list[dict[Param[Any], float]]:
    """Param maps of `regParam`, from the smallest that leaves no coefficient down to a share of it.

    At the first, found exactly in one reading of the rows, the L1 term keeps all coefficients at
    zero; below it, features come in one after another. The values are spaced evenly on the log
    scale, as in glmnet. A pure L2 penalty keeps none at zero: there, as in glmnet, it is taken
    for an elasticNetParam of 0.001.

    Parameters
    ----------
    dataset : DataFrame
        The rows that will be fitted.
    estimator : LogisticRegressionEstimator
        Its columns, elasticNetParam, fitIntercept, standardization and family count.
    n : int
        How many values.
    ratio : float, optional
        The last value as a share of the first; by default 1e-4, or 1e-2 where there are fewer rows
        than features.

    Returns
    -------
    list of param maps
        For `CrossValidator(estimatorParamMaps=...)`, descending.

    Examples
    --------
    >>> from sparklr.tuning import regParamGrid
    >>> rows = [(float(i % 7 > 3), i % 5 + 0.1 * i, float(i % 3)) for i in range(60)]
    >>> frame = spark.createDataFrame(rows, ["label", "age", "dose"])
    >>> estimator = LogisticRegressionEstimator(featuresCols=["age", "dose"], elasticNetParam=1.0)
    >>> maps = regParamGrid(frame, estimator, n=3, ratio=0.01)
    >>> largest = maps[0][estimator.regParam]
    >>> estimator.fit(frame, maps[0]).coefficients.numNonzeros()
    0
    >>> estimator.fit(frame, {estimator.regParam: 0.99 * largest}).coefficients.numNonzeros()
    1
    """
    if not isinstance(estimator, LogisticRegressionEstimator):
        raise TypeError(
            f"regParamGrid takes a LogisticRegressionEstimator, but got a "
            f"{type(estimator).__name__}. Transform the data set by the stages before it first."
        )
    if n < 1 or (ratio is not None and not 0 < ratio < 1):
        raise ValueError(f"n={n}, ratio={ratio}: n must be at least 1, and ratio between 0 and 1.")
    requests, unseen = {0: request_of(estimator)}, silent()
    with open_shared_fits(requests, dataset, stage=unseen.stage, watch=unseen.round) as shared:
        largest = shared.largest_penalty()
        moments = shared.facts(0).moments
    default = 1e-4 if moments.rows > moments.features else 1e-2
    shares = np.geomspace(1.0, default if ratio is None else ratio, n)
    return [{estimator.regParam: float(largest * share)} for share in shares]


def _final(
    estimator: AnyEstimator, maps: Sequence[ParamMap], best: int, dataset: DataFrame, trials: Trials
) -> Model:
    """The model of the best map on all rows: fitted with the others, or now."""
    known = trials.final.get(best)
    return estimator.fit(dataset, dict(maps[best])) if known is None else known()
