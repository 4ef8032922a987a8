"""Many fits on one reading of a frame: what `fitMultiple` and cross-validation are made of.

Estimators that take the same columns share blocks and passes. Where rows have folds, a fit
leaves one of them out, and only that fold's rows judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from pyspark.sql import Column, DataFrame

from sparklr.arrays import Array
from sparklr.display.progress import Progress
from sparklr.fitting.plan import Fit, WithoutFold, fit_all, fit_without_folds, largest_penalty
from sparklr.model import LogisticRegressionModel, scorer_of
from sparklr.objective.moments import Moments, merge_all
from sparklr.objective.sums import Family, Probe
from sparklr.params import check_params
from sparklr.passes.jobs import open_passes
from sparklr.passes.protocol import Passes
from sparklr.passes.threads import useful_threads
from sparklr.rows.blocks import Block
from sparklr.rows.columns import TrainingRows, check_output_columns, training_rows
from sparklr.scoring.evaluators import ArrayEvaluator, HeldOut
from sparklr.scoring.scorer import Scorer

if TYPE_CHECKING:
    from sparklr.estimator import LogisticRegressionEstimator

Place: TypeAlias = tuple[int, int]  # which estimator, and the fold it is fitted without

# The Params that say how rows are packed: estimators that differ in one cannot share blocks.
DATA_PARAMS = (
    "featuresCol",
    "featuresCols",
    "labelCol",
    "weightCol",
    "maxBlockSizeInMB",
    "aggregationDepth",
)


def data_key(estimator: LogisticRegressionEstimator) -> Hashable:
    """What estimators that share blocks have in common."""
    values = [
        estimator.getOrDefault(name) if estimator.isDefined(name) else None for name in DATA_PARAMS
    ]
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


@dataclass(frozen=True, eq=False)
class Reading:
    """What the rows told, for all fits on them."""

    dataset: DataFrame
    names: Sequence[str] | None
    moments: Moments
    classes: int
    passes: int


@contextmanager
def open_grid(
    estimators: Sequence[LogisticRegressionEstimator],
    dataset: DataFrame,
    progress: Progress,
    fold: Column | None = None,
) -> Iterator[Grid]:
    """Read a frame once, for estimators that take the same columns of it."""
    first = estimators[0]
    for estimator in estimators:
        check_params(estimator)
        check_output_columns(dataset, estimator)
    rows = training_rows(dataset, first, fold)
    for estimator in estimators:
        estimator._check_sizes(rows)
    progress.stage("packing rows")
    with open_passes(rows.frame, rows.names, first._storage(rows)) as passes:
        yield Grid(estimators, dataset, rows, passes, progress)


class Grid:
    """Estimators and the rows they share."""

    def __init__(
        self,
        estimators: Sequence[LogisticRegressionEstimator],
        dataset: DataFrame,
        rows: TrainingRows,
        passes: Passes,
        progress: Progress,
    ) -> None:
        self._estimators, self._dataset = estimators, dataset
        self._rows, self._passes, self._progress = rows, passes, progress
        self._budget = estimators[0]._round_bytes(dataset)
        self._readings = 0
        self._rests: dict[int, Moments] = {}

    @property
    def folds(self) -> set[int]:
        """The folds that have rows."""
        return set(self._passes.folds)

    @property
    def rows(self) -> int:
        """How many rows count."""
        return self._passes.moments.rows

    @property
    def features(self) -> int:
        """How many features they have."""
        return self._passes.moments.features

    def largest_penalty(self) -> float:
        """The smallest regParam with which the first estimator's coefficients are all zero."""
        moments, estimator = self._passes.moments, self._estimators[0]
        classes = estimator._classes(self._rows, moments)
        spec = estimator._grid_spec(classes, moments.features)
        return largest_penalty(spec, self._passes, classes)

    def fit(self) -> list[Fit]:
        """Fit every estimator on all rows."""
        moments = self._passes.moments
        classes = self._estimators[0]._classes(self._rows, moments)
        specs = {
            at: its._grid_spec(classes, moments.features) for at, its in enumerate(self._estimators)
        }
        fits, readings = fit_all(
            specs, self._passes, classes, budget=self._budget, watch=self._progress.round
        )
        self._readings += readings
        return [fits[at] for at in specs]

    def fit_without(self, places: Sequence[Place], whole: Sequence[Fit] | None) -> dict[Place, Fit]:
        """Fit estimators on all folds but one; `whole` are their fits on all rows."""
        members: dict[Place, WithoutFold] = {}
        for at, fold in places:
            rest, estimator = self._rest(fold), self._estimators[at]
            classes = estimator._classes(self._rows, rest)
            spec = estimator._grid_spec(classes, rest.features)
            near = None if whole is None or not whole[at].converged else whole[at]
            columns = 1 if spec.family == "binomial" else classes
            if near is not None and len(near.intercepts) != columns:
                near = None  # a class occurs in this fold alone
            members[at, fold] = WithoutFold(fold, spec, classes, near)
        fits, readings = fit_without_folds(
            members, self._passes, budget=self._budget, watch=self._progress.round
        )
        self._readings += readings
        return fits

    def _rest(self, fold: int) -> Moments:
        """The moments of all rows but a fold's."""
        if fold not in self._rests:
            others = [its for other, its in self._passes.folds.items() if other != fold]
            if not others:
                raise ValueError(f"The training data at fold {fold} is empty.")
            self._rests[fold] = merge_all(others)
        return self._rests[fold]

    def model(
        self, at: int, fit: Fit, dataset: DataFrame | None = None, fold: int | None = None
    ) -> LogisticRegressionModel:
        """The model of a fit, on all rows or on those without a fold."""
        return self._estimators[at]._model(fit, self.reading(at, dataset, fold))

    def reading(
        self, at: int, dataset: DataFrame | None = None, fold: int | None = None
    ) -> Reading:
        """What all rows, or those without a fold, have told."""
        moments = self._passes.moments if fold is None else self._rest(fold)
        return Reading(
            self._dataset if dataset is None else dataset,
            self._rows.names.each,
            moments,
            self._estimators[at]._classes(self._rows, moments),
            self._readings,
        )

    def judge(self, judge: ArrayEvaluator, fits: Mapping[Place, Fit]) -> dict[Place, float]:
        """What a judge says of each fit on the fold it leaves out."""
        self._progress.stage("scoring held-out rows")
        metrics: dict[Place, float] = {}
        scorers = {place: self._scorer(place, fit) for place, fit in fits.items()}
        for places in self._score_rounds(fits):
            probes = [self._probe(scorers[place], place[1]) for place in places]
            scored = self._passes.held_out(probes)
            metrics |= _judged(judge, scorers, places, probes, scored)
        return metrics

    def _score_rounds(self, fits: Mapping[Place, Fit]) -> Iterator[list[Place]]:
        """Fits whose scores fit the budget of a pass together."""
        part: list[Place] = []
        size = 0
        for place, fit in fits.items():
            needed = 8 * len(fit.intercepts) * self._passes.folds[place[1]].rows
            if part and size + needed > self._budget:
                yield part
                part, size = [], 0
            part.append(place)
            size += needed
        if part:
            yield part

    def _scorer(self, place: Place, fit: Fit) -> Scorer:
        at, fold = place
        estimator = self._estimators[at]
        classes = estimator._classes(self._rows, self._rest(fold))
        multinomial = estimator._family(classes) == "multinomial"
        return scorer_of(estimator, fit.coefficients, fit.intercepts, classes, multinomial)

    def _probe(self, scorer: Scorer, fold: int) -> Probe:
        coefficients, intercepts = np.asarray(scorer.coefficients), scorer.intercepts
        origin = self._passes.moments.origin
        offsets = intercepts if origin is None else intercepts + coefficients @ origin
        family: Family = "multinomial" if scorer.multinomial else "binomial"
        return Probe(family, coefficients, offsets, 0, without=fold)


