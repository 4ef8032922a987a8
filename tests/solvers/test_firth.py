"""Firth's solver on answers in plain numpy: no rows, no passes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from sparklr.arrays import Array
from sparklr.solvers import Answer, Query, Reason, Stop, lbfgs
from sparklr.solvers.firth import firth
from sparklr.solvers.jeffreys import LeverageQuery, Space, along, free_basis, penalised
from tests.inference.firth import State, estimate, state, with_ones
from tests.problems import run


def answers(design: Array, labels: Array, asked: list[Query]) -> Callable[[Query], Answer]:
    """Answers for the mean loss, with the leverages that a query brings."""

    def ask(query: Query) -> Answer:
        asked.append(query)
        count = len(labels)
        chances = expit(design @ query.point)
        sides = np.where(labels > 0.5, -1, 1) * (design @ query.point)
        each = chances - labels
        if isinstance(query, LeverageQuery) and query.leverages is not None:
            lent = query.leverages
            other = expit(design @ lent.point)
            squares = ((design @ lent.factor) ** 2).sum(axis=1)
            each = each + other * (1 - other) * squares * (chances - 0.5)
        hessian = None
        if query.order == 2:
            hessian = design.T @ (design * (chances * (1 - chances))[:, None]) / count
        return Answer(float(np.logaddexp(0, sides).mean()), design.T @ each / count, hessian)

    return ask


def rows_of(seed: int, count: int, features: int, *, apart: bool = False) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, features))
    noise = 0 if apart else random.logistic(size=count)
    return with_ones(matrix), (matrix[:, 0] + noise > 0).astype(float)


def at(design: Array, labels: Array, point: Array) -> State:
    return state(design, labels, np.ones(len(labels)), point)


def tight(count: int, steps: int = 100) -> Stop:
    return Stop(0.0, 1e-20 / count, steps)


@pytest.mark.parametrize("count", [250, 2_000])
def test_it_ends_at_the_fixed_point_by_one_query_per_step(count: int) -> None:
    design, labels = rows_of(1, count, 4)
    asked: list[Query] = []
    found = run(firth(np.zeros(5), weight=count, stop=tight(count)), answers(design, labels, asked))
    assert found.reason.converged
    assert_allclose(found.point, estimate(design, labels), rtol=0, atol=1e-9)
    assert len(asked) == len(found.history)
    assert all(query.order == 2 for query in asked)
    # The leverages of a query are those of the point before.
    for before, query in pairwise(asked):
        assert isinstance(query, LeverageQuery)
        assert query.leverages is not None
        assert query.leverages.point is before.point


def test_the_history_is_the_penalised_loss_and_falls() -> None:
    design, labels = rows_of(2, 80, 3)
    found = run(firth(np.zeros(4), weight=80.0), answers(design, labels, []))
    assert_allclose(found.history[0], -at(design, labels, np.zeros(4)).value / 80, rtol=1e-12)
    assert_allclose(found.value, -at(design, labels, found.point).value / 80, rtol=1e-12)
    assert np.diff(found.history).max() < 0
    assert found.last is not None
    wanted = at(design, labels, found.point).information
    assert_allclose(found.last.second() * 80, wanted, rtol=1e-10)


def test_where_steps_shrink_slowly_exact_gradients_take_over() -> None:
    design, labels = rows_of(5, 30, 6, apart=True)
    asked: list[Query] = []
    found = run(firth(np.zeros(7), weight=30.0, stop=tight(30)), answers(design, labels, asked))
    assert found.reason.converged
    assert {query.order for query in asked} == {1, 2}
    assert len(asked) < 80
    assert_allclose(found.point, estimate(design, labels), rtol=0, atol=1e-6)
    assert found.last is not None
    assert_allclose(found.last.first(), -at(design, labels, found.point).score / 30, atol=1e-10)
    assert found.last.hessian is not None


def test_a_point_nearby_saves_queries_and_a_hopeless_one_does_no_harm() -> None:
    design, labels = rows_of(3, 400, 4)
    wanted, asked = estimate(design, labels), list[Query]()
    ask = answers(design, labels, asked)
    plain = run(firth(np.zeros(5), weight=400.0, stop=tight(400)), ask)
    first = len(asked)
    space = Space.of(ask(Query(wanted + 1e-3, 2)).second(), 400.0)
    near = space.leverages(wanted + 1e-3, ask(Query(wanted + 1e-3, 2)))
    asked.clear()
    found = run(firth(np.zeros(5), weight=400.0, near=near, stop=tight(400)), ask)
    assert len(asked) < first
    assert_allclose(found.point, plain.point, atol=1e-9)
    assert near is not None
    far = type(near)(np.full(5, 1e6), np.zeros((5, 0)), 0.0)
    found = run(firth(np.zeros(5), weight=400.0, near=far, stop=tight(400)), ask)
    assert_allclose(found.point, plain.point, atol=1e-9)


def test_a_long_step_that_does_not_help_is_shortened() -> None:
    random = np.random.default_rng(3)
    matrix = np.exp(1.5 * random.normal(size=(5_000, 6)))
    margins = matrix @ random.normal(size=6) * 0.5 - 6
    labels = (random.random(5_000) < expit(margins)).astype(float)
    design = with_ones((matrix - matrix.mean(axis=0)) / matrix.std(axis=0))
    asked: list[Query] = []
    solver = firth(np.append(np.zeros(6), -3.0), weight=5_000.0, stop=tight(5_000))
    found = run(solver, answers(design, labels, asked))
    assert_allclose(found.point, estimate(design, labels), rtol=0, atol=1e-7)
    assert len(asked) > len(found.history)
    assert all(query.order == 2 for query in asked)


def test_columns_that_depend_on_others_have_the_same_margins() -> None:
    design, labels = rows_of(4, 90, 3)
    extra = np.column_stack((design, design[:, 0] + 2 * design[:, 1]))
    found = run(firth(np.zeros(5), weight=90.0, stop=tight(90)), answers(extra, labels, []))
    assert found.reason.converged
    assert_allclose(extra @ found.point, design @ estimate(design, labels), atol=1e-8)


def test_why_it_stops() -> None:
    design, labels = rows_of(6, 50, 2)
    ask = answers(design, labels, [])
    found = run(firth(np.zeros(3), weight=50.0, stop=tight(50, steps=2)), ask)
    assert (found.reason, found.steps) == (Reason.STEP_LIMIT, 2)
    found = run(firth(np.zeros(3), weight=50.0), lambda _: Answer(np.nan, np.ones(3), np.eye(3)))
    assert found.reason is Reason.NOT_FINITE
    found = run(firth(np.zeros(3), weight=50.0, stop=Stop(0.0, 0.0)), ask)
    assert found.reason is Reason.PRECISION


def test_a_solver_of_first_order_sees_the_penalised_loss() -> None:
    """Held coordinates count in the determinant."""
    design, labels = rows_of(7, 70, 3)
    ask = answers(design, labels, [])
    hessian = ask(Query(np.zeros(4), 2)).second()
    free = np.array([True, False, True, True])
    solver = along(lbfgs(np.zeros(3)), np.zeros(4), free_basis(hessian, free))
    found = run(penalised(solver, Space.of(hessian, 70.0)), ask)
    score = at(design, labels, found.point).score
    assert found.point[1] == 0
    assert np.abs(score[free]).max() < 1e-3
    assert abs(score[1]) > 1
    assert_allclose(found.value, -at(design, labels, found.point).value / 70, rtol=1e-12)
    assert found.last is None
