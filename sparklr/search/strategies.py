"""Three strategies to fit every map without each fold, in as few passes as possible.

alone          our estimator without a Pipeline: all folds and maps share one packing
before_scaler  a StandardScaler is the only stage to fit before ours: they share a packing of its
               input
per_fold       other stages are fitted before ours: once per fold, with a packing of each fold

Each strategy yields one `Tried` per packing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from pyspark.ml import Model, Pipeline, PipelineModel, Transformer
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.feature import StandardScalerModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.display.progress import Progress
from sparklr.estimator import LogisticRegressionEstimator, model_of, request_of
from sparklr.fitting.outcome import Fit
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.fitting.shared import Place, SharedFits, data_key, grouped, open_shared_fits
from sparklr.fitting.split import Split
from sparklr.rows.columns import training_rows
from sparklr.scoring.evaluators import ArrayEvaluator
from sparklr.scoring.outputs import check_output_columns
from sparklr.search.folds import check_folds, transformed
from sparklr.search.held_out import held_out_metrics
from sparklr.search.scaler import with_scaler
from sparklr.spark.types import AnyEstimator, ParamMap

# The fold number of all training rows, where a packing holds out only one fold.
OTHERS = -1


@dataclass(frozen=True, eq=False)
class Trial:
    """A map fitted without a fold, with its metric on that fold and its model.

    metric : None where only the evaluator can compute it, from the model's predictions
    model : None where it is not needed
    """

    place: Place
    metric: float | None
    model: Model | None


@dataclass(frozen=True, eq=False)
class Tried:
    """The trials of one packing, and for each map a function that makes its model on all rows."""

    trials: Sequence[Trial]
    final: Mapping[int, Callable[[], Model]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Search:
    """A search over maps: `ours` is `estimator` itself, or the last stage of a Pipeline.

    copies : for each map, a copy of `ours` with its Params
    array_evaluators : for each map, the in-memory equivalent of the evaluator, or None
    """

    estimator: AnyEstimator
    ours: LogisticRegressionEstimator
    maps: Sequence[ParamMap]
    copies: Sequence[LogisticRegressionEstimator]
    evaluator: Evaluator
    array_evaluators: Sequence[ArrayEvaluator | None]
    keep_models: bool
    progress: Progress

    def needs_model(self, at: int) -> bool:
        """Whether a map's models are needed: to be kept, or for an evaluator that needs frames."""
        return self.keep_models or self.array_evaluators[at] is None

    def stages(self, at: int) -> list[AnyEstimator | Transformer]:
        """Return the Pipeline's stages with the Params of a map."""
        pipeline = cast(Pipeline, self.estimator.copy(dict(self.maps[at])))
        return list(pipeline.getStages())

    def share(
        self,
        estimators: Mapping[int, LogisticRegressionEstimator],
        frame: DataFrame | PackedRows,
        fold: Column,
    ) -> AbstractContextManager[SharedFits]:
        """Open one packing of a frame for estimators, which are keyed by map."""
        return open_shared_fits(
            {at: request_of(its) for at, its in estimators.items()},
            frame,
            fold=fold,
            stage=self.progress.stage,
            watch=self.progress.round,
        )

    def metrics(self, shared: SharedFits, fits: Mapping[Place, Fit]) -> dict[Place, float]:
        """Return the metrics of fits on their folds, where they can be computed in memory."""
        found: dict[Place, float] = {}
        for evaluator in dict.fromkeys(self.array_evaluators):
            its = {at: fit for at, fit in fits.items() if self.array_evaluators[at[0]] == evaluator}
            if evaluator is not None and its:
                found |= held_out_metrics(shared, evaluator, its, self.progress.stage)
        return found


def alone(search: Search, split: Split, dataset: DataFrame | PackedRows) -> Iterator[Tried]:
    """Fit our estimator itself: maps with the same columns share a packing of all folds."""
    frame = frame_of(dataset)
    for group in grouped(range(len(search.maps)), lambda at: data_key(search.copies[at])):
        estimators = {at: search.copies[at] for at in group}
        rows = dataset if isinstance(dataset, PackedRows) else split.frame
        with search.share(estimators, rows, split.fold) as shared:
            whole, fits = _fit_folds(shared, split.held)
            metrics = search.metrics(shared, fits)
            train = {fold: split.without(fold) for fold in split.held}
            models = _models(search, shared, fits, train)
        yield Tried(
            _trials(fits, metrics, models),
            {
                at: partial(_final_alone, search, shared, whole[at], at, frame)
                for at in group
                if search.copies[at].getPosterior().lower() == "none"
            },
        )


