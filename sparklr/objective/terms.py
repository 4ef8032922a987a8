"""The loss of rows at the margins of some probes, with its derivatives by these margins.

Shapes: n rows, q probes side by side, C margins per probe; C = 1 for the binomial loss, and C = K
classes for the multinomial loss. The formulas per row are in `losses`, and the sums over
[x_i, 1] [x_i, 1]' in `hessians`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sparklr.arrays import Array, IntArray
from sparklr.objective.hessians import CrossProducts
from sparklr.objective.losses import (
    binomial_terms,
    multinomial_terms,
    softmax_from_multipliers,
)


class Terms(Protocol):
    """The loss of each row for each probe, and its derivatives by the margins."""

    @property
    def loss(self) -> Array:
        """(n, q)."""

    @property
    def slopes(self) -> Array:
        """d_ik = d loss_i / d margin_ik, (n, q C): the margins probe by probe."""

    def curvatures(self, probe: int) -> Array:
        """Return h_ikk = d^2 loss_i / d margin_ik^2 at one of the probes, (n, C)."""

    def add_hessian(
        self, hessian: Array, rows: CrossProducts, probe: int, weights: Array | float
    ) -> None:
        """hessian += sum_i w_i h_ikl [x_i, 1] [x_i, 1]' at one of the probes, (C (p + 1),) * 2."""


@dataclass(frozen=True, eq=False)
class BinomialTerms:
    """loss = log(1 + e^m) - y m,  d = sigmoid(m) - y,  h = sigmoid(m) (1 - sigmoid(m))."""

    loss: Array
    slopes: Array
    second: Array  # h (n, q)

    @staticmethod
    def of(margins: Array, labels: Array) -> BinomialTerms:
        """Terms at margins (n, q), for labels (n,)."""
        return BinomialTerms(*binomial_terms(margins, labels))

    def curvatures(self, probe: int) -> Array:
        """h (n, 1)."""
        return self.second[:, probe : probe + 1]

    def add_hessian(
        self, hessian: Array, rows: CrossProducts, probe: int, weights: Array | float
    ) -> None:
        """hessian += sum_i w_i h_i [x_i, 1] [x_i, 1]'."""
        rows.add_binomial(hessian, weights * self.second[:, probe])


@dataclass(frozen=True, eq=False)
class MultinomialTerms:
    """loss = log sum_k e^{m_k} - m_y,  d_k = p_k - [y = k],  h_kl = p_k ([k = l] - p_l)."""

    loss: Array
    each: Array  # the slopes, (n, q, K)
    labels: IntArray

    @staticmethod
    def of(margins: Array, labels: Array) -> MultinomialTerms:
        """Terms at margins (n, q, K), for labels (n,)."""
        classes = labels.astype(np.int64)
        return MultinomialTerms(*multinomial_terms(margins, classes), classes)

    @property
    def slopes(self) -> Array:
        """d, (n, q K)."""
        return self.each.reshape(len(self.labels), -1)

    def curvatures(self, probe: int) -> Array:
        """p_k (1 - p_k), (n, K)."""
        chances = self._chances(probe)
        return chances * (1 - chances)

    def add_hessian(
        self, hessian: Array, rows: CrossProducts, probe: int, weights: Array | float
    ) -> None:
        """hessian += sum_i w_i (diag(p_i) - p_i p_i') (x) [x_i, 1] [x_i, 1]'."""
        rows.add_multinomial(hessian, self._chances(probe), weights)

    def _chances(self, probe: int) -> Array:
        """Return p (n, K), computed only on demand, because gradients do not need it."""
        multipliers = self.each[:, probe : probe + 1].copy()  # it will be overwritten
        return softmax_from_multipliers(multipliers, self.labels)[:, 0]
