"""The proof of absence on Newton's path: never for separated rows, soon for rows that overlap."""

from __future__ import annotations

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import MULTINOMIAL, family_for
from sparklr.rows.blocks import Block
from sparklr.separation.search import absence_bound
from sparklr.solvers import Query
from tests.problems import ask_rows, make_rows
from tests.separation.exact import passes_over
from tests.separation.sets import IRIS, SPECIES, on_lattice, rotation, with_flag


def steps(rows: Block, classes: int = 2, *, intercept: bool = True) -> list[tuple[float, float]]:
    """Newton's path: the bound of each step, and the largest step itself, by the definition.

    It ends where the curvature is gone up to rounding, as a caller of the proof must check.
    """
    passes = passes_over(rows).inner
    family = family_for(classes)
    problem = Problem.of(Spec(family, fitIntercept=intercept), passes.moments, classes)
    point, found = problem.start(), []
    for _ in range(30):
        answer = ask_rows(problem, passes)(Query(point, 2))
        hessian = answer.second()
        if np.linalg.cond(hessian) > 1e10:
            break
        step = -np.linalg.solve(hessian, answer.gradient)
        coefficients, offsets = problem.scaling.to_rows(step)
        change = np.column_stack((coefficients, offsets))
        bound = absence_bound(change, passes.moments, passes.moments.origin)
        found.append((bound, largest_step(problem, point, step, rows)))
        point = point + step
    return found


def largest_step(problem: Problem, point: Array, step: Array, rows: Block) -> float:
    """max p a . D, or max ubar - u_k over the classes k other than the label."""

    def margins(at: Array) -> Array:
        coefficients, intercepts = problem.scaling.to_coefficients(at)
        return np.asarray(rows.to_dense().matrix @ coefficients.T + intercepts)

    at, change, labels = margins(point), margins(step), rows.labels.astype(int)
    if at.shape[1] == 1:
        signs = np.where(labels == 1, 1.0, -1.0)
        return float(np.max(signs * change[:, 0] / (1 + np.exp(-signs * at[:, 0]))))
    chances = MULTINOMIAL.probability(at)
    rises = (chances * change).sum(axis=1, keepdims=True) - change
    rises[np.arange(len(labels)), labels] = -np.inf
    return float(rises.max())


SEPARATED = {
    "a flag": (with_flag(20, 200, 20), 2),
    "a flag far from zero": (with_flag(20, 200, 20).with_matrix(
        with_flag(20, 200, 20).matrix + 2.0**20), 2),
    "oblique": (with_flag(21, 200, 20).with_matrix(
        with_flag(21, 200, 20).matrix @ rotation(21, 3)), 2),
    "integers": (on_lattice(22), 2),
    "complete": (Block(IRIS, (SPECIES == 0) * 1.0, None), 2),
    "classes": (Block(IRIS, SPECIES.astype(float), None), 3),
}  # fmt: skip


@pytest.mark.parametrize("name", SEPARATED)
def test_no_step_proves_absence_where_rows_are_separated(name: str) -> None:
    path = steps(*SEPARATED[name])
    assert len(path) > 5
    for bound, largest in path:
        assert largest > 1 - 1e-6
        assert bound >= largest
        assert bound >= 1


OVERLAPPING = {
    "two classes": (make_rows(23, 500, 5), 2),
    "sparse": (make_rows(24, 500, 5, sparse=True), 2),
    "weights": (make_rows(25, 500, 5, weighted=True), 2),
    "three classes": (make_rows(26, 500, 4, 3), 3),
    "far from zero": (make_rows(27, 500, 3).with_matrix(
        make_rows(27, 500, 3).matrix + 2.0**20), 2),
    "rare flags": (make_rows(28, 5_000, 5).with_matrix(
        (make_rows(28, 5_000, 5).matrix > 2.0).astype(float)), 2),
}  # fmt: skip


@pytest.mark.parametrize("name", OVERLAPPING)
def test_a_few_steps_prove_absence_where_rows_overlap(name: str) -> None:
    path = steps(*OVERLAPPING[name])
    assert all(bound >= largest for bound, largest in path)
    assert min(bound for bound, _ in path[:6]) < 1


def test_a_step_that_is_not_finite_proves_nothing() -> None:
    moments = passes_over(make_rows(29, 50, 2)).moments
    for value in (np.nan, np.inf, -np.inf, 1e308):
        assert absence_bound(np.array([[0.0, value, value]]), moments, None) == np.inf
        assert absence_bound(np.array([[0.0, 0, 0], [value, 0, -value]]), moments, None) == np.inf
    assert absence_bound(np.zeros((1, 3)), moments, None) == 0.0
