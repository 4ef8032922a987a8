"""Specs, passes over one block, and fits of them, for tests without Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, Family
from sparklr.objective.moments import Moments
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import Part, Reading
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName

SMOOTH: list[SolverName] = ["newton", "l-bfgs"]
WITH_L1: list[SolverName] = ["proximal-newton", "proximal-bfgs", "owl-qn"]
SPECS: dict[str, Spec] = {
    **{name: Spec(BINOMIAL, regParam=0.02, solver=name) for name in SMOOTH},
    **{name: Spec(BINOMIAL, regParam=0.02, elasticNetParam=0.5, solver=name) for name in WITH_L1},
}
every_spec = pytest.mark.parametrize("name", SPECS)


@dataclass(frozen=True, eq=False)
class CountedPasses:
    """Local passes that remember how many probes each reading had."""

    inner: LocalPasses
    local: bool = False
    jobs: bool = False
    readings: list[int] = field(default_factory=list)

    @property
    def slots(self) -> int:
        return self.inner.slots

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
        self.readings.append(len(reading.probes))  # type: ignore[attr-defined]
        return self.inner.read(reading)


def pass_over(block: Block, *, pieces: int = 1, sample: int | None = None) -> LocalPasses:
    """Passes over a block in pieces; with a sample of its first rows, or of all of them."""
    parts = [block.take(rows) for rows in np.array_split(np.arange(block.rows), pieces)]
    passes = LocalPasses.of(parts, block.features)
    return replace(passes, sample=block if sample is None else block.take(slice(0, sample)))


def fit_one(spec: Spec, passes: LocalPasses, classes: int = 2) -> Fit:
    fits, _ = fit_all({0: spec}, passes, classes)
    return fits[0]


def mixed_specs(family: Family) -> dict[str, Spec]:
    """Specs that differ in penalty, scaling, solver, and in how many rounds they take."""
    specs = {name: replace(spec, family=family) for name, spec in SPECS.items()}
    specs |= {
        f"{strength} {mixing}": Spec(family, regParam=strength, elasticNetParam=mixing)
        for strength in (0.0, 0.01, 1.0)
        for mixing in (0.0, 0.7)
    }
    specs["no intercept"] = Spec(family, fitIntercept=False)
    specs["original scale"] = Spec(family, regParam=0.3, standardization=False)
    specs["one step"] = Spec(family, maxIter=1)
    specs["start"] = Spec(family, maxIter=0)
    return specs


def assert_same_fit(one: Fit, other: Fit, tolerance: float) -> None:
    assert_allclose(one.coefficients, other.coefficients, rtol=tolerance, atol=tolerance)
    assert_allclose(one.intercepts, other.intercepts, rtol=tolerance, atol=tolerance)
    assert_allclose(one.history, other.history, rtol=tolerance)
    assert (one.solver, one.reason, one.converged) == (other.solver, other.reason, other.converged)
