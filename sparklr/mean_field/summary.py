"""How a mean-field fit went: its energies, and a page that prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparklr.display import plots
from sparklr.display.tables import Page, Table, amount, number, percent
from sparklr.mean_field.fit import FittedNetwork
from sparklr.mean_field.params import MeanFieldParams
from sparklr.objective.moments import Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 9  # steps in the table
TERMS = {"entropy": "entropy term", "fisher": "Fisher term"}


class MeanFieldTrainingSummary:
    """How a model was fitted: the energies of the particles at each step, and whether they rest.

    `print` shows a page, and a notebook a table.
    """

    def __init__(self, params: MeanFieldParams, fitted: FittedNetwork, moments: Moments) -> None:
        self._params, self._fitted, self._moments = params, fitted, moments

    @property
    def energyHistory(self) -> list[float]:
        """The energy at the start and after each step: loss, penalty and regularizer together.

        Steps before `allRowsFrom` are measured on the sample of the rows.
        """
        return [its.total for its in self._fitted.energies]

    @property
    def lossHistory(self) -> list[float]:
        """The mean loss at the start and after each step."""
        return [its.loss for its in self._fitted.energies]

    @property
    def penaltyHistory(self) -> list[float]:
        """regParam/2 times the mean square of the neurons' coordinates, at each step."""
        return [its.penalty for its in self._fitted.energies]

    @property
    def regularizerHistory(self) -> list[float]:
        """The term of the entropy or of the Fisher information, as measured at each step."""
        return [its.regularizer for its in self._fitted.energies]

    @property
    def energy(self) -> float:
        """The mean energy of the last fifth of the steps."""
        return self._fitted.energy

    @property
    def energyStandardError(self) -> float:
        """The standard error of `energy`, of the particles' chance alone."""
        return self._fitted.energy_error

    @property
    def settled(self) -> bool:
        """Whether the energy is at rest: no lower in the last fifth than in the one before."""
        return self._fitted.settled

    @property
    def restarts(self) -> list[int]:
        """The steps at which velocities were drawn anew, because the energy had risen."""
        return list(self._fitted.rises)

    @property
    def totalIterations(self) -> int:
        """The number of steps."""
        return len(self._fitted.energies) - 1

    @property
    def allRowsFrom(self) -> int:
        """The first step that read all rows; those before read the sample. 0: all steps did."""
        return self._fitted.changed

    @property
    def passes(self) -> int:
        """The number of readings of all rows, packing not counted."""
        return self._fitted.readings

    @property
    def numInstances(self) -> int:
        """The number of rows with a weight above zero."""
        return self._moments.rows

    def plot_energy(self, ax: Axes | None = None) -> Axes:
        """Draw the energy over the steps, with the loss and the other terms."""
        drawn = plots.axes(ax)
        steps = np.arange(self.totalIterations + 1)
        drawn.plot(steps, self.energyHistory, color="C0", label="energy")
        drawn.plot(steps, self.lossHistory, color="C1", linewidth=1, label="loss")
        others = np.array(self.penaltyHistory) + self.regularizerHistory
        words = TERMS[self._params.getRegularizer()]
        drawn.plot(steps, others, color="C2", linewidth=1, label=f"penalty and {words}")
        for at in self.restarts:
            drawn.axvline(at, color="C3", linewidth=1)
        if self.allRowsFrom:
            drawn.axvline(self.allRowsFrom, color="gray", linestyle="--", linewidth=1)
        drawn.set(xlabel="step", ylabel="mean per row")
        drawn.legend()
        return drawn

    def _page(self) -> Page:
        params, moments, fitted = self._params, self._moments, self._fitted
        weights = moments.histogram(2)
        rows = f"{moments.rows:,}"
        if moments.weight != moments.rows:
            rows += f", with weights that sum to {amount(moments.weight)}"
        shares = ", ".join(
            f"{at}: {percent(one / weights.sum())}" for at, one in enumerate(weights)
        )
        bias = "with" if params.getFitIntercept() else "without"
        neurons = (
            f"{params.getOutputScale():g} tanh, {params.getNumNeurons():,} particles {bias} a bias"
        )
        if params.getNumSnapshots() > 1:
            neurons += f", taken {params.getNumSnapshots()} times into the model"
        read = f"{self.passes} passes over the rows"
        if self.allRowsFrom:
            read = f"the first {self.allRowsFrom} on a sample, then {read}"
        rest = "at rest" if self.settled else "NOT AT REST: the energy was still falling"
        facts = (
            ("rows", rows),
            ("classes", shares),
            ("features", f"{moments.features:,}"),
            ("neurons", neurons),
            ("penalty", f"regParam={params.getRegParam():g}"),
            ("regularizer", f"{params.getRegularizer()}, temperature={params.getTemperature():g}"),
            ("steps", f"{self.totalIterations}, {read}"),
            ("energy", f"{number(self.energy)}, standard error {number(self.energyStandardError)}"),
            ("outcome", rest + (f"; {len(fitted.rises)} restarts" if fitted.rises else "")),
        )
        title = f"Mean-field network of '{params.getLabelCol()}'"
        return Page(title, facts, (self._table(),))

    def _table(self) -> Table:
        places = np.unique(np.linspace(0, self.totalIterations, SHOWN).round().astype(int))
        rows = tuple(
            (f"{at}", *(number(one) for one in (its.total, its.loss, its.penalty, its.regularizer)))
            for at, its in ((at, self._fitted.energies[at]) for at in places)
        )
        words = TERMS[self._params.getRegularizer()]
        return Table("Energies", ("step", "energy", "loss", "penalty", words), rows)

    def __repr__(self) -> str:
        return self._page().text()

    def _repr_html_(self) -> str:
        return self._page().html()
