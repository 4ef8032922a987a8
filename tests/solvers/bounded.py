"""Problems within bounds: logistic regressions crossed with boxes, and corners chosen by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers import Box
from tests.problems import (
    Case,
    ask_quadratic,
    ask_rows,
    find_with_l1,
    make_rows,
    random_matrix,
)


def violation(point: Array, slope: Array, l1: Array, box: Box) -> float:
    """The steepest descent that a single coordinate still has within the box.

    From the two one-sided derivatives of f + sum_j l1_j |x_j|, f having this slope.
    """
    up = slope + np.where(point >= 0, l1, -l1)
    down = -slope + np.where(point <= 0, l1, -l1)
    steepest = np.maximum(
        np.where(point < box.upper, -up, 0.0), np.where(point > box.lower, -down, 0.0)
    )
    return float(steepest.max(initial=0.0))


def random_box(rng: np.random.Generator, size: int) -> Box:
    """Bounds of all kinds: none, one, two, equal ones, zero, and ones that exclude zero."""
    lower = rng.choice([-np.inf, -1.0, -0.1, 0.0, 0.5], size)
    width = rng.choice([0.0, 0.5, 2.0, np.inf], size)
    return Box(lower, np.where(np.isinf(lower), rng.choice([-0.5, 0.0, 1.0], size), lower) + width)


def make_boxes(size: int) -> dict[str, Box]:
    """One box of each kind."""
    rng = np.random.default_rng(size)
    endless = np.full(size, np.inf)
    some, others = rng.random(size) < 0.4, rng.random(size) < 0.4
    numbers = rng.normal(size=size) * 0.3
    return {
        "not negative": Box(np.zeros(size), endless),
        "without zero": Box(np.where(some, 0.1, -endless), np.where(others & ~some, -0.1, endless)),
        "some fixed": Box(np.where(some, numbers, -endless), np.where(some, numbers, endless)),
        "one-sided": Box(-endless, np.full(size, 0.1)),
        "narrow": Box(np.full(size, -0.05), np.full(size, 0.05)),
        "mixed": random_box(rng, size),
        "endless": Box(-endless, endless),
    }


def make_correlated(seed: int, rows: int, features: int, classes: int, condition: float) -> Block:
    """Rows whose matrix has singular values that differ by this factor."""
    block = make_rows(seed, rows, features, classes)
    mixing = random_matrix(seed, np.logspace(0, -np.log10(condition), features))
    return Block(block.matrix @ mixing, block.labels, None)


def _logistic(name: str, spec: Spec, block: Block, classes: int, *, unique: bool) -> list[Case]:
    """One problem in every box."""
    passes = LocalPasses.of([block], block.features)
    problem = Problem.of(spec, passes.moments, classes)
    problem = replace(problem, gauge=np.zeros_like(problem.gauge))  # keep the softmax's freedom
    ask, l1 = ask_rows(problem, passes), problem.penalty.l1

    def case(kind: str, box: Box) -> Case:
        # From anywhere: a bound is then met by steps whose ends are rounded.
        start = box.clip(problem.start() + np.random.default_rng(5).normal(size=problem.size) / 2)
        find = partial(find_with_l1, ask, start, l1, box)
        return Case(f"{name}, {kind}", ask, start, find, l1, unique, box)

    return [case(kind, box) for kind, box in make_boxes(problem.size).items()]


def _corner(name: str, push: float) -> Case:
    """A quadratic whose minimum is a corner of the box, the slope there `push` for half of it."""
    matrix, corner = random_matrix(3, np.linspace(1, 5, 6)), np.array([0.0, 1, 0, -1, 0, 0.3])
    box = Box(np.array([0.0, 0, 0, -1, 0, 0.3]), np.array([1.0, 1, np.inf, 2, 0, 0.3]))
    outward = np.where(corner == box.lower, push, -push) * (np.arange(6) % 2)
    ask = ask_quadratic(matrix, matrix @ corner - outward, 10.0)
    return Case(name, ask, box.clip(np.full(6, 0.5)), lambda: corner, box=box)


def _table() -> list[Case]:
    binomial, three = make_rows(21, 120, 6), make_rows(22, 150, 4, 3, weighted=True)
    stiff, stiff_three = make_correlated(23, 200, 6, 2, 1e3), make_correlated(24, 200, 4, 3, 1e3)
    return [
        *_logistic("binomial", Spec(BINOMIAL), binomial, 2, unique=True),
        *_logistic("correlated L2", Spec(BINOMIAL, regParam=0.02), stiff, 2, unique=True),
        *_logistic("correlated L1", Spec(BINOMIAL, 0.02, 1.0), stiff, 2, unique=False),
        *_logistic("softmax", Spec(MULTINOMIAL), three, 3, unique=False),
        *_logistic(
            "softmax L2", Spec(MULTINOMIAL, 0.05, fitIntercept=False), three, 3, unique=True
        ),
        *_logistic("softmax L1", Spec(MULTINOMIAL, 0.02, 1.0), three, 3, unique=False),
        *_logistic(
            "softmax correlated", Spec(MULTINOMIAL, 0.03, 0.5), stiff_three, 3, unique=False
        ),
        _corner("corner", 1.0),
        _corner("corner without push", 0.0),
    ]


BOUNDED = _table()
