"""Early stopping of stochastic gradient descent, by rows that the user has held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec, Steps
from sparklr.objective.families import BINOMIAL
from sparklr.rows.blocks import Block
from tests.fitting.fits import fit_one
from tests.fitting.test_early_stopping import JUDGES, ROWS, mean_loss, passes_of

ONE_RATE = Steps(learningRate=0.3, epochs=30, batchSize=8)
SPEC = Spec(BINOMIAL, solver="sgd", steps=ONE_RATE, patience=3)


@pytest.mark.parametrize("rate", [0.3, "auto"])
def test_the_model_is_the_epoch_with_the_least_held_out_loss(rate: Any) -> None:
    spec = replace(SPEC, steps=replace(ONE_RATE, learningRate=rate))
    fit = fit_one(spec, passes_of(ROWS, JUDGES))
    assert fit.chosen == int(np.argmin(fit.held))
    assert len(fit.held) == len(fit.history)
    loss = mean_loss(JUDGES, fit.coefficients, fit.intercepts)
    assert loss == pytest.approx(min(fit.held), rel=1e-10)
    assert fit.loss == pytest.approx(mean_loss(ROWS, fit.coefficients, fit.intercepts), rel=1e-9)
    assert fit.early
    assert fit.reason.startswith("stopped early")
    assert len(fit.held) - 1 - fit.chosen >= (3 if rate != "auto" else 1)


def test_if_the_start_is_best_no_rate_made_the_model() -> None:
    turned = replace(JUDGES, labels=1 - JUDGES.labels)
    fit = fit_one(SPEC, passes_of(ROWS, turned))
    assert (fit.chosen, len(fit.history)) == (0, 4)
    assert fit.rates is not None
    assert fit.rates.kept is None


def test_it_ends_once_patience_more_epochs_are_no_better() -> None:
    passes = passes_of(ROWS, JUDGES)
    fits, readings = fit_all({0: SPEC}, passes, 2)
    epochs = len(fits[0].history) - 1
    assert epochs == int(np.argmin(fits[0].held)) + 3 < 30
    assert readings == 2 * epochs + 2  # the gradient at the best epoch is read once more
    long = fit_one(replace(SPEC, patience=1_000), passes)
    assert len(long.history) == 31
    assert long.held[: epochs + 1] == fits[0].held


def test_no_held_out_row_enters_the_fit() -> None:
    """One that did would show: it is far away, heavy, of the rare label, in another block."""
    matrix = np.full((3, 12), 1e3)
    planted = Block(matrix, np.array([0.0, 1.0, 1.0]), np.full(3, 1e4), held=True)
    spec = replace(SPEC, patience=1_000)
    plain = fit_one(spec, passes_of(ROWS, JUDGES))
    for judges in (planted, replace(planted, matrix=sp.csr_matrix(matrix))):
        other = fit_one(spec, passes_of(judges, ROWS, JUDGES))
        assert other.history == plain.history
        assert other.held != plain.held
    without = fit_one(replace(spec, patience=None), passes_of(ROWS))
    assert without.history == plain.history


def test_users_rows_are_the_only_ones_that_are_held_out() -> None:
    """So rates are compared on all other rows: the first epoch is that of a single rate."""
    auto = fit_one(
        replace(SPEC, steps=replace(ONE_RATE, learningRate="auto", epochs=1)),
        passes_of(ROWS, JUDGES),
    )
    assert auto.rates is not None
    assert auto.rates.kept is not None
    steps = replace(ONE_RATE, learningRate=auto.rates.kept, epochs=1)
    alone = fit_one(replace(SPEC, steps=steps), passes_of(ROWS, JUDGES))
    assert auto.history == pytest.approx(alone.history, rel=1e-12)
