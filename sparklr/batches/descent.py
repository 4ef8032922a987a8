"""What the batches of a stream have taught by stochastic gradient descent: a point that goes on.

Walks through each batch begin where those of the last one ended, in the coordinates of
`objective.ground`, z_j = (x_j - centre_j) reach_j. Their units are those of the first batch where a
feature is not at its centre: of dense rows it is divided by the root of its mean square about the
centre, of sparse rows by its largest absolute value, and these are not centred. Until then its
reach is zero, and no step moves it.

Several learning rates walk side by side until the losses of rows, each scored before it was
learned, have told which is the best: so no row is held out but some of the first batch. Whenever
`ENOUGH` rows were scored, the better half remains.

The mean loss of a batch has the penalty of a fit, regParam / 2 sum_j scale_j^2 coefficient_j^2,
with scale_j the feature's deviation, or 1 without standardization.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array, IntArray
from sparklr.batches.facts import StreamFacts
from sparklr.objective.families import Family
from sparklr.objective.ground import Ground
from sparklr.objective.moments import Moments
from sparklr.solvers.sgd import columns_of

# So many rows must be scored before half of the rates are dropped.
ENOUGH = 500


@dataclass(frozen=True, eq=False, kw_only=True)
class DescentState(StreamFacts):
    """Where the walks of a stream are, for C margins of q coordinates and K learning rates.

    sparse : whether rows are not centred, so that they stay sparse
    adagrad : whether the steps are Adagrad's
    reach : (p,)
    rates : (K,)
    scores : (K,), summed losses of rows before they were learned, and of those held out at first
    points : (q, K C), g
    squares : (q, K C), the sums of squares by which Adagrad divides its steps
    unit : what plain rates are multiplied by: 1 over a bound of the curvature
    waiting : how many rows were scored since rates were dropped last
    """

    sparse: bool
    adagrad: bool
    reach: Array
    rates: Array
    scores: Array
    points: Array
    squares: Array
    unit: float = 1.0
    waiting: int = 0

    @staticmethod
    def before(
        moments: Moments,
        family: Family,
        classes: int,
        names: tuple[str, ...] | None,
        intercept: bool,
        standardized: bool,
        *,
        sparse: bool,
        adagrad: bool,
    ) -> DescentState:
        """Return the state before the first batch, which has these moments."""
        nowhere = np.zeros(moments.features)
        start = np.zeros((moments.features + intercept, family.margins(classes)))
        squares = np.zeros_like(start)
        if intercept:  # as a fit; half a row more of each label, if one has not occurred yet
            weights = moments.histogram(classes)
            start[-1] = family.start_intercepts(weights if weights.all() else weights + 0.5)
        state = DescentState(
            family=family,
            classes=classes,
            names=names,
            intercept=intercept,
            standardized=standardized,
            centre=nowhere if sparse or not intercept else moments.mean,
            deviation=nowhere,
            sparse=sparse,
            adagrad=adagrad,
            reach=nowhere,
            rates=np.full(1, np.nan),
            scores=np.zeros(1),
            points=start,
            squares=squares,
        )
        if adagrad:
            return state
        length = float((state._mean_squares(moments) * state.met(moments).reach ** 2).sum())
        return replace(state, unit=4 / max(length + intercept, np.finfo(float).tiny))

    def check(self) -> None:
        """Refuse arrays of other sizes."""
        of_features, size = (self.features,), self.features + self.intercept
        shapes = self.deviation.shape, self.reach.shape
        moved, rates = {self.points.shape, self.squares.shape}, len(self.rates)
        same = self.scores.shape == self.rates.shape == (rates,)
        if shapes != (of_features,) * 2 or moved != {(size, rates * self.margins)} or not same:
            raise ValueError("its arrays do not belong together")

    @property
    def finite(self) -> bool:
        """Whether all that was learned is a number."""
        moved = self.of_rates(self.best)
        return bool(np.isfinite(moved.points).all() and np.isfinite(moved.squares).all())

    @property
    def best(self) -> IntArray:
        """The place of the rate with the least loss so far, (1,)."""
        return np.array([int(np.argmin(self.scores))])

    def of_rates(self, places: IntArray) -> DescentState:
        """Return the state of some rates."""
        columns = columns_of(places, self.margins)
        return replace(
            self,
            rates=self.rates[places],
            scores=self.scores[places],
            points=self.points[:, columns],
            squares=self.squares[:, columns],
        )

    def walking(self, rates: Array) -> DescentState:
        """Return the state with other rates, all of which go on from where the best one is."""
        one, count = self.of_rates(self.best), len(rates)
        points, squares = (np.tile(its, count) for its in (one.points, one.squares))
        return replace(one, rates=rates, scores=np.zeros(count), points=points, squares=squares)

    def judged(self, losses: Array, rows: int) -> DescentState:
        """Return the state with more summed losses (K,) of rows before they were learned."""
        return replace(self, scores=self.scores + losses, waiting=self.waiting + rows)

    def chosen(self) -> DescentState:
        """Return the state of the better half of the rates, if enough rows were scored."""
        if self.waiting < ENOUGH or len(self.rates) == 1:
            return self
        places = np.argsort(self.scores, kind="stable")[: -(-len(self.rates) // 2)]
        return replace(self.of_rates(np.sort(places)), waiting=0)

    def met(self, moments: Moments) -> DescentState:
        """Return the state with the units of the features that are new in this batch."""
        largest = np.maximum(np.abs(moments.minimum), np.abs(moments.maximum))
        size = largest if self.sparse else np.sqrt(self._mean_squares(moments))
        new = (self.reach == 0) & (size > 0)
        reach = np.divide(1.0, size, out=self.reach.copy(), where=new)
        return replace(super().met(moments), reach=reach)

    def ground(self, seed: int) -> Ground:
        """Return the ground of the walks."""
        return Ground(
            self.family,
            self.margins,
            self.reach,
            None if self.sparse else self.centre,
            self.intercept,
            seed,
        )

    def l2(self, regParam: float) -> Array:
        """Return the weights of the penalty, (q,)."""
        scale = self.deviation if self.standardized else 1.0
        return np.append(regParam * (self.reach * scale) ** 2, [0.0] * self.intercept)

    def coefficients(self) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) in the user's units, as in Spark."""
        points = self.of_rates(self.best).points
        coefficients = points[: self.features].T * self.reach
        intercepts = points[-1].copy() if self.intercept else np.zeros(self.margins)
        intercepts -= coefficients @ self.centre
        return self.family.centre(
            coefficients, intercepts, penalised=True, intercept=self.intercept
        )

    def _mean_squares(self, moments: Moments) -> Array:
        """Return the mean square of each feature about its centre."""
        return np.asarray(moments.spread / moments.weight + (moments.mean - self.centre) ** 2)
