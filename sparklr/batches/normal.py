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

Until a feature is not at its centre for the first time, it is zero in the units of the stream, and
tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array
from sparklr.batches.facts import StreamFacts
from sparklr.objective.families import Family
from sparklr.objective.moments import Moments
from sparklr.objective.prior import GaussianPrior
from sparklr.objective.scaling import Scaling

# With more coefficients the precision is a diagonal: the matrix is a part of every state.
MOST_FULL = 2_000
# Of the intercept at the features' centres, a normal distribution of deviation 10.
INTERCEPT_PRECISION = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalState(StreamFacts):
    """What was learned of n = C q coefficients, in units that do not change.

    mean : (n,)
    precision : (n, n), or the diagonal (n,) of more than `MOST_FULL` coefficients
    penalty : the share of the precision that each feature has by regParam
    """

    mean: Array
    precision: Array
    penalty: float = 0.0

    @staticmethod
    def before(
        moments: Moments,
        family: Family,
        classes: int,
        names: tuple[str, ...] | None,
        intercept: bool,
        standardized: bool,
    ) -> NormalState:
        """Return the state before the first batch, which has these moments."""
        margins = family.margins(classes)
        scaling = Scaling.of(moments, margins, intercept=intercept)
        size = margins * (moments.features + intercept)
        state = NormalState(
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

    def check(self) -> None:
        """Refuse arrays of other sizes."""
        size = self.margins * (self.features + self.intercept)
        if self.deviation.shape != (self.features,) or self.mean.shape != (size,):
            raise ValueError("its arrays do not belong together")
        if self.precision.shape not in ((size,), (size, size)):
            raise ValueError("its precision has another size")

    @property
    def finite(self) -> bool:
        """Whether all that was learned is a number."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(self.precision).all())

    @property
    def full(self) -> bool:
        """Whether the precision is a matrix."""
        return self.precision.ndim == 2

    @property
    def of_features(self) -> Array:
        """1 for coordinates of features and 0 for intercepts, (n,)."""
        return np.tile(np.append(np.ones(self.features), [0.0] * self.intercept), self.margins)

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
    ) -> NormalState:
        """Return the state after a batch with these moments."""
        penalty += discount * self.penalty
        return replace(self.counted(moments), mean=mean, precision=precision, penalty=penalty)

    def coefficients(self) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) in the user's units, as in Spark."""
        its = self.scaling.to_coefficients(self.mean)
        return self.family.centre(*its, penalised=True, intercept=self.intercept)
