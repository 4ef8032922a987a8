"""The coordinates of the linear programmes, and the comparisons of rows in them.

    z = ((x - origin) / deviation, 1)

over the features with a deviation above zero; the coefficients of others are held at zero. Features
are not centred: a sparse row stays sparse, and a coefficient is only divided on its way to the
rows, so that it loses no digits. The 1 is there only with an intercept.

The directions of a family with a margin per class are taken relative to the last class, because
adding the same numbers to all classes changes nothing. With E_ic, 1 for the label of comparison i,
-1 for the other class (one margin: 1 for label 1, -1 for label 0) and 0 otherwise,

    a_i = (E_i1 z, E_i2 z, ...)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sparklr.arrays import Array, BoolArray, IntArray, Matrix, is_sparse
from sparklr.objective.families import Family
from sparklr.objective.moments import Moments
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class Frame:
    """The coordinates for rows with known moments."""

    family: Family
    classes: int
    intercept: bool
    features: int
    active: IntArray  # features with a deviation above zero
    deviation: Array  # of the active features
    origin: Array | None  # of the passes

    @staticmethod
    def of(moments: Moments, family: Family, classes: int, *, intercept: bool) -> Frame:
        """Return the coordinates for rows with these moments."""
        deviation = np.sqrt(moments.variance)
        active = np.flatnonzero(deviation > 0)
        return Frame(
            family, classes, intercept, moments.features, active, deviation[active], moments.origin
        )

    @property
    def margins(self) -> int:
        return self.family.margins(self.classes)

    @property
    def shape(self) -> tuple[int, int]:
        """The margins that are sought, and the coordinates of each."""
        return self.margins - self.family.per_class, len(self.active) + self.intercept

    @property
    def size(self) -> int:
        """The number q of coordinates."""
        return self.shape[0] * self.shape[1]

    @property
    def free(self) -> BoolArray:
        """Which coordinates are intercepts, (q,)."""
        one = np.zeros(self.shape[1], dtype=np.bool_)
        one[len(self.active) :] = True
        return np.tile(one, self.shape[0])

    def comparisons(self, rows: Block) -> Matrix:
        """Return the comparisons of rows, (m, q): dense or CSR, as the rows are."""
        scaled = self._scaled(rows)
        if not self.family.per_class:
            signs = np.where(rows.labels > 0, 1.0, -1.0)[:, None]
            return sp.csr_matrix(scaled.multiply(signs)) if is_sparse(scaled) else scaled * signs
        labels = rows.labels.astype(np.int64)
        of_row, other = np.nonzero(labels[:, None] != np.arange(self.classes))
        signs = np.zeros((len(of_row), self.classes))
        signs[np.arange(len(of_row)), labels[of_row]] = 1.0
        signs[np.arange(len(of_row)), other] = -1.0
        each = scaled[of_row]
        if is_sparse(each):
            parts = [each.multiply(signs[:, [c]]) for c in range(self.shape[0])]
            return sp.csr_matrix(sp.hstack(parts, format="csr"))
        return np.hstack([each * signs[:, [c]] for c in range(self.shape[0])])

    def _scaled(self, rows: Block) -> Matrix:
        ones = np.ones((rows.rows, int(self.intercept)))
        if is_sparse(rows.matrix) and self.origin is None:
            scaled = rows.matrix[:, self.active].multiply(1 / self.deviation)
            return sp.csr_matrix(sp.hstack((scaled, ones), format="csr"))
        matrix = rows.to_dense().matrix[:, self.active]
        if self.origin is not None:
            matrix = matrix - self.origin[self.active]
        return np.hstack((matrix / self.deviation, ones))

    def to_rows(self, vectors: Array) -> Array:
        """Return vectors (q, b) as directions (b, C, p + 1), relative to the origin."""
        sought, width = self.shape
        each = vectors.T.reshape(vectors.shape[1], sought, width)
        directions = np.zeros((len(each), self.margins, self.features + 1))
        directions[:, :sought, self.active] = each[:, :, : len(self.active)] / self.deviation
        if self.intercept:
            directions[:, :sought, -1] = each[:, :, -1]
        return directions

    def to_user(self, direction: Array) -> Array:
        """Return a direction (C, p + 1) relative to the origin as one in the user's coordinates."""
        if self.origin is None:
            return direction
        moved = direction.copy()
        moved[:, -1] -= direction[:, :-1] @ self.origin
        return moved

    def to_features(self, coordinates: BoolArray) -> BoolArray:
        """Return whether any of a feature's coordinates is marked, the intercept last, (p + 1,)."""
        marked = np.zeros(self.features + 1, dtype=np.bool_)
        some = np.any(coordinates.reshape(self.shape), axis=0, keepdims=True)[0]
        marked[self.active] = some[: len(self.active)]
        marked[-1] = some[len(self.active) :].any()
        return marked


def spread_rows(rows: Block, most: int) -> Block:
    """Return about `most` of the rows: of each label as many, at even distances."""
    labels, chosen = np.unique(rows.labels), []
    for label in labels:
        its = np.flatnonzero(rows.labels == label)
        count = min(len(its), max(most // len(labels), 1))
        chosen.append(its[np.linspace(0, len(its) - 1, count).astype(np.int64)])
    return rows.take(np.sort(np.concatenate(chosen)))


def with_weight(rows: Block) -> Block:
    """Return the rows with a weight above zero."""
    if rows.weights is None or (rows.weights > 0).all():
        return rows
    return rows.take(np.flatnonzero(rows.weights > 0))