def _judged(
    judge: ArrayEvaluator,
    scorers: Mapping[Place, Scorer],
    places: Sequence[Place],
    probes: Sequence[Probe],
    scored: Sequence[Block],
) -> dict[Place, float]:
    """The metric of each fit, from the blocks that a reading left of the held-out rows."""
    tasks: list[tuple[Scorer, Array, HeldOut]] = []
    order: list[Place] = []
    for fold in sorted({fold for _, fold in places}):
        blocks = [block for block in scored if block.fold == fold]
        rows = HeldOut(np.concatenate([block.labels for block in blocks]), _weights(blocks))
        margins: Array = np.concatenate([block.matrix for block in blocks])
        begin = 0
        for place, probe in zip(places, probes, strict=True):
            if place[1] == fold:
                tasks.append((scorers[place], margins[:, begin : begin + probe.columns], rows))
                order.append(place)
                begin += probe.columns
    with ThreadPoolExecutor(useful_threads(None)) as pool:  # sorting is what takes the time
        return dict(zip(order, pool.map(lambda task: judge.metric(*task), tasks), strict=True))


def _weights(blocks: Sequence[Block]) -> Array | None:
    if all(block.weights is None for block in blocks):
        return None
    return np.concatenate(
        [np.ones(block.rows) if block.weights is None else block.weights for block in blocks]
    )


class FitsInOrder:
    """An iterator of (index, model) that threads may share; all are fitted at the first call."""

    def __init__(self, fit: Callable[[], Sequence[LogisticRegressionModel]], count: int) -> None:
        self._fit, self._count, self._next = fit, count, 0
        self._models: Sequence[LogisticRegressionModel] = ()
        self._lock = Lock()

    def __iter__(self) -> FitsInOrder:
        return self

    def __next__(self) -> tuple[int, LogisticRegressionModel]:
        with self._lock:
            if self._next == self._count:
                raise StopIteration
            if not self._models:
                self._models = self._fit()
            at = self._next
            self._next += 1
            return at, self._models[at]


def fit_each(
    estimators: Sequence[LogisticRegressionEstimator], dataset: DataFrame
) -> list[LogisticRegressionModel]:
    """A model for each estimator; those that take the same columns are fitted together."""
    groups: dict[Hashable, list[int]] = {}
    for at, estimator in enumerate(estimators):
        groups.setdefault(data_key(estimator), []).append(at)
    models: dict[int, LogisticRegressionModel] = {}
    for places in groups.values():
        alike = [estimators[at] for at in places]
        title = "fit" if len(alike) == 1 else f"{len(alike)} fits"
        with (
            Progress(alike[0]._verbose_if_set(), f"sparklr: {title}") as progress,
            open_grid(alike, dataset, progress) as grid,
        ):
            fits = grid.fit()
            models |= {at: grid.model(i, fits[i]) for i, at in enumerate(places)}
    return [models[at] for at in range(len(estimators))]
