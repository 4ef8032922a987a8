"""How a fit went: members of a training summary, and of what a model keeps of it."""

from __future__ import annotations

from sparklr.fitting.outcome import FitReport


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
    def passes(self) -> int:
        """The passes of the fit over the data: packing and later readings are not counted."""
        return self._report.passes
