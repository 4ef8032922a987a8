"""The table of solvers: what it says of each is what the solver does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparklr.solvers import Answer, BlockInverse, Box, Query, Stop
from sparklr.solvers.curvature import identity
from sparklr.solvers.methods import METHODS, SOLVERS, Method, Task, method_for, method_of
from tests.problems import ask_quadratic, random_matrix, run

MATRIX, LINEAR = random_matrix(1, np.array([0.5, 1.0, 2.0, 4.0])), np.array([2.0, -1.0, 0.5, 3.0])
ASK = ask_quadratic(MATRIX, LINEAR)
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def task(**changes: object) -> Task:
    return replace(Task.smooth(4), **changes)  # type: ignore[arg-type]


@every_method
def test_each_finds_a_smooth_minimum_by_the_derivatives_it_names(method: Method) -> None:
    orders = []

    def ask(query: Query):  # type: ignore[no-untyped-def]
        orders.append(query.order)
        return ASK(query)

    found = run(method.make(task(), np.zeros(4), Stop()), ask)
    assert found.reason.converged
    assert np.allclose(found.point, np.linalg.solve(MATRIX, LINEAR), atol=1e-4)
    assert max(orders) == method.order


@every_method
def test_the_general_ones_keep_to_l1_terms_and_bounds(method: Method) -> None:
    general = METHODS[method.counterpart] if not method.general else method
    assert general.general
    l1 = np.full(4, 10.0)
    found = run(general.make(task(l1=l1), np.ones(4), Stop()), ASK)
    assert (found.point == 0).all()
    box = Box(np.full(4, -0.1), np.full(4, 0.1))
    found = run(general.make(task(box=box), np.zeros(4), Stop()), ASK)
    assert box.contains(found.point)
    assert np.abs(found.point).max() == 0.1


@every_method
def test_each_uses_the_curvature_of_a_sample(method: Method) -> None:
    """Of first order it saves steps, of second order the first Hessian."""
    if method.textbook:
        pytest.skip("a textbook method knows no sample")
    starts, steps = [], []
    for known in (identity, BlockInverse(MATRIX[None])):
        orders: list[int] = []

        def ask(query: Query, orders: list[int] = orders) -> Answer:
            orders.append(query.order)
            return ASK(query)

        steps.append(run(method.make(task(precondition=known), np.zeros(4), Stop()), ask).steps)
        starts.append(orders[0])
    assert starts == [method.order, 1]
    assert steps[1] < steps[0] or method.order == 2


@every_method
def test_counterparts_are_of_one_order_and_of_both_kinds(method: Method) -> None:
    other = METHODS[method.counterpart]
    assert (other.order, other.general) == (method.order, not method.general)
    found = method_for(method.order, smooth=not method.general, square=method.square)
    assert (found is method) == (not method.textbook)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"solver must be one of auto, newton, .* but got 'sdca'"):
        method_of("sdca")
    assert set(SOLVERS) == {"auto", *METHODS, "sgd"}
