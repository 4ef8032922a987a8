"""Fits to forty digits by Newton's method, to tell how far the reference numbers are right.

Formulas are written out once more, for plain lists of mpmath's numbers; only features, labels,
weights and offsets are shared with the recipe in R. Features have the intercept's column last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from tests.inference.references import Array

mp.dps = 40
Matrix = Any  # mpmath has no types


@dataclass(frozen=True)
class Problem:
    """Rows of a binary fit, as mpmath's numbers."""

    X: list[list[mpf]]
    y: list[mpf]
    w: list[mpf]
    o: list[mpf]

    @staticmethod
    def of(X: Array, y: Array, w: Array, o: Array) -> Problem:
        """The numbers as they are in float64."""
        exact = [[mpf(float(value)) for value in row] for row in X]
        return Problem(exact, *([mpf(float(value)) for value in each] for each in (y, w, o)))

    def margins(self, beta: Sequence[mpf]) -> list[mpf]:
        """X beta + o."""
        return [mp.fdot(row, beta) + o for row, o in zip(self.X, self.o, strict=True)]

    def chances(self, beta: Sequence[mpf]) -> list[mpf]:
        """1 / (1 + exp(-margin))."""
        return [1 / (1 + mp.exp(-margin)) for margin in self.margins(beta)]

    def deviance(self, beta: Sequence[mpf]) -> mpf:
        """-2 sum w log p of the own label."""
        chances = self.chances(beta)
        each = zip(self.w, self.y, chances, strict=True)
        return -2 * mp.fsum(w * mp.log(p if y == 1 else 1 - p) for w, y, p in each)

    def crossprod(self, v: Sequence[mpf]) -> Matrix:
        """sum v x x'."""
        return weighted_crossprod(self.X, v)

    def information(self, beta: Sequence[mpf]) -> Matrix:
        """sum w p (1 - p) x x'."""
        chances = self.chances(beta)
        return self.crossprod([w * p * (1 - p) for w, p in zip(self.w, chances, strict=True)])

    def residuals(self, beta: Sequence[mpf]) -> list[mpf]:
        """y - p."""
        return [y - p for y, p in zip(self.y, self.chances(beta), strict=True)]

    def score(self, rows: Sequence[mpf]) -> list[mpf]:
        """sum of x times a number for each row."""
        return [mp.fdot(rows, column) for column in zip(*self.X, strict=True)]


def weighted_crossprod(X: list[list[mpf]], v: Sequence[mpf]) -> Matrix:
    """sum v x x', by columns."""
    columns = list(zip(*X, strict=True))
    scaled = [[a * b for a, b in zip(v, column, strict=True)] for column in columns]
    H = mp.matrix(len(columns))
    for a in range(len(columns)):
        for b in range(a + 1):
            H[a, b] = H[b, a] = mp.fdot(scaled[a], columns[b])
    return H


def newton(problem: Problem, beta: Sequence[float], free: Sequence[int] | None = None) -> list[mpf]:
    """The estimate, from one that is right to a few digits; other coefficients stay as they are."""
    found = [mpf(b) for b in beta]
    moving = list(range(len(found))) if free is None else list(free)
    for _ in range(60):
        rows = [w * r for w, r in zip(problem.w, problem.residuals(found), strict=True)]
        gradient = problem.score(rows)
        H = problem.information(found)
        block = mp.matrix([[H[a, b] for b in moving] for a in moving])
        step = mp.lu_solve(block, mp.matrix([gradient[a] for a in moving]))
        for a, move in zip(moving, step, strict=True):
            found[a] += move
        if max(abs(move) for move in step) < mpf(10) ** -30:
            return found
    raise ArithmeticError("Newton's method did not end")


def firth(problem: Problem, beta: Sequence[float]) -> list[mpf]:
    """The zero of sum (w (y - p) + h (1/2 - p)) x; each step gains a digit or so."""
    found = [mpf(b) for b in beta]
    for _ in range(200):
        chances = problem.chances(found)
        v = [w * p * (1 - p) for w, p in zip(problem.w, chances, strict=True)]
        V = problem.crossprod(v) ** -1
        h = [
            each * mp.fdot(row, V * mp.matrix(row)) for each, row in zip(v, problem.X, strict=True)
        ]
        parts = zip(problem.w, problem.y, chances, h, strict=True)
        score = problem.score([w * (y - p) + lever * (0.5 - p) for w, y, p, lever in parts])
        step = V * mp.matrix(score)
        found = [b + move for b, move in zip(found, step, strict=True)]
        if max(abs(move) for move in step) < mpf(10) ** -25:
            return found
    raise ArithmeticError("Firth's method did not end")


def sandwich(problem: Problem, beta: Sequence[mpf], power: int) -> Matrix:
    """V M V with M = sum w^power r^2 x x'."""
    V = problem.information(beta) ** -1
    residuals = problem.residuals(beta)
    v = [w**power * r * r for w, r in zip(problem.w, residuals, strict=True)]
    return V * problem.crossprod(v) * V


def multinomial(problem: Problem, B: Array) -> tuple[list[mpf], Matrix, mpf]:
    """Coefficients class after class, their covariance, and the deviance; class 0 is the base."""
    classes, k = B.shape
    found = [mpf(float(b)) for b in B.ravel()]
    for last in (False, False, False, True):
        coefficients = [found[c * k : (c + 1) * k] for c in range(classes)]
        chances = [_softmax([mp.fdot(row, b) for b in coefficients]) for row in problem.X]
        H = _multinomial_information(problem, chances, classes)
        if last:
            own = [p[int(y)] for p, y in zip(chances, problem.y, strict=True)]
            each = zip(problem.w, own, strict=True)
            return found, H**-1, -2 * mp.fsum(w * mp.log(p) for w, p in each)
        gradient: list[mpf] = []
        for c in range(1, classes + 1):
            each = zip(problem.w, problem.y, chances, strict=True)
            gradient += problem.score([w * ((y == c) - p[c]) for w, y, p in each])
        step = mp.lu_solve(H, mp.matrix(gradient))
        found = [b + move for b, move in zip(found, step, strict=True)]
    raise AssertionError


def _softmax(margins: Sequence[mpf]) -> list[mpf]:
    powers = [mpf(1), *(mp.exp(margin) for margin in margins)]
    total = mp.fsum(powers)
    return [power / total for power in powers]


def _multinomial_information(problem: Problem, chances: list[list[mpf]], classes: int) -> Matrix:
    k = len(problem.X[0])
    H = mp.matrix(classes * k)
    for a in range(classes):
        for b in range(a + 1):
            each = zip(problem.w, chances, strict=True)
            v = [w * p[a + 1] * ((a == b) - p[b + 1]) for w, p in each]
            block = weighted_crossprod(problem.X, v)
            for i in range(k):
                for j in range(k):
                    H[a * k + i, b * k + j] = H[b * k + j, a * k + i] = block[i, j]
    return H


def as_array(values: Any) -> Array:
    """mpmath's numbers, rounded to float64."""
    if isinstance(values, mp.matrix):
        rows = [[float(values[i, j]) for j in range(values.cols)] for i in range(values.rows)]
        return np.array(rows)
    return np.array([float(value) for value in values])
