"""What a packing tells besides its blocks: each partition's summary, and all of them merged.

Moments, a random sample, and what is wrong with the rows. Workers write it, the driver checks it;
neither needs Spark for that.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparklr.arrays import Array
from sparklr.objective.moments import Moments, merge_all
from sparklr.rows.blocks import Block, stack_rows
from sparklr.rows.checks import ColumnNames, RowFaults

# Rows of the sample: enough that a start from its optimum leaves a few Newton steps.
SAMPLE_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class PartitionSummary:
    """What a partition tells besides its blocks; `features` is None if it has no valid row."""

    partition: int
    features: int | None
    blocks: int
    seen: int  # rows, those of weight 0 included
    folds: Mapping[int, Moments]  # of each fold's rows: 0 alone where rows have no folds
    sample: Block
    keys: Array  # the sample's random keys: the smallest of all keys make the whole sample
    faults: RowFaults
    folders: tuple[str, ...] = ()  # where its block files lie,
    run: int = 0  # what names them,
    lengths: tuple[int, ...] = ()  # and how long they are; -1 for a block without one

    def to_bytes(self) -> bytes:
        """As plain arrays: nothing is ever unpickled."""
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
        for fold, moments in self.folds.items():
            arrays |= {f"moments_{fold}_{name}": it for name, it in moments.to_arrays().items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @property
    def moments(self) -> Moments:
        """Of all its rows."""
        return merge_all(self.folds.values())

    @staticmethod
    def from_bytes(payload: bytes) -> PartitionSummary:
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(payload), allow_pickle=False) as file:
            arrays = dict(file)
        partition, features, blocks, seen = (int(count) for count in arrays["counts"])
        folds: dict[int, dict[str, Array]] = {}
        for name, value in arrays.items():
            if name.startswith("moments_"):
                _, fold, field = name.split("_", 2)
                folds.setdefault(int(fold), {})[field] = value
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
            {fold: Moments.from_arrays(its) for fold, its in folds.items()},
            Block.from_buffer(arrays["sample"]),
            arrays["keys"],
            faults,
            tuple(str(folder) for folder in arrays["folders"]),
            int(arrays["run"]),
            tuple(int(length) for length in arrays["lengths"]),
        )


def check_and_merge(
    summaries: Sequence[PartitionSummary], names: ColumnNames
) -> tuple[dict[int, Moments], Block]:
    """Each fold's moments and a sample, or an error that says what is wrong with the rows."""
    faults = RowFaults()
    features: int | None = None
    folds: dict[int, Moments] = {}
    for summary in summaries:
        faults.merge(summary.faults)
        if summary.features is None:
            continue
        if features is not None and summary.features != features:
            example = f"size {summary.features} instead of {features}"
            faults.add("size", summary.seen, example)
        elif not faults:
            features = summary.features
            for fold, its in summary.folds.items():
                folds[fold] = folds[fold].merge(its) if fold in folds else its
    if faults:
        raise ValueError(faults.sentence(names))
    if features is None or sum(summary.seen for summary in summaries) == 0:
        raise ValueError("The data set is empty: there are no rows to fit. Pass at least one row.")
    moments = merge_all(folds.values())
    if moments.rows == 0:
        raise ValueError(
            f"{names.subject('weight')}: all weights are zero, so no row counts. "
            "Give at least one row a weight above zero."
        )
    check_magnitudes(moments, names)
    samples = [(summary.keys, summary.sample) for summary in summaries if len(summary.keys)]
    _, sample = smallest_keys(samples, SAMPLE_ROWS)
    return dict(sorted(folds.items())), sample


def check_magnitudes(moments: Moments, names: ColumnNames) -> None:
    """Refuse numbers whose squares, or whose sums, leave what a float64 can hold."""
    # Told from a constant column by its ends: what is left of such squares is rounding.
    tiny = (moments.maximum > moments.minimum) & (moments.spread < 1e-280)
    if tiny.any() and np.isfinite(moments.spread).all() and 1e-150 < moments.weight < 1e150:
        at = int(np.flatnonzero(tiny)[0])
        raise ValueError(
            f"{names.subject('features')}: {names.feature(at)} runs from {moments.minimum[at]:g} "
            f"to {moments.maximum[at]:g}, and the squares of such differences vanish. Rescale it, "
            "e.g. multiply by 1e100, or leave it out."
        )
    bad = np.flatnonzero(~np.isfinite(moments.spread) | ~np.isfinite(moments.mean))
    if len(bad):
        low, high = moments.minimum[bad[0]], moments.maximum[bad[0]]
        raise ValueError(
            f"{names.subject('features')}: {names.feature(int(bad[0]))} runs from {low:g} to "
            f"{high:g}, and the squares of such values overflow. Rescale it, e.g. divide by 1e100."
        )
    if moments.rows and not 1e-150 < moments.weight < 1e150:
        raise ValueError(
            f"{names.subject('weight')}: the weights add up to {moments.weight:g}, beyond what "
            "can be computed with. Multiply all by one number; only their ratios count."
        )


def smallest_keys(samples: list[tuple[Array, Block]], most: int) -> tuple[Array, Block]:
    """The `most` rows with the smallest keys among all samples: a sample of all their rows."""
    keys = np.concatenate([keys for keys, _ in samples])
    whole = stack_blocks([block for _, block in samples])
    if len(keys) <= most:
        return keys, whole
    chosen = np.sort(np.argpartition(keys, most)[:most])
    return keys[chosen], whole.take(chosen)


def stack_blocks(blocks: list[Block]) -> Block:
    """The rows of all blocks as one."""
    weights = None
    if any(block.weights is not None for block in blocks):
        weights = np.concatenate(
            [np.ones(b.rows) if b.weights is None else b.weights for b in blocks]
        )
    matrix = stack_rows([block.matrix for block in blocks])
    return Block(matrix, np.concatenate([block.labels for block in blocks]), weights)
