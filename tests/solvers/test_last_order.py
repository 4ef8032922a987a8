"""A caller who needs the Hessian at the minimum gets it with the last query, and not before."""

from __future__ import annotations

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query, Stop, newton
from tests.problems import run

FEATURES, ROWS, SAMPLE = 20, 4_000, 400


class Rows:
    """The mean loss of logistic regression, and the orders of its queries."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.matrix = random.standard_normal((ROWS, FEATURES))
        true = 2 * random.standard_normal(FEATURES) / np.sqrt(FEATURES)
        self.labels = (self.matrix @ true > random.logistic(size=ROWS)).astype(float)
        self.orders: list[int] = []

    def __call__(self, query: Query) -> Answer:
        self.orders.append(query.order)
        return self.near(query.point, ROWS)

    def near(self, point: Array, rows: int) -> Answer:
        """The answer of order 2 of the first rows."""
        matrix, labels = self.matrix[:rows], self.labels[:rows]
        margins = matrix @ point
        chances = 1 / (1 + np.exp(-margins))
        value = float(np.mean(np.logaddexp(0, margins) - labels * margins))
        weights = chances * (1 - chances) / rows
        return Answer(value, matrix.T @ (chances - labels) / rows, matrix.T * weights @ matrix)


@pytest.mark.parametrize(
    ("seed", "relative"), [(0, 1e-10), (1, 1e-10), (2, 1e-9), (2, 3.2e-9), (3, 1e-9)]
)
def test_no_hessian_is_asked_for_before_the_last_query(seed: int, relative: float) -> None:
    """A step with a borrowed Hessian leaves four times the share that the one before it left."""
    rows = Rows(seed)
    start = np.zeros(FEATURES)
    for _ in range(8):
        here = rows.near(start, SAMPLE)
        start = start - np.linalg.solve(here.second(), here.first())
    guess = rows.near(start, SAMPLE).second()
    solution = run(newton(start, guess=guess, last=2, stop=Stop(relative, 0.0, 100)), rows)
    assert solution.reason.converged
    assert rows.orders == [1, 2, 2, 1, 1, 2]
