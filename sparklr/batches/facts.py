"""What every state of a stream has, however its batches are learned: shapes, units and counts.

Units never change, so nothing that was learned is ever converted. A feature's centre is its mean in
the first batch, and its deviation that of the first batch where it is not at its centre.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.families import Family
from sparklr.objective.moments import Moments

F = TypeVar("F", bound="StreamFacts")


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamFacts(ABC):
    """The shapes and units of a stream, and how many rows were learned.

    centre, deviation : (p,); the deviation is zero as long as a feature has been at its centre
    batches, rows, weight : of all that was learned, without discount
    scored, score : the weight of the rows that were scored before they were learned, and the sum
        of their losses
    last_loss : the mean loss of the last batch before it was learned; NaN for the first
    """

    family: Family
    classes: int
    names: tuple[str, ...] | None
    intercept: bool
    standardized: bool
    centre: Array
    deviation: Array
    batches: int = 0
    rows: int = 0
    weight: float = 0.0
    scored: float = 0.0
    score: float = 0.0
    last_loss: float = math.nan

    @property
    def features(self) -> int:
        """The number of features."""
        return len(self.centre)

    @property
    def margins(self) -> int:
        """The number of margins C."""
        return self.family.margins(self.classes)

    @property
    def loss(self) -> float:
        """The mean loss of all rows that were scored before they were learned; NaN if none was."""
        return self.score / self.scored if self.scored > 0 else math.nan

    def met(self: F, moments: Moments) -> F:
        """Return the state with the units of the features that vary first in this batch."""
        spread = np.sqrt(moments.variance)
        away = np.where(spread > 0, spread, np.abs(moments.mean - self.centre))
        return replace(self, deviation=np.where(self.deviation > 0, self.deviation, away))

    def counted(self: F, moments: Moments) -> F:
        """Return the state with a batch more, which has these moments."""
        return replace(
            self,
            batches=self.batches + 1,
            rows=self.rows + moments.rows,
            weight=self.weight + moments.weight,
        )

    def scored_by(self: F, loss: float, weight: float) -> F:
        """Return the state with the summed loss of a batch before it is learned.

        The first batch does not count: nothing was learned before it.
        """
        if self.batches == 0:
            return self
        score, scored = self.score + loss, self.scored + weight
        return replace(self, score=score, scored=scored, last_loss=loss / weight)

    @abstractmethod
    def check(self) -> None:
        """Refuse arrays of other sizes."""

    @property
    @abstractmethod
    def finite(self) -> bool:
        """Whether all that was learned is a number."""

    @abstractmethod
    def coefficients(self) -> tuple[Array, Array]:
        """Return coefficients (C, p) and intercepts (C,) in the user's units, as in Spark."""


@dataclass(frozen=True, eq=False)
class Learned:
    """The state after a batch, the readings that it took, and why its learning stopped.

    converged : whether the batch was learned as it should be
    """

    state: StreamFacts
    readings: int
    converged: bool
    reason: str
