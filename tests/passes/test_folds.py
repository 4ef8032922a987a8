"""Folds of rows in passes: what leaves one out, wherever the rows lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.fitting.plan import WithoutFold, fit_all, fit_without_folds
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.moments import Moments, merge_all
from sparklr.objective.sums import Probe
from sparklr.packing.source import PackSettings
from sparklr.passes.jobs import SparkPasses, open_passes
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes
from sparklr.rows.blocks import Block
from tests.passes.asking import held_out, total
from tests.passes.contract import CASES, NAMES, RELATIVE, Rows, direct_sums, probes_of

pytestmark = [pytest.mark.connect, pytest.mark.usefixtures("nothing_left")]

FOLDS = np.array([0, 1, 2, 6])
LOCAL = PackSettings(block_bytes=2_000, slots=2, folded=True)
FILES = replace(LOCAL, local_bytes=0)
KINDS = {
    "local": LOCAL,  # few rows: they came to the driver
    "near": FILES,  # in files that this process reads
    "files": FILES,  # in files that Spark's workers read
    "shipped": replace(FILES, files=False),  # in what Spark persists
}


@dataclass(frozen=True, eq=False)
class Folded:
    """Rows, the fold of each, and passes over them."""

    rows: Rows
    folds: Array
    passes: Passes

    def part(self, chosen: Any) -> Rows:
        """Some of the rows."""
        rows = self.rows
        kinds = np.asarray(rows.sparse)[chosen].tolist()
        return Rows(rows.matrix[chosen], rows.labels[chosen], rows.weights[chosen], kinds)

    def probes(self) -> list[Probe]:
        """Probes that leave out each fold, none, and one that does not occur."""
        left: list[int | None] = [2, None, 6, 0, 0, 1, 2, 3]
        probes = probes_of("mixed", self.rows)
        return [
            replace(probes[at % len(probes)], without=fold)
            for at, fold in enumerate([*left, *left])
        ]


@contextmanager
def folded(spark: Any, name: str, storage: PackSettings, partitions: int = 2) -> Iterator[Folded]:
    """Passes over a case's rows, each of which has a fold."""
    rows = CASES[name]()
    folds = np.random.default_rng(5).choice(FOLDS, len(rows.labels), p=[0.4, 0.3, 0.2, 0.1])
    # The frame's label carries both.
    marked = replace(rows, labels=rows.labels + 10 * folds)
    frame = marked.frame(spark, partitions).select(
        F.unwrap_udt("features").alias("features"),
        (F.col("label") % 10).alias("label"),
        "weight",
        F.floor(F.col("label") / 10).cast("double").alias("fold"),
    )
    with open_passes(frame, NAMES, storage) as passes:
        yield Folded(rows, folds, passes)


@contextmanager
def of_kind(spark: Any, kind: str, name: str) -> Iterator[Folded]:
    """As above, with what tells the kinds of storage apart."""
    with pytest.MonkeyPatch.context() as patch:
        threads = 1 if kind in ("files", "shipped") else 2
        patch.setattr("sparklr.passes.jobs.useful_threads", lambda _: threads)
        with folded(spark, name, KINDS[kind]) as case:
            passes = case.passes
            assert isinstance(passes, LocalPasses if kind == "local" else SparkPasses)
            if isinstance(passes, SparkPasses):
                assert passes.packing.has_files == (kind != "shipped")
                assert (passes._mapped is not None) == (kind == "near")
            yield case


def assert_sums(case: Folded, probes: list[Probe]) -> None:
    """One reading's sums are those of the rows that each probe counts."""
    flat, begin = total(case.passes, probes), 0
    for probe in probes:
        counted = case.part(case.folds != probe.without)
        expected, sizes = direct_sums(probe, counted, case.passes.moments.origin)
        found = flat[begin : begin + probe.length]
        assert (np.abs(found - expected) <= RELATIVE * sizes).all()
        begin += probe.length
    assert begin == len(flat)


def in_order(table: Array) -> Array:
    """Rows in an order that does not depend on the one they came in."""
    return table[np.lexsort(np.round(table, 6).T)]


def assert_held_out(case: Folded, probes: list[Probe]) -> None:
    """Each fold's rows come once, with the margins of the probes that leave it out."""
    origin = case.passes.moments.origin
    blocks = held_out(case.passes, probes)
    assert {block.fold for block in blocks} == set(FOLDS.tolist())
    for fold in FOLDS.tolist():
        rows = case.part((case.folds == fold) & case.rows.kept)
        matrix = rows.matrix.astype(np.longdouble) - (0.0 if origin is None else origin)
        mine = [probe for probe in probes if probe.without == fold]
        parts = [matrix @ probe.coefficients.T + probe.offsets for probe in mine]
        margins = np.column_stack(parts) if parts else np.zeros((len(rows.labels), 0))
        expected = np.column_stack((margins, rows.labels, rows.weights)).astype(float)
        found = np.vstack([table_of(block) for block in blocks if block.fold == fold])
        scale = max(1.0, np.abs(rows.matrix).max())
        assert_allclose(in_order(found), in_order(expected), rtol=1e-12, atol=1e-12 * scale)


def table_of(block: Block) -> Array:
    weights = np.ones(block.rows) if block.weights is None else block.weights
    return np.column_stack((block.matrix, block.labels, weights))


def assert_moments_alike(found: Moments, expected: Moments) -> None:
    for name in ("rows", "nonzeros", "labels", "minimum", "maximum"):
        assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("weight", "weight_squares", "mean", "variance", "label_weights"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12)


