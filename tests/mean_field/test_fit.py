"""Fits of networks without Spark: coordinates, samples, snapshots, and whether they are at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.mean_field.energy import Energy, Measure
from sparklr.mean_field.fit import FittedNetwork, Plan, fit_network
from sparklr.mean_field.problem import Coordinates
from sparklr.mean_field.scorer import Network, NetworkScorer
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block

PLAN = Plan(
    measure=Measure("entropy", kappa=0.003, temperature=0.002, scale=10.0),
    particles=60,
    snapshots=2,
    steps=60,
    step=0.7,
    friction=0.1,
    bias=True,
    standardization=True,
    seed=3,
)


def corners(rows: int = 400, seed: int = 0, weighted: bool = False) -> Block:
    """The label is 1 where two features have the same sign: no line tells them apart."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, 2)) * np.array([1.0, 50.0]) + np.array([3.0, -7.0])
    labels = (((matrix[:, 0] - 3) * (matrix[:, 1] + 7)) > 0).astype(float)
    return Block(matrix, labels, random.uniform(0.5, 2.0, rows) if weighted else None)


def network_of(fitted: FittedNetwork) -> Network:
    return Network(fitted.weights, fitted.biases, PLAN.measure.scale)


def accuracy(network: Network, rows: Block) -> float:
    return float(((network.log_odds(rows.matrix) > 0) == (rows.labels > 0.5)).mean())


def test_it_tells_apart_what_no_line_does() -> None:
    passes = LocalPasses.of([corners()], 2)
    fitted = fit_network(passes, replace(PLAN, steps=200))
    assert accuracy(network_of(fitted), corners(seed=1)) > 0.9
    assert fitted.energies[0].loss == pytest.approx(np.log(2))
    assert fitted.energy < 0.5
    assert fitted.settled
    assert not fit_network(passes, replace(PLAN, steps=10)).settled


def test_it_repeats_to_the_bit() -> None:
    blocks = [corners().take(slice(at, at + 100)) for at in range(0, 400, 100)]
    one, again = (fit_network(LocalPasses.of(blocks, 2), PLAN) for _ in range(2))
    assert_array_equal(one.weights, again.weights)
    assert [its.total for its in one.energies] == [its.total for its in again.energies]


def test_units_of_features_do_not_matter_if_they_are_standardised() -> None:
    rows = corners()
    moved = rows.with_matrix(rows.matrix * np.array([1e3, 1e-3]) + np.array([1e7, 5.0]))
    one, other = (fit_network(LocalPasses.of([its], 2), PLAN) for its in (rows, moved))
    assert_allclose(
        network_of(one).log_odds(rows.matrix), network_of(other).log_odds(moved.matrix), atol=1e-4
    )
    plain = replace(PLAN, standardization=False)
    raw = fit_network(LocalPasses.of([rows], 2), plain)
    other = network_of(raw).log_odds(rows.matrix)
    assert np.abs(other - network_of(one).log_odds(rows.matrix)).max() > 0.5


def test_weights_of_rows_are_repeats() -> None:
    rows = corners(200)
    weights = np.tile([1.0, 3.0], 100)
    repeated = rows.take(np.repeat(np.arange(200), weights.astype(int)))
    # Repeats change the deviations' denominators, so features keep their units here.
    plan = replace(PLAN, standardization=False, steps=10)
    weighted = Block(rows.matrix / 50, rows.labels, weights)
    one = fit_network(LocalPasses.of([weighted], 2), plan)
    other = fit_network(LocalPasses.of([repeated.with_matrix(repeated.matrix / 50)], 2), plan)
    assert_allclose(one.weights, other.weights, rtol=1e-6, atol=1e-8)


def test_a_constant_feature_has_no_weight_and_sparse_rows_are_as_dense_ones() -> None:
    rows = corners()
    matrix = np.column_stack((rows.matrix, np.full(rows.rows, 4.0)))
    dense = fit_network(LocalPasses.of([rows.with_matrix(matrix)], 3), PLAN)
    assert_array_equal(dense.weights[:, 2], 0.0)
    sparse = fit_network(LocalPasses.of([rows.with_matrix(sp.csr_matrix(matrix))], 3), PLAN)
    assert_allclose(sparse.weights, dense.weights, rtol=1e-5, atol=1e-6)
    network = network_of(dense)
    assert_allclose(network.log_odds(sp.csr_matrix(matrix)), network.log_odds(matrix), rtol=1e-10)


