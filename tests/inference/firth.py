"""Firth's method in plain numpy, on all rows at once, for tests to compare with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from sparklr.arrays import Array


class State(NamedTuple):
    """What is known at coefficients: log L*, its gradient, the information, and log L."""

    value: float
    score: Array
    information: Array
    likelihood: float


def state(design: Array, labels: Array, weights: Array, beta: Array) -> State:
    """sum (w (y - p) + h (1/2 - p)) x, with h = v x' H^-1 x, and log L + log det H / 2."""
    margins = design @ beta
    chances = expit(margins)
    v = weights * chances * expit(-margins)
    information = design.T @ (design * v[:, None])
    # By QR of the rows with their weights, not by the inverse.
    q, r = np.linalg.qr(design * np.sqrt(v)[:, None])
    leverages = (q**2).sum(axis=1)
    each = weights * (labels - chances) + leverages * (0.5 - chances)
    sides = np.where(labels > 0.5, -margins, margins)
    likelihood = -float(weights @ np.logaddexp(0, sides))
    value = likelihood + float(np.log(np.abs(np.diagonal(r))).sum())
    return State(value, design.T @ each, information, likelihood)


def estimate(design: Array, labels: Array, weights: Array | None = None) -> Array:
    """The maximum of log L*, to about 1e-11 of a standard error."""
    weights = np.ones(len(labels)) if weights is None else weights
    beta = np.zeros(design.shape[1])
    for _ in range(5_000):
        here = state(design, labels, weights, beta)
        step = np.linalg.solve(here.information, here.score)
        for _ in range(30):
            there = state(design, labels, weights, beta + step)
            if there.value >= here.value - 1e-12 * abs(here.value):
                break
            step = step / 2
        beta = beta + step
        if here.score @ step < 1e-22:
            return np.asarray(beta)
    raise ArithmeticError("Firth's method did not end")


def with_ones(matrix: Array) -> Array:
    """The features with a column of ones, last."""
    return np.column_stack((matrix, np.ones(len(matrix))))
