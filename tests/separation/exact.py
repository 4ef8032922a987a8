"""Separation by an exact linear programme on all rows, and passes that count their readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from sparklr.arrays import Array, BoolArray
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.moments import Moments, moments_of
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import Part, Reading
from sparklr.rows.blocks import Block
from sparklr.separation.search import Separation, find_separation


@dataclass(frozen=True, eq=False)
class CountedPasses:
    """Local passes that remember their readings."""

    inner: LocalPasses
    local: bool = False
    jobs: bool = False
    slots: int = 1
    asked: list[object] = field(default_factory=list)

    @property
    def moments(self) -> Moments:
        return self.inner.moments

    @property
    def sample(self) -> Block:
        return self.inner.sample

    @property
    def wider_sample(self) -> Block:
        return self.inner.wider_sample

    @property
    def folds(self) -> Mapping[int, Moments]:
        return self.inner.folds

    @property
    def held(self) -> Mapping[int, Moments]:
        return self.inner.held

    def read(self, reading: Reading[Part]) -> Part:
        self.asked.append(reading)
        return self.inner.read(reading)


def passes_over(rows: Block, *, pieces: int = 3, sample: int | None = None) -> CountedPasses:
    """Passes over rows in pieces, with a random sample of them or all, and weights of zero."""
    parts = [rows.take(its) for its in np.array_split(np.arange(rows.rows), pieces)]
    kept = rows if rows.weights is None else rows.take(np.flatnonzero(rows.weights > 0))
    chosen = kept
    if sample is not None:
        every = np.random.default_rng(0).permutation(kept.rows)
        chosen = kept.take(np.sort(every[:sample]))
    passes = LocalPasses(parts, moments_of(kept), chosen)
    return CountedPasses(passes)


def search(
    rows: Block, classes: int = 2, *, multinomial: bool = False, intercept: bool = True,
    sample: int | None = None,
) -> Separation:  # fmt: skip
    """What the search finds, checked: its direction on all rows, and its number of readings."""
    family = MULTINOMIAL if multinomial or classes > 2 else BINOMIAL
    passes = passes_over(rows, sample=sample)
    found = find_separation(passes, family, classes, intercept=intercept)
    assert found.readings == len(passes.asked)
    assert found.direction.shape == (family.margins(classes), rows.features + 1)
    if found.kind in ("none", "unknown"):
        assert not found.direction.any()
        return found
    compared = comparisons(rows, classes, per_class=family.per_class, intercept=intercept)
    moves, sizes = compared @ found.direction.ravel(), abs(compared) @ abs(found.direction).ravel()
    terms = np.count_nonzero(found.direction.any(axis=0))
    assert (moves >= -64 * terms * 2.0**-52 * sizes).all()
    assert set(np.flatnonzero(found.direction[:, :-1].any(axis=0))) <= set(found.features)
    assert found.rows == sum(found.labels) > 0
    return found


def comparisons(rows: Block, classes: int, *, per_class: bool, intercept: bool) -> Array:
    """a for each row with a weight and each other label, by the definition: (m, C (p + 1))."""
    matrix = rows.to_dense().matrix
    found = []
    for i, label in enumerate(rows.labels.astype(int)):
        if rows.weights is not None and rows.weights[i] == 0:
            continue
        x = np.append(matrix[i], float(intercept))
        if not per_class:
            found.append(x if label == 1 else -x)
            continue
        for other in set(range(classes)) - {int(label)}:
            a = np.zeros((classes, len(x)))
            a[label], a[other] = x, -x
            found.append(a.ravel())
    return np.array(found)


def movable(compared: Array) -> BoolArray:
    """Which comparisons some direction raises: maximise sum t, a . d >= t, 0 <= t <= 1."""
    count, width = compared.shape
    scaled = compared / np.maximum(abs(compared).max(axis=0), 1e-300)
    answer = linprog(
        np.repeat((0.0, -1.0), (width, count)),
        A_ub=np.hstack((-scaled, np.eye(count))),
        b_ub=np.zeros(count),
        bounds=[(None, None)] * width + [(0, 1)] * count,
    )
    moved = answer.x[width:]
    assert ((moved < 1e-6) | (moved > 1 - 1e-6)).all()
    return np.asarray(moved > 0.5)


def kind_of(moved: BoolArray) -> str:
    return "complete" if moved.all() else "quasi-complete" if moved.any() else "none"


def infinite(compared: Array) -> BoolArray:
    """Which coordinates some direction changes, (q,), for comparisons of full rank."""
    width = compared.shape[1]
    scaled = compared / np.maximum(abs(compared).max(axis=0), 1e-300)
    found = np.zeros(width, dtype=bool)
    for j in range(width):
        for sign in (1.0, -1.0):
            cost = np.zeros(width)
            cost[j] = -sign
            answer = linprog(cost, A_ub=-scaled, b_ub=np.zeros(len(scaled)), bounds=(-1, 1))
            found[j] |= -answer.fun > 1e-6
    return found
