"""The information of a frame's rows at a model's coefficients, and covariances from their scores.

The frame is packed as for a fit, and read once for the Hessian and the products of scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np
from pyspark.sql import DataFrame
from scipy.stats import chi2

from sparklr.arrays import MEGABYTE, Array, BoolArray, IntArray
from sparklr.fitting.at_infinity import step_along
from sparklr.fitting.certificate import certify
from sparklr.fitting.existence import separation_unless_proved
from sparklr.fitting.from_params import Request, check_offset, class_weights_of
from sparklr.fitting.null_model import null_models
from sparklr.fitting.outcome import Round
from sparklr.fitting.packed_rows import PackedRows
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import run_solvers
from sparklr.fitting.scores import DerivativesAndProducts
from sparklr.fitting.shared import open_shared_fits
from sparklr.fitting.spec import BiasReduction, Spec
from sparklr.inference.clusters import PARTIAL, PRODUCTS, ClusterSums, products_of_sums
from sparklr.inference.effects import EffectSums, average_effects
from sparklr.inference.estimates import Estimates
from sparklr.inference.layout import Layout
from sparklr.inference.penalised import BUDGET, PenalisedRows
from sparklr.objective.information import Information, Pivoted
from sparklr.params import LogisticRegressionParams
from sparklr.passes.protocol import Passes, read_round
from sparklr.rows.columns import find_column, training_rows
from sparklr.scoring.numbers import ModelNumbers
from sparklr.separation.search import Separation, find_separation
from sparklr.solvers import BlockInverse, Query, Solution, Solver, Stop, lbfgs
from sparklr.solvers.profile import endless_limit, profile_limit
from sparklr.solvers.restricted import restricted
from sparklr.spark.collect import collect_arrow
from sparklr.spark.errors import InvalidValueError

MOST_SUMS = 2**26  # numbers of marginal effects' sums: half a gigabyte in each task


@dataclass(frozen=True, eq=False)
class ReadRows:
    """What one reading of the rows tells at a model's coefficients.

    loss : the mean loss
    products : those of scores (`scores`) in the solvers' coordinates, if they were asked for
    """

    information: Information
    loss: float
    products: Array | None


@dataclass(frozen=True, eq=False)
class RowsOfModel:
    """Packed rows with a model's coefficients as a point of the problem that they pose."""

    problem: Problem
    point: Array
    passes: Passes

    @property
    def reduced(self) -> bool:
        """Whether the likelihood is that of Firth's method."""
        return self.problem.spec.biasReduction == "firth"

    @cached_property
    def _penalised(self) -> PenalisedRows:
        return PenalisedRows.of(self.problem, self.point, self.passes)

    def read(self, power: Literal[1, 2] | None = None) -> ReadRows:
        """Read the rows once for the Hessian, and for products of scores by weights' powers.

        With Firth's penalty, which has no such products, twice.
        """
        query, problem = Query(self.point, 2), self.problem
        products = None
        if self.reduced:
            answer = self._penalised.last
        elif power is None:
            (sums,), _ = read_round(self.passes, [problem.probe(query)], MEGABYTE)
            answer = problem.answer(query, sums)
        else:
            reading = DerivativesAndProducts.of(problem.probe(query), power)
            sums, found = reading.split(self.passes.read(reading))
            products = problem.scaling.hessian(found)
            answer = problem.answer(query, sums)
        loss = problem.loss(self.point, answer.value)
        return ReadRows(problem.information(self.point, answer), loss, products)

    def null_loss(self) -> float:
        """Return the mean loss without features, from a few readings."""
        ((_, loss),), _ = null_models([self.problem], self.passes)
        return loss

    def separation(self, information: Information, loss: float) -> Separation | None:
        """Look for separation, unless the information proves that there is none.

        `loss` is the mean loss at the coefficients. Those of Firth's method prove nothing.
        """
        spec = self.problem.spec
        if self.reduced:
            classes = spec.family.classes(self.problem.scaling.margins)
            return find_separation(self.passes, spec.family, classes, intercept=spec.fitIntercept)
        certificate = certify(information, self.passes.moments)
        fitted = np.column_stack(self.problem.scaling.to_coefficients(self.point))
        return separation_unless_proved(certificate, fitted, loss, self.passes, spec)

    def marginal_effects(
        self, information: Information, layout: Layout, level: float
    ) -> dict[str, object]:
        """Read the rows once for average marginal effects; return the columns of their table.

        They are margin by margin. Without a standard error of a coefficient there is none of the
        effect; and the derivative by a feature has no limit where its coefficient has none.
        """
        moments, problem = self.passes.moments, self.problem
        flags = np.flatnonzero((moments.minimum == 0) & (moments.maximum == 1))
        reading = EffectSums(problem.probe(Query(self.point, 1)), flags)
        if reading.length > MOST_SUMS:
            margins, features = problem.scaling.margins, problem.scaling.features
            raise InvalidValueError(
                f"marginalEffects needs {reading.length:,} sums over the rows for {features:,} "
                f"features, {len(flags):,} of them 0 or 1, and {margins:,} margins of classes; at "
                f"most {MOST_SUMS:,} are made. Fit fewer features or classes."
            )
        sums = reading.effects(self.passes.read(reading))
        coefficients, _ = problem.scaling.to_coefficients(self.point)
        effects, derivatives = average_effects(sums, coefficients, flags, moments.weight)
        errors = np.sqrt(information.variances(derivatives)).reshape(effects.shape)
        kind = np.full(effects.shape, "derivative", dtype=object)
        kind[:, flags[sums.others == 0]] = "difference"
        known = np.isfinite(np.diagonal(information.covariance())).reshape(layout.values.shape)
        if layout.endless is not None:
            known &= ~layout.endless
            effects[layout.endless[:, :-1] & (kind == "derivative")] = np.nan
        errors[:, ~known[:, :-1].all(axis=0)] = np.nan
        shown = Estimates(effects.ravel(), errors.ravel(), level)
        lower, upper = shown.interval
        return {
            "kind": kind.ravel(),
            "effect": shown.coefficients,
            "standardError": shown.errors,
            "zValue": shown.z,
            "pValue": shown.p,
            "lower": lower,
            "upper": upper,
        }

    def profile_limits(
        self,
        information: Information,
        layout: Layout,
        level: float,
        separation: Separation | None = None,
    ) -> Array:
        """Return the limits (C (p + 1), 2) of the flat coefficients, from a few readings.

        Of the coefficients that are infinite by `separation`, one limit is, and the other is found.
        NaN where a coefficient has no standard error, and where a limit was not found: it may be
        infinite.
        """
        rise = chi2.ppf(level, 1) / 2 / self.problem.weight
        change, values = information.change(layout.base), layout.values.ravel()
        known = np.isfinite(np.diagonal(information.covariance(base=layout.base)))
        if layout.endless is not None:
            # Classes are pulled along by one that is apart, where the Hessian does not show it.
            known &= ~np.tile(layout.endless.any(axis=0), len(layout.values))
        directions = {int(j): change[j] for j in np.flatnonzero(known)}
        limits = np.full((len(known), 2), np.nan)
        if self.reduced:
            ends = self._penalised.limits(directions, rise)
        else:
            limits[values == np.inf, 1], limits[values == -np.inf, 0] = np.inf, -np.inf
            infinite = np.flatnonzero(np.isinf(values))
            endless = {(int(j), bool(values[j] < 0)): change[j] for j in infinite}
            ends = self._plain_limits(information, directions, endless, separation, rise)
        for (j, upper), found in ends.items():
            if found.reason.converged:
                limits[j, int(upper)] = change[j] @ found.point
        return limits

    def _plain_limits(
        self,
        information: Information,
        directions: Mapping[int, Array],
        endless: Mapping[tuple[int, bool], Array],
        separation: Separation | None,
        rise: float,
    ) -> dict[tuple[int, bool], Solution]:
        """Return where the profile of each quantity a'x is so much above the optimum, by side."""
        query, hessian = Query(self.point, 1), information.hessian / self.problem.weight
        (sums,), _ = read_round(self.passes, [self.problem.probe(query)], MEGABYTE)
        value, inverse = self.problem.answer(query, sums).value, _inverse(hessian)
        solvers = {
            (j, upper): profile_limit(self.point, value, inverse, direction, rise=rise, upper=upper)
            for j, direction in directions.items()
            for upper in (False, True)
        }
        if separation is not None:
            back = -step_along(separation.direction, self.problem) / separation.least
            for (j, upper), direction in endless.items():
                solvers[j, upper] = endless_limit(
                    self.point, value, back, _inverse, direction, rise=rise, upper=upper
                )
        found, _ = run_solvers(solvers, dict.fromkeys(solvers, self.problem), self.passes, BUDGET)
        return found

    def without(
        self, information: Information, groups: Mapping[str, IntArray]
    ) -> dict[str, tuple[float, int]]:
        """Fit again without each group of features, all together in a few readings.

        Returns for each the mean loss, and by how much the rank is less. With Firth's penalty, it
        is by how much the mean loss with the penalty exceeds that of the whole model. A fit begins
        where one Newton step leads, and has the Hessian of its coordinates from the whole fit.
        """
        scaling, frees, ranks = self.problem.scaling, {}, {}
        for name, features in groups.items():
            kept = np.ones(scaling.shape, dtype=bool)
            kept[:, np.flatnonzero(np.isin(scaling.active, features))] = False
            free = frees[name] = kept.ravel()
            gauge = int(np.count_nonzero(information.gauge[kept[0]]))
            inner = information.hessian[np.ix_(free, free)]
            ranks[name] = information.rank - (Pivoted.of(inner).rank - gauge)
        if self.reduced:
            losses = self._penalised.without(frees)
        else:
            losses = self._plain_without(information, frees)
        return {name: (losses[name], ranks[name]) for name in groups}

    def _plain_without(
        self, information: Information, frees: Mapping[str, BoolArray]
    ) -> dict[str, float]:
        """Return the mean loss of each fit in which only some coordinates are free."""
        solvers: dict[str, Solver] = {}
        hessian = information.hessian / self.problem.weight
        stop = Stop(relative=1e-14, absolute=1e-12 / self.problem.weight)
        for name, free in frees.items():
            inner = hessian[np.ix_(free, free)]
            shift = np.linalg.lstsq(
                inner, hessian[np.ix_(free, ~free)] @ self.point[~free], rcond=None
            )[0]
            start = self.point[free] + shift
            solver = lbfgs(start, precondition=_inverse(inner), stop=stop)
            solvers[name] = restricted(solver, free)
        problems = dict.fromkeys(solvers, self.problem)
        solutions, _ = run_solvers(solvers, problems, self.passes, BUDGET)
        return {name: found.value for name, found in solutions.items()}

    def cluster_products(
        self, dataset: DataFrame, params: LogisticRegressionParams, name: str
    ) -> tuple[Array, int]:
        """Return the products of the scores' sums by cluster, and the number of clusters."""
        cluster = find_column(dataset, name, "clusterCol").column.cast("string")
        rows = training_rows(dataset, params, extra={"cluster": cluster})
        frame = rows.frame.where("weight > 0") if rows.names.weight else rows.frame
        coefficients, offsets = self.problem.scaling.to_rows(self.point)
        family, origin = self.problem.spec.family, self.problem.scaling.origin
        task = ClusterSums(family, coefficients, offsets, origin, self.problem.factors)
        sums = frame.mapInArrow(task, PARTIAL)
        by_cluster = sums.repartition("cluster").sortWithinPartitions("cluster")
        table = collect_arrow(by_cluster.mapInArrow(products_of_sums, PRODUCTS))
        if sum(table["lacking"].to_pylist()):
            raise InvalidValueError(
                f"Column '{name}' has rows without a cluster. Drop them, or give each a cluster."
            )
        parts = [np.frombuffer(its.as_buffer(), dtype=float) for its in table["products"]]
        side = len(offsets) * (len(origin) + 1)
        total = sum(parts, np.zeros(side**2)).reshape(side, side)
        clusters = int(sum(table["clusters"].to_pylist()))
        return self.problem.scaling.hessian(total), clusters


