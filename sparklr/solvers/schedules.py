"""Schedules: the factor of the learning rate after a share of a fit's steps.

For e epochs passed of E, both real numbers, and x = e / E,

    constant      1
    inverse       1 / (1 + e)
    inverse-sqrt  1 / sqrt(1 + e)
    exponential   0.01 ^ x
    polynomial    (1 - x)^2
    cosine        (1 + cos(pi x)) / 2
    piecewise     1, 1/10 or 1/100, in the first, second or last third
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sparklr.arrays import Array

# What the exponential schedule ends at, the power of the polynomial, and the steps of the pieces.
LEAST, POWER, PIECE = 0.01, 2, 0.1

Schedule = Callable[[Array, float], Array]

_SCHEDULES: Mapping[str, Schedule] = {
    "constant": lambda e, _: np.ones(len(e)),
    "inverse": lambda e, _: 1 / (1 + e),
    "inverse-sqrt": lambda e, _: 1 / np.sqrt(1 + e),
    "exponential": lambda e, every: LEAST ** (e / every),
    "polynomial": lambda e, every: (1 - e / every) ** POWER,
    "cosine": lambda e, every: (1 + np.cos(np.pi * e / every)) / 2,
    "piecewise": lambda e, every: PIECE ** np.floor(3 * e / every),
}
SCHEDULES = tuple(_SCHEDULES)
# Those that need not know how many epochs there will be.
ENDLESS = ("constant", "inverse", "inverse-sqrt")


def factors(name: str, epoch: int, epochs: int, steps: int) -> Array:
    """Return the factors of the rate in the steps of one epoch, (steps,).

    Step t of the T of epoch e, both counted from zero, comes after e + t / T epochs.
    """
    return _SCHEDULES[name](epoch + np.arange(steps) / steps, float(epochs))
