"""The entropy of particles against closed forms and sums."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.mean_field.entropy import EntropyOfParticles


@pytest.mark.parametrize(
    ("dimensions", "count", "within"), [(1, 400, 0.1), (3, 400, 0.2), (31, 400, 0.6), (64, 200, 2)]
)
def test_of_correlated_normal_numbers(dimensions: int, count: int, within: float) -> None:
    random = np.random.default_rng(1)
    measure = EntropyOfParticles(count, dimensions, random)
    spread = np.linspace(0.3, 3.0, dimensions)
    exact = -dimensions / 2 * np.log(2 * np.pi * np.e) - np.log(spread).sum()
    found = [measure(random.normal(size=(count, dimensions)) * spread) for _ in range(5)]
    assert_allclose(np.mean(found), exact, atol=within)
    assert_allclose(measure(5.0 + 2 * random.normal(size=(count, dimensions)) * spread),
                    exact - dimensions * np.log(2), atol=3 * within)  # fmt: skip


def test_of_two_peaks() -> None:
    """One normal peak at each of +-4: log 2 below that of one."""
    random = np.random.default_rng(2)
    measure = EntropyOfParticles(500, 2, random)
    found = []
    for _ in range(5):
        points = random.normal(size=(500, 2))
        points[:, 0] += 8 * random.integers(0, 2, 500) - 4
        found.append(measure(points))
    assert_allclose(np.mean(found), -np.log(2 * np.pi * np.e) - np.log(2), atol=0.1)


def test_it_repeats_to_the_bit() -> None:
    points = np.random.default_rng(3).normal(size=(50, 3))
    one, other = (EntropyOfParticles(50, 3, np.random.default_rng(4))(points) for _ in range(2))
    assert one == other
