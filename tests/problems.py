"""Small problems with known optima, for every solver to solve.

minimise f(x) + sum_j l1_j |x_j|,  where `ask` answers for the smooth f

Quadratics have theirs in closed form; scipy finds those of logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.sums import split_totals
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes
from sparklr.rows.blocks import Block
from sparklr.solvers import Answer, Box, Query, Solution, Solver
from tests.passes.asking import total

Ask: TypeAlias = Callable[[Query], Answer]


@dataclass(frozen=True, eq=False)
class Case:
    """One problem: what answers for f, where to start, and how to find the optimum."""

    name: str
    ask: Ask
    start: Array
    find: Callable[[], Array]
    l1: Array | None = None
    unique: bool = True  # whether only one point attains the optimum
    box: Box | None = None

    @cached_property
    def point(self) -> Array:
        """A point that attains the optimum."""
        return self.find()

    @property
    def optimum(self) -> float:
        return self.total(self.point)

    @property
    def weights(self) -> Array:
        """l1, or zeros for a smooth problem."""
        return np.zeros_like(self.start) if self.l1 is None else self.l1

    def total(self, point: Array) -> float:
        """f with the l1 term."""
        return self.ask(Query(point, 0)).value + float(self.weights @ np.abs(point))

    def __str__(self) -> str:
        return self.name


def run(solver: Solver, ask: Ask) -> Solution:
    """Answer a solver until it has a solution."""
    query = next(solver)
    while True:
        try:
            query = solver.send(ask(query))
        except StopIteration as finished:
            solution: Solution = finished.value
            return solution


def ask_quadratic(matrix: Array, linear: Array, constant: float = 0.0) -> Ask:
    """Answers for f(x) = x'Ax / 2 - b'x + c, to the order asked for and no further."""

    def ask(query: Query) -> Answer:
        x, order = query.point, query.order
        return Answer(
            float(0.5 * x @ matrix @ x - linear @ x + constant),
            matrix @ x - linear if order > 0 else None,
            matrix.copy() if order > 1 else None,
        )

    return ask


def ask_rows(problem: Problem, passes: Passes) -> Ask:
    """The objective of a logistic regression, one pass an answer."""

    def ask(query: Query) -> Answer:
        probe = problem.probe(query)
        return problem.answer(query, split_totals([probe], total(passes, [probe]))[0])

    return ask


def make_rows(
    seed: int,
    rows: int,
    features: int,
    classes: int = 2,
    *,
    weighted: bool = False,
    sparse: bool = False,
) -> Block:
    """Rows of every class, whose labels follow the features with enough noise not to separate."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, features))
    if sparse:
        matrix[rng.random(matrix.shape) < 0.6] = 0.0
    margins = matrix @ rng.normal(size=(features, classes)) / np.sqrt(features)
    labels = (margins + rng.gumbel(size=margins.shape)).argmax(axis=1).astype(np.float64)
    labels[:classes] = np.arange(classes)
    weights = rng.uniform(0.2, 3.0, size=rows) if weighted else None
    return Block(sp.csr_matrix(matrix) if sparse else matrix, labels, weights)


def random_matrix(seed: int, eigenvalues: Array) -> Array:
    """A symmetric matrix with these eigenvalues."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    matrix = np.asarray((basis * eigenvalues) @ basis.T)
    return (matrix + matrix.T) / 2


def find_smooth(ask: Ask, start: Array) -> Array:
    """The minimum of f by scipy's trust-region Newton method."""
    found = minimize(
        lambda x: ask(Query(x, 0)).value,
        start,
        jac=lambda x: ask(Query(x, 1)).first(),
        hess=lambda x: ask(Query(x, 2)).second(),
        method="trust-exact",
        options={"gtol": 1e-10, "maxiter": 1000},
    )
    # The method cannot tell success from the end of float64, so look at the gradient itself.
    assert np.abs(found.jac).max() < 1e-8, found.message
    return np.asarray(found.x)


