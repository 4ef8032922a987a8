"""The path of gradient descent: its points, and how near they are to ridge's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query
from sparklr.solvers.flow import BOUND, LEAST_SQUARES, Waypoint, gradient_flow
from tests.problems import Ask, ask_quadratic, random_matrix


def walked(ask: Ask, start: Array, times: Array, rate: float, *, intercept: bool) -> list[Waypoint]:
    walk = gradient_flow(start, [float(t) for t in times], rate, intercept=intercept)
    query = next(walk)
    while True:
        try:
            query = walk.send(ask(query))
        except StopIteration as finished:
            found: list[Waypoint] = finished.value
            return found


def ask_logistic(matrix: Array, labels: Array, penalty: Array | float = 0.0) -> Ask:
    """The mean logistic loss of rows, to second order."""

    def ask(query: Query) -> Answer:
        margins, count = matrix @ query.point, len(labels)
        chances = 1 / (1 + np.exp(-margins))
        value = float(np.mean(np.logaddexp(0, margins) - labels * margins))
        value += 0.5 * float(np.sum(penalty * query.point**2))
        gradient = matrix.T @ (chances - labels) / count + penalty * query.point
        curved = (matrix * (chances * (1 - chances))[:, None]).T @ matrix / count
        return Answer(value, gradient, curved + np.diag(np.zeros(len(query.point)) + penalty))

    return ask


def ridge_of(matrix: Array, labels: Array, penalty: Array) -> Array:
    """The minimum with a penalty, by damped Newton steps to the end of float64."""
    ask, point = ask_logistic(matrix, labels, penalty), np.zeros(matrix.shape[1])
    for _ in range(200):
        here = ask(Query(point, 2))
        step = -np.linalg.solve(here.second(), here.first())
        length = 1.0
        while ask(Query(point + length * step, 0)).value > here.value + 1e-14:
            length /= 2
        point = point + length * step
        if float(np.abs(here.first()).max()) < 1e-11:
            return point
    raise AssertionError("Newton's method did not end")


def drawn_problem(seed: int) -> tuple[Array, Array, bool]:
    """Rows of all kinds: correlated, stretched, separated, wide, with and without intercept."""
    random = np.random.default_rng(seed)
    rows, features = int(random.integers(8, 50)), int(random.integers(1, 9))
    matrix = random.normal(size=(rows, features)) @ random.normal(size=(features, features))
    matrix /= np.abs(matrix).max()
    margins = random.choice([0.0, 2.0, 50.0]) * matrix @ random.normal(size=features)
    labels = (random.logistic(size=rows) < margins).astype(float)
    labels[:2] = 0, 1
    intercept = bool(seed % 2)
    return np.column_stack((matrix, np.ones(rows))) if intercept else matrix, labels, intercept


def test_the_bound_holds_on_200_drawn_problems() -> None:
    times, largest = np.geomspace(0.05, 60, 4), 0.0
    for seed in range(200):
        matrix, labels, intercept = drawn_problem(seed)
        rate = 4 / float(np.mean(np.sum(matrix**2, axis=1)))
        start = np.zeros(matrix.shape[1])
        path = walked(ask_logistic(matrix, labels), start, times, rate, intercept=intercept)
        assert [its.time for its in path] == [float(t) for t in times]
        for its in path:
            penalty = np.full(len(start), 1 / its.time)
            penalty[len(start) - intercept :] = 0.0
            features = slice(0, len(start) - intercept)
            ridge = ridge_of(matrix, labels, penalty)[features]
            apart = float(np.linalg.norm(its.point[features] - ridge))
            largest = max(largest, apart / float(np.linalg.norm(its.point[features])))
    assert 0.2 < largest <= BOUND


def test_the_intercept_is_at_its_optimum_all_along() -> None:
    matrix, labels, _ = drawn_problem(1)
    ask = ask_logistic(matrix, labels)
    for its in walked(ask, np.zeros(matrix.shape[1]), np.array([0.1, 1.0, 10.0]), 1.0,
                      intercept=True):  # fmt: skip
        assert abs(ask(Query(its.point, 1)).first()[-1]) < 1e-9


def test_on_a_quadratic_it_is_the_gradient_flow_up_to_the_length_of_steps() -> None:
    """Of least squares the flow is b(t) = A^-1 (1 - exp(-A t)) c; ridge is (A + 1/t)^-1 c."""
    values = np.array([0.3, 1.0, 2.0])
    matrix, linear = random_matrix(4, values), np.array([1.0, -2.0, 0.5])
    basis = np.linalg.eigh(matrix)[1]
    times = np.geomspace(0.2, 20, 12)
    for its in walked(ask_quadratic(matrix, linear), np.zeros(3), times, 1e-3, intercept=False):
        shrunk = (1 - np.exp(-values * its.time)) / values
        flow = basis @ (shrunk * (basis.T @ linear))
        ridge = basis @ ((basis.T @ linear) / (values + 1 / its.time))
        assert_allclose(its.point, flow, atol=0.5)
        # With steps up to 2 / L gradient descent may be further from ridge than the flow is.
        assert np.linalg.norm(its.point - ridge) <= BOUND * np.linalg.norm(its.point)
        assert np.linalg.norm(flow - ridge) <= LEAST_SQUARES * np.linalg.norm(flow)


def test_of_least_squares_no_risk_exceeds_the_known_ratio() -> None:
    """1.6862 times ridge's, at any time (Ali, Kolter and Tibshirani 2019), as means over noise."""
    random, draws = np.random.default_rng(0), 40
    matrix, truth = random.normal(size=(100, 10)), random.normal(size=10) / 10**0.5
    square = matrix.T @ matrix / 100
    steepest = float(np.linalg.eigvalsh(square)[-1])
    times = np.geomspace(0.05, 50, 8)
    risks = np.zeros((2, len(times)))
    for _ in range(draws):
        linear = matrix.T @ (matrix @ truth + random.normal(size=100)) / 100
        ask = ask_quadratic(square, linear)
        path = walked(ask, np.zeros(10), times, 0.1 / steepest, intercept=False)
        for at, its in enumerate(path):
            ridge = np.linalg.solve(square + np.eye(10) / its.time, linear)
            risks[:, at] += np.sum((its.point - truth) ** 2), np.sum((ridge - truth) ** 2)
    ratios = risks[0] / risks[1]
    assert 1.1 < ratios.max() <= 1.6862


def test_a_step_that_does_not_fall_enough_is_halved() -> None:
    ask = ask_quadratic(np.array([[4.0]]), np.array([1.0]))
    (end,) = walked(ask, np.zeros(1), np.array([3.0]), 100.0, intercept=False)
    assert end.point[0] == pytest.approx(0.25, abs=1e-3)