class Counting(LocalPasses):
    """Passes that count their readings."""

    readings = 0

    def read(self, reading):  # type: ignore[no-untyped-def]
        type(self).readings += 1
        return super().read(reading)


def test_the_first_steps_read_the_sample_alone() -> None:
    rows = corners(2_000)
    whole = LocalPasses.of([rows], 2)
    Counting.readings = 0
    passes = Counting([rows], whole.moments, rows.take(slice(0, 500)))
    steps: list[int] = []
    fitted = fit_network(passes, replace(PLAN, steps=100), lambda at, _: steps.append(at))
    assert Counting.readings == fitted.readings == 21
    assert fitted.changed == 80
    assert steps == list(range(101))
    assert accuracy(network_of(fitted), corners(seed=1)) > 0.9


def test_a_model_has_the_neurons_of_every_snapshot() -> None:
    passes = LocalPasses.of([corners()], 2)
    fitted = fit_network(passes, replace(PLAN, snapshots=3))
    assert fitted.weights.shape == (180, 2)
    first = fit_network(passes, replace(PLAN, snapshots=1))
    assert_array_equal(fitted.weights[-60:], first.weights)


def test_without_a_bias_the_network_is_odd() -> None:
    rows = corners()
    fitted = fit_network(LocalPasses.of([rows], 2), replace(PLAN, bias=False))
    assert_array_equal(fitted.biases, 0.0)
    network = network_of(fitted)
    assert_allclose(network.log_odds(-rows.matrix), -network.log_odds(rows.matrix), atol=1e-12)


def test_points_and_gradients_go_to_the_rows_and_back() -> None:
    rows = corners()
    own = Coordinates.of(LocalPasses.of([rows], 2).moments, bias=True, standardization=True)
    points, origin = np.random.default_rng(1).normal(size=(5, 3)), np.array([1.0, 2.0])
    scaled = (rows.matrix - own.mean) * own.inverse
    margins = scaled @ points[:, :2].T + points[:, 2]
    weights, biases = own.to_rows(points, origin)
    assert_allclose((rows.matrix - origin) @ weights.T + biases, margins, atol=1e-12)
    slopes = np.random.default_rng(2).normal(size=(rows.rows, 5))
    ours = slopes.T @ np.column_stack((scaled, np.ones(rows.rows)))
    theirs = slopes.T @ np.column_stack((rows.matrix - origin, np.ones(rows.rows)))
    assert_allclose(own.from_rows(theirs, origin), ours, atol=1e-9)


def test_second_moments_are_weighted_and_with_the_bias() -> None:
    rows = corners(weighted=True)
    own = Coordinates.of(LocalPasses.of([rows], 2).moments, bias=True, standardization=True)
    found = own.second_moments(rows)
    assert_allclose(np.diagonal(found), 1.0, rtol=0.01)
    assert_allclose(found[:2, 2], 0.0, atol=1e-10)


def test_noise_is_at_rest_and_a_slope_is_not() -> None:
    random = np.random.default_rng(0)

    def settled(totals: np.ndarray) -> bool:
        energies = tuple(Energy(value, 0.0, 0.0) for value in totals)
        none = np.zeros((0, 2))
        return FittedNetwork(none, none[:, 0], energies, (), 0, 20, 101).settled

    noise = 0.01 * random.normal(size=101)
    fall = np.exp(-np.arange(101) / 10)
    assert settled(fall + noise)
    assert not settled(np.linspace(1, 0, 101) + noise)


def test_scores_follow_the_threshold() -> None:
    network = Network(np.array([[1.0], [2.0]]), np.array([0.0, 0.5]), 3.0)
    matrix = np.array([[-1.0], [0.2], [np.inf]])
    logits = 1.5 * (np.tanh([-1.0, 0.2, np.inf]) + np.tanh([-1.5, 0.9, np.inf]))
    scores = NetworkScorer(network, 0.9).scores(matrix)
    assert_allclose(scores.raw, np.column_stack((-logits, logits)))
    assert_allclose(scores.probability[:, 1], 1 / (1 + np.exp(-logits)))
    assert_array_equal(scores.prediction, [0.0, 0.0, 1.0])