def find_with_l1(ask: Ask, start: Array, l1: Array, box: Box | None = None) -> Array:
    """The minimum of f + l1'|x| in the box by scipy's L-BFGS-B, on x = u - v, u, v >= 0."""
    size = len(start)
    free = l1 == 0
    box = box or Box.endless(size)

    def split(both: Array) -> tuple[float, Array]:
        answer = ask(Query(both[:size] - both[size:], 1))
        gradient = answer.first()
        value = answer.value + float(l1 @ (both[:size] + both[size:]))
        return value, np.concatenate((gradient + l1, l1 - gradient))

    # The smaller of u and v is zero, so that each has the part of the bounds on its side.
    positive = zip(
        np.where(free, box.lower, np.maximum(box.lower, 0)),
        np.where(free, box.upper, np.maximum(box.upper, 0)),
        strict=True,
    )
    negative = zip(
        np.where(free, 0.0, np.maximum(-box.upper, 0)),
        np.where(free, 0.0, np.maximum(-box.lower, 0)),
        strict=True,
    )
    found = minimize(
        split,
        np.concatenate(
            (np.where(free, start, np.maximum(start, 0)), np.maximum(-start, 0) * ~free)
        ),
        jac=True,
        method="L-BFGS-B",
        bounds=[*positive, *negative],
        options={"ftol": 0.0, "gtol": 1e-10, "maxiter": 20_000, "maxfun": 40_000, "maxcor": 30},
    )
    return box.clip(found.x[:size] - found.x[size:])


def _quadratic(name: str, matrix: Array, linear: Array) -> Case:
    ask = ask_quadratic(matrix, linear)
    start = np.random.default_rng(1).normal(size=len(linear))
    return Case(name, ask, start, lambda: np.linalg.solve(matrix, linear))


def _soft_threshold(name: str, diagonal: Array, linear: Array, l1: Array) -> Case:
    """With a diagonal Hessian each coordinate is alone: shrink b_j by l1_j, then divide."""
    # The constant keeps the optimum from 0, from which no error is relative.
    ask = ask_quadratic(np.diag(diagonal), linear, 1.0)
    point = np.sign(linear) * np.maximum(np.abs(linear) - l1, 0.0) / diagonal
    start = np.random.default_rng(2).normal(size=len(linear))
    return Case(name, ask, start, lambda: point, l1)


def _logistic(
    name: str, spec: Spec, block: Block, classes: int = 2, *, unique: bool = True
) -> Case:
    passes = LocalPasses.of([block], block.features)
    problem = Problem.of(spec, passes.moments, classes)
    ask, start, l1 = ask_rows(problem, passes), problem.start(), problem.penalty.l1
    if problem.penalty.smooth:
        return Case(name, ask, start, lambda: find_smooth(ask, start), unique=unique)
    return Case(name, ask, start, lambda: find_with_l1(ask, start, l1), l1, unique)


def _with_duplicate(block: Block) -> Block:
    """The last feature twice, so that only the sum of two coefficients is known."""
    return Block(np.column_stack((block.matrix, block.matrix[:, -1])), block.labels, block.weights)


def _with_offsets(block: Block) -> Block:
    """Offsets that vary more than the margins do."""
    offsets = np.random.default_rng(block.rows).normal(1.0, 2.0, block.rows)
    return replace(block, row_offsets=offsets)


def make_dummies(seed: int, rows: int, levels: int, classes: int) -> Block:
    """A column for every level of a category, rarer and rarer, and one more feature.

    The levels' columns add up to the intercept's, so the Hessian is singular, and its diagonal
    is uneven.
    """
    rng = np.random.default_rng(seed)
    rarity = 2.0 ** -np.arange(levels)
    level = rng.choice(levels, size=rows, p=rarity / rarity.sum())
    matrix = np.column_stack((np.eye(levels)[level], rng.normal(size=rows)))
    margins = 1.5 * matrix @ rng.normal(size=(levels + 1, classes))
    labels = (margins + rng.gumbel(size=margins.shape)).argmax(axis=1).astype(np.float64)
    labels[:classes] = np.arange(classes)
    return Block(matrix, labels, None)


def _stretched(block: Block) -> Block:
    """Columns of very different scales and means, as real tables have."""
    features = block.features
    scales, means = np.logspace(-3, 3, features), np.linspace(-2, 20, features)
    return Block((block.matrix + means) * scales, block.labels, block.weights)


