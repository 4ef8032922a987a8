"""The order of coefficients in tables: per class its intercept, then its features.

Arrays have them as (C, p + 1), features first, and their covariance as (C (p + 1), C (p + 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparklr.arrays import Array, IntArray

INTERCEPT = "(intercept)"


@dataclass(frozen=True, eq=False)
class Layout:
    """The coefficients of a model with their names.

    values : (C, p + 1), per margin the features' coefficients, then the intercept
    names : of the features
    intercept : whether intercepts were fitted
    per_class : whether each class has coefficients of its own
    base : the class with which the others are compared, if any; its coefficients are zero
    """

    values: Array
    names: Sequence[str]
    intercept: bool
    per_class: bool
    base: int | None = None

    @property
    def classes(self) -> list[int]:
        """The margins that have coefficients: the classes, or the only one if binomial."""
        return [k for k in range(len(self.values)) if k != self.base]

    def places(self, margin: int) -> IntArray:
        """Return the places of a margin's coefficients in the flat arrays, in the table's order."""
        width = self.values.shape[1]
        order = [width - 1, *range(width - 1)] if self.intercept else [*range(width - 1)]
        return np.asarray(np.array(order) + margin * width)

    @property
    def all_places(self) -> IntArray:
        """The places of all coefficients, in the table's order."""
        return np.concatenate([self.places(margin) for margin in self.classes])

    def row_names(self) -> list[str]:
        """Return the names of one margin's coefficients, in the table's order."""
        return [INTERCEPT, *self.names] if self.intercept else [*self.names]

    def places_of(self, features: Sequence[str]) -> IntArray:
        """Return the places of some features' coefficients, for all margins."""
        known = {name: at for at, name in enumerate(self.names)}
        unknown = [name for name in features if name not in known]
        if unknown or not features:
            what = f"'{unknown[0]}'" if unknown else "none"
            raise ValueError(
                f"features must name features of the model, but got {what}. The model's features "
                f"are {_some(self.names)}."
            )
        width = self.values.shape[1]
        columns = np.array([known[name] for name in features])
        return np.concatenate([columns + k * width for k in self.classes])


def _some(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
