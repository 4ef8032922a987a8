"""Derivatives by Taylor's theorem: what is left after order k shrinks as t^(k+1).

From problem to probe to stack to answer, so that scaling, centring, penalty and gauge are
differentiated along with the loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import Query
from tests.problems import Ask, ask_rows

# Short enough for the next order to be invisible, long enough to stand above rounding.
FIRST_STEPS = 2.0 ** -np.arange(7, 13)
SECOND_STEPS = 2.0 ** -np.arange(7, 12)


def log_slope(steps: Array, remainders: list[float]) -> float:
    """The power of t that the remainders follow."""
    return float(np.polyfit(np.log(steps), np.log(np.abs(remainders)), 1)[0])


def steepest(
    rng: np.random.Generator, size: int, remainder: Callable[[Array], float]
) -> tuple[Array, float]:
    """Of some random directions the one with the largest remainder, for a slope to be seen."""
    directions = rng.normal(size=(12, size))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    sizes = [abs(remainder(direction)) for direction in directions]
    best = int(np.argmax(sizes))
    return directions[best], sizes[best]


def make_problem(
    rng: np.random.Generator, spec: Spec, *, sparse: bool, weighted: bool, far: bool
) -> tuple[Problem, Ask]:
    """A problem on random rows; `far` puts one feature's mean at many deviations."""
    rows, features = int(rng.integers(12, 30)), int(rng.integers(1, 5))
    classes = 2 if spec.family is BINOMIAL else int(rng.integers(2, 5))
    matrix = rng.normal(size=(rows, features)) * 10.0 ** rng.uniform(-1, 1, features)
    if sparse:
        matrix[rng.random(matrix.shape) < 0.5] = 0.0
    if far:
        matrix[:, 0] = 300 + rng.normal(size=rows)
    labels = rng.integers(0, classes, rows).astype(np.float64)
    labels[:classes] = np.arange(classes)
    weights = rng.uniform(0.1, 3, rows) if weighted else None
    block = Block(sp.csr_matrix(matrix) if sparse else matrix, labels, weights)
    passes = LocalPasses.of([block], features)
    assert (passes.moments.origin is not None) >= far
    problem = Problem.of(spec, passes.moments, classes)
    return problem, ask_rows(problem, passes)


def make_point(rng: np.random.Generator, problem: Problem) -> Array:
    """A point where no row is fitted so well that there is nothing left to differentiate."""
    point = 0.5 * rng.normal(size=problem.scaling.shape)
    if not problem.spec.fitIntercept:  # nothing is centred then, so a far mean is a large margin
        point /= np.sqrt(problem.squares)
    return np.asarray(point.ravel())


families = pytest.mark.parametrize("family", [BINOMIAL, MULTINOMIAL], ids=str)
storage = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
centring = pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "origin"])
standard = pytest.mark.parametrize("standardized", [True, False], ids=["scaled", "original"])


def draw_problem(
    data: st.DataObject, family: Family, sparse: bool, intercept: bool, standardized: bool
) -> tuple[np.random.Generator, Problem, Ask]:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    spec = Spec(
        family,
        regParam=data.draw(st.sampled_from([0.0, 0.05, 0.5]), label="regParam"),
        elasticNetParam=data.draw(st.sampled_from([0.0, 0.3]), label="elasticNetParam"),
        fitIntercept=intercept,
        standardization=standardized,
    )
    weighted = data.draw(st.booleans(), label="weighted")
    far = data.draw(st.booleans(), label="far")
    return rng, *make_problem(rng, spec, sparse=sparse, weighted=weighted, far=far)


@families
@storage
@centring
@standard
@given(data=st.data())
def test_taylor_remainders_have_the_right_order(
    family: Family, sparse: bool, intercept: bool, standardized: bool, data: st.DataObject
) -> None:
    rng, problem, ask = draw_problem(data, family, sparse, intercept, standardized)
    point = make_point(rng, problem)
    here = ask(Query(point, 2))
    gradient, hessian = here.first(), here.second()
    # A unit of t should mean the same change of the objective whatever the scales.
    unit = 1 / np.sqrt(np.diagonal(hessian))

    def after_first(t: float, d: Array) -> float:
        return ask(Query(point + t * d, 0)).value - here.value - t * float(gradient @ d)

    def after_second(t: float, d: Array) -> float:
        return after_first(t, d) - 0.5 * t**2 * float(d @ hessian @ d)

    direction, _ = steepest(rng, problem.size, lambda d: after_first(FIRST_STEPS[0], d * unit))
    first = [after_first(t, direction * unit) for t in FIRST_STEPS]
    assert log_slope(FIRST_STEPS, first) == pytest.approx(2, abs=0.1)

    direction, largest = steepest(
        rng, problem.size, lambda d: after_second(SECOND_STEPS[0], d * unit)
    )
    if largest < 1e-2 * SECOND_STEPS[0] ** 3:
        return  # even less is left: the third derivative happens to be nearly zero
    second = [after_second(t, direction * unit) for t in SECOND_STEPS]
    assert log_slope(SECOND_STEPS, second) == pytest.approx(3, abs=0.15)


@families
@storage
@centring
@standard
@given(data=st.data())
def test_the_hessian_is_the_gradients_derivative(
    family: Family, sparse: bool, intercept: bool, standardized: bool, data: st.DataObject
) -> None:
    """In every entry, where a curvature along one line sees only a sum of them."""
    rng, problem, ask = draw_problem(data, family, sparse, intercept, standardized)
    point = make_point(rng, problem)
    hessian = ask(Query(point, 2)).second()
    unit = 1 / np.sqrt(np.diagonal(hessian))
    t = 1e-4
    central = [
        (ask(Query(point + move, 1)).first() - ask(Query(point - move, 1)).first()) / (2 * t)
        for move in t * np.diag(unit)
    ]
    scaled = hessian * unit[:, None] * unit
    assert_allclose(np.array(central) * unit, scaled, atol=1e-6)
    assert_allclose(scaled, scaled.T, atol=1e-14)


@families
@centring
def test_orders_agree_on_what_they_share(family: Family, intercept: bool) -> None:
    rng = np.random.default_rng(0)
    spec = Spec(family, regParam=0.1, fitIntercept=intercept)
    problem, ask = make_problem(rng, spec, sparse=False, weighted=True, far=True)
    point = make_point(rng, problem)
    value, gradient, hessian = ask(Query(point, 0)), ask(Query(point, 1)), ask(Query(point, 2))
    assert value.gradient is None
    assert gradient.hessian is None
    assert value.value == pytest.approx(gradient.value, rel=1e-14)
    assert value.value == pytest.approx(hessian.value, rel=1e-14)
    assert_allclose(gradient.first(), hessian.first(), rtol=1e-11, atol=1e-13)
