"""Means over normal margins against quadrature that is much finer than theirs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.objective.losses import binomial_terms
from sparklr.objective.normal_margins import HERMITE, TRAPEZOID, chance_moments, smoothed_terms

# At the end of each rule, just beyond it, and far out.
DEVIATIONS = sorted(
    {0.0, 0.05, 16.0, 300.0}
    | {its * near for its in (*HERMITE, *TRAPEZOID) for near in (0.999, 1.001)}
)


def fine(means: Array, deviation: float, labels: Array) -> tuple[Array, ...]:
    """Sums over nodes a twentieth of a deviation apart or, in the margin, of one."""
    step = min(0.05, 0.05 / max(deviation, 1e-9))
    nodes = step * np.arange(-int(9 / step), int(9 / step) + 1)
    weights = np.exp(-0.5 * nodes**2)
    terms = binomial_terms(means[:, None] + deviation * nodes, labels)
    return tuple(its @ weights / weights.sum() for its in terms)


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_means_are_those_of_a_fine_quadrature(deviation: float) -> None:
    means = np.concatenate((np.linspace(-9, 9, 19), deviation * np.linspace(-3, 3, 7)))
    for label in (0.0, 1.0):
        labels = np.full(len(means), label)
        found = smoothed_terms(means, np.full(len(means), deviation), labels)
        for ours, exact in zip(found, fine(means, deviation, labels), strict=True):
            assert_allclose(ours, exact, atol=1e-8 * max(deviation, 1.0), rtol=0)


def test_rows_of_all_sizes_are_summed_each_by_its_own_rule() -> None:
    rng = np.random.default_rng(0)
    deviations = rng.permutation(np.repeat(DEVIATIONS, 3))
    means = rng.normal(size=len(deviations))
    labels = rng.integers(0, 2, size=len(means)).astype(float)
    together = smoothed_terms(means, deviations, labels)
    for at in range(len(means)):
        alone = smoothed_terms(means[at : at + 1], deviations[at : at + 1], labels[at : at + 1])
        assert_allclose([its[at] for its in together], [its[0] for its in alone], rtol=1e-14)


def test_a_small_loss_keeps_its_digits() -> None:
    """Of a row that is fitted well, with a margin of 40, the mean loss is e^-40 e^(s^2 / 2)."""
    loss, slope, _ = smoothed_terms(np.full(1, 40.0), np.full(1, 0.3), np.ones(1))
    assert_allclose(slope, -np.exp(-40 + 0.045), rtol=1e-6)
    assert loss[0] < 1e-15


@pytest.mark.parametrize("deviation", [0.1, 1.0, 5.0])
def test_the_mean_and_the_deviation_of_the_probability(deviation: float) -> None:
    means = np.linspace(-6, 6, 13)
    nodes = np.linspace(-9, 9, 4001)
    weights = np.exp(-0.5 * nodes**2)
    chances = expit(means[:, None] + deviation * nodes)
    mean = chances @ weights / weights.sum()
    square = chances**2 @ weights / weights.sum()
    found = chance_moments(means, np.full(len(means), deviation))
    assert_allclose(found[0], mean, atol=1e-8)
    assert_allclose(found[1], np.sqrt(square - mean**2), atol=1e-6)
