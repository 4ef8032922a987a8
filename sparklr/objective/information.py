"""The information of the rows about the coefficients, and the covariance that follows from it.

With weights w_i, rows x~_i = [x_i, 1] and the second derivatives h_i of the losses at the optimum,

    information   H = sum_i w_i h_i x~_i x~_i'             observed, which here is also expected
    covariance    V = H^-1, mapped to the user's units by b = T z

where z are the solvers' coordinates: there the features are scaled and centred, so that H is well
conditioned, and T undoes that. The covariance of an intercept depends on T: it is far from zero
where the features' means are.

Softmax margins may all be shifted by one linear function of the row, so H is singular. The gauge
of `Problem` adds curvature along these shifts only, and changes the covariance of no contrast
between classes (C V C', for C whose rows sum to zero over the classes). The model's centred
coefficients are such contrasts.

Columns that depend on others leave H singular in earnest. Then some coefficients are not
identified, and their covariance is NaN; that of the others is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, lapack, solve_triangular

from sparklr.arrays import Array, BoolArray, IntArray
from sparklr.objective.scaling import Scaling

# A column depends on others if they leave less than this share of its square unexplained. Rounding
# leaves about 1e-16 times the number of columns; correlations of 1 - 1e-10 are still told apart.
DEPENDENT = 1e-11
# Entries of a dependence below this share of the largest are rounding.
DUST = 1e-6


@dataclass(frozen=True, eq=False)
class Pivoted:
    """The pivoted Cholesky factor L L' of a positive semidefinite matrix (n, n) at unit diagonal.

    The first `rank` pivots are coordinates that the others depend on.
    """

    factor: Array
    pivots: IntArray
    rank: int
    scale: Array  # (n,): the matrix at unit diagonal is scale_i a_ij scale_j

    @staticmethod
    def of(matrix: Array) -> Pivoted:
        """Factor a matrix."""
        diagonal = np.diagonal(matrix)
        scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        factor, pivots, rank, _ = lapack.dpstrf(matrix * scale * scale[:, None], DEPENDENT, lower=1)
        return Pivoted(np.tril(factor), pivots - 1, int(rank), scale)

    @property
    def singular(self) -> bool:
        """Whether the rank is less than n."""
        return self.rank < len(self.pivots)

    @cached_property
    def inverse(self) -> Array:
        """The inverse; of a singular matrix, that of the first pivots' part, else zero."""
        inverse, kept = np.zeros_like(self.factor), self.pivots[: self.rank]
        square = self.factor[: self.rank, : self.rank]
        inverse[np.ix_(kept, kept)] = cho_solve((square, True), np.eye(self.rank))
        return np.asarray(inverse * self.scale * self.scale[:, None])

    def null_space(self) -> Array:
        """Return directions (n, n - rank) that the matrix takes to zero."""
        rank, count = self.rank, len(self.pivots)
        directions = np.zeros((count, count - rank))
        square, below = self.factor[:rank, :rank], self.factor[rank:, :rank]
        directions[self.pivots[:rank]] = -solve_triangular(square, below.T, lower=True, trans="T")
        directions[self.pivots[rank:]] = np.eye(count - rank)
        directions[np.abs(directions) < DUST * np.abs(directions).max(axis=0, initial=0)] = 0.0
        return directions * self.scale[:, None]


