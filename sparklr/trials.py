"""Trials of param maps on held-out rows: what the two validators of `tuning` run.

Where the estimator is ours, all folds and maps share one packing of the rows; where it is the last
stage of a Pipeline, the stages before it are fitted once for each fold and each of their settings.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from typing import Any, TypeAlias

from pyspark import inheritable_thread_target
from pyspark.ml import Estimator, Model, Pipeline, PipelineModel
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sparklr.estimator import LogisticRegressionEstimator
from sparklr.grid import Grid, Place, data_key, open_grid
from sparklr.judges import Judge, judge_of
from sparklr.plan import Fit
from sparklr.progress import Progress

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
    return not any(param.parent == estimator.uid and param.name == "stages"
                   for extra in maps for param in extra)  # fmt: skip


def _fair_judge(evaluator: Evaluator, estimator: LogisticRegressionEstimator) -> Judge | None:
    """The evaluator's judge, if the packed rows are all that it would look at."""
    judge = judge_of(evaluator, estimator)
    weighted = estimator.isSet("weightCol") and bool(estimator.getWeightCol())
    # Rows of weight zero are not packed, but an evaluator without weights counts them.
    return None if weighted and not getattr(judge, "weighted", False) else judge


@contextmanager
def _kept(split: Split, dataset: DataFrame, *, needed: bool) -> Iterator[Split]:
    """The split, persisted while it is read several times, unless the data set is already."""
    level = dataset.storageLevel
    if not needed or level.useMemory or level.useDisk:
        yield split
        return
    frame = split.frame.persist()
    try:
        yield Split(frame, split.column, split.held)
    finally:
        frame.unpersist()


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
        alone = self._ours is self._estimator
        with _kept(split, dataset, needed=not alone or None in self._judges) as kept:
            if alone:
                self._run_alone(kept, dataset)
            else:
                self._run_pipeline(kept)

    def table(self, held: Sequence[int]) -> list[list[float]]:
        """Metrics: a row a fold, a column a map."""
        return [[self.metrics[at, fold] for at in range(len(self._maps))] for fold in held]

    def _run_alone(self, split: Split, dataset: DataFrame) -> None:
        """Maps that take the same columns share a packing of all folds."""
        for group in _groups([data_key(one) for one in self._copies]):
            alike = [self._copies[at] for at in group]
            with open_grid(alike, split.frame, self._progress, split.fold) as grid:
                _check_folds(grid, split.held)
                whole = grid.fit()
                places = {
                    (i, fold): (at, fold) for i, at in enumerate(group) for fold in split.held
                }
                fits = grid.fit_without(list(places), whole)
                self._judge_packed(grid, fits, places)
                train = {fold: split.without(fold) for fold in split.held}
                models = self._models(grid, fits, places, train)
                for i, at in enumerate(group):
                    self.final[at] = partial(grid.model, i, whole[i], dataset)
            self._judge_rest(models, split)

    def _run_pipeline(self, split: Split) -> None:
        """The stages before ours are fitted once a fold and setting of theirs."""
        settings = [_setting(extra, self._ours.uid) for extra in self._maps]
        for fold in split.held:
            for group in _groups(settings):
                self._progress.stage(f"fitting the stages before, fold {fold}")
                pipeline: Any = self._estimator.copy(dict(self._maps[group[0]]))
                before = Pipeline(stages=pipeline.getStages()[:-1]).fit(split.without(fold))
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
    if signature(inheritable_thread_target).parameters["f"].default is Parameter.empty:
        return inheritable_thread_target(target)  # Spark 3.5, which takes no session
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
