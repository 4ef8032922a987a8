"""The elastic net in the solvers' coordinates.

    regParam ((1 - alpha) / 2 ||b||^2 + alpha ||b||_1)

where b are the scaled coefficients with standardization, and the original ones without it: the
scaled coefficients divided by the deviations. The intercept is never penalised. And the gauge, that
holds what no probability depends on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.scaling import Scaling
from sparklr.solvers.box import Box


@dataclass(frozen=True, eq=False)
class Penalty:
    """The penalty sum_j (l2_j x_j^2 / 2 + l1_j |x_j|) of a flat point."""

    l2: Array
    l1: Array

    @staticmethod
    def elastic_net(
        scaling: Scaling, strength: float, mixing: float, *, standardized: bool
    ) -> Penalty:
        """Return the penalty for regParam `strength` and elasticNetParam `mixing`."""
        size = np.ones(len(scaling.active)) if standardized else 1.0 / scaling.deviation
        none = [0.0] * scaling.intercept
        l2 = np.concatenate((strength * (1.0 - mixing) * size**2, none))
        l1 = np.concatenate((strength * mixing * size, none))
        return Penalty(np.tile(l2, scaling.margins), np.tile(l1, scaling.margins))

    def value(self, point: Array) -> float:
        """Return the penalty at a point."""
        return float(0.5 * self.l2 @ point**2 + self.l1 @ np.abs(point))

    @property
    def smooth(self) -> bool:
        """Whether no coordinate has an l1 term."""
        return not self.l1.any()


def gauge_of(scaling: Scaling, penalty: Penalty, box: Box | None) -> Array:
    """Return the strength of the pull on the sum over classes, per coordinate of one margin.

    Adding one number to all classes' coefficients of a feature changes no probability. Unpenalised,
    this freedom makes the Hessian singular. So the gauge pulls the sum over classes to zero: where
    Spark centres it, at no cost to the loss. With an L2 penalty the gauge does no harm, and helps
    if the penalty is very weak. With an L1 term it is left out, because that term's minimum is
    elsewhere.
    """
    margins = scaling.margins
    gauge = np.zeros(scaling.shape[1])
    if margins == 1:
        return gauge
    gauge[:] = 1.0 / margins
    if not penalty.smooth:
        gauge[: len(scaling.active)] = 0.0
    if box is not None:  # a bounded coefficient cannot move with the others
        bounded = np.isfinite(box.lower) | np.isfinite(box.upper)
        gauge[bounded.reshape(scaling.shape).any(axis=0)] = 0.0
    return gauge
