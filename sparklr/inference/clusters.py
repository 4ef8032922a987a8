"""Sums of scores by cluster, for covariances that allow for rows that belong together.

    u_c = sum over rows i of cluster c of w_i s_i        M = sum_c u_c u_c'

for the scores s_i = d_ik [x_i, 1]. Each partition makes partial sums; a second stage, in which all
those of a cluster are together, merges them, and counts partial sums of rows that have no cluster.
Arrow batches in, Arrow batches out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparklr.arrays import Array
from sparklr.objective.families import Family
from sparklr.rows.arrow import read_numbers, split_features

PARTIAL = "cluster string, sums binary"
PRODUCTS = "clusters long, products binary, lacking long"
# Partial sums are handed on when they take so many bytes.
MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """Partial sums by cluster; the scores are taken relative to `origin`, centred and scaled.

    Batches have columns features, label, cluster and perhaps weight and offset.
    """

    family: Family
    coefficients: Array  # (C, p), of features less the origin
    offsets: Array  # (C,)
    origin: Array  # (p,)
    factors: Array | None = None  # (K,), of the labels' weights

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield partial sums of this partition."""
        side = self.coefficients.shape[0] * (self.coefficients.shape[1] + 1)
        sums: dict[str | None, Array] = {}
        for batch in batches:
            codes = batch.column("cluster").dictionary_encode(null_encoding="encode")
            names = codes.dictionary.to_pylist()
            totals = np.zeros((len(names), side))
            np.add.at(totals, codes.indices.to_numpy(), self._scores(batch))
            for name, total in zip(names, totals, strict=True):
                sums[name] = sums[name] + total if name in sums else total
            if 8 * side * len(sums) > MOST_BYTES:
                yield _batch(sums)
                sums = {}
        if sums:
            yield _batch(sums)

    def _scores(self, batch: pa.RecordBatch) -> Array:
        matrix = split_features(batch)[0].matrix(self.coefficients.shape[1])
        dense = np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())
        dense = dense - self.origin
        margins = dense @ self.coefficients.T + self.offsets
        if "offset" in batch.schema.names:
            margins += read_numbers(batch.column("offset"))[:, None]
        labels = read_numbers(batch.column("label"))
        slopes = self.family.terms(margins, labels, 1).slopes
        if "weight" in batch.schema.names:
            slopes = slopes * read_numbers(batch.column("weight"))[:, None]
        if self.factors is not None:
            slopes = slopes * self.factors[labels.astype(np.int64)][:, None]
        ones = np.column_stack((dense, np.ones(len(dense))))
        return np.asarray((slopes[:, :, None] * ones[:, None, :]).reshape(len(ones), -1))


def products_of_sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield M, the number of clusters, and how many sums have none, for sums in their order."""
    total: Array | None = None
    count, lacking, current, sums = 0, 0, None, np.zeros(0)
    for batch in batches:
        names = batch.column("cluster").to_pylist()
        for name, part in zip(names, batch.column("sums"), strict=True):
            values = np.frombuffer(part.as_buffer(), dtype=np.float64)
            if total is None:
                total = np.zeros((len(values), len(values)))
            if name is None:
                lacking += 1
            elif name == current:
                sums = sums + values
            else:
                total += np.outer(sums, sums) if count else 0.0
                count, current, sums = count + 1, name, values
    if total is not None:
        total += np.outer(sums, sums) if count else 0.0
        columns = [
            pa.array([count], pa.int64()),
            pa.array([total.tobytes()], pa.binary()),
            pa.array([lacking], pa.int64()),
        ]
        yield pa.RecordBatch.from_arrays(columns, names=["clusters", "products", "lacking"])


def _batch(sums: dict[str | None, Array]) -> pa.RecordBatch:
    columns = [
        pa.array(list(sums), pa.string()),
        pa.array([its.tobytes() for its in sums.values()], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["cluster", "sums"])
