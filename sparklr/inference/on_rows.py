"""The information of a frame's rows at a model's coefficients, and covariances from their scores.

The frame is packed as for a fit, and read once for the Hessian and once for the products of scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.stats import chi2

from sparklr.arrays import MEGABYTE, Array, IntArray
from sparklr.fitting.certificate import certify
from sparklr.fitting.from_params import Request
from sparklr.fitting.outcome import Round
from sparklr.fitting.packed_rows import PackedRows
from sparklr.fitting.problem import Problem
from sparklr.fitting.rounds import run_solvers
from sparklr.fitting.shared import open_shared_fits
from sparklr.fitting.spec import Spec
from sparklr.inference.clusters import PARTIAL, PRODUCTS, ClusterSums, products_of_sums
from sparklr.inference.effects import Effects, EffectSums, average_effects
from sparklr.inference.estimates import Estimates
from sparklr.inference.layout import Layout
from sparklr.inference.scores import ScoreProducts
from sparklr.objective.information import Information, Pivoted
from sparklr.params import LogisticRegressionParams
from sparklr.passes.protocol import Passes, read_round
from sparklr.rows.columns import find_column, training_rows
from sparklr.scoring.numbers import ModelNumbers
from sparklr.separation.search import Separation, find_separation
from sparklr.solvers import BlockInverse, Query, Solver, Stop, lbfgs
from sparklr.solvers.profile import profile_limit
from sparklr.solvers.restricted import restricted
from sparklr.spark.collect import collect_arrow
from sparklr.spark.errors import InvalidValueError

BUDGET = 256 * MEGABYTE  # of the sums of one round


@dataclass(frozen=True, eq=False)
class RowsOfModel:
    """Packed rows with a model's coefficients as a point of the problem that they pose."""

    problem: Problem
    point: Array
    passes: Passes

    def information(self) -> Information:
        """Read the rows once for the Hessian and the gradient."""
        query = Query(self.point, 2)
        (sums,), _ = read_round(self.passes, [self.problem.probe(query)], MEGABYTE)
        return self.problem.information(self.point, self.problem.answer(query, sums))

    def separation(self, information: Information) -> Separation | None:
        """Look for separation, unless the information proves that there is none."""
        moments, spec = self.passes.moments, self.problem.spec
        if certify(information, moments).estimateExists:
            return None
        classes = spec.family.classes(self.problem.scaling.margins)
        return find_separation(self.passes, spec.family, classes, intercept=spec.fitIntercept)

    def marginal_effects(self, information: Information, level: float) -> dict[str, object]:
        """Read the rows once for average marginal effects; return the columns of their table."""
        moments, scaling = self.passes.moments, self.problem.scaling
        flags = np.flatnonzero((moments.minimum == 0) & (moments.maximum == 1))
        probe = self.problem.probe(Query(self.point, 1))
        sums = Effects.of(self.passes.read(EffectSums(probe, flags)), len(flags))
        coefficients = scaling.to_coefficients(self.point)[0][0]
        effects, derivatives = average_effects(sums, coefficients, flags, moments.weight)
        errors = np.sqrt(information.variances(derivatives))
        errors[np.isnan(np.diagonal(information.covariance())[:-1])] = np.nan
        shown = Estimates(effects, errors, level)
        lower, upper = shown.interval
        kind = np.full(len(effects), "derivative", dtype=object)
        kind[flags[sums.others == 0]] = "difference"
        return {
            "kind": kind,
            "effect": effects,
            "standardError": errors,
            "zValue": shown.z,
            "pValue": shown.p,
            "lower": lower,
            "upper": upper,
        }

    def profile_limits(self, information: Information, layout: Layout, level: float) -> Array:
        """Return the limits (p + 1, 2) of a binomial model's coefficients, from a few readings.

        NaN where a coefficient has no standard error, and where a limit was not found: it may be
        infinite.
        """
        if layout.per_class:
            raise InvalidValueError(
                "method='profile' is for binomial models. Use method='wald' for several classes."
            )
        weight, scaling = self.problem.weight, self.problem.scaling
        query = Query(self.point, 1)
        (sums,), _ = read_round(self.passes, [self.problem.probe(query)], MEGABYTE)
        value, rise = self.problem.answer(query, sums).value, chi2.ppf(level, 1) / 2 / weight
        known = np.isfinite(np.diagonal(information.covariance()))
        if layout.endless is not None:
            known &= ~layout.endless[0]
        solvers = {
            (j, side): profile_limit(
                self.point,
                value,
                information.hessian / weight,
                information.of_margin[j],
                rise=rise,
                upper=side == 1,
            )
            for j in np.flatnonzero(known)
            for side in (0, 1)
        }
        solutions, _ = run_solvers(
            solvers, dict.fromkeys(solvers, self.problem), self.passes, BUDGET
        )
        limits = np.full((len(known), 2), np.nan)
        for (j, side), found in solutions.items():
            if found.reason.converged:
                limits[j, side] = np.append(*scaling.to_coefficients(found.point))[j]
        return limits

    def without(
        self, information: Information, groups: Mapping[str, IntArray]
    ) -> dict[str, tuple[float, int]]:
        """Fit again without each group of features, all together in a few readings.

        Returns for each the mean loss, and by how much the rank is less. A fit begins where one
        Newton step leads, and has the Hessian of its coordinates from the whole fit.
        """
        solvers: dict[str, Solver] = {}
        ranks: dict[str, int] = {}
        scaling, hessian = self.problem.scaling, information.hessian / self.problem.weight
        stop = Stop(relative=1e-14, absolute=1e-12 / self.problem.weight)
        for name, features in groups.items():
            kept = np.ones(scaling.shape, dtype=bool)
            kept[:, np.flatnonzero(np.isin(scaling.active, features))] = False
            free = kept.ravel()
            inner = hessian[np.ix_(free, free)]
            shift = np.linalg.lstsq(inner, hessian[np.ix_(free, ~free)] @ self.point[~free])[0]
            start = self.point[free] + shift
            solver = lbfgs(start, precondition=BlockInverse(inner[None]), stop=stop)
            solvers[name] = restricted(solver, free)
            gauge = int(np.count_nonzero(information.gauge[kept[0]]))
            ranks[name] = information.rank - (Pivoted.of(inner).rank - gauge)
        problems = dict.fromkeys(solvers, self.problem)
        solutions, _ = run_solvers(solvers, problems, self.passes, BUDGET)
        return {name: (solutions[name].value, ranks[name]) for name in groups}

    def score_products(self, *, squared: bool) -> Array:
        """Read the rows once for the products of scores, in the solvers' coordinates."""
        probe = self.problem.probe(Query(self.point, 1))
        reading = ScoreProducts(probe, 2 if squared else 1)
        return self.problem.scaling.hessian(self.passes.read(reading))

    def cluster_products(
        self, dataset: DataFrame, params: LogisticRegressionParams, name: str
    ) -> tuple[Array, int]:
        """Return the products of the scores' sums by cluster, and the number of clusters."""
        cluster = find_column(dataset, name, "clusterCol").column.cast("string")
        rows = training_rows(dataset, params, extra={"cluster": cluster})
        frame = rows.frame.where("weight > 0") if rows.names.weight else rows.frame
        if frame.where(F.col("cluster").isNull()).limit(1).count():
            raise InvalidValueError(
                f"Column '{name}' has rows without a cluster. Drop them, or give each a cluster."
            )
        coefficients, offsets = self.problem.scaling.to_rows(self.point)
        family, origin = self.problem.spec.family, self.problem.scaling.origin
        task = ClusterSums(family, coefficients, offsets, origin)
        sums = frame.mapInArrow(task, PARTIAL)
        by_cluster = sums.repartition("cluster").sortWithinPartitions("cluster")
        table = collect_arrow(by_cluster.mapInArrow(products_of_sums, PRODUCTS))
        parts = [np.frombuffer(its.as_buffer(), dtype=float) for its in table["products"]]
        side = len(offsets) * (len(origin) + 1)
        total = sum(parts, np.zeros(side**2)).reshape(side, side)
        clusters = int(sum(table["clusters"].to_pylist()))
        return self.problem.scaling.hessian(total), clusters


@contextmanager
def open_rows(
    dataset: DataFrame | PackedRows, params: LogisticRegressionParams, numbers: ModelNumbers
) -> Iterator[RowsOfModel]:
    """Pack a frame for a model with these Params and numbers."""
    with open_shared_fits({0: Request(params)}, dataset, stage=_nothing, watch=_nothing) as shared:
        moments, classes = shared.passes.moments, numbers.classes
        if moments.features != numbers.features or moments.labels[-1] >= max(classes, 2):
            raise InvalidValueError(
                f"These rows have {moments.features} features and labels up to "
                f"{moments.labels[-1]:g}, but the model has {numbers.features} features and "
                f"{classes} classes."
            )
        spec = Spec(numbers.family, fitIntercept=params.getFitIntercept())
        problem = Problem.of(spec, moments, classes)
        yield RowsOfModel(problem, problem.point_of(*numbers.arrays), shared.passes)


def _nothing(_: str | Round) -> None:
    """Show no progress."""
