"""The best Gaussian against sums over a grid, which know no margins, and against closed forms."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.solvers import Answer, Reason
from sparklr.solvers.best_gaussian import Gaussian, GaussianSolver, Price, best_gaussian

PRICES: tuple[Price, ...] = ("entropy", "fisher")
NODES = np.linspace(-7, 7, 94)
WEIGHTS = np.exp(-0.5 * NODES**2)
GRIDS = {
    1: (NODES[:, None], WEIGHTS / WEIGHTS.sum()),
    2: (
        np.stack(np.meshgrid(NODES, NODES), axis=-1).reshape(-1, 2),
        np.outer(WEIGHTS, WEIGHTS).ravel() / WEIGHTS.sum() ** 2,
    ),
}


class Density:
    """V of a few rows of a logistic regression with a prior, and its means over any normal one."""

    def __init__(self, matrix: Array, labels: Array, precision: float) -> None:
        self.matrix, self.labels, self.precision = matrix, labels, precision
        self.asked = 0

    def at(self, points: Array) -> tuple[Array, Array, Array]:
        """V (k,), gradients (k, n) and Hessians (k, n, n) at points (k, n)."""
        margins = points @ self.matrix.T
        chances = 1 / (1 + np.exp(-margins))
        value = (np.logaddexp(0, margins) - self.labels * margins).sum(axis=1)
        value += self.precision * (points**2).sum(axis=1) / 2
        gradient = (chances - self.labels) @ self.matrix + self.precision * points
        hessian = np.einsum("ki,ij,il->kjl", chances * (1 - chances), self.matrix, self.matrix)
        return value, gradient, hessian + self.precision * np.eye(points.shape[1])

    def means(self, mean: Array, factor: Array) -> Answer:
        nodes, weights = GRIDS[len(mean)]
        value, gradient, hessian = self.at(mean + nodes @ factor.T)
        return Answer(
            float(weights @ value), weights @ gradient, np.einsum("k,kij->ij", weights, hessian)
        )

    def mode(self) -> tuple[Array, Array]:
        """The mode and the root of the inverse Hessian there."""
        point = np.zeros(self.matrix.shape[1])
        for _ in range(100):
            _, gradient, hessian = (its[0] for its in self.at(point[None]))
            point = point - np.linalg.solve(hessian, gradient)
        return point, np.linalg.inv(np.linalg.cholesky(hessian)).T

    def best(self, price: Price, tolerance: float = 1e-7, most: int = 200) -> Gaussian:
        start, root = self.mode()
        units = np.eye(len(start))
        return run(
            best_gaussian(start, root, price=price, tolerance=tolerance, most=most, units=units),
            self,
        )


def run(solver: GaussianSolver, density: Density) -> Gaussian:
    query = next(solver)
    while True:
        density.asked += 1
        try:
            query = solver.send(density.means(query.point, query.factor))
        except StopIteration as finished:
            return cast(Gaussian, finished.value)


def rows(seed: int, count: int, features: int, precision: float) -> Density:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(count, features))
    labels = (rng.random(count) < 1 / (1 + np.exp(-2 * matrix[:, 0]))).astype(float)
    return Density(matrix, labels, precision)


def separated(precision: float = 0.1) -> Density:
    """Rows that a plane separates, with hardly a prior: undamped steps cycle here."""
    matrix = np.random.default_rng(3).normal(size=(30, 2))
    return Density(matrix, (matrix @ [1.0, 0.4] > 0).astype(float), precision)


@pytest.mark.parametrize("price", PRICES)
@pytest.mark.parametrize("density", [rows(1, 12, 1, 0.3), rows(2, 15, 2, 0.5), separated()])
def test_the_fixed_point_is_that_of_a_grid(density: Density, price: Price) -> None:
    found = density.best(price)
    assert found.reason is Reason.CONVERGED
    there = density.means(found.mean, found.factor)
    _, root = density.mode()
    white = np.linalg.inv(root)
    assert_allclose(there.first() @ root, 0, atol=1e-6)
    precision = np.linalg.inv(white @ found.factor @ found.factor.T @ white.T)
    wanted = root.T @ there.second() @ root
    assert_allclose(precision if price == "entropy" else precision @ precision, wanted, atol=1e-6)


@pytest.mark.parametrize("price", PRICES)
def test_no_neighbour_is_better(price: Price) -> None:
    density = rows(4, 12, 2, 0.3)
    found = density.best(price)
    _, root = density.mode()
    white = np.linalg.inv(root)

    def cost(mean: Array, factor: Array) -> float:
        square = white @ factor @ factor.T @ white.T
        price_of = {
            "entropy": -np.linalg.slogdet(square)[1] / 2,
            "fisher": np.trace(np.linalg.inv(square)) / 2,
        }[price]
        return density.means(mean, factor).value + float(price_of)

    least, rng = cost(found.mean, found.factor), np.random.default_rng(0)
    for _ in range(20):
        moved = cost(found.mean + root @ rng.normal(size=2) * 0.05, found.factor)
        wider = cost(found.mean, found.factor @ (np.eye(2) + 0.05 * rng.normal(size=(2, 2))))
        assert min(moved, wider) > least


@pytest.mark.parametrize("price", PRICES)
def test_a_normal_density_is_found_by_the_first_reading(price: Price) -> None:
    """Both prices are exact where V is quadratic: the price of Fisher in white coordinates."""
    density = Density(np.zeros((0, 2)), np.zeros(0), 4.0)
    found = density.best(price)
    assert found.readings == 1
    assert found.first_move < 1e-12
    assert_allclose(found.factor @ found.factor.T, np.eye(2) / 4)


def test_separated_rows_need_shorter_steps() -> None:
    density = separated(0.02)
    found = density.best("entropy")
    assert found.reason is Reason.CONVERGED
    assert density.asked == found.readings

    def undamped(steps: int) -> list[float]:
        mean, factor = density.mode()
        moves = []
        for _ in range(steps):
            there = density.means(mean, factor)
            factor = np.linalg.inv(np.linalg.cholesky(there.second())).T
            move = factor @ factor.T @ there.first()
            mean = mean - move
            moves.append(float(np.abs(move).max()))
        return moves

    assert min(undamped(30)) > 1e-3


def test_the_first_reading_tells_how_far_the_mode_is_from_the_mean() -> None:
    density = rows(5, 40, 2, 0.3)
    found, (mode, _) = density.best("entropy"), density.mode()
    shift = np.abs((found.mean - mode) / np.linalg.norm(found.factor, axis=1)).max()
    assert 0.1 < shift < 1
    assert abs(found.first_move - shift) < 0.15 * shift


def test_a_looser_tolerance_takes_fewer_readings_and_keeps_what_it_says() -> None:
    density = rows(5, 40, 2, 0.3)
    exact, rough = density.best("entropy"), density.best("entropy", tolerance=0.01)
    assert rough.readings < exact.readings
    away = np.abs((rough.mean - exact.mean) / np.linalg.norm(exact.factor, axis=1))
    assert away.max() < 0.01


def test_a_search_ends_after_its_readings() -> None:
    found = separated().best("entropy", most=2)
    assert (found.readings, found.reason) == (2, Reason.STEP_LIMIT)
    only = separated().best("entropy", most=1)
    assert (only.readings, only.reason) == (1, Reason.STEP_LIMIT)
    assert_allclose(only.mean, separated().mode()[0])


def test_a_mean_that_is_no_number_ends_the_search() -> None:
    solver = best_gaussian(
        np.zeros(1), np.eye(1), price="entropy", tolerance=0.01, most=9, units=np.eye(1)
    )
    next(solver)
    with pytest.raises(StopIteration) as ended:
        solver.send(Answer(np.inf, np.zeros(1), np.eye(1)))
    assert ended.value.value.reason is Reason.NOT_FINITE