def marks_of(kind: str, name: str) -> Any:
    """`make test` has one case of each kind of storage, as on Spark Connect, and one far case."""
    if name == "both":
        return pytest.mark.connect_slice
    return () if (kind, name) == ("local", "far sparse") else pytest.mark.deep


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=marks_of(kind, name))
        for kind in KINDS
        for name in ("both", "far sparse", "sparse", "far dense")
    ],
)
def test_a_reading_leaves_out_what_probes_say(spark: Any, kind: str, name: str) -> None:
    with of_kind(spark, kind, name) as case:
        probes = case.probes()
        assert_sums(case, probes)
        assert_held_out(case, probes)
        assert_sums(case, [probe for probe in probes if probe.without == 6])
        assert_held_out(case, [probe for probe in probes if probe.without == 6])
        assert total(case.passes, probes).tobytes() == total(case.passes, probes).tobytes()


@pytest.mark.parametrize("kind", ["local", "files"])
def test_moments_of_folds_merge_to_those_of_the_rest(spark: Any, kind: str) -> None:
    with of_kind(spark, kind, "sparse") as case:
        passes = case.passes
        assert list(passes.folds) == FOLDS.tolist()
        assert_moments_alike(merge_all(passes.folds.values()), passes.moments)
        for fold in FOLDS.tolist():
            others = [its for other, its in passes.folds.items() if other != fold]
            for found, chosen in (
                (merge_all(others), case.folds != fold),
                (passes.folds[fold], case.folds == fold),
            ):
                assert_moments_alike(found, alone(case.part(chosen & case.rows.kept)).moments)


def alone(rows: Rows) -> LocalPasses:
    """Passes over rows without folds."""
    return LocalPasses.of([Block(rows.matrix, rows.labels, rows.weights)], rows.matrix.shape[1])


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param("one", marks=pytest.mark.connect_slice),
        pytest.param("all", marks=pytest.mark.deep),
    ],
)
@pytest.mark.parametrize("kind", ["near", "files"])
def test_files_that_are_lost_are_made_up_for(spark: Any, kind: str, lost: str) -> None:
    for judged_first in (False, True):
        with of_kind(spark, kind, "both") as case:
            probes = case.probes()
            whole = total(case.passes, probes)
            assert isinstance(case.passes, SparkPasses)
            files = [
                file
                for folder in case.passes.packing.folders or ()
                for file in Path(folder).iterdir()
            ]
            for file in sorted(files)[: 1 if lost == "one" else None]:
                file.unlink()
            if judged_first:
                assert_held_out(case, probes)
            assert_allclose(total(case.passes, probes), whole, rtol=1e-12, atol=1e-12)
            assert_held_out(case, probes)


def test_rows_without_folds(spark: Any) -> None:
    rows = CASES["both"]()
    columns = [F.unwrap_udt("features").alias("features"), "label", "weight"]
    frame = rows.frame(spark, 2).select(*columns)
    with open_passes(frame, NAMES, replace(LOCAL, folded=False)) as passes:
        assert passes.folds == {}
        assert_moments_alike(passes.moments, alone(rows).moments)


SPECS = {
    "plain": Spec(MULTINOMIAL, 0.01, 0.0, True, True, 500, 1e-11),
    "l1": Spec(MULTINOMIAL, 0.02, 0.9, True, True, 500, 1e-11),
    "through zero": Spec(MULTINOMIAL, 0.05, 0.3, False, False, 500, 1e-11),
}


@pytest.mark.parametrize("kind", ["local", "files"])
def test_fits_without_a_fold_are_fits_of_the_other_rows(spark: Any, kind: str) -> None:
    with of_kind(spark, kind, "both") as case:
        whole, _ = fit_all(SPECS, case.passes, 3)
        folds = FOLDS.tolist()
        members = {
            (name, fold, near): WithoutFold(fold, spec, 3, whole[name] if near else None)
            for name, spec in SPECS.items()
            for fold in folds
            for near in (True, False)
        }
        found, readings = fit_without_folds(members, case.passes)
        assert list(found) == list(members)
        assert readings > 0
        for fold in folds:
            expected, _ = fit_all(SPECS, alone(case.part(case.folds != fold)), 3)
            for name, its in expected.items():
                for near in (True, False):
                    fit = found[name, fold, near]
                    assert fit.converged
                    assert_allclose(fit.coefficients, its.coefficients, atol=1e-6)
                    assert_allclose(fit.intercepts, its.intercepts, atol=1e-6)
                    assert_allclose(fit.loss, its.loss, rtol=1e-7)
                assert np.abs(whole[name].coefficients - its.coefficients).max() > 1e-3


def test_a_fold_may_have_all_rows_of_a_class_or_of_a_feature() -> None:
    """Without it, one class and one feature less: no less than in a fit of the other rows."""
    rows = CASES["both"]()
    folds = np.where(rows.labels == 2, 1, 0)
    folds[::5] = 0
    labels = np.where((folds == 0) & (rows.labels == 2), 1.0, rows.labels)
    matrix = rows.matrix.copy()
    matrix[folds == 0, 3] = 0.0
    blocks = [
        Block(matrix[here], labels[here], None, fold)
        for fold, here in ((0, folds == 0), (1, folds == 1))
    ]
    parts = {block.fold: LocalPasses.of([block], 8).moments for block in blocks}
    passes = replace(LocalPasses.of(blocks, 8), folds=parts)
    spec = Spec(BINOMIAL, 0.01, 0.0, True, True, 500, 1e-11)
    found, _ = fit_without_folds({"it": WithoutFold(1, spec, 2, None)}, passes)
    expected, _ = fit_all({"it": spec}, LocalPasses.of(blocks[:1], 8), 2)
    assert_allclose(found["it"].coefficients, expected["it"].coefficients, atol=1e-6)
    assert found["it"].coefficients[0, 3] == 0.0
