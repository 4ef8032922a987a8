"""Kinds of data that people have, small: where a fit can go wrong, and say nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from sklearn import datasets

from sparklr.arrays import Array
from tests.fitting.one_hot import one_hot_rows

Generator = np.random.Generator
Made = tuple[Array | sp.csr_matrix, Array]


def _labels(rng: Generator, margins: Array, classes: int = 2) -> Array:
    """Labels drawn for margins (n,) of class 1, or (n, K)."""
    if classes == 2:
        return (margins > rng.logistic(size=len(margins))).astype(float)
    return np.argmax(margins + rng.gumbel(size=margins.shape), axis=1).astype(float)


def _linear(rng: Generator, matrix: Array, size: float = 1.0, shift: float = 0.0) -> Array:
    """Labels of standardised columns with random effects."""
    spread = np.where(matrix.std(axis=0) > 0, matrix.std(axis=0), 1.0)
    scaled = (matrix - matrix.mean(axis=0)) / spread
    effects = rng.normal(size=matrix.shape[1]) * size / np.sqrt(matrix.shape[1])
    return _labels(rng, scaled @ effects + shift)


def independent(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 20))
    return matrix, _linear(rng, matrix, 2.0)


def correlated(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 30)) @ rng.normal(size=(30, 30)) * np.geomspace(1, 1e-3, 30)
    return matrix, _linear(rng, matrix, 2.0)


def one_hot(rng: Generator, rows: int) -> Made:
    block = one_hot_rows(int(rng.integers(1_000)), rows, positives=0.05, levels=(3, 8, 25, 60))
    return block.matrix, block.labels


def rare_positives(rng: Generator, rows: int) -> Made:
    block = one_hot_rows(int(rng.integers(1_000)), rows, positives=0.01, levels=(3, 12, 40))
    return block.matrix, block.labels


def counts(rng: Generator, rows: int) -> Made:
    matrix = rng.poisson(np.geomspace(0.01, 20, 30), size=(rows, 30)).astype(float)
    return matrix, _linear(rng, matrix, 2.0)


def hashed_text(rng: Generator, rows: int) -> Made:
    share = 1 / np.arange(1, 301) ** 1.1
    words = rng.choice(300, size=(rows, 20), p=share / share.sum())
    effects = rng.normal(scale=0.5, size=300)
    pointers = np.arange(0, words.size + 1, 20)
    matrix = sp.csr_matrix((np.ones(words.size), words.ravel(), pointers), shape=(rows, 300))
    matrix.sum_duplicates()
    return matrix, _labels(rng, effects[words].sum(axis=1))


def rare_flags(rng: Generator, rows: int) -> Made:
    matrix = (rng.random((rows, 25)) < np.geomspace(0.3, 2 / rows, 25)).astype(float)
    return matrix, _linear(rng, matrix, 1.0, -1.0)


def heavy_tails(rng: Generator, rows: int) -> Made:
    matrix = rng.standard_t(1.2, size=(rows, 10))
    return matrix, _labels(rng, np.clip(matrix, -3, 3) @ rng.normal(size=10))


def scales(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 17)) * np.geomspace(1e-8, 1e8, 17)
    return matrix, _linear(rng, matrix, 2.0)


def far_means(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 8)) + np.array([0, 1, 30, 1e3, 1e5, -1e6, 1e7, -50])
    return matrix, _linear(rng, matrix, 2.0)


def duplicates(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 6))
    matrix = np.column_stack((matrix, matrix[:, :3], -2 * matrix[:, 3]))
    return matrix, _linear(rng, matrix, 2.0)


def near_duplicates(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 6))
    matrix = np.column_stack((matrix, matrix[:, :4] + 1e-6 * rng.normal(size=(rows, 4))))
    return matrix, _linear(rng, matrix, 2.0)


def polynomials(rng: Generator, rows: int) -> Made:
    matrix = rng.uniform(0, 2, size=rows)[:, None] ** np.arange(1, 9)
    return matrix, _linear(rng, matrix, 2.0)


def all_dummies(rng: Generator, rows: int) -> Made:
    """Every level of two categories, so that their columns add up to the intercept's."""
    first, second = rng.integers(0, 5, rows), rng.integers(0, 7, rows)
    matrix = np.column_stack((np.eye(5)[first], np.eye(7)[second]))
    return matrix, _linear(rng, matrix, 1.5)


def more_features_than_rows(rng: Generator, rows: int) -> Made:
    few = min(rows, 120)
    matrix = rng.normal(size=(few, 160))
    return matrix, _linear(rng, matrix, 3.0)


def separated(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 4))
    return matrix, (matrix[:, 0] > 0.1).astype(float)


def nearly_separated(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 4))
    return matrix, _labels(rng, 25 * matrix[:, 0])


def constants(rng: Generator, rows: int) -> Made:
    matrix = np.column_stack((rng.normal(size=(rows, 3)), np.full(rows, 7.5), np.zeros(rows)))
    return matrix, _linear(rng, matrix, 2.0)


def mixed_units(rng: Generator, rows: int) -> Made:
    """Incomes, ages, rates, and flags, as tables have them."""
    matrix = np.column_stack(
        (
            rng.lognormal(10, 1, rows),
            rng.integers(18, 90, rows),
            rng.beta(1, 50, rows),
            rng.random((rows, 3)) < 0.1,
            rng.lognormal(0, 3, rows),
        )
    )
    return matrix, _linear(rng, matrix, 1.5, -2.0)


def three_classes(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 12)) * np.geomspace(1, 100, 12)
    effects = rng.normal(size=(12, 3)) / np.geomspace(1, 100, 12)[:, None]
    return matrix, _labels(rng, matrix @ effects, 3)


def many_classes(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 5))
    return matrix, _labels(rng, matrix @ rng.normal(size=(5, 15)), 15)


def rare_class(rng: Generator, rows: int) -> Made:
    matrix = rng.normal(size=(rows, 6))
    return matrix, _labels(rng, matrix @ rng.normal(size=(6, 3)) + np.array([2.0, 0.0, -3.0]), 3)


def of_package(name: str) -> Callable[[Generator, int], Made]:
    """Rows of a data set that scikit-learn ships, or so many of them at random."""

    def make(rng: Generator, rows: int) -> Made:
        matrix, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
        kept = rng.permutation(len(labels))[:rows]
        return matrix[kept], labels[kept].astype(float)

    make.__name__ = name
    return make


KINDS: dict[str, Callable[[Generator, int], Made]] = {
    make.__name__: make
    for make in (
        independent, correlated, one_hot, rare_positives, counts, hashed_text, rare_flags,
        heavy_tails, scales, far_means, duplicates, near_duplicates, polynomials, all_dummies,
        more_features_than_rows, separated, nearly_separated, constants, mixed_units,
        three_classes, many_classes, rare_class,
        of_package("breast_cancer"), of_package("wine"), of_package("digits"),
    )
}  # fmt: skip


def made(kind: str, rows: int) -> Made:
    """The rows of a kind, always the same ones."""
    return KINDS[kind](np.random.default_rng([len(kind), rows]), rows)
