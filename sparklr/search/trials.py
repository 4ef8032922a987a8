"""Trials of param maps on held-out rows: what the two validators of `tuning` run.

Where the estimator is ours, all folds and maps share one packing of the rows; where it is the last
stage of a Pipeline, the stages before it are fitted once for each fold and each of their settings;
of these a StandardScaler, the most common one, is done without.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import pyspark
from pyspark import inheritable_thread_target
from pyspark.ml import Estimator, Model, Pipeline, PipelineModel, Transformer
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.feature import SQLTransformer, StandardScaler
from pyspark.ml.wrapper import JavaParams
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sparklr.display.progress import Progress
from sparklr.estimator import LogisticRegressionEstimator
from sparklr.fitting.plan import Fit
from sparklr.fitting.shared import Grid, Place, data_key, open_grid
from sparklr.params import check_map
from sparklr.rows.columns import training_rows
from sparklr.scoring.evaluators import ArrayEvaluator, array_evaluator
from sparklr.search.scaler import rescaled, unscaled
from sparklr.spark.refusals import first_line, warn_once

ParamMap: TypeAlias = Mapping[Any, Any]


@dataclass(frozen=True)
class Split:
    """A data set with a column that names each row's fold, and the folds held out in turn."""

    frame: DataFrame
    column: str
    held: Sequence[int]

    @property
    def fold(self) -> Column:
        return F.col(self.column)

    def without(self, fold: int) -> DataFrame:
        """The rows to train on."""
        return self.frame.where(self.fold != fold)

    def only(self, fold: int) -> DataFrame:
        """The rows to judge by."""
        return self.frame.where(self.fold == fold)


def last_stage(estimator: Estimator[Any]) -> LogisticRegressionEstimator | None:
    """Ours: the estimator itself, or the last stage of a Pipeline; None if it is another."""
    if isinstance(estimator, LogisticRegressionEstimator):
        return estimator
    if type(estimator) is Pipeline and estimator.isDefined(estimator.stages):
        stages = estimator.getStages()
        if stages and isinstance(stages[-1], LogisticRegressionEstimator):
            return stages[-1]
    return None


def can_try(estimator: Estimator[Any], maps: Sequence[ParamMap]) -> bool:
    """Whether trials can share readings: else each is a fit of its own, as Spark does them."""
    if last_stage(estimator) is None:
        return False
    for extra in maps:
        check_map(extra)
    return not any(param.parent == estimator.uid and param.name == "stages"
                   for extra in maps for param in extra)  # fmt: skip


def _check_owners(estimator: Estimator[Any], maps: Sequence[ParamMap]) -> None:
    """Refuse a Param of a stage that is not there, as its values would all give the same fit."""
    stages = estimator.getStages() if isinstance(estimator, Pipeline) else [estimator]
    if not all(isinstance(one, (JavaParams, LogisticRegressionEstimator)) for one in stages):
        return  # other stages may have stages of their own
    known = {estimator.uid, *(stage.uid for stage in stages)}
    for param in (param for extra in maps for param in extra):
        if param.parent not in known:
            raise ValueError(
                f"estimatorParamMaps name {param.name} of {param.parent}, which is neither the "
                "estimator nor one of its stages. Build the maps from those that are fitted: "
                f"{', '.join(sorted(known))}."
            )


def _fair_judge(
    evaluator: Evaluator, estimator: LogisticRegressionEstimator
) -> ArrayEvaluator | None:
    """The evaluator's judge, if the packed rows are all that it would look at."""
    judge = array_evaluator(evaluator, estimator)
    weighted = estimator.isSet("weightCol") and bool(estimator.getWeightCol())
    # Rows of weight zero are not packed, but an evaluator without weights counts them.
    return None if weighted and not getattr(judge, "weighted", False) else judge


@contextmanager
def _kept(split: Split, dataset: DataFrame, *, needed: bool) -> Iterator[Split]:
    """The split, persisted while it is read several times, unless the data set is already."""
    if not needed or _is_kept(dataset):
        yield split
        return
    try:
        frame = split.frame.persist()
    except Exception as refusal:
        warn_once(f"the rows are read anew for each evaluation: {first_line(refusal)}")
        yield split
        return
    try:
        yield Split(frame, split.column, split.held)
    finally:
        frame.unpersist()


def _is_kept(dataset: DataFrame) -> bool:
    try:
        level = dataset.storageLevel
    except Exception:  # who cannot persist frames may not want to be asked
        return False
    return level.useMemory or level.useDisk


