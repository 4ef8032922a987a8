"""Warnings about fits that did not fail."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest

from sparklr import ConvergenceWarning
from sparklr.fitting.cautions import warn_of_labels, warn_of_stops
from sparklr.fitting.outcome import Fit
from sparklr.objective.moments import moments_of
from sparklr.rows.blocks import Block
from sparklr.solvers import Reason


def fit_that(reason: Reason) -> Fit:
    return Fit(
        coefficients=np.zeros((1, 1)), intercepts=np.zeros(1), history=(1.0,), solver="newton",
        reason=reason.value, converged=reason.converged, loss=1.0,
    )  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_fits_that_stop_early_are_warned_of_together() -> None:
    done, early = fit_that(Reason.CONVERGED), fit_that(Reason.STEP_LIMIT)
    warn_of_stops([done, done])
    with pytest.warns(ConvergenceWarning, match="^The fit did not converge: stopped at maxIter"):
        warn_of_stops([early])
    with pytest.warns(
        ConvergenceWarning, match="^2 of 3 fits did not converge: stopped at maxIter"
    ):
        warn_of_stops([early, done, early])


def labels_warn(labels: Sequence[float], *, declared: bool = False) -> list[str]:
    """The warnings about these labels."""
    values = np.array(labels, dtype=float)
    moments = moments_of(Block(np.zeros((len(values), 1)), values, None))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_labels(moments, int(values.max()) + 1, "y", declared=declared)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("labels", [[1, 2, 2, 1], [3, 5, 5]])
def test_labels_that_do_not_begin_at_zero(labels: Sequence[float]) -> None:
    (text,) = labels_warn(labels)
    assert "Column 'y' has the labels" in text
    assert f"from 0 to {max(labels)}" in text
    assert labels_warn(labels, declared=True) == []


def test_a_label_per_row() -> None:
    (text,) = labels_warn(range(12))
    assert "identifier" in text


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 1], [0, 2, 2, 0], [1, 1, 1], [0, 1, 2, 2]])
def test_plain_labels_are_no_reason_to_warn(labels: Sequence[float]) -> None:
    assert labels_warn(labels) == []


def test_the_warning_names_the_callers_line() -> None:
    with pytest.warns(ConvergenceWarning) as caught:
        warn_of_stops([fit_that(Reason.STEP_LIMIT)])
    assert caught[0].filename == __file__


def test_code_without_a_module_is_warned_too() -> None:
    """As that of some notebooks, whose names have no `__name__`."""
    names = {"warn_of_stops": warn_of_stops, "fit": fit_that(Reason.STEP_LIMIT)}
    with pytest.warns(ConvergenceWarning):
        exec("warn_of_stops([fit])", names)
