"""Average marginal effects: by how much the probability changes with a feature, on average.

With chances p_i = sigmoid(m_i), weights w_i of total W, coefficients b and rows x~_i = [x_i, 1],

    a feature   b_j A / W                      A = sum_i w_i p_i (1 - p_i)
    a flag      sum_i w_i (p_i1 - p_i0) / W    p_i1 and p_i0 with the flag set to 1 and to 0

The rows are held fixed. Errors are by the delta method, from the derivatives by the coefficients:

    a feature   (b_j B + A e_j) / W            B = sum_i w_i p_i (1 - p_i) (1 - 2 p_i) x~_i
    a flag      sum_i w_i (c_i1 x~_i1 - c_i0 x~_i0) / W           c = p (1 - p)

One reading makes all of these sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sparklr.arrays import Array, IntArray
from sparklr.objective.sums import HESSIAN_SLICE_BYTES, Probe
from sparklr.passes.readings import FLOAT_BYTES, SumsOfRows, probe_bytes
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class Effects:
    """Sums over rows, for f flags and p features; derivatives are by [coefficients, intercept].

    slope : A
    bend : B (p + 1,)
    others : (f,), the rows whose value of a flag is neither 0 nor 1: then it is none
    jumps : (f,), the sums of p_1 - p_0
    jump_slopes : (f, p + 1), their derivatives
    """

    slope: float
    bend: Array
    others: Array
    jumps: Array
    jump_slopes: Array

    @staticmethod
    def of(flat: Array, flags: int) -> Effects:
        """Return the sums of a flat array."""
        width = len(flat) - 1 - 2 * flags
        width //= flags + 1
        ends = np.cumsum([1, width, flags, flags])
        slope, bend, others, jumps, rest = np.split(flat, ends)
        return Effects(float(slope[0]), bend, others, jumps, rest.reshape(flags, width))


@dataclass(frozen=True, eq=False)
class EffectSums(SumsOfRows):
    """The reading of these sums at the probe of a binomial model; `flags` are perhaps flags."""

    probe: Probe
    flags: IntArray

    @property
    def columns(self) -> int:
        return 1 + 2 * len(self.flags)

    @property
    def length(self) -> int:
        """How many numbers there are."""
        width = int(self.probe.coefficients.shape[1]) + 1
        return 1 + width + len(self.flags) * (2 + width)

    @property
    def size(self) -> int:
        return max(FLOAT_BYTES * self.length, probe_bytes(self.probe))

    def accumulator(self, features: int, origin: Array | None) -> EffectTotals:
        return EffectTotals(self, np.zeros(features) if origin is None else origin)


class EffectTotals:
    """The sums over the blocks added so far."""

    def __init__(self, reading: EffectSums, origin: Array) -> None:
        self._reading, self._origin = reading, origin
        self._total = np.zeros(reading.length)

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        widest = block.features + 4 * len(self._reading.flags) + 1
        step = max(HESSIAN_SLICE_BYTES // (8 * widest), 64)
        for begin in range(0, block.rows, step):
            self._add_slice(block.part(begin, begin + step).to_dense())

    def _add_slice(self, rows: Block) -> None:
        probe, flags = self._reading.probe, self._reading.flags
        matrix = np.asarray(rows.matrix)
        weights = np.ones(rows.rows) if rows.weights is None else rows.weights
        coefficients = probe.coefficients[0]
        margins = (matrix - self._origin) @ coefficients + probe.offsets[0]
        if rows.row_offsets is not None:
            margins += rows.row_offsets
        chances = expit(margins)
        curvature = weights * chances * (1 - chances)
        values, steps = matrix[:, flags], coefficients[flags]
        on = expit(margins[:, None] + steps * (1 - values))
        off = expit(margins[:, None] - steps * values)
        rise_on = weights[:, None] * on * (1 - on)
        rise_off = weights[:, None] * off * (1 - off)
        ones = np.column_stack((matrix, np.ones(len(matrix))))
        slopes = (rise_on - rise_off).T @ ones
        slopes[np.arange(len(flags)), flags] = rise_on.sum(
            axis=0
        )  # x_j is 1 in one, 0 in the other
        self._total += np.concatenate(
            (
                [curvature.sum()],
                (curvature * (1 - 2 * chances)) @ ones,
                ((values != 0) & (values != 1)).sum(axis=0),
                weights @ (on - off),
                slopes.ravel(),
            )
        )

    def part(self) -> Array:
        """Return the sums."""
        return self._total


def average_effects(
    sums: Effects, coefficients: Array, flags: IntArray, weight: float
) -> tuple[Array, Array]:
    """Return the effects (p,) of coefficients (p,) and their derivatives (p, p + 1)."""
    effects = coefficients * sums.slope / weight
    derivatives = np.outer(coefficients, sums.bend) / weight
    derivatives[np.arange(len(coefficients)), np.arange(len(coefficients))] += sums.slope / weight
    real = sums.others == 0
    effects[flags[real]] = sums.jumps[real] / weight
    derivatives[flags[real]] = sums.jump_slopes[real] / weight
    return effects, derivatives
