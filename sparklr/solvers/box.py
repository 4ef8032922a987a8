"""Bounds on single coordinates: lower <= x <= upper, either of which may be infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, BoolArray

# Relative lengthening of a step, so that rounding of point + step cannot miss a bound.
HAIR = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Box:
    """All x with lower <= x <= upper; a coordinate with equal bounds is fixed."""

    lower: Array
    upper: Array

    def __post_init__(self) -> None:
        if self.lower.ndim != 1 or self.lower.shape != self.upper.shape:
            raise ValueError(
                f"a box needs two vectors of equal length, but got shapes {self.lower.shape} and "
                f"{self.upper.shape}"
            )
        # Written so that a NaN bound is refused.
        right = (self.lower <= self.upper) & (self.lower < np.inf) & (self.upper > -np.inf)
        if not right.all():
            wrong = int(np.flatnonzero(~right)[0])
            raise ValueError(
                f"no number lies within the bounds of coordinate {wrong}: "
                f"{self.lower[wrong]} and {self.upper[wrong]}"
            )

    @staticmethod
    def endless(size: int) -> Box:
        """Return the box that contains every point."""
        return Box(np.full(size, -np.inf), np.full(size, np.inf))

    @staticmethod
    def around(start: Array, box: Box | None) -> Box:
        """Return `box`, or an endless box for None; refuse a start that lies outside."""
        if box is None:
            return Box.endless(len(start))
        if box.lower.shape != start.shape:
            raise ValueError(f"a box of {len(box.lower)} coordinates cannot hold {len(start)}")
        if not box.contains(start):
            raise ValueError("the start lies outside the box: start from box.clip(start)")
        return box

    @property
    def bounded(self) -> bool:
        """Whether any bound is finite."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    def contains(self, point: Array) -> bool:
        """Whether the point lies within, bounds included."""
        return bool(((self.lower <= point) & (point <= self.upper)).all())

    def clip(self, point: Array) -> Array:
        """Return the nearest point of the box."""
        return np.asarray(np.clip(point, self.lower, self.upper))

    def touches(self, point: Array) -> BoolArray:
        """Return which coordinates are at a bound."""
        return np.asarray((point <= self.lower) | (point >= self.upper))

    def holds(self, point: Array, slope: Array) -> BoolArray:
        """Return which coordinates are at a bound that a move down the slope would cross."""
        return np.asarray(
            ((point <= self.lower) & (slope > 0)) | ((point >= self.upper) & (slope < 0))
        )

    def room(self, point: Array, move: Array) -> Array:
        """Return for each coordinate the t where point + t * move reaches its bound."""
        ahead = np.where(move > 0, self.upper, self.lower) - point
        with np.errstate(over="ignore"):  # t overflows for a tiny move
            return np.divide(ahead, move, where=move != 0, out=np.full_like(point, np.inf))

    def land(self, point: Array, step: Array) -> Array:
        """Return point + step, within the box, and exactly on a bound where the step ends at one.

        In float64, p + (b - p) may miss b by a unit in the last place. So a coordinate is put on
        its bound if a step longer by a relative `HAIR` would reach it.
        """
        beyond = self.clip(point + (1 + HAIR) * step)
        return np.where(self.touches(beyond), beyond, point + step)