@dataclass(frozen=True, eq=False)
class Information:
    """The Hessian and the gradient of the summed loss at a point, in the solvers' coordinates.

    hessian : (n, n) for n = C q coordinates; without the penalty, with the gauge
    gauge : (q,), the curvature that the gauge adds for each two classes, or zero
    gradient : (n,), without penalty and gauge
    penalty : (n,), the curvature that an L2 penalty adds to the diagonal of `hessian`
    slope : (n,), the gradient of the whole objective; zero at an optimum, also with L1 and bounds
    free : (n,), whether a coordinate can move both ways: not at a bound, nor at zero by L1
    rank_before : the rank at another point, where rows still told that are certain at this one
    """

    hessian: Array
    gauge: Array
    gradient: Array
    penalty: Array
    slope: Array
    free: BoolArray
    scaling: Scaling
    weight: float
    rank_before: int = 0

    @cached_property
    def pivoted(self) -> Pivoted:
        """The factor of `hessian`."""
        return Pivoted.of(self.hessian)

    @property
    def rank(self) -> int:
        """The number of parameters that the rows identify."""
        return max(self.pivoted.rank - int(np.count_nonzero(self.gauge)), self.rank_before)

    @property
    def singular(self) -> bool:
        """Whether some coefficients of features that vary are not identified."""
        return self.pivoted.singular

    @property
    def inverse(self) -> Array:
        """V (n, n) in the solvers' coordinates; if singular, one of the generalised inverses."""
        return self.pivoted.inverse

    def dependences(self) -> Array:
        """Return the dependences of columns, (m, p + 1): each times [x, 1] is zero for all rows."""
        width = self.scaling.shape[1]
        block = self.hessian[:width, :width] - np.diag(self.gauge)
        return np.array([self.of_margin @ one for one in Pivoted.of(block).null_space().T])

    def covariance(self, inner: Array | None = None, base: int | None = None) -> Array:
        """Return V in the user's units, (C (p + 1),) * 2: per margin the features, the intercept.

        What is not identified, does not vary or was not fitted is NaN.

        inner : another covariance in the solvers' coordinates, such as a robust one
        base : the class with which all others are compared; else softmax margins are compared
            with their mean
        """
        change = self.change(base)
        result = change @ (self.inverse if inner is None else inner) @ change.T
        unknown = ~self._identified(change)
        result[unknown] = np.nan
        result[:, unknown] = np.nan
        return np.asarray((result + result.T) / 2)

    def change(self, base: int | None = None) -> Array:
        """Return the change from the solvers' coordinates to those coefficients, (C (p + 1), n)."""
        compared = against(self.scaling.margins, base)
        if base is None and self.gauge.any():
            compared -= 1 / self.scaling.margins
        return np.asarray(np.kron(compared, self.of_margin), dtype=float)

    def root(self) -> Array:
        """Return R (rank, p + 1) of a binomial model with R'R = V in the user's units.

        |R x~|^2 is the variance of a row's margin. If the information is singular, V is one of the
        generalised inverses, and they all agree on that.
        """
        pivoted, rank = self.pivoted, self.pivoted.rank
        kept, square = pivoted.pivots[:rank], pivoted.factor[:rank, :rank]
        # As V = D P (L L')^-1 P' D for the scale D and pivots P.
        scaled = (self.of_margin * pivoted.scale)[:, kept].T
        return np.asarray(solve_triangular(square, scaled, lower=True))

    def variances(self, derivatives: Array) -> Array:
        """Return the variances (m,) of functions of the coefficients, by the delta method.

        derivatives : (.., C, p + 1) of m functions, in the user's units: by a margin's features,
            then its intercept; those of softmax margins sum to zero over the classes
        """
        change = (derivatives @ self.of_margin).reshape(-1, len(self.inverse))
        return np.asarray(((change @ self.inverse) * change).sum(axis=1))

    def _identified(self, change: Array) -> BoolArray:
        """Whether each row of a change of coordinates is identified."""
        known = change.any(axis=1)
        if self.singular:
            moved = np.abs(change @ self.pivoted.null_space())
            size = np.abs(change) @ np.abs(self.pivoted.null_space())
            known &= ~(moved > DUST * size).any(axis=1)
        return np.asarray(known)

    @cached_property
    def of_margin(self) -> Array:
        """T of one margin, (p + 1, q): from the solvers' coordinates to the user's units."""
        single = replace(self.scaling, margins=1, held=0.0)
        each = [np.append(*single.to_coefficients(one)) for one in np.eye(self.scaling.shape[1])]
        return np.column_stack(each)


def against(margins: int, base: int | None) -> Array:
    """Return the matrix (C, C) that takes the margin `base`, if there is one, from each margin."""
    change = np.eye(margins)
    if base is not None:
        change[:, base] -= 1
    return change
