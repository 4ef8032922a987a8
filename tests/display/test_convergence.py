"""The picture of a fit's iterations."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sparklr.display.plots import plot_convergence

HISTORY = np.array([0.69, 0.5, 0.42, 0.4])


def test_both_curves_are_drawn_and_the_model_is_marked() -> None:
    held = np.array([0.7, 0.55, 0.5, 0.52])
    ax = plot_convergence(Figure().subplots(), HISTORY, held, 2)
    objective, loss, mark = ax.get_lines()
    assert objective.get_ydata().tolist() == HISTORY.tolist()
    assert loss.get_ydata().tolist() == held.tolist()
    assert list(mark.get_xdata()) == [2, 2]
    assert ax.get_yscale() == "linear"


def test_without_held_out_rows_it_is_the_distance_to_the_least_objective() -> None:
    ax = plot_convergence(Figure().subplots(), HISTORY, np.zeros(0), None)
    (line,) = ax.get_lines()
    assert ax.get_yscale() == "log"
    assert line.get_xdata().tolist() == [0, 1, 2]
    assert np.allclose(line.get_ydata(), HISTORY[:3] - 0.4)


def test_a_fit_of_no_step_is_drawn_too() -> None:
    ax = plot_convergence(Figure().subplots(), HISTORY[:1], np.zeros(0), None)
    assert ax.get_lines()[0].get_ydata().tolist() == [0.69]
