"""What each feature of a row adds to its margin, against a row at the baseline.

    c_j = b_j (x_j - m_j),      sum_j c_j = margin of the row - margin of the baseline m

With a margin per label, b is the row of the coefficients of one label less the mean of all rows, as
only differences between labels change a probability. Features with b = 0 contribute nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array, IntArray, Matrix, is_sparse
from sparklr.scoring.scorer import Scorer, numbers_of_rows

SLICE = 1_000_000  # contributions that are computed at once


@dataclass(frozen=True, eq=False)
class Contributions:
    """The largest contributions of each row.

    scorer : it also predicts the label, where each row is explained by its own
    used : the places (u,) of the features that count
    baseline : their values (u,) in the baseline
    label : whose margin is explained; None for the predicted label of each row
    top : at most so many features per row
    """

    scorer: Scorer
    used: IntArray
    baseline: Array
    label: int | None
    top: int

    def of_column(self, column: pa.Array) -> pa.StructArray:
        """Return lists of places among `used`, of values and of contributions, per row."""
        return numbers_of_rows(column, self.scorer.features, self.of_rows)

    def of_rows(self, matrix: Matrix) -> dict[str, Array]:
        """Return places, values and contributions (n, top) of rows (n, p), the largest first."""
        size = max(SLICE // max(len(self.used), 1), 1)
        parts = [self._part(matrix[at : at + size]) for at in range(0, matrix.shape[0], size)]
        count = min(self.top, len(self.used))
        empty = np.empty((0, count))
        return {
            name: np.concatenate([part[name] for part in parts]) if parts else empty
            for name in ("place", "value", "contribution")
        }

    def _part(self, matrix: Matrix) -> dict[str, Array]:
        kept = matrix[:, self.used]
        values = np.asarray(kept.toarray() if is_sparse(kept) else kept)
        with np.errstate(invalid="ignore"):
            contributions = self._weights(matrix) * (values - self.baseline)
        # NaN is what makes a margin NaN, so it stands first.
        size = np.where(np.isnan(contributions), np.inf, np.abs(contributions))
        order = np.argsort(-size, axis=1, kind="stable")[:, : self.top]
        return {
            "place": order.astype(float),
            "value": np.take_along_axis(values, order, axis=1),
            "contribution": np.take_along_axis(contributions, order, axis=1),
        }

    def _weights(self, matrix: Matrix) -> Array:
        """Return b of the features that count, (1, u), or (n, u) if each row has its own label."""
        rows = self.scorer.coefficients[:, self.used]
        weights: Array = np.asarray(rows.toarray() if is_sparse(rows) else rows)
        if not self.scorer.family.per_class:
            return weights if self.label in (1, None) else -weights
        weights = weights - weights.mean(axis=0)
        if self.label is not None:
            return np.asarray(weights[[self.label]])
        labels = self.scorer.prediction(self.scorer.raw(matrix))
        return np.asarray(weights[labels.astype(int)])
