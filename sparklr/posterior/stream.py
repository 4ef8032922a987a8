"""What the batches of a stream have told of the coefficients: a normal distribution that goes on.

The posterior of the batches before is the prior of the next. For the rows i of batch t, with
weights w_i of total W_t, points z in the units below, and the discount d of what was known before,

    V_t(z) = sum_i w_i loss_i(z) + (z - m)' P (z - m) / 2
    P      = d precision + (1 - d) P_0 + regParam W_t of features
    P m    = d precision mean

    the next mean is the minimum of V_t, and the next precision is the Hessian of V_t there

So each row brings its share of the penalty. Without discount V_t is, to second order, the objective
of one fit of all rows so far, times their weight: `regParam` means the same for both, however the
rows are cut into batches. P_0 keeps the intercept, which has no penalty, finite on batches of one
label.

Units never change, so nothing that was learned is ever converted. A feature's centre is its mean in
the first batch, and its deviation that of the first batch where it is not at its centre. Until then
it is zero in these units, and tells nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.families import Family
from sparklr.objective.moments import Moments
from sparklr.objective.prior import GaussianPrior
from sparklr.objective.scaling import Scaling

# With more coefficients the precision is a diagonal: the matrix is a part of every state.
MOST_FULL = 2_000
# Of the intercept at the features' centres, a normal distribution of deviation 10.
INTERCEPT_PRECISION = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamState:
    """What was learned of n = C q coefficients, in units that do not change.

    centre, deviation : (p,); the deviation is zero as long as a feature has been at its centre
    mean : (n,)
    precision : (n, n), or the diagonal (n,) of more than `MOST_FULL` coefficients
    penalty : the share of the precision that each feature has by regParam
    batches, rows, weight : of all that was learned, without discount
    scored, score : the weight of the rows that were scored before they were learned, and the sum
        of their losses
    last_loss : the mean loss of the last batch before it was learned; NaN for the first
    """

    family: Family
    classes: int
    names: tuple[str, ...] | None
    intercept: bool
    standardized: bool
    centre: Array
    deviation: Array
    mean: Array
    precision: Array
    penalty: float = 0.0
    batches: int = 0
    rows: int = 0
    weight: float = 0.0
    scored: float = 0.0
    score: float = 0.0
    last_loss: float = math.nan

    @staticmethod
    def before(
        moments: Moments,
        *,
        family: Family,
        classes: int,
        names: tuple[str, ...] | None = None,
        intercept: bool,
        standardized: bool,
    ) -> StreamState:
        """Return the state before the first batch, which has these moments."""
        margins = family.margins(classes)
        scaling = Scaling.of(moments, margins, intercept=intercept)
        size = margins * (moments.features + intercept)
        state = StreamState(
            family=family,
            classes=classes,
            names=names,
            intercept=intercept,
            standardized=standardized,
            centre=scaling.centre,
            deviation=np.zeros(moments.features),
            mean=np.zeros(size),
            precision=np.zeros(size),
        )
        first = INTERCEPT_PRECISION * (1 - state.of_features)
        return replace(state, precision=np.diag(first) if size <= MOST_FULL else first)

    @property
    def features(self) -> int:
        """The number of features."""
        return len(self.centre)

    @property
    def full(self) -> bool:
        """Whether the precision is a matrix."""
        return self.precision.ndim == 2

    @property
    def margins(self) -> int:
        """The number of margins C."""
        return self.family.margins(self.classes)

    @property
    def of_features(self) -> Array:
        """1 for coordinates of features and 0 for intercepts, (n,)."""
        return np.tile(np.append(np.ones(self.features), [0.0] * self.intercept), self.margins)

    @property
    def loss(self) -> float:
        """The mean loss of all rows that were scored before they were learned; NaN if none was."""
        return self.score / self.scored if self.scored > 0 else math.nan

    @property
    def scaling(self) -> Scaling:
        """The map from the state's units to those of the user."""
        known = self.standardized & (self.deviation > 0)
        return Scaling(
            features=self.features,
            margins=self.margins,
            intercept=self.intercept,
            active=np.arange(self.features),
            deviation=np.where(known, self.deviation, 1.0),
            centre=self.centre,
            origin=np.zeros(self.features),
        )

    def met(self, moments: Moments) -> StreamState:
        """Return the state with the units of the features that vary first in this batch."""
        spread = np.sqrt(moments.variance)
        away = np.where(spread > 0, spread, np.abs(moments.mean - self.centre))
        return replace(self, deviation=np.where(self.deviation > 0, self.deviation, away))

    def prior(self, discount: float, penalty: float) -> GaussianPrior:
        """Return the prior of the next batch.

        discount : the factor of all that was learned before
        penalty : regParam times the weight of the batch
        """
        added = penalty * self.of_features
        added += (1 - discount) * INTERCEPT_PRECISION * (1 - self.of_features)
        precision = discount * self.precision
        pull = GaussianPrior(np.zeros(len(self.mean)), precision).times(self.mean)
        precision += np.diag(added) if self.full else added
        return GaussianPrior.of_pull(pull, precision)

    def learned(
        self, mean: Array, precision: Array, moments: Moments, *, discount: float, penalty: float
    ) -> StreamState:
        """Return the state after a batch with these moments."""
        return replace(
            self,
            mean=mean,
            precision=precision,
            penalty=discount * self.penalty + penalty,
            batches=self.batches + 1,
            rows=self.rows + moments.rows,
            weight=self.weight + moments.weight,
        )

    def scored_by(self, loss: float, weight: float) -> StreamState:
        """Return the state with the summed loss of a batch before it is learned.

        The first batch does not count: nothing was learned before it.
        """
        if self.batches == 0:
            return self
        score, scored = self.score + loss, self.scored + weight
        return replace(self, score=score, scored=scored, last_loss=loss / weight)

    def coefficients(self) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) in the user's units, as in Spark."""
        its = self.scaling.to_coefficients(self.mean)
        return self.family.centre(*its, penalised=True, intercept=self.intercept)
