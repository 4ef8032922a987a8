"""Particles against grids of one and two dimensions, and the bounds of their steps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.mean_field import dynamics
from sparklr.mean_field.dynamics import (
    WINDOW,
    Cloud,
    Descended,
    Metric,
    Potential,
    Schedule,
    Watch,
    descend,
)
from sparklr.mean_field.energy import Measure, Regularizer
from sparklr.mean_field.problem import Coordinates, ask, run
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from tests.mean_field.problems import SmallProblem, mean_of

ENTROPY = Measure("entropy", kappa=0.02, temperature=0.05, scale=5.0)
FISHER = replace(ENTROPY, regularizer="fisher")
LAST = frozenset(range(200, 401, 10))


def without_loss(cloud: Cloud) -> Potential:
    """The answer of rows that do not matter."""
    return Potential(0.5, np.zeros(cloud.points.shape[1:]), np.zeros(cloud.points.shape))


@pytest.mark.parametrize("measure", [ENTROPY, replace(FISHER, beads=9, length=3.0)])
def test_without_the_loss_particles_stay_where_they_begin(measure: Measure) -> None:
    """The free law is exact for any step, so variance and energy are those of the formula."""
    moments = np.array([[4.0, 1.0], [1.0, 1.0]])
    schedule = Schedule(100, step=1.0, kept=frozenset(range(0, 101, 5)))
    descent = descend(measure, moments, 2_000, schedule, np.random.default_rng(0))
    found = run(descent, lambda _, cloud: without_loss(cloud))
    variances = np.concatenate(found.neurons).var(axis=0)
    assert_allclose(variances, measure.variance, rtol=0.1)
    free = 2 * measure.temperature * measure.omega
    if measure.regularizer == "entropy":
        free = -measure.temperature / 2 * np.log(2 * np.pi * measure.variance)
    assert_allclose(mean_of(found.energies).sum(), 0.5 + free, atol=0.004)
    assert found.rises == ()


@pytest.mark.parametrize("bias", [False, True])
def test_entropy_ends_at_the_minimum_of_the_grid(bias: bool) -> None:
    small = SmallProblem(ENTROPY, bias)
    problem = small.on_grid(61 if bias else 241)
    density, energy = problem.minimum()
    found = small.particles(300, Schedule(400, kept=LAST))
    parts = mean_of(found.energies[200:])
    assert_allclose(parts, (energy.loss, energy.penalty, energy.regularizer), atol=0.003)
    assert_allclose(parts.sum(), energy.total, atol=0.002)
    logits = np.mean([small.log_odds(neurons) for neurons in found.neurons], axis=0)
    assert np.abs(logits - problem.logits(density)).max() < 0.03 * np.ptp(problem.logits(density))


@pytest.mark.parametrize("bias", [False, pytest.param(True, marks=pytest.mark.deep)])
def test_fisher_ends_at_the_minimum_of_the_grid(bias: bool) -> None:
    """The middles have the law psi^2; that of psi, which a walk with killing has, is far wider."""
    small = SmallProblem(FISHER, bias)
    problem = small.on_grid(61 if bias else 241)
    density, energy = problem.minimum()
    found = small.particles(100 if bias else 200, Schedule(400, kept=LAST), beads=33)
    parts = mean_of(found.energies[200:])
    assert_allclose(parts, (energy.loss, energy.penalty, energy.regularizer), atol=0.008)
    assert_allclose(parts.sum(), energy.total, atol=0.006)
    spread = np.mean([(neurons**2).sum(axis=1).mean() for neurons in found.neurons])
    grid = problem.grid
    squares = (grid.points**2).sum(axis=1)
    assert_allclose(spread, grid.mean(density, squares), rtol=0.1)
    of_psi = grid.mean(grid.normalised(np.sqrt(density)), squares)
    assert of_psi > 1.2 * grid.mean(density, squares)


def windows(found: Descended) -> Array:
    """The mean energies of the windows, from the first step on."""
    totals = np.array([its.total for its in found.energies[1:]])
    return totals[: len(totals) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1)


@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("friction", [0.1, 50.0])
def test_the_energy_falls_with_the_longest_step(scale: float, friction: float) -> None:
    """Whatever C is: the metric is chosen for it. Nothing rises but by noise."""
    small = SmallProblem(replace(ENTROPY, scale=scale))
    found = small.particles(200, Schedule(200, step=1.0, friction=friction))
    means = windows(found)
    assert np.isfinite(means).all()
    assert means[-1] < found.energies[0].total - 0.01
    noise = means[-5:].std() + 0.001
    assert (means - np.minimum.accumulate(means)).max() < 4 * noise


def moons() -> Descended:
    """Particles on two half moons: features and labels of a formula, without noise."""
    turn = np.linspace(0, np.pi, 100)
    one = np.column_stack((np.cos(turn), np.sin(turn)))
    matrix = np.vstack((one, np.array([1.0, 0.5]) - one))
    rows = Block(matrix, np.repeat([0.0, 1.0], 100), None)
    passes = LocalPasses.of([rows], 2)
    own = Coordinates.of(passes.moments, bias=True, standardization=True)
    measure = Measure("entropy", kappa=0.003, temperature=0.002, scale=10.0)
    random = np.random.default_rng(0)
    descent = descend(measure, own.second_moments(rows), 200, Schedule(60), random)
    return run(descent, lambda _, cloud: ask(passes, own, measure.scale, cloud))


@pytest.mark.parametrize("early", [dynamics.EARLY, 0.0])
def test_momentum_does_not_overshoot(early: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From step to step, where without the friction of the start it would."""
    monkeypatch.setattr(dynamics, "EARLY", early)
    totals = np.array([its.total for its in moons().energies])
    highest = (totals - np.minimum.accumulate(totals)).max()
    assert totals[0] - totals[-1] > 0.3
    assert highest < 0.002 if early else highest > 0.02


