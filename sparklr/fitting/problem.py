"""One fit as a problem for a solver: from queries to probes, and from sums to answers.

With weights w_i of total W, in the coordinates of `Scaling`,

    f(x) = 1/W sum_i w_i loss_i(x) + sum_j l2_j x_j^2 / 2 + gauge(x)

where w_i includes the factor of the row's class, and the solver adds the l1 part. Penalty and
scaling are applied here, on the driver; workers only compute sums over rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.spec import Spec
from sparklr.objective.class_weights import class_factors, total_weight
from sparklr.objective.information import Information
from sparklr.objective.moments import Moments
from sparklr.objective.penalties import Penalty, gauge_of
from sparklr.objective.scaling import NEAR, Scaling
from sparklr.objective.sums import Probe, Sums
from sparklr.rows.blocks import Block
from sparklr.solvers import Answer, Box, Query, pseudo_gradient


@dataclass(frozen=True, eq=False)
class Problem:
    """A spec on rows with known moments."""

    spec: Spec
    scaling: Scaling
    penalty: Penalty
    gauge: Array  # strength per coordinate of one margin; zero where nothing is free to move
    squares: Array  # mean square of each scaled feature
    weight: float
    class_weights: Array  # (K,)
    box: Box | None  # the bounds in the solvers' coordinates
    without: int | None = None  # the fold whose rows are left out
    factors: Array | None = None  # (K,), of the labels' weights
    offset: float = 0.0  # the mean of the rows' offsets
    offset_varies: bool = False
    held_weight: float = 0.0  # of the rows that are held out for early stopping

    @staticmethod
    def of(
        spec: Spec,
        moments: Moments,
        classes: int,
        *,
        whole: Moments | None = None,
        without: int | None = None,
        centred: bool = False,
        held: Moments | None = None,
    ) -> Problem:
        """Return the problem of a spec on rows with these moments.

        `moments` are of all rows, or of those outside the fold `without`; then `whole` are of all
        rows. `held` are those of rows held out for early stopping.
        """
        margins, bounds = spec.family.margins(classes), spec.bounds
        scaling = Scaling.of(
            moments,
            margins,
            intercept=spec.fitIntercept,
            bounds=bounds,
            origin=(whole or moments).origin,
            near=0.0 if centred else NEAR,
        )
        penalty = Penalty.elastic_net(
            scaling, spec.regParam, spec.elasticNetParam, standardized=spec.standardization
        )
        limits = None if bounds is None else map(scaling.to_limits, (bounds.lower, bounds.upper))
        box = None if limits is None else Box(*limits)
        histogram, weight, factors = moments.histogram(spec.family.classes(margins)), None, None
        if spec.class_weights is not None:
            factors = class_factors(spec.class_weights, histogram)
            histogram, weight = histogram * factors, float(histogram @ factors)
        varies = moments.offset_minimum < moments.offset_maximum
        return Problem(
            spec,
            scaling,
            penalty,
            gauge_of(scaling, penalty, box),
            scaling.mean_squares(moments),
            moments.weight if weight is None else weight,
            histogram,
            box,
            without,
            factors,
            moments.offset_mean if varies else moments.offset_minimum,
            varies,
            0.0 if held is None else _weight_of(held, factors),
        )

    @property
    def size(self) -> int:
        """The number of coordinates that the solver seeks."""
        return self.scaling.shape[0] * self.scaling.shape[1]

    @property
    def summed_size(self) -> int:
        """The side length of the summed Hessian, which includes features that do not vary."""
        return self.scaling.margins * (self.scaling.features + 1)

    def on_rows(self, sample: Block) -> Problem:
        """Return the same problem for a sample of the rows."""
        return replace(self, weight=total_weight(sample, self.factors))

    def start(self) -> Array:
        """Return the starting point, within the bounds: the initial model's, or else the plain."""
        if self.spec.initial is None:
            point = self._plain_start()
        else:
            point = self.point_of(*self.spec.initial)
        return point if self.box is None else self.box.clip(point)

    def _plain_start(self) -> Array:
        """Return zero coefficients, and intercepts that give the class shares, as in Spark.

        With offsets, they do so at the mean offset.
        """
        point = np.zeros(self.scaling.shape)
        if self.spec.fitIntercept:
            # Infinite if only one label occurs; then a finite bound clips it.
            point[:, -1] = self.spec.family.start_intercepts(self.class_weights) - self.offset
        return point.ravel()

    def null_point(self, intercepts: Array | None = None) -> Array:
        """Return the optimum with zero coefficients: intercepts that give the class shares.

        If offsets vary, these `intercepts` (C,) are found from the rows (`null_model`).
        """
        point = np.zeros(self.scaling.shape)
        if self.spec.fitIntercept:
            shares = self.class_weights / self.weight
            plain = self.spec.family.null_intercepts(shares) - self.offset
            point[:, -1] = plain if intercepts is None else intercepts
        return point.ravel()

    def start_value(self) -> float | None:
        """Return the objective at `start`, or None if that needs a pass.

        It needs none where all rows have the same margins.
        """
        if self.offset_varies or not self.starts_at_zero:
            return None
        start = self.start()
        matrix = start.reshape(self.scaling.shape)
        margins = matrix[:, -1] if self.spec.fitIntercept else np.zeros(len(matrix))
        shares = self.class_weights / self.weight
        logs = self.spec.family.log_chances(margins + self.offset)
        return float(-(shares @ logs)) + self._gauge_at(start)[1]

    @property
    def starts_at_zero(self) -> bool:
        """Whether all coefficients are zero at `start`."""
        matrix = self.start().reshape(self.scaling.shape)
        return not matrix[:, : len(self.scaling.active)].any() and not np.any(self.scaling.held)

    def start_curvature(self) -> Array:
        """Return the Hessian's diagonal at `start`, without a pass: the simplest preconditioner.

        There every row has the same probabilities, so the loss contributes their variance times
        the mean square of the (scaled, centred) feature. This is exact up to a relative error of
        about 1/rows, from unbiased variances and from log1p of the class weights, if the rows have
        neither offsets nor weights by class; else it is a rough guess.
        """
        squares = np.append(self.squares, np.ones(int(self.spec.fitIntercept)))
        matrix = np.outer(self._margin_curvatures(), squares) + self.gauge / self.scaling.margins
        return np.maximum(matrix.ravel() + self.penalty.l2, 1e-12)

    @property
    def largest_curvature(self) -> float:
        """A bound of the Hessian's eigenvalues at any point: its trace with the largest variances.

        A margin's variance is at most 1/4, and that of several together at most 1/2.
        """
        bound = 0.25 if self.scaling.margins == 1 else 0.5
        squares = float(self.squares.sum()) + int(self.spec.fitIntercept)
        return bound * squares + float(self.penalty.l2.max(initial=0))

    def loss_curvature(self) -> Array:
        """The part of `start_curvature` that features have by the loss alone, (n,)."""
        matrix = np.zeros(self.scaling.shape)
        matrix[:, : len(self.squares)] = np.outer(self._margin_curvatures(), self.squares)
        return matrix.ravel()

    def _margin_curvatures(self) -> Array:
        """The loss's second derivative by each margin at the start, the same for all rows, (C,)."""
        classes = len(self.class_weights)
        shares = np.full(classes, 1.0 / max(classes, 2))  # 1/2 for one class: positive curvature
        if self.spec.fitIntercept:
            shares = np.maximum(self.class_weights / self.weight, 1e-6)
        return self.spec.family.shared_curvatures(shares)

    def probe(self, query: Query) -> Probe:
        """Return the probe whose sums answer the query."""
        coefficients, offsets = self.scaling.to_rows(query.point)
        family, order = self.spec.family, query.order
        return Probe(family, coefficients, offsets, order, self.without, self.factors)

    def held_probe(self, query: Query) -> Probe | None:
        """Return the probe of the held-out rows' loss at the query's point, if there are such."""
        if self.held_weight == 0:
            return None
        return replace(self.probe(Query(query.point, 0)), held=True)

    def with_held(self, answer: Answer, sums: Sums) -> Answer:
        """Return an answer with the mean loss of the held-out rows."""
        return replace(answer, held=float(sums.value[0]) / self.held_weight)

    def answer(self, query: Query, sums: Sums) -> Answer:
        """Return the answer to a query from its sums."""
        point, order = query.point, query.order
        value = float(sums.value[0]) / self.weight + 0.5 * float(self.penalty.l2 @ point**2)
        pull, pulled = self._gauge_at(point)
        value += pulled
        gradient = hessian = None
        if order > 0:
            gradient = self.scaling.gradient(sums.gradient) / self.weight + self.penalty.l2 * point
            gradient += np.tile(pull, self.scaling.margins)
        if order > 1:
            hessian = self.scaling.hessian(sums.hessian)
            hessian /= self.weight
            hessian[np.diag_indices_from(hessian)] += self.penalty.l2
            if self.gauge.any():
                margins = self.scaling.margins
                hessian += np.kron(np.ones((margins, margins)), np.diag(self.gauge / margins))
        return Answer(value, gradient, hessian)

    def information(self, point: Array, answer: Answer) -> Information:
        """Return what the rows tell of the coefficients, from the answer of order 2 at a point."""
        penalty = self.weight * self.penalty.l2
        hessian = self.weight * answer.second()
        hessian[np.diag_indices_from(hessian)] -= penalty
        gradient = self.weight * self.loss_gradient(point, answer)
        slope = pseudo_gradient(point, answer.first(), self.penalty.l1, self.box)
        free = (self.penalty.l1 == 0) | (point != 0)
        if self.box is not None:
            free &= (point > self.box.lower) & (point < self.box.upper)
        return Information(
            hessian,
            self.weight * self.gauge / self.scaling.margins,
            gradient,
            penalty,
            self.weight * slope,
            free,
            self.scaling,
            self.weight,
        )

    def loss_gradient(self, point: Array, answer: Answer) -> Array:
        """Return the gradient of the mean loss, without penalty and gauge."""
        pull = np.tile(self._gauge_at(point)[0], self.scaling.margins)
        return answer.first() - self.penalty.l2 * point - pull

    def whole_curvature(self, query: Query, sums: Sums, seen: Moments) -> Array:
        """The Hessian as some rows show it, (1, n, n), and what they cannot show of its diagonal.

        `sums` answer the query of order 2 over these rows, and `seen` are their moments.
        """
        here = replace(self, weight=self._weight_of(seen))
        hessian = here.answer(query, sums).second()
        hessian[np.diag_indices_from(hessian)] += self._unseen(self.size, seen)
        return hessian[None]

    def margin_curvatures(self, sums: Array, seen: Moments) -> Array:
        """As `whole_curvature`, but the Hessian's block for each margin, (C, q, q).

        `sums` are those of the reading `MarginHessians` over the rows.
        """
        unseen = self._unseen(self.scaling.shape[1], seen)
        diagonal = (unseen + self.penalty.l2).reshape(self.scaling.shape)
        diagonal += self.gauge / self.scaling.margins
        blocks = np.array([self.scaling.margin_hessian(its) for its in sums])
        blocks /= self._weight_of(seen)
        for block, its in zip(blocks, diagonal, strict=True):
            block[np.diag_indices_from(block)] += its
        return blocks

    def _weight_of(self, seen: Moments) -> float:
        return _weight_of(seen, self.factors)

    def _unseen(self, unknown: int, seen: Moments) -> Array:
        """What some rows cannot show of the Hessian's diagonal: a share of the start's, (n,).

        A level that is too rare to be among them has no curvature there, and would be sent far
        out: it gets all of the start's, and a feature of which they have less than half of what
        all rows do, what is lacking. Random differences are no lack: on correlated features the
        least addition to the diagonal exceeds the curvature of most directions. So all features get
        only as much as keeps the Hessian of so many unknown numbers from being singular.
        """
        share = min(1.0, unknown / max(seen.rows, 1)) ** 2 * 1e-2 + 1e-8
        lacking = np.zeros(self.scaling.shape)
        lacking[:, : len(self.squares)] = 1 - 2 * self.scaling.mean_squares(seen) / self.squares
        return (share + np.clip(lacking.ravel(), 0, 1)) * self.start_curvature()

    def standing(self, query: Query, answer: Answer) -> tuple[float, float]:
        """Return the objective, l1 included, and the largest KKT residual."""
        l1, point = self.penalty.l1, query.point
        objective = answer.value + float(l1 @ np.abs(point))
        if answer.gradient is None:
            return objective, 0.0
        residual = pseudo_gradient(point, answer.gradient, l1, self.box)
        return objective, float(np.abs(residual).max(initial=0))

    def _gauge_at(self, point: Array) -> tuple[Array, float]:
        """Return the gauge's gradient for one margin (equal for all margins) and its value."""
        drift = point.reshape(self.scaling.shape).sum(axis=0)
        pull = self.gauge / self.scaling.margins * drift
        return pull, 0.5 * float(pull @ drift)

    def loss(self, point: Array, objective: float) -> float:
        """Return the mean loss without penalty, at a point with this objective."""
        return objective - self.penalty.value(point) - self._gauge_at(point)[1]

    def point_of(self, coefficients: Array, intercepts: Array) -> Array:
        """Return the point of coefficients (C, p) and intercepts (C,), where the gauge is free.

        Intercepts of a softmax may all be shifted, and those that a user reads have mean zero.
        """
        point = self.scaling.to_point(coefficients, intercepts)
        if self.spec.fitIntercept and self.gauge[-1] > 0:
            free = point.reshape(self.scaling.shape)[:, -1]
            free -= free.mean()
        return point

    def coefficients(self, point: Array) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) in user units, centred as in Spark."""
        coefficients, intercepts = self.scaling.to_coefficients(point)
        if self.spec.bounds is not None:  # never centred; rounding may cross a bound
            return self.spec.bounds.clip(coefficients, intercepts)
        return self.spec.family.centre(
            coefficients,
            intercepts,
            penalised=self.spec.regParam > 0,
            intercept=self.spec.fitIntercept,
        )


def _weight_of(seen: Moments, factors: Array | None) -> float:
    """Return the weight of some rows, with the factors of the classes."""
    if factors is None:
        return seen.weight
    return float(seen.histogram(len(factors)) @ factors)
