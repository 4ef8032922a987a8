"""Grids: formulas where there are some, and energies that never rise."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.mean_field.energy import Measure, Regularizer
from sparklr.mean_field.grid import Grid, GridProblem, ground_state
from tests.mean_field.problems import SmallProblem

BOTH: tuple[Regularizer, ...] = ("entropy", "fisher")
both = pytest.mark.parametrize("regularizer", BOTH)


def totals(problem: GridProblem, steps: int, time: float | None = None) -> np.ndarray:
    return np.array([energy.total for _, energy in problem.flow(steps, time)])


@both
@pytest.mark.parametrize("dimensions", [1, 2])
def test_without_rows_that_matter_the_minimum_is_normal(
    regularizer: Regularizer, dimensions: int
) -> None:
    """With E = (s/2) log of the density's height, or E = s omega d, in closed form."""
    measure = Measure(regularizer, kappa=0.5, temperature=0.3, scale=1e-6)
    grid = Grid.around_zero(7 * np.sqrt(measure.variance), 161, dimensions)
    problem = GridProblem(grid, np.ones((2, dimensions)), np.array([0.0, 1.0]), measure)
    density, energy = problem.minimum()
    assert_allclose(grid.mean(density, grid.points[:, 0] ** 2), measure.variance, rtol=3e-3)
    free = measure.temperature * measure.omega * dimensions
    if regularizer == "entropy":
        height = np.log(2 * np.pi * measure.variance)
        free = -measure.temperature / 4 * dimensions * height
    assert_allclose(energy.total - energy.loss, free, rtol=2e-3)


@both
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scale", [2.0, 6.0])
def test_the_energy_never_rises_with_steps_up_to_the_bound(
    regularizer: Regularizer, bias: bool, scale: float
) -> None:
    measure = Measure(regularizer, kappa=0.02, temperature=0.05, scale=scale)
    problem = SmallProblem(measure, bias).on_grid(41 if bias else 201)
    for share in (1.0, 0.3):
        found = totals(problem, 150, share * problem.longest)
        assert np.diff(found).max() <= 1e-12
        assert found[0] - found[-1] > 0.02


@both
def test_the_energy_does_rise_with_steps_far_beyond_it(regularizer: Regularizer) -> None:
    """The test above could not fail otherwise."""
    measure = Measure(regularizer, kappa=0.02, temperature=0.05, scale=6.0)
    problem = SmallProblem(measure, bias=False).on_grid(201)
    assert np.diff(totals(problem, 30, 60 * problem.longest)).max() > 0.01


@both
def test_two_grids_and_the_plain_flow_agree(regularizer: Regularizer) -> None:
    measure = Measure(regularizer, kappa=0.05, temperature=0.05, scale=4.0)
    small = SmallProblem(measure, bias=False)
    _, coarse = small.on_grid(121).minimum()
    problem = small.on_grid(241)
    density, fine = problem.minimum()
    assert_allclose(coarse.total, fine.total, atol=2e-4)
    assert_allclose(totals(problem, 1_500)[-1], fine.total, atol=1e-6)
    # Where it is the minimum, V + (s/2) log m, or (-s Laplace + V) psi / psi, is constant.
    if regularizer == "entropy":
        level = problem.potential(density) + measure.temperature / 2 * np.log(density)
        assert np.ptp(level[density > 1e-6 * density.max()]) < 1e-4


def test_at_the_fisher_minimum_psi_is_the_ground_state_of_its_own_potential() -> None:
    measure = Measure("fisher", kappa=0.05, temperature=0.05, scale=4.0)
    problem = SmallProblem(measure, bias=False).on_grid(241)
    density, _ = problem.minimum()
    _, found = ground_state(problem.potential(density), measure.temperature, problem.grid.axes[0])
    assert_allclose(density, found, atol=2e-3 * found.max())


def test_the_entropy_minimum_minimises() -> None:
    """Against other densities nearby, as a check of energy and minimum together."""
    for regularizer in BOTH:
        measure = Measure(regularizer, kappa=0.05, temperature=0.05, scale=4.0)
        problem = SmallProblem(measure, bias=False).on_grid(121)
        density, least = problem.minimum()
        axis = problem.grid.axes[0]
        for bend in (np.sin(axis), np.cos(2 * axis), axis / 3):
            for sign in (0.05, -0.05):
                other = problem.grid.normalised(density * np.exp(sign * bend))
                assert problem.energy(other).total > least.total


@pytest.mark.parametrize("rows", [50, 800])
def test_the_ground_state_of_a_quadratic(rows: int) -> None:
    """V = n h b^2/2: deviation (s / 2 n h)^(1/4), energy sqrt(n h s / 2)."""
    strength, s = 0.25 * rows, 2.0
    deviation = (s / (2 * strength)) ** 0.25
    axis = np.linspace(-8 * deviation, 8 * deviation, 801)
    energy, density = ground_state(strength * axis**2 / 2, s, axis)
    grid = Grid((axis,))
    assert_allclose(np.sqrt(grid.mean(density, axis**2)), deviation, rtol=1e-4)
    assert_allclose(energy, np.sqrt(strength * s / 2), rtol=1e-4)
    assert_allclose(
        grid.mean(density, strength * axis**2 / 2) + s / 4 * grid.fisher(density),
        energy,
        rtol=1e-6,
    )


def test_a_flow_begins_where_the_loss_does_not_count() -> None:
    measure = Measure("entropy", kappa=0.02, temperature=0.05, scale=5.0)
    problem = SmallProblem(measure).on_grid(41)
    density, energy = next(islice(problem.flow(1), 1))
    assert_allclose(problem.logits(density), 0.0, atol=1e-12)
    assert_allclose(energy.loss, np.log(2))