class Trials:
    """Fits of every map without each held-out fold, judged by that fold's rows.

    `metrics` and `models` (if they are kept) are by (map, fold); `final` makes the model of a map
    on all rows, where it was fitted with the others.
    """

    def __init__(
        self,
        estimator: Estimator[Any],
        maps: Sequence[ParamMap],
        evaluator: Evaluator,
        *,
        keep_models: bool,
        parallelism: int,
        progress: Progress,
    ) -> None:
        ours = last_stage(estimator)
        assert ours is not None
        _check_owners(estimator, maps)
        self.metrics: dict[Place, float] = {}
        self.models: dict[Place, Model] = {}
        self.final: dict[int, Callable[[], Model]] = {}
        self._estimator, self._ours, self._maps = estimator, ours, maps
        self._evaluator, self._parallelism = evaluator, parallelism
        self._keep_models, self._progress = keep_models, progress
        self._copies = [ours.copy(dict(extra)) for extra in maps]
        self._judges = [_fair_judge(evaluator, one) for one in self._copies]

    def run(self, split: Split, dataset: DataFrame) -> None:
        """Fit and judge them all."""
        if self._ours is self._estimator:
            with _kept(split, dataset, needed=None in self._judges) as kept:
                self._run_alone(kept, dataset)
            return
        groups = _groups([_setting(extra, self._ours.uid) for extra in self._maps])
        unscaled = [self._unscaled(group) for group in groups]
        with _kept(split, dataset, needed=None in unscaled) as kept:
            for group, estimators in zip(groups, unscaled, strict=True):
                if estimators is None:
                    self._run_pipeline(group, kept)
                else:
                    self._run_unscaled(group, estimators, kept, dataset)

    def table(self, held: Sequence[int]) -> list[list[float]]:
        """Metrics: a row a fold, a column a map."""
        return [[self.metrics[at, fold] for at in range(len(self._maps))] for fold in held]

    def _run_alone(self, split: Split, dataset: DataFrame) -> None:
        """Maps that take the same columns share a packing of all folds."""
        for group in _groups([data_key(one) for one in self._copies]):
            alike = [self._copies[at] for at in group]
            with open_grid(alike, split.frame, self._progress, split.fold) as grid:
                whole, fits, places = self._run_folds(grid, group, split)
                train = {fold: split.without(fold) for fold in split.held}
                models = self._models(grid, fits, places, train)
                for i, at in enumerate(group):
                    self.final[at] = partial(grid.model, i, whole[i], dataset)
            self._judge_rest(models, split)

    def _run_folds(
        self, grid: Grid, group: Sequence[int], split: Split
    ) -> tuple[list[Fit], dict[Place, Fit], dict[Place, Place]]:
        """Fits of some maps on all rows and without each fold, judged where the rows can tell."""
        _check_folds(grid, split.held)
        whole = grid.fit()
        places = {(i, fold): (at, fold) for i, at in enumerate(group) for fold in split.held}
        fits = grid.fit_without(list(places), whole)
        self._judge_packed(grid, fits, places)
        return whole, fits, places

    def _unscaled(self, group: Sequence[int]) -> list[LogisticRegressionEstimator] | None:
        """Estimators for what comes before a StandardScaler, if that is the only stage to fit."""
        if self._keep_models or any(self._judges[at] is None for at in group):
            return None  # the scaler of each fold is wanted
        *before, scaler = self._stages(group[0])[:-1] or [None]
        if type(scaler) is not StandardScaler or not all(map(_is_row_transformer, before)):
            return None
        found = [unscaled(self._copies[at], scaler) for at in group]
        return None if None in found else [one for one in found if one is not None]

    def _stages(self, at: int) -> list[Any]:
        """The Pipeline's stages, with the Params of a map."""
        pipeline: Any = self._estimator.copy(dict(self._maps[at]))
        return list(pipeline.getStages())

    def _run_unscaled(
        self,
        group: Sequence[int],
        estimators: Sequence[LogisticRegressionEstimator],
        split: Split,
        dataset: DataFrame,
    ) -> None:
        """Folds and maps share a packing of the rows before they are scaled."""
        frame = PipelineModel(self._stages(group[0])[:-2]).transform(split.frame)
        for alike in _groups([data_key(one) for one in estimators]):
            chosen, its = [group[i] for i in alike], [estimators[i] for i in alike]
            with open_grid(its, frame, self._progress, split.fold) as grid:
                whole, _, _ = self._run_folds(grid, chosen, split)
                for i, at in enumerate(chosen):
                    self.final[at] = partial(self._rescaled, grid, i, whole[i], at, dataset)

    def _rescaled(self, grid: Grid, i: int, fit: Fit, at: int, dataset: DataFrame) -> PipelineModel:
        """The Pipeline's model of a map on all rows, from the fit before the scaler."""
        before = Pipeline(stages=self._stages(at)[:-1]).fit(dataset)
        frame, estimator = before.transform(dataset), self._copies[at]
        scaler: Any = before.stages[-1]
        reading = grid.reading(i, frame)
        there, moments = rescaled(fit, reading.moments, scaler)
        names = training_rows(frame, estimator).names.each
        model = estimator._model(there, replace(reading, names=names, moments=moments))
        return PipelineModel([*before.stages, model])

    def _run_pipeline(self, group: Sequence[int], split: Split) -> None:
        """The stages before ours are fitted once a fold, for maps that set them alike."""
        for fold in split.held:
            self._progress.stage(f"fitting the stages before, fold {fold}")
            before = Pipeline(stages=self._stages(group[0])[:-1]).fit(split.without(fold))
            frame = _transformed(before, split, fold)
            for alike in _groups([data_key(self._copies[at]) for at in group]):
                chosen = [group[i] for i in alike]
                self._run_behind(before, chosen, frame, split, fold)

    def _run_behind(
        self,
        before: PipelineModel,
        chosen: Sequence[int],
        frame: DataFrame,
        split: Split,
        fold: int,
    ) -> None:
        """Maps behind the same fitted stages, which were fitted without one fold."""
        # Other folds do not matter here: 1 is held out, 0 is not.
        held = F.when(split.fold == fold, 1).otherwise(0)
        alike = [self._copies[at] for at in chosen]
        with open_grid(alike, frame, self._progress, held) as grid:
            _check_folds(grid, [1])
            places = {(i, 1): (at, fold) for i, at in enumerate(chosen)}
            fits = grid.fit_without(list(places), None)
            self._judge_packed(grid, fits, places)
            models = self._models(grid, fits, places, {1: frame.where(split.fold != fold)})
        piped = {place: PipelineModel([*before.stages, model]) for place, model in models.items()}
        self._judge_rest(piped, split)

    def _judge_packed(
        self, grid: Grid, fits: Mapping[Place, Fit], places: Mapping[Place, Place]
    ) -> None:
        """Metrics that the packed rows can tell; `places` are the trials' places of the grid's."""
        for judge in dict.fromkeys(self._judges):
            mine = {inner: fits[inner] for inner in fits if self._judges[places[inner][0]] == judge}
            if judge is not None and mine:
                metrics = grid.judge(judge, mine)
                self.metrics |= {places[inner]: metric for inner, metric in metrics.items()}

    def _models(
        self,
        grid: Grid,
        fits: Mapping[Place, Fit],
        places: Mapping[Place, Place],
        train: Mapping[int, DataFrame],
    ) -> dict[Place, Any]:
        """The models that somebody needs: the user, or an evaluator that only knows frames."""
        return {
            places[at, fold]: grid.model(at, fit, train[fold], fold)
            for (at, fold), fit in fits.items()
            if self._keep_models or self._judges[places[at, fold][0]] is None
        }

    def _judge_rest(self, models: Mapping[Place, Any], split: Split) -> None:
        """Metrics that only the evaluator can tell."""
        if self._keep_models:
            self.models |= models
        left = [place for place in models if self._judges[place[0]] is None]
        if not left:
            return
        self._progress.stage("evaluating")

        def ask(place: Place) -> float:
            at, fold = place
            scored = models[place].transform(split.only(fold), dict(self._maps[at]))
            return float(self._evaluator.evaluate(scored))

        with ThreadPoolExecutor(self._parallelism) as pool:
            asked = _for_threads(split.frame.sparkSession, ask)
            self.metrics |= dict(zip(left, pool.map(asked, left), strict=True))


