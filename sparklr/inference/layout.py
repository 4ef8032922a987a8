"""The order of coefficients in tables: per class its intercept, then its features.

Arrays have them as (C, p + 1), features first, and their covariance as (C (p + 1), C (p + 1)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparklr.arrays import Array, BoolArray, IntArray
from sparklr.separation.search import Separation

INTERCEPT = "(intercept)"


@dataclass(frozen=True, eq=False)
class Layout:
    """The coefficients of a model with their names.

    values : (C, p + 1), per margin the features' coefficients, then the intercept
    names : of the features
    intercept : whether intercepts were fitted
    per_class : whether each class has coefficients of its own
    base : the class with which the others are compared, if any; its coefficients are zero
    endless : (C, p + 1), which coefficients have no standard errors since the rows are separated
    """

    values: Array
    names: Sequence[str]
    intercept: bool
    per_class: bool
    base: int | None = None
    endless: BoolArray | None = None

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

    def separated(self, found: Separation | None) -> Layout:
        """Return the same with infinite values where separated rows have no finite estimate.

        Of the features that some direction moves, those that the found direction leaves alone are
        not infinite for sure, but they have no standard errors either. Two classes that all
        directions move alike have errors of their difference.
        """
        if found is None or found.kind in ("none", "unknown"):
            return self
        apart = found.direction
        if self.base is not None:
            apart = apart - apart[self.base]
        elif self.per_class:
            apart = apart - apart.mean(axis=0)
        values = np.where(apart == 0, self.values, np.copysign(np.inf, apart))
        columns = [*found.features, *([values.shape[1] - 1] if found.intercept else [])]
        endless = np.zeros(values.shape, dtype=bool)
        endless[:, columns] = True
        if self.base is not None and found.alike is not None:
            endless &= found.alike != found.alike[self.base]
        return replace(self, values=values, endless=endless | (apart != 0))

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
