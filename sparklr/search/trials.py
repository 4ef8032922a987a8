"""Trials of param maps on held-out rows: what the two validators of `tuning` run.

Where the estimator is ours, all folds and maps share one packing of the rows; where it is the last
stage of a Pipeline, the stages before it are fitted once for each fold and each of their settings;
of these a StandardScaler, the most common one, is done without.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyspark
from pyspark import inheritable_thread_target
from pyspark.ml import Model, Pipeline
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.wrapper import JavaParams
from pyspark.sql import DataFrame, SparkSession

from sparklr.display.progress import Progress
from sparklr.estimator import LogisticRegressionEstimator
from sparklr.fitting.shared import Place, grouped
from sparklr.params import check_map
from sparklr.scoring.evaluators import ArrayEvaluator, array_evaluator
from sparklr.search.folds import Split, is_row_transformer, persisted
from sparklr.search.scaler import without_scaler
from sparklr.search.strategies import Search, Trial, Tried, alone, before_scaler, per_fold
from sparklr.spark.types import AnyEstimator, ParamMap


def last_stage(estimator: AnyEstimator) -> LogisticRegressionEstimator | None:
    """Ours: the estimator itself, or the last stage of a Pipeline; None if it is another."""
    if isinstance(estimator, LogisticRegressionEstimator):
        return estimator
    if type(estimator) is Pipeline and estimator.isDefined(estimator.stages):
        stages = estimator.getStages()
        if stages and isinstance(stages[-1], LogisticRegressionEstimator):
            return stages[-1]
    return None


def can_try(estimator: AnyEstimator, maps: Sequence[ParamMap]) -> bool:
    """Whether trials can share readings: else each is a fit of its own, as Spark does them."""
    if last_stage(estimator) is None:
        return False
    for extra in maps:
        check_map(extra)
    return not any(param.parent == estimator.uid and param.name == "stages"
                   for extra in maps for param in extra)  # fmt: skip


def _check_owners(estimator: AnyEstimator, maps: Sequence[ParamMap]) -> None:
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


def _fair_evaluator(
    evaluator: Evaluator, estimator: LogisticRegressionEstimator
) -> ArrayEvaluator | None:
    """The evaluator's equivalent in memory, if the packed rows are all that it would look at."""
    found = array_evaluator(evaluator, estimator)
    weighted = estimator.isSet("weightCol") and bool(estimator.getWeightCol())
    # Rows of weight zero are not packed, but an evaluator without weights counts them.
    return None if found is None or (weighted and not found.weighted) else found


class Trials:
    """Fits of every map without each held-out fold, evaluated on that fold's rows.

    `metrics` and `models` (if they are kept) are by (map, fold); `final` makes the model of a map
    on all rows, where it was fitted with the others.
    """

    def __init__(
        self,
        estimator: AnyEstimator,
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
        self._parallelism = parallelism
        copies = [ours.copy(dict(extra)) for extra in maps]
        self._search = Search(
            estimator=estimator,
            ours=ours,
            maps=maps,
            copies=copies,
            evaluator=evaluator,
            array_evaluators=[_fair_evaluator(evaluator, one) for one in copies],
            keep_models=keep_models,
            progress=progress,
        )

    def run(self, split: Split, dataset: DataFrame) -> None:
        """Fit and evaluate them all."""
        search = self._search
        if search.ours is search.estimator:
            with persisted(split, dataset, needed=None in search.array_evaluators) as kept:
                self._take(alone(search, kept, dataset), kept)
            return
        groups = grouped(
            range(len(search.maps)), lambda at: _setting(search.maps[at], search.ours.uid)
        )
        unscaled = [_before_scaler(search, group) for group in groups]
        with persisted(split, dataset, needed=None in unscaled) as kept:
            for group, estimators in zip(groups, unscaled, strict=True):
                if estimators is None:
                    self._take(per_fold(search, group, kept), kept)
                else:
                    self._take(before_scaler(search, estimators, kept, dataset), kept)

    def table(self, held: Sequence[int]) -> list[list[float]]:
        """Metrics: a row per fold, a column per map."""
        maps = range(len(self._search.maps))
        return [[self.metrics[at, fold] for at in maps] for fold in held]

    def _take(self, results: Iterator[Tried], split: Split) -> None:
        """Note what comes of a strategy, and evaluate what the packed rows could not tell."""
        for tried in results:
            self.final |= tried.final
            if self._search.keep_models:
                self.models |= {
                    its.place: its.model for its in tried.trials if its.model is not None
                }
            found = [trial for trial in tried.trials if trial.metric is not None]
            self.metrics |= {trial.place: float(trial.metric or 0.0) for trial in found}
            self._evaluate([trial for trial in tried.trials if trial.metric is None], split)

    def _evaluate(self, trials: Sequence[Trial], split: Split) -> None:
        """Metrics that only the evaluator can tell."""
        if not trials:
            return
        search = self._search
        search.progress.stage("evaluating")

        def ask(trial: Trial) -> float:
            at, fold = trial.place
            assert trial.model is not None  # as there is no metric
            scored = trial.model.transform(split.only(fold), dict(search.maps[at]))
            return float(search.evaluator.evaluate(scored))

        with ThreadPoolExecutor(self._parallelism) as pool:
            asked = _for_threads(split.frame.sparkSession, ask)
            found = pool.map(asked, trials)
            self.metrics |= {
                trial.place: metric for trial, metric in zip(trials, found, strict=True)
            }


def _before_scaler(
    search: Search, group: Sequence[int]
) -> dict[int, LogisticRegressionEstimator] | None:
    """Estimators for what comes before a StandardScaler, if that is the only stage to fit."""
    if any(search.needs_model(at) for at in group):
        return None  # the scaler of each fold is wanted
    before = search.stages(group[0])[:-1]
    scaler = before.pop() if before else None
    if type(scaler) is not StandardScaler or not all(map(is_row_transformer, before)):
        return None
    found: dict[int, LogisticRegressionEstimator] = {}
    for at in group:
        estimator = without_scaler(search.copies[at], scaler)
        if estimator is None:
            return None
        found[at] = estimator
    return found


def _for_threads(session: SparkSession, target: Callable[[Trial], float]) -> Any:
    """The target, for threads whose jobs are to have this thread's properties and tags."""
    if pyspark.__version__.startswith("3."):  # it takes no session there
        return inheritable_thread_target(target)
    return inheritable_thread_target(session)(target)


def _setting(extra: ParamMap, ours: str) -> Hashable:
    """What a map says to the stages before ours."""
    return frozenset((param, repr(value)) for param, value in extra.items() if param.parent != ours)
