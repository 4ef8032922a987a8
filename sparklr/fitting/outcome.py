"""What a fit tells of itself: while it goes on, when it ends, and afterwards in a summary."""

from __future__ import annotations

from dataclasses import dataclass

from sparklr.arrays import Array
from sparklr.solvers import Preconditioner


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round that was made: all fits that go on have their answers."""

    passes: int  # readings of the rows so far
    live: int  # fits that still go on
    members: int  # all fits
    objective: float  # of the live fit with the largest residual; of the last one if none is live
    residual: float  # that fit's KKT residual; nan: not known


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit:
    """What came out: coefficients (C, p), intercepts (C,), the history and how it was got."""

    coefficients: Array
    intercepts: Array
    history: tuple[float, ...]
    solver: str
    reason: str
    converged: bool
    loss: float  # at the end, without penalty
    size: int = 0  # how many numbers the solver looked for
    precondition: Preconditioner | None = None  # that served it, and may serve fits nearby


@dataclass(frozen=True, eq=False, kw_only=True)
class FitReport:
    """What a fit found out about itself and its rows.

    Not a `Fit` and more: a summary lives as long as the model, and a fit may hold the
    preconditioner that served it, a matrix over all coefficients.

    Attributes
    ----------
    history : tuple of float
        The objective, penalty included, at the start and after each iteration.
    solver : str
        The method that was used.
    reason : str
        Why it stopped, in a sentence.
    converged : bool
        Whether the tolerance was met.
    passes : int
        The number of passes over the rows, packing not counted.
    rows : int
        The number of rows.
    label_weights : array (classes,)
        The weight of each class.
    deviation : array (features,)
        The features' standard deviations.
    loss : float
        The mean loss at the end, by weight, penalty excluded.
    """

    history: tuple[float, ...]
    solver: str
    reason: str
    converged: bool
    passes: int
    rows: int
    label_weights: Array
    deviation: Array
    loss: float
