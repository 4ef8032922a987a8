"""Fits in memory without the features that no row has, as most of hashed text's.

Such a feature has the coefficient zero. But each reading would fill a gradient with its zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import IntArray, is_sparse
from sparklr.fitting.outcome import Fit
from sparklr.fitting.spec import Spec
from sparklr.passes.local import LocalPasses
from sparklr.passes.protocol import Passes
from sparklr.rows.blocks import Block, csr

# Worth it from this many features, if at most this share of them is live.
MANY_FEATURES, LIVE = 1_000, 0.5


@dataclass(frozen=True, eq=False)
class LiveFeatures:
    """The features that some row has, and passes over these alone."""

    passes: LocalPasses
    live: IntArray
    features: int

    @staticmethod
    def of(passes: Passes, specs: Iterable[Spec]) -> LiveFeatures | None:
        """Return the live features of rows in memory, or None if leaving the others gains little.

        Bounds may hold even the coefficient of a dead feature away from zero, and what inference
        keeps of a fit has a place for each feature.
        """
        if not isinstance(passes, LocalPasses):
            return None
        moments = passes.moments
        every = [moments, *passes.held.values()]  # a column of held-out rows needs a place too
        live = np.flatnonzero(np.any([(its.minimum != 0) | (its.maximum != 0) for its in every], 0))
        few = len(live) <= LIVE * moments.features and moments.features >= MANY_FEATURES
        whole = any(spec.bounds is not None or spec.inference for spec in specs)
        if not few or whole:
            return None
        if not all(block.sparse for block in passes.blocks):
            return None
        places = np.zeros(moments.features, dtype=np.int64)
        places[live] = np.arange(len(live))
        blocks = [_with_columns(block, live, places).remembering() for block in passes.blocks]
        here = LocalPasses(
            blocks,
            moments.of_features(live),
            _with_columns(passes.sample, live, places),
            passes.threads,
            folds={fold: its.of_features(live) for fold, its in passes.folds.items()},
            held={fold: its.of_features(live) for fold, its in passes.held.items()},
        )
        return LiveFeatures(here, live, moments.features)

    def spec(self, spec: Spec) -> Spec:
        """Return the spec of a fit on the live features."""
        if spec.initial is None:
            return spec
        coefficients, intercepts = spec.initial
        return replace(spec, initial=(coefficients[:, self.live], intercepts))

    def without_dead(self, fit: Fit) -> Fit:
        """Return a fit on all features as one on the live features."""
        return replace(fit, coefficients=fit.coefficients[:, self.live])

    def with_dead(self, fit: Fit) -> Fit:
        """Return a fit on the live features as one on all features."""
        coefficients = np.zeros((len(fit.coefficients), self.features))
        coefficients[:, self.live] = fit.coefficients
        return replace(fit, coefficients=coefficients)


def _with_columns(block: Block, live: IntArray, places: IntArray) -> Block:
    matrix = block.matrix
    if not is_sparse(matrix):
        return block.with_matrix(np.ascontiguousarray(matrix[:, live]))
    columns = places[matrix.indices].astype(np.int32)
    return block.with_matrix(csr(matrix.data, columns, matrix.indptr, len(live)))
