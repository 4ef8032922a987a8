"""Records of a fit: its progress, its result, and its report for the summary."""

from __future__ import annotations

from dataclasses import dataclass

from sparklr.arrays import Array
from sparklr.fitting.certificate import Certificate
from sparklr.objective.information import Information
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.separation.search import Separation
from sparklr.solvers import Preconditioner

# The name of the solver of a fit that needs none.
NO_SOLVER = "none"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One finished round, after which every running fit has its answer."""

    passes: int  # readings of the rows so far
    live: int  # fits that are still running
    members: int  # all fits
    objective: float  # of the live fit with the largest residual; of the last fit if none is live
    residual: float  # that fit's KKT residual; nan if not known


@dataclass(frozen=True)
class Penalised:
    """The logarithm of the likelihood times Jeffreys' prior, in the units of the columns.

    log_likelihood : at the estimates
    null : its maximum with all coefficients zero but the intercept, if there is one
    """

    log_likelihood: float
    null: float


@dataclass(frozen=True)
class RatesTried:
    """The learning rates of stochastic gradient descent.

    tried : those that were compared, ascending, or the only one
    kept : the one that made the model; None if the model is the start
    rule : "adagrad", by which rates have no unit, or "plain"
    """

    tried: tuple[float, ...]
    kept: float | None
    rule: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit:
    """The result of a fit: coefficients (C, p), intercepts (C,), history, solver and reason."""

    coefficients: Array
    intercepts: Array
    history: tuple[float, ...]
    solver: str
    reason: str
    converged: bool
    loss: float  # at the end, without penalty
    size: int = 0  # the number of coordinates that the solver sought
    information: Information | None = None  # at the end, if the spec asks for it
    certificate: Certificate | None = None  # if the solver knew the gradient at the end
    products: Array | None = None  # of scores, with the information, if classes have weights
    null_loss: float | None = None  # without features, if rows have offsets
    separation: Separation | None = None  # if it was looked for
    penalised: Penalised | None = None  # with the information, by Firth's method
    posterior: PosteriorNumbers | None = None  # if it was asked for
    rates: RatesTried | None = None  # of stochastic gradient descent
    precondition: Preconditioner | None = None  # kept for other fits with optima nearby
    held: tuple[float, ...] = ()  # the held-out loss in the places of `history`
    chosen: int | None = None  # the place of the fit in the history, if held-out rows chose it
    early: bool = False  # whether they chose another iterate than the last


@dataclass(frozen=True, eq=False, kw_only=True)
class FitReport:
    """The facts about a fit and its rows that a summary shows.

    A report does not hold the `Fit` itself: a summary lives as long as the model, and a fit may
    hold its preconditioner, a matrix over all coefficients.

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
    information : Information, optional
        What the rows tell of the coefficients, if the fit was made with inference.
    certificate : Certificate, optional
        How near the fit is to its optimum, as far as the last answer tells.
    products : array (n, n), optional
        Sums of products of scores in the solvers' coordinates, with the information, if classes
        have weights.
    null_loss : float, optional
        The mean loss without features, if rows have offsets.
    factors : array (classes,), optional
        The factors of the weights of each class.
    separation : Separation, optional
        Whether the rows are separated, if it was looked for.
    penalised : Penalised, optional
        The penalised likelihood, if the fit was made by Firth's method, with inference.
    means : array (features,), optional
        The features' means; those of a model that an old version saved are not known.
    area_under_roc : float, optional
        The area under the ROC curve of the rows, if it was computed before the model was saved.
    rates : RatesTried, optional
        The learning rates, if the fit was made by stochastic gradient descent.
    held : tuple of float
        The mean loss of held-out rows, without penalty, in the places of `history`, if there are
        such rows.
    held_rows : int
        Their number.
    chosen : int, optional
        The place of the model in the history, if held-out rows chose it.
    early : bool
        Whether they chose another iterate than the last.
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
    information: Information | None = None
    certificate: Certificate | None = None
    products: Array | None = None
    null_loss: float | None = None
    factors: Array | None = None
    separation: Separation | None = None
    penalised: Penalised | None = None
    means: Array | None = None
    area_under_roc: float | None = None
    rates: RatesTried | None = None
    held: tuple[float, ...] = ()
    held_rows: int = 0
    chosen: int | None = None
    early: bool = False

    @property
    def weights_by_class(self) -> Array:
        """The weight of each class, with its factor, (classes,)."""
        return self.label_weights if self.factors is None else self.label_weights * self.factors
