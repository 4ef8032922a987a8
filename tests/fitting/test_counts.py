"""A guard on speed that no slow machine sets off: what fits ask for, against recorded counts.

Each case is a kind of rows of docs/benchmarks.md, small and in memory. Counted are the bytes of the
packed features, the readings of the rows, the margins that they compute, the Hessians that they sum
and what these take in multiplications (objective/hessians.py). If each reading is a Spark job, as
in the cases named cluster-, packing and the removal of its files are jobs too.
counts.json is written by

    python -m tests.fitting.test_counts
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.hessians import multiplications
from sparklr.passes.local import LocalPasses
from sparklr.passes.readings import Part, Reading
from sparklr.rows.blocks import Block
from tests.fitting.fits import CountedPasses
from tests.fitting.one_hot import one_hot_rows, with_sample
from tests.fitting.test_l1_in_memory import words

RECORDED = Path(__file__).with_name("counts.json")
ROWS, SAMPLE = 45_000, 10_000


def drawn(draw: data.Features, classes: int = 2, share: float = 1.0) -> LocalPasses:
    """Rows as the benchmarks draw them, with labels of their true model."""
    generator = np.random.default_rng(11)
    features = draw(generator, ROWS)
    truth = data.true_model(draw, 1 if classes == 2 else classes, share)
    return with_sample(Block(features, truth.labels(generator, features), None), SAMPLE)


WELL, CORRELATED = data.Normal(30), data.correlated(60, 1e3)
GRID = [
    Spec(BINOMIAL, regParam=float(strength), elasticNetParam=mixing)
    for strength in np.geomspace(1e-4, 1e-1, 6)
    for mixing in (0.0, 1.0)
]
CASES: dict[str, tuple[Callable[[], LocalPasses], list[Spec], int]] = {
    "well": (lambda: drawn(WELL), [Spec(BINOMIAL, 0.01)], 2),
    "corr": (lambda: drawn(CORRELATED, share=0.25), [Spec(BINOMIAL, 1e-4)], 2),
    "corr-l1": (lambda: drawn(CORRELATED, share=0.25), [Spec(BINOMIAL, 1e-4, 1.0)], 2),
    "corr-en": (lambda: drawn(CORRELATED, share=0.25), [Spec(BINOMIAL, 1e-3, 0.5)], 2),
    "unpenalised": (lambda: drawn(data.mixed_kinds), [Spec(BINOMIAL)], 2),
    "inferred": (lambda: drawn(data.mixed_kinds), [Spec(BINOMIAL, inference=True)], 2),
    "multi": (lambda: drawn(WELL, 4), [Spec(MULTINOMIAL, 1e-3)], 4),
    "multi-l1": (lambda: drawn(WELL, 4), [Spec(MULTINOMIAL, 1e-3, 1.0)], 4),
    "onehot": (lambda: with_sample(one_hot_rows(1, ROWS), SAMPLE), [Spec(BINOMIAL, 1e-4)], 2),
    "onehot-l1": (
        lambda: with_sample(one_hot_rows(1, ROWS), SAMPLE), [Spec(BINOMIAL, 1e-4, 1.0)], 2,
    ),
    "words": (lambda: words(3), [Spec(MULTINOMIAL, 1e-3)], 3),
    "words-l1": (lambda: words(2), [Spec(BINOMIAL, 1e-2, 1.0)], 2),
    "grid": (lambda: drawn(WELL), GRID, 2),
    "cluster-well": (lambda: drawn(WELL), [Spec(BINOMIAL, 0.01)], 2),
    "cluster-corr": (lambda: drawn(CORRELATED, share=0.25), [Spec(BINOMIAL, 1e-4)], 2),
    "cluster-grid": (lambda: drawn(WELL), GRID, 2),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Work(CountedPasses):
    """Passes that also count margins, Hessians and multiplications."""

    margins: list[int] = field(default_factory=list)
    hessians: list[int] = field(default_factory=list)
    multiplied: list[float] = field(default_factory=list)

    def read(self, reading: Reading[Part]) -> Part:
        probes = reading.probes  # type: ignore[attr-defined]
        self.margins.append(sum(probe.margins for probe in probes))
        self.hessians.append(sum(probe.order == 2 for probe in probes))
        # Products for the margins, as many again for the slopes, and those of Hessians.
        for block, probe in product(self.inner.blocks, probes):
            products = (1 + (probe.order > 0)) * probe.margins * block.stored
            if probe.order == 2:
                products += block.rows * probe.margins**2 * multiplications(block.matrix)
            self.multiplied.append(products)
        return super().read(reading)


def counted(name: str) -> dict[str, object]:
    """Fit a case and count."""
    make, specs, classes = CASES[name]
    passes = make()
    work = Work(passes, jobs=name.startswith("cluster-"))
    fits, _ = fit_all(dict(enumerate(specs)), work, classes)
    assert all(fit.converged for fit in fits.values())
    return {
        "solvers": sorted({fit.solver for fit in fits.values()}),
        "bytes": sum(block.matrix_bytes for block in passes.blocks),
        "jobs": len(work.readings) + 2 if work.jobs else 0,
        "readings": len(work.readings),
        "margins": sum(work.margins),
        "hessians": sum(work.hessians),
        "multiplications": round(sum(work.multiplied)),
    }


@pytest.mark.parametrize("name", CASES)
def test_no_fit_asks_for_more_than_recorded(name: str) -> None:
    recorded, found = json.loads(RECORDED.read_text())[name], counted(name)
    assert found.pop("solvers") == recorded.pop("solvers")
    for what, count in found.items():
        # Another BLAS rounds otherwise, which may cost a reading.
        one = recorded[what] / recorded["readings"] if what == "multiplications" else 1
        assert count <= 1.2 * recorded[what] + one, what


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: counted(name) for name in CASES}, indent=1) + "\n")