def before_scaler(
    search: Search,
    estimators: Mapping[int, LogisticRegressionEstimator],
    split: Split,
    dataset: DataFrame,
) -> Iterator[Tried]:
    """Fit on the input of a StandardScaler, so that folds and maps share a packing.

    `estimators` are equivalent, on the scaler's input, to the search's copies on its output.
    """
    frame = PipelineModel(
        cast("list[Transformer]", search.stages(next(iter(estimators)))[:-2])
    ).transform(split.frame)
    for group in grouped(estimators, lambda at: data_key(estimators[at])):
        alike = {at: estimators[at] for at in group}
        with search.share(alike, frame, split.fold) as shared:
            whole, fits = _fit_folds(shared, split.held)
            metrics = search.metrics(shared, fits)
        yield Tried(
            _trials(fits, metrics, {}),
            {at: partial(_final_scaled, search, shared, whole[at], at, dataset) for at in group},
        )


def per_fold(search: Search, group: Sequence[int], split: Split) -> Iterator[Tried]:
    """Fit the stages before ours once per fold, for maps with equal settings of these stages."""
    for fold in split.held:
        search.progress.stage(f"fitting the preceding stages, fold {fold}")
        before = Pipeline(stages=search.stages(group[0])[:-1]).fit(split.without(fold))
        frame = transformed(before, split, fold)
        column = F.when(split.fold == fold, fold).otherwise(OTHERS)
        for alike in grouped(group, lambda at: data_key(search.copies[at])):
            estimators = {at: search.copies[at] for at in alike}
            with search.share(estimators, frame, column) as shared:
                check_folds(shared.folds, [fold])
                fits = shared.fit_without([(at, fold) for at in alike], None)
                metrics = search.metrics(shared, fits)
                train = {fold: frame.where(split.fold != fold)}
                models = _models(search, shared, fits, train)
            piped = {at: PipelineModel([*before.stages, its]) for at, its in models.items()}
            yield Tried(_trials(fits, metrics, piped))


def _fit_folds(shared: SharedFits, held: Sequence[int]) -> tuple[dict[int, Fit], dict[Place, Fit]]:
    """Fit all maps on all rows and then, with these fits as warm starts, without each fold.

    A posterior takes more readings than a fit, so only the best map gets one, in a fit of its own.
    """
    check_folds(shared.folds, held)
    whole = shared.fit(posteriors=False)
    return whole, shared.fit_without([(at, fold) for at in whole for fold in held], whole)


def _models(
    search: Search,
    shared: SharedFits,
    fits: Mapping[Place, Fit],
    train: Mapping[int, DataFrame],
) -> dict[Place, Model]:
    """Return the models of fits without a fold, for maps whose models are needed."""
    return {
        (at, fold): model_of(search.copies[at], fit, shared.facts(at, fold), train[fold])
        for (at, fold), fit in fits.items()
        if search.needs_model(at)
    }


def _trials(
    fits: Mapping[Place, Fit], metrics: Mapping[Place, float], models: Mapping[Place, Model]
) -> list[Trial]:
    return [Trial(place, metrics.get(place), models.get(place)) for place in fits]


def _final_alone(
    search: Search, shared: SharedFits, fit: Fit, at: int, dataset: DataFrame
) -> Model:
    """Return the model of a map on all rows."""
    return model_of(search.copies[at], fit, shared.facts(at), dataset)


def _final_scaled(
    search: Search, shared: SharedFits, fit: Fit, at: int, dataset: DataFrame
) -> PipelineModel:
    """Return the Pipeline's model of a map on all rows, from a fit on the scaler's input."""
    before = Pipeline(stages=search.stages(at)[:-1]).fit(dataset)
    frame, estimator = before.transform(dataset), search.copies[at]
    scaler = cast(StandardScalerModel, before.stages[-1])
    facts = shared.facts(at)
    scaled, moments = with_scaler(fit, facts.moments, scaler)
    check_output_columns(frame, estimator)
    names = training_rows(frame, estimator).names.each
    known = None if names is None else tuple(names)
    model = model_of(estimator, scaled, replace(facts, names=known, moments=moments), frame)
    return PipelineModel([*before.stages, model])
