"""How a fit went: members of a training summary, and of what a model keeps of it."""

from __future__ import annotations

from sparklr.fitting.outcome import FitReport, RatesTried


class FitFacts:
    """The solver, its steps, and why it stopped."""

    _report: FitReport

    @property
    def objectiveHistory(self) -> list[float]:
        """The objective with penalty at the start and after each iteration, or epoch of "sgd".

        It never increases, but with solver="sgd", and with "gd" by stepRule="bb" or "accelerated".
        """
        return list(self._report.history)

    @property
    def validationHistory(self) -> list[float]:
        """The mean loss of the held-out rows, without penalty, in the places of `objectiveHistory`.

        Empty without `validationIndicatorCol`.
        """
        return list(self._report.held)

    @property
    def bestIteration(self) -> int | None:
        """The iteration with the least loss of held-out rows, whose coefficients the model has."""
        return self._report.chosen

    @property
    def totalIterations(self) -> int:
        """The number of iterations: the length of `objectiveHistory` minus one."""
        return len(self._report.history) - 1

    @property
    def solver(self) -> str:
        """The name of the solver that was used."""
        return self._report.solver

    @property
    def stopReason(self) -> str:
        """The reason why the solver stopped, as a sentence."""
        return self._report.reason

    @property
    def converged(self) -> bool:
        """Whether the tolerance was met."""
        return self._report.converged

    @property
    def learningRates(self) -> RatesTried | None:
        """The rates that solver="sgd" has compared, and the one it kept; None for other solvers."""
        return self._report.rates

    @property
    def passes(self) -> int:
        """The passes of the fit over the data: packing and later readings are not counted."""
        return self._report.passes
