"""Trials of param maps on held-out rows, run by the two validators of `tuning`.

If the estimator is ours, all folds and maps share one packing of the rows. If ours is the last
stage of a Pipeline, the stages before it are fitted once per fold and per setting of these stages;
for a StandardScaler, the most common such stage, `scaler` avoids this where possible.
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
from sparklr.fitting.packed_rows import PackedRows
from sparklr.fitting.shared import Place, grouped
from sparklr.fitting.split import Split
from sparklr.params import check_map
from sparklr.scoring.evaluators import ArrayEvaluator, array_evaluator
from sparklr.search.folds import is_row_transformer, persisted
from sparklr.search.scaler import without_scaler
from sparklr.search.strategies import Search, Trial, Tried, alone, before_scaler, per_fold
from sparklr.spark.errors import InvalidTypeError
from sparklr.spark.refusals import warn_once
from sparklr.spark.types import AnyEstimator, ParamMap


def last_stage(estimator: AnyEstimator) -> LogisticRegressionEstimator | None:
    """Return our estimator: `estimator` itself or the last stage of a Pipeline, else None."""
    if isinstance(estimator, LogisticRegressionEstimator):
        return estimator
    if type(estimator) is Pipeline and estimator.isDefined(estimator.stages):
        stages = estimator.getStages()
        if stages and isinstance(stages[-1], LogisticRegressionEstimator):
            return stages[-1]
    return None


def can_try(estimator: AnyEstimator, maps: Sequence[ParamMap]) -> bool:
    """Whether trials can share passes; if not, Spark fits each of them separately."""
    if last_stage(estimator) is None:
        return False
    for extra in maps:
        check_map(extra)
    if any(
        param.parent == estimator.uid and param.name == "stages"
        for extra in maps
        for param in extra
    ):
        warn_once(
            "estimatorParamMaps change the stages of the Pipeline, so Spark's own search runs, "
            "and fits each model separately"
        )
        return False
    return True


def _check_owners(estimator: AnyEstimator, maps: Sequence[ParamMap]) -> None:
    """Refuse Params of unknown stages, because all their values would give the same fit."""
    stages = estimator.getStages() if isinstance(estimator, Pipeline) else [estimator]
    if not all(isinstance(one, (JavaParams, LogisticRegressionEstimator)) for one in stages):
        return  # other kinds of stages may contain further stages
    known = {estimator.uid, *(stage.uid for stage in stages)}
    for param in (param for extra in maps for param in extra):
        if param.parent not in known:
            raise ValueError(
                f"estimatorParamMaps name {param.name} of {param.parent}, which is neither the "
                "estimator nor one of its stages. Use Params of the estimator and its stages: "
                f"{', '.join(sorted(known))}."
            )


def _fair_evaluator(
    evaluator: Evaluator, estimator: LogisticRegressionEstimator
) -> ArrayEvaluator | None:
    """Return the evaluator's in-memory equivalent, or None if it needs more than packed rows."""
    found = array_evaluator(evaluator, estimator)
    weighted = estimator.isSet("weightCol") and bool(estimator.getWeightCol())
    # Rows of weight zero are not packed, but an evaluator without weights would count them.
    return None if found is None or (weighted and not found.weighted) else found


class Trials:
    """Fits of every map without each held-out fold, evaluated on the rows of that fold.

    `metrics`, and `models` if they are kept, have keys (map, fold). `final` has a function that
    makes the model of a map on all rows, for maps that were fitted on all rows too.
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

    def run(self, split: Split, dataset: DataFrame | PackedRows) -> None:
        """Fit and evaluate all maps on all folds."""
        search = self._search
        if search.ours is search.estimator:
            with persisted(split, dataset, needed=None in search.array_evaluators) as kept:
                self._take(alone(search, kept, dataset), kept)
            return
        if isinstance(dataset, PackedRows):
            raise InvalidTypeError(
                "Packed rows cannot pass the stages of a Pipeline. Give the validator the "
                "estimator alone, or fit it on the frame."
            )
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
        """Return the metrics, with a row per fold and a column per map."""
        maps = range(len(self._search.maps))
        return [[self.metrics[at, fold] for at in maps] for fold in held]

    def _take(self, results: Iterator[Tried], split: Split) -> None:
        """Record the results of a strategy, and evaluate models whose metrics are not known yet."""
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
        """Compute the metrics of trials with the evaluator itself, from the models' predictions."""
        if not trials:
            return
        search = self._search
        warn_once(
            f"{type(search.evaluator).__name__} with these Params needs a frame of predictions, so "
            "each model scores the held-out rows of its fold in Spark jobs"
        )
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
    """Return estimators on the input of a StandardScaler, or None if other stages need a fit."""
    if any(search.needs_model(at) for at in group):
        return None  # a model contains the scaler of its fold
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
    """Wrap a target so that jobs of other threads have this thread's properties and tags."""
    if pyspark.__version__.startswith("3."):  # Spark 3 takes no session
        return inheritable_thread_target(target)
    return inheritable_thread_target(session)(target)


def _setting(extra: ParamMap, ours: str) -> Hashable:
    """Return a key for the settings that a map has for the stages before ours."""
    return frozenset((param, repr(value)) for param, value in extra.items() if param.parent != ours)
