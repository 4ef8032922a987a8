"""Schedules by their formulas, at numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.solvers.schedules import SCHEDULES, factors

# Two steps in each of four epochs: e = 0, 1/2, 1, ..., 7/2 and x = e / 4.
E = np.arange(8) / 2
FORMULAS = {
    "constant": np.ones(8),
    "inverse": 1 / np.array([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]),
    "inverse-sqrt": np.array([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]) ** -0.5,
    "exponential": np.exp(np.log(0.01) * E / 4),
    "polynomial": np.array([64, 49, 36, 25, 16, 9, 4, 1]) / 64,
    "cosine": np.cos(np.pi * E / 8) ** 2,
    "piecewise": np.array([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_is_its_formula(name: str) -> None:
    found = np.concatenate([factors(name, epoch, 4, 2) for epoch in range(4)])
    assert_allclose(found, FORMULAS[name], rtol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_begins_at_one_and_does_not_rise(name: str) -> None:
    every = np.concatenate([factors(name, epoch, 5, 7) for epoch in range(5)])
    assert every[0] == 1
    assert (np.diff(every) <= 0).all()
    assert (every > 0).all()
