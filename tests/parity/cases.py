"""Drawn problems: what to fit, as plain data, and how Hypothesis draws it.

A case names a seed and what its data are like; the data follow from these. `make_differential.py`
draws the cases and records what Spark makes of them, in `differential.json`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vectors

from tests.parity.objective import Array, Setting

# The same cases in every run.
REPEATABLE = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

KINDS = (
    "plain", "plain", "plain", "sparse", "large", "small", "correlated", "the same", "constant",
    "zero",
)  # fmt: skip
LABELS = ((0, 1), (0, 1), (0, 1), (0, 1, 2), (0, 1, 2), (0, 1, 2, 3), (0, 2), (0, 1, 3), (1,))
COEFFICIENTS = ["lowerBoundsOnCoefficients", "upperBoundsOnCoefficients"]
INTERCEPTS = ["lowerBoundsOnIntercepts", "upperBoundsOnIntercepts"]
FAULTS = (
    "too wide", "too many", "crossing", "no intercept", "no such label", "no such weight",
    "disagreeing", "another length", "depth", "penalty", "binomial of many",
)  # fmt: skip


def matrix(values: Array) -> DenseMatrix:
    return DenseMatrix(*values.shape, values.ravel().tolist(), isTransposed=True)


def _rounded(value: Any) -> list[str]:
    """The numbers of a vector or matrix, without the digits in which machines may differ."""
    return [f"{number:.9g}" for number in np.asarray(value.toArray()).ravel()]


@dataclass(frozen=True)
class Case:
    """What to fit. The data follow from the shape, the kinds and the seed."""

    seed: int
    rows: int
    labels: tuple[int, ...]
    kinds: tuple[str, ...]  # of each feature
    vectors: str
    weighted: bool
    params: dict[str, Any]
    bounds: str
    solver: str
    decision: str
    fault: str

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Case:
        """A case from what `dataclasses.asdict` makes of it, after a way through JSON."""
        lists = {name: tuple(plain[name]) for name in ("labels", "kinds")}
        return cls(**{**plain, **lists})

    @property
    def digest(self) -> str:
        """A hash of all that a fit is given: another recipe's data or Params have another."""
        told = hashlib.sha256()
        for column in self.data:
            told.update(np.ascontiguousarray(column).tobytes())
        told.update(json.dumps(self.all_params(), sort_keys=True, default=_rounded).encode())
        return told.hexdigest()[:16]

    @cached_property
    def data(self) -> tuple[Array, Array, Array]:
        """Features, labels and weights: each label occurs, and the features tell of it a little."""
        rng = np.random.default_rng(self.seed)
        labels = np.array(self.labels, dtype=float)[np.arange(self.rows) % len(self.labels)]
        columns: list[Array] = []
        for kind in self.kinds:
            column = rng.normal(size=self.rows) + 0.4 * rng.normal() * labels
            if kind == "constant":
                column = np.full(self.rows, 2.0)
            elif kind == "zero":
                column = np.zeros(self.rows)
            elif kind == "sparse":
                column = np.where(rng.random(self.rows) < 0.7, 0.0, column)
            elif kind == "large":
                column = 40 * column + 100
            elif kind == "small":
                column = 0.05 * column
            elif kind == "correlated" and columns:
                column = columns[-1] + 0.1 * column
            elif kind == "the same" and columns:
                column = columns[-1].copy()
            columns.append(np.round(column, 4) + 0.0)
        weights = rng.choice([0.0, 0.5, 1.0, 2.0, 3.0], self.rows, p=[0.1, 0.2, 0.3, 0.2, 0.2])
        return np.column_stack(columns), labels, weights if self.weighted else np.ones(self.rows)

    @property
    def occurring(self) -> Array:
        """The labels that weigh anything, ascending."""
        _, labels, weights = self.data
        return np.unique(labels[weights > 0])

    @property
    def classes(self) -> int:
        return int(self.occurring[-1]) + 1

    @property
    def multinomial(self) -> bool:
        family = self.params["family"]
        return bool(family == "multinomial" or (family == "auto" and self.classes > 2))

    @property
    def margins(self) -> int:
        return self.classes if self.multinomial else 1

    @property
    def endless(self) -> bool:
        """Whether some class has no weight, so that an intercept may have no finite optimum."""
        return len(self.occurring) < (self.classes if self.multinomial else 2)

    @property
    def setting(self) -> Setting:
        names = ("regParam", "elasticNetParam", "fitIntercept", "standardization")
        kept = {name: self.params[name] for name in names}
        return Setting(family="multinomial" if self.multinomial else "binomial", **kept)

    def bounding(self) -> dict[str, Any]:
        """The Params of the bounds that the case names; none for a label alone."""
        if len(self.occurring) == 1:
            return {}
        rng = np.random.default_rng(self.seed + 1)
        features, _, weights = self.data
        shape = self.margins, len(self.kinds)
        unit = 1 / np.maximum(features.std(axis=0), 0.1)
        low = -rng.choice([0.0, 0.05, 0.2, 1.0], shape)
        high = rng.choice([0.0, 0.05, 0.2, 1.0], shape)
        if "without zero" in self.bounds:  # but for constant features: there Spark breaks bounds
            away = np.where(np.ptp(features[weights > 0], axis=0) > 0, 1.1, 0.0)
            low, high = low + away, high + away
        around = rng.choice([0.0, 0.1, 0.5], (2, self.margins))
        every = {
            "lowerBoundsOnCoefficients": matrix(low * unit),
            "upperBoundsOnCoefficients": matrix(high * unit),
            "lowerBoundsOnIntercepts": DenseVector(-around[0]),
            "upperBoundsOnIntercepts": DenseVector(around[1]),
        }
        return {name: value for name, value in every.items() if name in self.bounds.split()}

    def deciding(self) -> dict[str, Any]:
        """`threshold`, or as many `thresholds` as there are classes."""
        rng = np.random.default_rng(self.seed + 2)
        if self.decision == "threshold":
            return {"threshold": float(rng.choice([0.0, 0.2, 0.5, 0.7, 1.0]))}
        if self.decision == "thresholds" and self.classes > 1:
            values = rng.choice([0.1, 0.3, 0.5, 0.8], self.classes)
            values[0] *= rng.random() > 0.2
            return {"thresholds": [float(value) for value in values]}
        return {}

    @property
    def threshold(self) -> float:
        """From which probability of label 1 on the binomial family predicts it."""
        decide = self.deciding()
        if "thresholds" not in decide:
            return float(decide.get("threshold", 0.5))
        zero, one = decide["thresholds"]
        return 1 / (1 + zero / one)

    def at_fault(self) -> dict[str, Any]:
        """Params that neither should take, by the name of the mistake."""
        rows, columns = self.margins, len(self.kinds)
        ones = DenseVector([1.0] * rows)
        faults: dict[str, dict[str, Any]] = {
            "": {},
            "binomial of many": {"family": "binomial"},
            "too wide": {"lowerBoundsOnCoefficients": matrix(np.zeros((rows, columns + 1)))},
            "too many": {"upperBoundsOnIntercepts": DenseVector([1.0] * (rows + 1))},
            "crossing": {
                "lowerBoundsOnIntercepts": ones,
                "upperBoundsOnIntercepts": DenseVector([0.0] * rows),
            },
            "no intercept": {"fitIntercept": False, "upperBoundsOnIntercepts": ones},
            "no such label": {"labelCol": "nothing"},
            "no such weight": {"weightCol": "nothing"},
            "disagreeing": {"threshold": 0.3, "thresholds": [0.5, 0.5]},
            "another length": {"thresholds": [1.0] * (self.classes + 1)},
            "depth": {"aggregationDepth": 1},
            "penalty": {"regParam": -1.0},
        }
        return faults[self.fault]

    def all_params(self) -> dict[str, Any]:
        """For Spark's estimator as for ours."""
        params = {**self.params, **self.bounding(), **self.deciding()}
        if self.weighted:
            params["weightCol"] = "weight"
        return {**params, **self.at_fault()}

    def frame(self, spark: Any) -> Any:
        rng = np.random.default_rng(self.seed + 3)
        sparse = {"dense": 0.0, "sparse": 1.0, "mixed": 0.5}[self.vectors]

        def vector(row: Array) -> Any:
            kept = np.flatnonzero(row)
            if rng.random() < sparse:
                return Vectors.sparse(len(row), kept, row[kept])
            return Vectors.dense(row)

        rows = [
            (vector(row), float(label), float(weight))
            for row, label, weight in zip(*self.data, strict=True)
        ]
        return spark.createDataFrame(rows, ["features", "label", "weight"]).coalesce(1)


