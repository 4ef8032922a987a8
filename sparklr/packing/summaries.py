"""Summaries of the packed partitions, and their merge.

A summary has moments, a random sample, and the faults of the rows. Workers write summaries, and the
driver checks and merges them; neither needs Spark for this.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.moments import Moments, merge_all, no_rows
from sparklr.packing.sample import smallest_keys
from sparklr.rows.blocks import Block
from sparklr.rows.checks import ColumnNames, RowFaults

# Rows of the sample: so many that a fit from its optimum takes only a few Newton steps.
SAMPLE_ROWS = 10_000
# Rows of the wider sample, and how many times as many rows there must be in all. From the optimum
# of so many rows, Newton's method takes a reading less, which pays where a reading is a job.
WIDER_ROWS, WIDER_RATIO = 20_000, 10


@dataclass(frozen=True, eq=False)
class PartitionSummary:
    """The summary of a partition; `features` is None if it has no row with features."""

    partition: int
    features: int | None
    blocks: int
    seen: int  # number of rows, including those of weight 0
    folds: Mapping[int, Moments]  # moments of each fold's rows; only fold 0 if there are no folds
    sample: Block
    keys: Array  # random keys of the sample: the smallest keys of all partitions are sampled
    faults: RowFaults
    folders: tuple[str, ...] = ()  # the folders of the block files
    run: int = 0  # the run in the names of the block files
    lengths: tuple[int, ...] = ()  # the lengths of the block files; -1 for a block without file
    held: Mapping[int, Moments] = field(default_factory=dict)  # as `folds`, of held-out rows

    def to_bytes(self) -> bytes:
        """Return the summary as plain arrays, so that nothing is unpickled."""
        counts = [-1 if self.features is None else self.features, self.blocks, self.seen]
        arrays: dict[str, Any] = {
            "counts": np.array([self.partition, *counts]),
            "keys": self.keys,
            "sample": np.frombuffer(self.sample.to_bytes(), dtype=np.uint8),
            "rules": np.array(list(self.faults.counts), dtype=str),
            "broken": np.array(list(self.faults.counts.values()), dtype=np.int64),
            "examples": np.array(list(self.faults.examples.values()), dtype=str),
            "folders": np.array(self.folders, dtype=str),
            "run": np.array(self.run),
            "lengths": np.array(self.lengths, dtype=np.int64),
        }
        for use, parts in (("moments", self.folds), ("held", self.held)):
            for fold, moments in parts.items():
                arrays |= {f"{use}_{fold}_{name}": it for name, it in moments.to_arrays().items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @property
    def moments(self) -> Moments:
        """The moments of all rows but those held out."""
        return merge_all(self.folds.values())

    @staticmethod
    def from_bytes(payload: bytes) -> PartitionSummary:
        """Read a summary: the inverse of `to_bytes`."""
        with np.load(io.BytesIO(payload), allow_pickle=False) as file:
            arrays = dict(file)
        partition, features, blocks, seen = (int(count) for count in arrays["counts"])
        rules = [str(rule) for rule in arrays["rules"]]
        faults = RowFaults(
            dict(zip(rules, (int(count) for count in arrays["broken"]), strict=True)),
            dict(zip(rules, (str(text) for text in arrays["examples"]), strict=True)),
        )
        return PartitionSummary(
            partition,
            None if features < 0 else features,
            blocks,
            seen,
            _moments_in(arrays, "moments"),
            Block.from_buffer(arrays["sample"]),
            arrays["keys"],
            faults,
            tuple(str(folder) for folder in arrays["folders"]),
            int(arrays["run"]),
            tuple(int(length) for length in arrays["lengths"]),
            _moments_in(arrays, "held"),
        )


def _moments_in(arrays: Mapping[str, Array], use: str) -> dict[int, Moments]:
    """Return the moments by fold among a summary's arrays."""
    folds: dict[int, dict[str, Array]] = {}
    for name, value in arrays.items():
        if name.startswith(f"{use}_"):
            _, fold, part = name.split("_", 2)
            folds.setdefault(int(fold), {})[part] = value
    return {fold: Moments.from_arrays(its) for fold, its in folds.items()}


