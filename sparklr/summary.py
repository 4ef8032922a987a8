"""What a fit tells about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogisticRegressionTrainingSummary:
    """How a model was fitted.

    Attributes
    ----------
    objectiveHistory : list of float
        The objective, penalty included, at the start and after each iteration; never rises.
    solver : str
        The method that was used.
    stopReason : str
        Why it stopped, in a sentence.
    converged : bool
        Whether the tolerance was met.
    passes : int
        How often all rows were read, packing not counted.
    """

    objectiveHistory: list[float]
    solver: str
    stopReason: str
    converged: bool
    passes: int

    @property
    def totalIterations(self) -> int:
        """The number of iterations: the length of the history less one."""
        return len(self.objectiveHistory) - 1