def test_the_first_network_is_zero() -> None:
    found = SmallProblem(ENTROPY).particles(20, Schedule(1))
    assert_allclose(found.energies[0].loss, np.log(2), rtol=1e-12)


def test_it_repeats_to_the_bit_and_seeds_differ() -> None:
    small, schedule = SmallProblem(ENTROPY), Schedule(20, kept=frozenset({20}))
    one, again, other = (small.particles(30, schedule, seed).neurons[0] for seed in (1, 1, 2))
    assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1


def test_rises_restart_the_velocities_and_halve_the_steps() -> None:
    """A loss that rises with every query, as no rows give it."""
    asked: list[Array] = []

    def answer(number: int, cloud: Cloud) -> Potential:
        asked.append(cloud.points.copy())
        found = without_loss(cloud)
        return replace(found, loss=float(number // WINDOW))

    schedule = Schedule(10 * WINDOW, kept=frozenset({0}))
    descent = descend(ENTROPY, np.eye(2), 20, schedule, np.random.default_rng(0))
    found = run(descent, answer)
    assert found.rises == tuple(at * WINDOW - 1 for at in (2, 4, 6, 8, 10))
    moves = [np.abs(after - before).mean() for before, after in pairwise(asked)]
    assert np.mean(moves[:WINDOW]) > 5 * np.mean(moves[-WINDOW:])


def test_a_change_of_rows_is_no_rise() -> None:
    schedule = Schedule(6 * WINDOW, changed=2 * WINDOW)
    descent = descend(ENTROPY, np.eye(2), 20, schedule, np.random.default_rng(0))
    found = run(descent, lambda at, its: replace(without_loss(its), loss=float(at >= 2 * WINDOW)))
    assert found.rises == ()


def test_a_watch_knows_noise_from_a_rise() -> None:
    random, watch = np.random.default_rng(0), Watch()
    falling = np.exp(-np.arange(300) / 30) + 0.05 * random.normal(size=300)
    assert not any(watch.rises(value) for value in falling)
    assert any(watch.rises(value) for value in np.full(WINDOW, 0.5))


@pytest.mark.parametrize("regularizer", ["entropy", "fisher"])
def test_the_metric_bounds_the_curvature(regularizer: Regularizer) -> None:
    """M (Q + lambda (0.77 C + C^2/4) S) is at most 3.6, for any C, kappa and features."""
    for scale, kappa in ((0.5, 1e-3), (4.0, 1e-4), (30.0, 1.0)):
        beads = 1 if regularizer == "entropy" else 5
        measure = Measure(regularizer, kappa, 0.01, scale, beads, 2.0 * (beads > 1))
        moments = np.diag([1e-6, 1.0, 40.0])
        metric = Metric.of(measure, moments)
        order = metric.axes.argmax(axis=0)
        for at, along in enumerate(order):
            curvature = (0.77 * scale + scale**2 / 4) * moments[along, along]
            hessian = metric.inner + np.diag(metric.strengths[:, 0]) * curvature
            values = np.linalg.eigvals(metric.mobility[at] @ hessian).real
            assert values.max() < 3.6
            assert_allclose(
                metric.root[at] @ metric.root[at].T, metric.mobility[at], rtol=1e-6, atol=1e-12
            )
