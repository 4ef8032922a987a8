"""What can be wrong with rows, counted where they are read and told to the user in one sentence.

Knows no Spark: workers count, the driver words the error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparklr.objective.moments import Moments

# rule -> (whose column, what the rows hold, what to do); in the order in which they are told
RULES: dict[str, tuple[str, str, str]] = {
    "null features": ("features", "null", "drop or fill these rows, e.g. df.dropna()"),
    "null element": ("features", "a null element", "fill the arrays' nulls before fitting"),
    "size": (
        "features",
        "vectors whose size differs from the first row's",
        "give every row the same number of features",
    ),
    "not finite": (
        "features",
        "NaN or infinite values",
        "drop these rows or impute them, e.g. with pyspark.ml.feature.Imputer",
    ),
    "no features": ("features", "vectors of size 0", "give at least one feature"),
    "null label": ("label", "null or NaN", "drop these rows, e.g. df.dropna()"),
    "label not whole": (
        "label",
        "labels that are not whole numbers 0, 1, 2, ...",
        "index them, e.g. with pyspark.ml.feature.StringIndexer",
    ),
    "label negative": (
        "label",
        "negative labels",
        "labels must be 0, 1, 2, ...: index them, e.g. with pyspark.ml.feature.StringIndexer",
    ),
    "label too large": (
        "label",
        "labels beyond the number of classes in the column's metadata",
        "correct the metadata or the labels",
    ),
    "null weight": ("weight", "null or NaN", "drop or fill these rows, e.g. df.fillna(1.0)"),
    "weight negative": ("weight", "negative weights", "weights must be 0 or more"),
    "weight infinite": ("weight", "infinite weights", "weights must be finite numbers"),
}


@dataclass
class Complaints:
    """How often each rule was broken, with the first example of each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, rule: str, count: int, example: str = "") -> None:
        """Count `count` rows that break a rule."""
        if count:
            self.counts[rule] = self.counts.get(rule, 0) + count
            self.examples.setdefault(rule, example)

    def merge(self, other: Complaints) -> None:
        """Add another partition's."""
        for rule, count in other.counts.items():
            self.add(rule, count, other.examples[rule])

    def sentence(self, columns: dict[str, str]) -> str:
        """The first broken rule for the user; `columns` maps features/label/weight to names."""
        rule = next(rule for rule in RULES if rule in self.counts)
        role, what, remedy = RULES[rule]
        count = self.counts[rule]
        example = f" (first: {self.examples[rule]})" if self.examples[rule] else ""
        rows = "1 row has" if count == 1 else f"{count} rows have"
        return f"Column '{columns[role]}': {rows} {what}{example}. To fit, {remedy}."


def check_magnitudes(moments: Moments, columns: dict[str, str]) -> None:
    """Refuse numbers whose squares, or whose sums, leave what a float64 can hold."""
    bad = np.flatnonzero(~np.isfinite(moments.spread) | ~np.isfinite(moments.mean))
    if len(bad):
        low, high = moments.minimum[bad[0]], moments.maximum[bad[0]]
        raise ValueError(
            f"Column '{columns['features']}': feature {bad[0]} runs from {low:g} to {high:g}, and "
            "the squares of such values overflow. Rescale it, e.g. divide by 1e100."
        )
    if moments.rows and not 1e-150 < moments.weight < 1e150:
        raise ValueError(
            f"Column '{columns['weight']}': the weights add up to {moments.weight:g}, beyond what "
            "can be computed with. Multiply all by one number; only their ratios count."
        )