@st.composite
def cases(draw: Any) -> Case:
    """Always with a penalty, so that there is an optimum, and Spark nearly always finds it."""
    labels = draw(st.sampled_from(LABELS))
    mixing = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    intercept = draw(st.sampled_from([True, True, False]))
    bounds: list[str] = []
    if mixing == 0 and draw(st.booleans()):
        lower, upper = COEFFICIENTS
        bounds += draw(st.sampled_from([[], [lower], [upper], COEFFICIENTS]))
        if intercept:
            lower, upper = INTERCEPTS
            bounds += draw(st.sampled_from([[], [lower], [upper], INTERCEPTS]))
        bounds += draw(st.sampled_from([[], [], ["without zero"]]))
    solvers = ["auto", "auto", "auto", "proximal-newton", "owl-qn"]
    solvers += ["newton", "l-bfgs"] if mixing == 0 and not bounds else []
    return Case(
        seed=draw(st.integers(0, 10**6)),
        rows=draw(st.integers(5, 40)),
        labels=labels,
        kinds=tuple(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))),
        vectors=draw(st.sampled_from(["dense", "sparse", "mixed"])),
        weighted=draw(st.booleans()),
        params={
            "regParam": draw(st.sampled_from([0.01, 0.03, 0.1, 0.3, 1.0, 2.0])),
            "elasticNetParam": mixing,
            "fitIntercept": intercept,
            "standardization": draw(st.booleans()),
            "family": draw(st.sampled_from(["auto", "auto", "multinomial"])),
        },
        bounds=" ".join(bounds),
        solver=draw(st.sampled_from(solvers)),
        decision=draw(st.sampled_from(["", "threshold", "thresholds"])),
        fault="",
    )


@st.composite
def faulty_cases(draw: Any, fault: str) -> Case:
    """With a mistake, and nothing else unusual."""
    labels = draw(st.sampled_from([(0, 1), (0, 1, 2), (0, 2)][fault == "binomial of many" :]))
    return Case(
        seed=draw(st.integers(0, 10**6)),
        rows=10,
        labels=labels,
        kinds=("plain",) * draw(st.integers(1, 3)),
        vectors=draw(st.sampled_from(["dense", "sparse"])),
        weighted=False,
        params={
            "regParam": 0.1,
            "elasticNetParam": 0.0,
            "fitIntercept": True,
            "standardization": True,
            "family": draw(st.sampled_from(["auto", "multinomial"])),
        },
        bounds="",
        solver="auto",
        decision="",
        fault=fault,
    )


def drawn(strategy: Any, count: int) -> list[Case]:
    """So many different cases."""
    found: dict[str, Case] = {}

    @settings(REPEATABLE, max_examples=3 * count)
    @given(strategy)
    def collect(case: Case) -> None:
        found[repr(case)] = case

    collect()
    assert len(found) >= count
    return list(found.values())[:count]
