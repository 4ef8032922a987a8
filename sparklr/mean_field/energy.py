"""Which energy a distribution of neurons minimises, and an energy's parts.

For a distribution m of neurons theta in R^d, with s the temperature (sigma^2),

    entropy   loss(m) + (kappa/2) E_m |theta|^2 + (s/2) int m log m
    Fisher    loss(m) + (kappa/2) E_m |theta|^2 + (s/4) int |grad log m|^2 m
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sparklr.arrays import Array

Regularizer: TypeAlias = Literal["entropy", "fisher"]


@dataclass(frozen=True)
class Energy:
    """The three terms of an energy, at one distribution."""

    loss: float
    penalty: float
    regularizer: float

    @property
    def total(self) -> float:
        return self.loss + self.penalty + self.regularizer


@dataclass(frozen=True)
class Measure:
    """An energy's regulariser, kappa, s and C; for Fisher information also the form of a path.

    Without the loss, the minimum is normal: with entropy of variance s / 2 kappa, with Fisher
    information |psi|^2 for psi = exp(-omega |theta|^2 / 2), the ground state of
    -s Laplace + kappa |theta|^2 / 2, which belongs to an Ornstein-Uhlenbeck process of relaxation
    time 1 / (s omega). A path has `beads` points of it, over `length` relaxation times.
    """

    regularizer: Regularizer
    kappa: float
    temperature: float
    scale: float
    beads: int = 1
    length: float = 0.0

    @property
    def omega(self) -> float:
        return float(np.sqrt(self.kappa / (2 * self.temperature)))

    @property
    def variance(self) -> float:
        """The variance of each coordinate of a neuron, without the loss."""
        if self.regularizer == "entropy":
            return self.temperature / (2 * self.kappa)
        return 1 / (2 * self.omega)

    @property
    def strengths(self) -> Array:
        """The factors lambda (B,) of the loss's potential at a path's points."""
        if self.regularizer == "entropy":
            return np.array([2 / self.temperature])
        relaxation = 1 / (self.temperature * self.omega)
        spacings = np.full(self.beads, self.length / (self.beads - 1) * relaxation)
        spacings[[0, -1]] /= 2
        return spacings / 2

    @property
    def covariance(self) -> Array:
        """The covariance (B, B) of a path's points, in each coordinate, without the loss."""
        if self.regularizer == "entropy":
            return np.array([[self.variance]])
        at = np.linspace(0, self.length, self.beads)
        return np.asarray(self.variance * np.exp(-np.abs(at[:, None] - at)))
