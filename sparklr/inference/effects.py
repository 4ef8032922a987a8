"""Average marginal effects: by how much the probability of a class changes with a feature.

With weights w_i of total W, rows x~_i = [x_i, 1], margins m_i and coefficients B (C, p), let p_i be
the chances of the classes that have margins: all, or label 1 if the model is binomial. Then

    c_kl  = d p_k / d m_l  = p_k ([k = l] - p_l)
    t_klm = d c_kl / d m_m = [k = l] c_km - p_l c_km - p_k c_lm

    a feature   sum_l A_kl b_lj / W             A = sum_i w_i c_i
    a flag      sum_i w_i (p_ik1 - p_ik0) / W   p_i1 and p_i0 with the flag set to 1 and to 0

The rows are held fixed. Errors are by the delta method, from the derivatives by margin m's
coefficients:

    a feature   (sum_l b_lj T_klm + A_km e_j) / W                 T_klm = sum_i w_i t_iklm x~_i
    a flag      sum_i w_i (c_ikm1 x~_i1 - c_ikm0 x~_i0) / W

One reading makes all of these sums. Shapes: n rows, f flags, C margins, p features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, IntArray
from sparklr.objective.sums import HESSIAN_SLICE_BYTES, Probe
from sparklr.passes.readings import FLOAT_BYTES, SumsOfRows, probe_bytes
from sparklr.rows.blocks import Block


@dataclass(frozen=True, eq=False)
class Effects:
    """Sums over rows; derivatives are by [coefficients, intercept].

    slopes : A (C, C)
    bends : T (C, C, C, p + 1)
    others : (f,), the rows whose value of a flag is neither 0 nor 1: then it is none
    jumps : (f, C), the sums of p_1 - p_0
    jump_slopes : (f, C, C, p + 1), their derivatives
    """

    slopes: Array
    bends: Array
    others: Array
    jumps: Array
    jump_slopes: Array


@dataclass(frozen=True, eq=False)
class EffectSums(SumsOfRows):
    """The reading of these sums at a probe; `flags` are perhaps flags."""

    probe: Probe
    flags: IntArray

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Those of the fields of `Effects`."""
        (margins, features), flags = self.probe.coefficients.shape, len(self.flags)
        square, width = (margins, margins), features + 1
        each = [square, (margins, *square, width), (flags,), (flags, margins)]
        return [*each, (flags, *square, width)]

    @property
    def columns(self) -> int:
        return int(self.probe.coefficients.shape[0]) * (1 + 2 * len(self.flags))

    @property
    def length(self) -> int:
        """How many numbers there are."""
        return sum(map(math.prod, self.shapes))

    @property
    def size(self) -> int:
        return max(FLOAT_BYTES * self.length, probe_bytes(self.probe))

    def accumulator(self, features: int, origin: Array | None) -> EffectTotals:
        return EffectTotals(self, np.zeros(features) if origin is None else origin)

    def effects(self, flat: Array) -> Effects:
        """Return the sums of a flat array."""
        parts = np.split(flat, np.cumsum([*map(math.prod, self.shapes)])[:-1])
        return Effects(*map(np.reshape, parts, self.shapes))


class EffectTotals:
    """The sums over the blocks added so far."""

    def __init__(self, reading: EffectSums, origin: Array) -> None:
        self._reading, self._origin = reading, origin
        self._total = np.zeros(reading.length)

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        square = len(self._reading.probe.offsets) ** 2
        widest = block.features + square * (4 * len(self._reading.flags) + 1)
        step = max(HESSIAN_SLICE_BYTES // (8 * widest), 64)
        for begin in range(0, block.rows, step):
            self._add_slice(block.part(begin, begin + step).to_dense())

    def _add_slice(self, rows: Block) -> None:
        probe, flags = self._reading.probe, self._reading.flags
        matrix, chances_at = np.asarray(rows.matrix), probe.family.chances
        weights = np.ones(rows.rows) if rows.weights is None else rows.weights
        margins = (matrix - self._origin) @ probe.coefficients.T + probe.offsets
        if rows.row_offsets is not None:
            margins += rows.row_offsets[:, None]
        weighted = np.column_stack((matrix, np.ones(len(matrix)))) * weights[:, None]

        chances = chances_at(margins)
        slopes = _slopes(chances)
        values = matrix[:, flags, None]
        steps, margins = probe.coefficients.T[flags], margins[:, None]
        on, off = chances_at(margins + steps * (1 - values)), chances_at(margins - steps * values)
        slopes_on = _slopes(on)
        jump_slopes = _summed(slopes_on - _slopes(off), weighted)
        # x_j is 1 with the flag set to 1, and 0 with it set to 0.
        each, alone = np.arange(len(flags)), weights[:, None]
        jump_slopes[each, ..., flags] = _summed(slopes_on, alone)[..., 0]
        sums = (
            _summed(slopes, alone),
            [_summed(_bends(chances, slopes, k), weighted) for k in range(len(probe.offsets))],
            ((values != 0) & (values != 1)).sum(axis=0),
            _summed(on - off, alone),
            jump_slopes,
        )
        self._total += np.concatenate([np.ravel(each) for each in sums])

    def part(self) -> Array:
        """Return the sums."""
        return self._total


def _slopes(chances: Array) -> Array:
    """Return c (..., C, C), for chances p (..., C)."""
    each = np.eye(chances.shape[-1]) - chances[..., None, :]
    return np.asarray(chances[..., None] * each)


def _bends(chances: Array, slopes: Array, k: int) -> Array:
    """Return t_klm (n, C, C) by l and m of a class k, for chances p (n, C) and slopes c."""
    bends = -chances[:, :, None] * slopes[:, k, None, :] - chances[:, k, None, None] * slopes
    bends[:, k] += slopes[:, k]
    return np.asarray(bends)


def _summed(each: Array, columns: Array) -> Array:
    """Return the sums over rows of each number (n, ...) times each of some columns (n, q)."""
    flat = each.reshape(len(each), -1)
    return np.asarray((flat.T @ columns).reshape(*each.shape[1:], columns.shape[1]))


def average_effects(
    sums: Effects, coefficients: Array, flags: IntArray, weight: float
) -> tuple[Array, Array]:
    """Return the effects (C, p) of coefficients (C, p) and their derivatives (C, p, C, p + 1)."""
    at, real = np.arange(coefficients.shape[1]), sums.others == 0
    effects = sums.slopes @ coefficients
    derivatives = np.einsum("lj,klmc->kjmc", coefficients, sums.bends, optimize=True)
    derivatives[:, at, :, at] += sums.slopes
    effects[:, flags[real]] = sums.jumps[real].T
    derivatives[:, flags[real]] = np.swapaxes(sums.jump_slopes[real], 0, 1)
    return effects / weight, derivatives / weight