def _of_matrices() -> list[Case]:
    rng = np.random.default_rng(0)
    shallow, steep = np.linspace(1, 5, 6), np.logspace(-3, 3, 8)
    linear = rng.normal(size=8)
    return [
        _quadratic("quadratic", random_matrix(5, shallow), linear[:6]),
        _quadratic("quadratic ill-conditioned", random_matrix(6, steep), linear),
        _quadratic("quadratic of one number", np.array([[3.0]]), np.array([2.0])),
        _soft_threshold("soft-threshold", np.linspace(0.5, 4, 8), linear, np.full(8, 0.6)),
        _soft_threshold(
            "soft-threshold partly smooth",
            np.logspace(-2, 2, 8),
            linear,
            np.array([0.0, 0.5, 0.0, 0.1, 1.0, 5.0, 0.0, 0.05]),
        ),
        _soft_threshold("soft-threshold all zero", np.ones(4), linear[:4], np.full(4, 10.0)),
    ]


def _of_rows() -> list[Case]:
    three = make_rows(4, 90, 4, 3, weighted=True)
    return [
        _logistic("binomial", Spec(BINOMIAL), make_rows(1, 80, 4)),
        _logistic(
            "binomial weighted without intercept",
            Spec(BINOMIAL, regParam=0.05, fitIntercept=False),
            make_rows(2, 80, 5, weighted=True),
        ),
        _logistic(
            "binomial stretched",
            Spec(BINOMIAL, regParam=0.01, standardization=False),
            _stretched(make_rows(3, 90, 5)),
        ),
        _logistic("multinomial", Spec(MULTINOMIAL), three, 3),
        _logistic("multinomial L2", Spec(MULTINOMIAL, regParam=0.1), three, 3),
        _logistic(
            "duplicated columns",
            Spec(BINOMIAL),
            _with_duplicate(make_rows(7, 70, 3)),
            unique=False,
        ),
        _logistic("dummies", Spec(MULTINOMIAL), make_dummies(14, 200, 3, 3), 3, unique=False),
        _logistic("more features than rows", Spec(BINOMIAL, regParam=0.1), make_rows(8, 15, 40)),
        _logistic(
            "offsets",
            Spec(BINOMIAL, regParam=0.02),
            _with_offsets(make_rows(15, 90, 4, weighted=True)),
        ),
        _logistic(
            "offsets and class weights without intercept",
            Spec(BINOMIAL, fitIntercept=False, class_weights=(1.0, 4.0)),
            _with_offsets(make_rows(16, 90, 4, sparse=True)),
        ),
    ]


def _of_rows_with_l1() -> list[Case]:
    return [
        _logistic(
            "binomial L1",
            Spec(BINOMIAL, regParam=0.05, elasticNetParam=1),
            make_rows(9, 90, 8),
        ),
        _logistic(
            "binomial elastic net on CSR",
            Spec(BINOMIAL, regParam=0.08, elasticNetParam=0.5, standardization=False),
            make_rows(10, 100, 9, weighted=True, sparse=True),
        ),
        _logistic(
            "multinomial L1",
            Spec(MULTINOMIAL, regParam=0.04, elasticNetParam=1),
            make_rows(11, 120, 5, 3),
            3,
        ),
        _logistic(
            "duplicated columns L1",
            Spec(BINOMIAL, regParam=0.03, elasticNetParam=1),
            _with_duplicate(make_rows(12, 80, 4)),
            unique=False,
        ),
        _logistic(
            "dummies L1",
            Spec(BINOMIAL, regParam=0.002, elasticNetParam=1),
            make_dummies(14, 120, 4, 2),
            unique=False,
        ),
        _logistic(
            "multinomial dummies L1",
            Spec(MULTINOMIAL, regParam=0.001, elasticNetParam=1),
            make_dummies(1, 200, 4, 3),
            3,
            unique=False,
        ),
        _logistic(
            "offsets and balanced class weights L1",
            Spec(BINOMIAL, regParam=0.05, elasticNetParam=1, class_weights="balanced"),
            _with_offsets(make_rows(17, 120, 8)),
        ),
        _logistic(
            "more features than rows L1",
            Spec(BINOMIAL, regParam=0.1, elasticNetParam=0.9),
            make_rows(13, 15, 30),
        ),
    ]


CASES = [*_of_matrices(), *_of_rows(), *_of_rows_with_l1()]
SMOOTH = [case for case in CASES if case.l1 is None]
WITH_L1 = [case for case in CASES if case.l1 is not None]
