"""Many fits that share one packing of a frame: the basis of `fit`, `fitMultiple` and searches.

Estimators that use the same columns share blocks and passes. If the rows have folds, a fit may
leave one fold out. The results are fits and facts about the rows, not models.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np
from pyspark.sql import Column, DataFrame

from sparklr.fitting.cautions import (
    tell_of_separation,
    warn_of_doubt,
    warn_of_labels,
    warn_of_search,
    warn_of_stops,
)
from sparklr.fitting.existence import all_right, searches_at_once, separation_unless_proved
from sparklr.fitting.from_params import (
    Request,
    check_sizes,
    classes_of,
    family_of,
    pack_settings,
    spec_of,
    with_inference,
)
from sparklr.fitting.held_out import check_held_labels
from sparklr.fitting.largest_penalty import largest_penalty
from sparklr.fitting.null_model import null_models
from sparklr.fitting.outcome import Fit, Round
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.posterior import posterior_of
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import Family
from sparklr.objective.moments import Moments, merge_all
from sparklr.params import (
    LogisticRegressionParams,
    check_all_count_the_same,
    check_params,
    row_params,
)
from sparklr.passes.jobs import open_passes
from sparklr.passes.protocol import Passes
from sparklr.rows.columns import TrainingRows, nameless, training_rows
from sparklr.scoring.outputs import check_output_columns
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.settings import round_bytes

T = TypeVar("T")
Place: TypeAlias = tuple[int, int]  # the key of a request, and the fold it is fitted without


def data_key(params: LogisticRegressionParams) -> Hashable:
    """Return the values of all Params that affect the rows: equal for fits that share blocks."""
    values = row_params(params).values()
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Return the items grouped by key, in the order in which the keys first appear."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


@dataclass(frozen=True, eq=False, kw_only=True)
class RowFacts:
    """Facts about the rows of a fit: their moments, and the classes and family found from these."""

    names: tuple[str, ...] | None  # of the features
    moments: Moments
    classes: int
    family: Family
    passes: int  # readings of the rows so far, for all fits on them
    held_rows: int  # that only choose an iterate


@contextmanager
def open_shared_fits(
    requests: Mapping[int, Request],
    dataset: DataFrame | PackedRows,
    *,
    fold: Column | None = None,
    stage: Callable[[str], None],
    watch: Callable[[Round], None],
) -> Iterator[SharedFits]:
    """Pack a frame once, for estimators that use the same columns of it.

    The caller chooses the keys of `requests`; the fits have the same keys. `stage` is called with
    the name of each stage, and `watch` with each round.
    """
    frame = frame_of(dataset)
    for request in requests.values():
        check_params(request.params)
        check_all_count_the_same(request.params)
        check_output_columns(frame, request.params)
        if fold is not None and request.params.getAveraged():
            raise InvalidValueError(
                "averaged=True does not go with a search: fits without a fold have no posterior. "
                "Search with averaged=False, and set it on the best model."
            )
    budget = round_bytes(frame.sparkSession)
    if isinstance(dataset, PackedRows):
        with dataset.lend(request.params for request in requests.values()) as (rows, passes):
            yield SharedFits(requests, rows, passes, budget, watch)
        return
    first = next(iter(requests.values())).params
    rows = training_rows(dataset, first, fold, fits=True)
    for request in requests.values():
        check_sizes(request, rows)
    stage("packing rows")
    with open_passes(rows.frame, rows.names, pack_settings(first, rows)) as passes:
        yield SharedFits(requests, rows, passes, budget, watch)


class SharedFits:
    """The fits of some requests, on rows that they share."""

    def __init__(
        self,
        requests: Mapping[int, Request],
        rows: TrainingRows,
        passes: Passes,
        budget: int,
        watch: Callable[[Round], None],
    ) -> None:
        self.requests, self.passes, self.budget = requests, passes, budget
        self._rows, self._watch = rows, watch
        self._readings = 0
        self._rests: dict[int, Moments] = {}

    @property
    def folds(self) -> set[int]:
        """The folds that have rows."""
        return set(self.passes.folds) | (set(self.passes.held) if self.passes.folds else set())

    def largest_penalty(self) -> float:
        """Return the smallest regParam where all coefficients of the first request are zero."""
        first, classes = next(iter(self.requests.values())), self._classes()
        spec = spec_of(first, classes, self.passes.moments.features)
        return largest_penalty(spec, self.passes, classes)

    def fit(self, *, posteriors: bool = True) -> dict[int, Fit]:
        """Fit every request on all rows, and find the posteriors that the requests ask for."""
        features = self.passes.moments.features
        classes = self._classes()
        self.check_held(classes, None)
        specs: dict[int, Spec] = {}
        for at, its in self.requests.items():
            spec = spec_of(its, classes, features)
            size = spec.family.margins(classes) * (features + 1)
            asked = its if posteriors else replace(its, posterior=None)
            specs[at] = with_inference(spec, asked, size, alone=len(self.requests) == 1)
        fits, readings = fit_all(specs, self.passes, classes, budget=self.budget, watch=self._watch)
        self._readings += readings
        fits = self._with_null_loss(specs, fits, classes)
        fits = {at: self._with_separation(at, specs[at], fit) for at, fit in fits.items()}
        if posteriors:
            fits = {at: self._with_posterior(at, specs[at], fit) for at, fit in fits.items()}
        declared, column = self._rows.classes is not None, self._rows.names.label
        warn_of_labels(self.passes.moments, classes, column, declared=declared)
        warn_of_stops(fits.values())
        return fits

    def _with_null_loss(
        self, specs: Mapping[int, Spec], fits: dict[int, Fit], classes: int
    ) -> dict[int, Fit]:
        """Find the loss without features where rows have offsets; fits with equal ones share it."""
        moments = self.passes.moments
        if not self._rows.names.offset:
            return fits
        alike = grouped(specs, lambda at: (specs[at].fitIntercept, specs[at].class_weights))
        problems = [Problem.of(specs[group[0]], moments, classes) for group in alike]
        found, readings = null_models(problems, self.passes)
        self._readings += readings
        known = {at: loss for group, (_, loss) in zip(alike, found, strict=True) for at in group}
        return {at: replace(fit, null_loss=known[at]) for at, fit in fits.items()}

    def _with_separation(self, at: int, spec: Spec, fit: Fit) -> Fit:
        """Look for separation where a fit has neither done so nor proved that there is none."""
        certificate, found = fit.certificate, fit.separation
        if not spec.watched or certificate is None:
            return fit
        error = self.requests[at].separation == "error"
        if found is None:
            fitted = np.column_stack((fit.coefficients, fit.intercepts))
            known = certificate.estimateExists or all_right(fit.loss, self.passes.moments, spec)
            if not (known or error or searches_at_once(fitted.size)):
                warn_of_doubt(certificate.largestStep)
                return fit
            found = separation_unless_proved(certificate, fitted, fit.loss, self.passes, spec)
            if found is None:
                return fit
            self._readings += found.readings
        fit = replace(fit, separation=found)
        if found.kind == "none":
            return fit
        features = self.passes.moments.features
        names = self._rows.names.each
        names = names or [nameless(str(self._rows.names.features), j) for j in range(features)]
        tell_of_separation(found, names, error=error)
        if fit.converged and found.kind != "unknown":
            fit = replace(fit, reason=found.outcome(names))
        return fit

    def _with_posterior(self, at: int, spec: Spec, fit: Fit) -> Fit:
        """Find the posterior of a fit on all rows, if its request asks for it."""
        search = self.requests[at].posterior
        if search is None:
            return fit
        found = posterior_of(search, fit, spec, self.passes)
        self._readings += found.readings
        if not found.converged:
            warn_of_search(found.reason)
        return replace(fit, posterior=found)

    def fit_without(
        self, places: Sequence[Place], whole: Mapping[int, Fit] | None
    ) -> dict[Place, Fit]:
        """Fit requests with one fold left out; `whole` are their fits on all rows."""
        members: dict[Place, WithoutFold] = {}
        for at, fold in places:
            rest, request = self._rest(fold), self.requests[at]
            classes = classes_of(request.params, self._rows, rest)
            self.check_held(classes, fold)
            spec = spec_of(request, classes, rest.features)
            warm = None if whole is None or not whole[at].converged else whole[at]
            if warm is not None and len(warm.intercepts) != spec.family.margins(classes):
                warm = None  # a class occurs in this fold only
            members[at, fold] = WithoutFold(fold, spec, classes, warm)
        fits, readings = fit_without_folds(
            members, self.passes, budget=self.budget, watch=self._watch
        )
        self._readings += readings
        warn_of_stops(fits.values())
        return fits

    def facts(self, at: int, fold: int | None = None) -> RowFacts:
        """Return the facts about all rows, or about those outside a fold, for one request."""
        params = self.requests[at].params
        moments = self.passes.moments if fold is None else self._rest(fold)
        classes = classes_of(params, self._rows, moments)
        names = self._rows.names.each
        return RowFacts(
            names=None if names is None else tuple(names),
            moments=moments,
            classes=classes,
            family=family_of(params, classes),
            passes=self._readings,
            held_rows=sum(its.rows for at, its in self.passes.held.items() if at != fold),
        )

    def check_held(self, classes: int, without: int | None) -> None:
        """Refuse held-out rows outside a fold, if there should be some, that cannot be judged."""
        names = self._rows.names
        if not names.held:
            return
        others = [its for fold, its in self.passes.held.items() if fold != without]
        if not others:
            raise InvalidValueError(
                f"Column '{names.held}' is true in no row outside fold {without}, so no row is "
                "left to stop its fit early. Hold out more rows."
            )
        check_held_labels(merge_all(others), classes, label=names.label, column=names.held)

    def _classes(self) -> int:
        """Return the number of classes among all rows; all requests share the label column."""
        first = next(iter(self.requests.values()))
        return classes_of(first.params, self._rows, self.passes.moments)

    def _rest(self, fold: int) -> Moments:
        """Return the moments of all rows outside a fold."""
        if fold not in self._rests:
            others = [its for other, its in self.passes.folds.items() if other != fold]
            if not others:
                raise ValueError(f"The training data at fold {fold} is empty.")
            self._rests[fold] = merge_all(others)
        return self._rests[fold]