def _for_threads(session: SparkSession, target: Callable[[Place], float]) -> Any:
    """The target, for threads whose jobs are to have this thread's properties and tags."""
    if pyspark.__version__.startswith("3."):  # it takes no session there
        return inheritable_thread_target(target)
    return inheritable_thread_target(session)(target)


def _check_folds(grid: Grid, held: Sequence[int]) -> None:
    """Each fold must have rows to judge by, and others to train on."""
    for fold in held:
        if fold not in grid.folds:
            raise ValueError(f"The validation data at fold {fold} is empty.")
        if grid.folds == {fold}:
            raise ValueError(f"The training data at fold {fold} is empty.")


def _transformed(before: PipelineModel, split: Split, fold: int) -> DataFrame:
    """All rows as the fitted stages make them.

    Stages that look at one row at a time may see both parts at once, so that they are read once.
    """
    if all(_by_row(stage) for stage in before.stages):
        return before.transform(split.frame)
    train, held = before.transform(split.without(fold)), before.transform(split.only(fold))
    # Stages may leave the fold's column out.
    train = train.withColumn(split.column, F.lit(-1))
    return train.unionByName(held.withColumn(split.column, F.lit(fold)))


def _is_row_transformer(stage: Any) -> bool:
    return isinstance(stage, Transformer) and _by_row(stage)


def _by_row(stage: Any) -> bool:
    if isinstance(stage, PipelineModel):
        return all(_by_row(one) for one in stage.stages)
    known = type(stage).__module__ == "pyspark.ml.feature"
    return known and not isinstance(stage, SQLTransformer)


def _setting(extra: ParamMap, ours: str) -> Hashable:
    """What a map says to the stages before ours."""
    return frozenset((param, repr(value)) for param, value in extra.items() if param.parent != ours)


def _groups(keys: Sequence[Hashable]) -> list[list[int]]:
    """Places with equal keys, in the order in which the keys appear."""
    groups: dict[Hashable, list[int]] = {}
    for at, key in enumerate(keys):
        groups.setdefault(key, []).append(at)
    return list(groups.values())