def _inverse(hessian: Array) -> BlockInverse:
    """Return the inverse of a Hessian; if it is singular, that of coordinates that tell the others.

    Where columns depend on others, f is constant along some directions. It does no harm to hold the
    coordinates that are left out.
    """
    pivoted, kept = Pivoted.of(hessian), np.zeros(len(hessian), dtype=bool)
    kept[pivoted.pivots[: pivoted.rank]] = True
    return BlockInverse(hessian[None], kept)


@contextmanager
def open_rows(
    dataset: DataFrame | PackedRows, params: LogisticRegressionParams, numbers: ModelNumbers
) -> Iterator[RowsOfModel]:
    """Pack a frame for a model with these Params and numbers."""
    check_offset(params, numbers.family)
    with open_shared_fits({0: Request(params)}, dataset, stage=_nothing, watch=_nothing) as shared:
        moments, classes = shared.passes.moments, numbers.classes
        if moments.features != numbers.features or moments.labels[-1] >= max(classes, 2):
            raise InvalidValueError(
                f"These rows have {moments.features} features and labels up to "
                f"{moments.labels[-1]:g}, but the model has {numbers.features} features and "
                f"{classes} classes."
            )
        spec = Spec(
            numbers.family,
            fitIntercept=params.getFitIntercept(),
            class_weights=class_weights_of(params),
            biasReduction=cast(BiasReduction, params.getBiasReduction().lower()),
        )
        problem = Problem.of(spec, moments, classes)
        yield RowsOfModel(problem, problem.point_of(*numbers.arrays), shared.passes)


def _nothing(_: str | Round) -> None:
    """Show no progress."""
