"""Bounds on single coordinates: lower <= x <= upper, either of which may be infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, BoolArray

# Long enough that no rounding of point + step can stop short of what the step was aimed at.
HAIR = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Box:
    """All x with lower <= x <= upper; a coordinate whose bounds are equal is fixed."""

    lower: Array
    upper: Array

    def __post_init__(self) -> None:
        if self.lower.ndim != 1 or self.lower.shape != self.upper.shape:
            raise ValueError(
                f"a box needs two vectors of one length, not shapes {self.lower.shape} and "
                f"{self.upper.shape}"
            )
        # Written so that a bound that is not a number counts as wrong.
        right = (self.lower <= self.upper) & (self.lower < np.inf) & (self.upper > -np.inf)
        if not right.all():
            wrong = int(np.flatnonzero(~right)[0])
            raise ValueError(
                f"no number lies within the bounds of coordinate {wrong}: "
                f"{self.lower[wrong]} and {self.upper[wrong]}"
            )

    @staticmethod
    def endless(size: int) -> Box:
        """The box that holds every point."""
        return Box(np.full(size, -np.inf), np.full(size, np.inf))

    @staticmethod
    def around(start: Array, box: Box | None) -> Box:
        """The box a solver keeps to, endless if it is given none; its start must lie within."""
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
        """The point of the box that is nearest."""
        return np.asarray(np.clip(point, self.lower, self.upper))

    def touches(self, point: Array) -> BoolArray:
        """Which coordinates are at a bound."""
        return np.asarray((point <= self.lower) | (point >= self.upper))

    def holds(self, point: Array, slope: Array) -> BoolArray:
        """Which coordinates are at a bound that a move down this slope would cross."""
        return np.asarray(
            ((point <= self.lower) & (slope > 0)) | ((point >= self.upper) & (slope < 0))
        )

    def room(self, point: Array, move: Array) -> Array:
        """For each coordinate the t at which point + t * move reaches its bound."""
        ahead = np.where(move > 0, self.upper, self.lower) - point
        with np.errstate(over="ignore"):  # a small move takes for ever
            return np.divide(ahead, move, where=move != 0, out=np.full_like(point, np.inf))

    def land(self, point: Array, step: Array) -> Array:
        """point + step, within the box, and equal to a bound where the step ends there.

        In float64 p + (b - p) may miss b by a unit in the last place. So what a hair more would
        carry to the bound is put on it.
        """
        beyond = self.clip(point + (1 + HAIR) * step)
        return np.where(self.touches(beyond), beyond, point + step)