@dataclass(frozen=True, eq=False)
class Merged:
    """What the summaries of all partitions tell: moments by fold, and samples of the rows.

    held : the moments by fold of held-out rows, which are in neither `folds` nor the samples
    """

    folds: dict[int, Moments]
    held: dict[int, Moments]
    sample: Block
    wider_sample: Block


def check_and_merge(summaries: Sequence[PartitionSummary], names: ColumnNames) -> Merged:
    """Return each fold's moments, a sample and a wider one, or raise an error for invalid rows.

    If the rows are few, or the summaries have no more rows, the wider sample is the sample.
    """
    faults = RowFaults()
    features: int | None = None
    folds: dict[int, Moments] = {}
    held: dict[int, Moments] = {}
    for summary in summaries:
        faults.merge(summary.faults)
        if summary.features is None:
            continue
        if features is not None and summary.features != features:
            example = f"size {summary.features} instead of {features}"
            faults.add("size", summary.seen, example)
        elif not faults:
            features = summary.features
            for known, parts in ((folds, summary.folds), (held, summary.held)):
                for fold, its in parts.items():
                    known[fold] = known[fold].merge(its) if fold in known else its
    if faults:
        raise ValueError(faults.sentence(names))
    if features is None or sum(summary.seen for summary in summaries) == 0:
        raise ValueError("The data set is empty: it has no rows to fit. Pass at least one row.")
    moments = merge_all(folds.values())
    if names.held:
        check_held(moments, merge_all([no_rows(features), *held.values()]), names)
    if moments.rows == 0:
        raise ValueError(
            f"{names.subject('weight')}: all weights are zero. Give at least one row a weight "
            "above zero."
        )
    check_magnitudes(moments, names)
    samples = [(summary.keys, summary.sample) for summary in summaries if len(summary.keys)]
    keys, most = smallest_keys(samples, WIDER_ROWS)
    _, sample = smallest_keys([(keys, most)], SAMPLE_ROWS)
    wider = most if moments.rows >= WIDER_RATIO * WIDER_ROWS else sample
    return Merged(dict(sorted(folds.items())), dict(sorted(held.items())), sample, wider)


def check_held(fitted: Moments, held: Moments, names: ColumnNames) -> None:
    """Refuse rows of which all or none are held out."""
    if fitted.rows and held.rows:
        return
    value, kind = ("true", "fitted") if held.rows else ("false", "held out")
    if fitted.rows or held.rows:  # else all weights are zero
        raise ValueError(
            f"{names.subject('held')} is {value} in every row of weight above 0, so no row is "
            f"{kind}. Hold some rows out, e.g. df.withColumn('{names.held}', F.rand(1) < 0.2)."
        )


def check_magnitudes(moments: Moments, names: ColumnNames) -> None:
    """Refuse features and weights whose squares or sums overflow or underflow in float64."""
    # Minimum and maximum show that the column is not constant; its spread is only rounding.
    tiny = (moments.maximum > moments.minimum) & (moments.spread < 1e-280)
    if tiny.any() and np.isfinite(moments.spread).all() and 1e-150 < moments.weight < 1e150:
        at = int(np.flatnonzero(tiny)[0])
        raise ValueError(
            f"{names.subject('features')}: {names.feature(at)} has values from "
            f"{moments.minimum[at]:g} to {moments.maximum[at]:g}, and the squares of such "
            "differences vanish. Rescale it, e.g. multiply by 1e100, or leave it out."
        )
    bad = np.flatnonzero(~np.isfinite(moments.spread) | ~np.isfinite(moments.mean))
    if len(bad):
        low, high = moments.minimum[bad[0]], moments.maximum[bad[0]]
        raise ValueError(
            f"{names.subject('features')}: {names.feature(int(bad[0]))} has values from {low:g} "
            f"to {high:g}, and the squares of such values overflow. Rescale it, e.g. divide by "
            "1e100."
        )
    if moments.rows and not 1e-150 < moments.weight < 1e150:
        raise ValueError(
            f"{names.subject('weight')}: the weights add up to {moments.weight:g}, but their sum "
            "must lie between 1e-150 and 1e150. Multiply all weights by one number; only their "
            "ratios matter."
        )
