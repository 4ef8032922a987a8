"""Bounds on coefficients and intercepts in the user's units, for C margins of p features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array


@dataclass(frozen=True, eq=False)
class Bounds:
    """lower <= [coefficients, intercept] <= upper, each (C, p + 1); infinite where not set."""

    lower: Array
    upper: Array

    @property
    def on_intercepts(self) -> bool:
        """Whether any intercept is bounded."""
        return bool(np.isfinite(self.lower[:, -1]).any() or np.isfinite(self.upper[:, -1]).any())

    def nearest_to_zero(self) -> Array:
        """Return the coefficients (C, p) nearest to zero within the bounds."""
        return np.asarray(np.clip(0.0, self.lower[:, :-1], self.upper[:, :-1]))

    def clip(self, coefficients: Array, intercepts: Array) -> tuple[Array, Array]:
        """Return the nearest coefficients (C, p) and intercepts (C,) within the bounds."""
        return (
            np.clip(coefficients, self.lower[:, :-1], self.upper[:, :-1]),
            np.clip(intercepts, self.lower[:, -1], self.upper[:, -1]),
        )
