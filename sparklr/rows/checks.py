"""Rules for valid rows. Broken rules are counted while rows are read, and reported in one error.

Does not depend on Spark: workers count, and the driver writes the error message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["features", "label", "weight", "offset", "held"]

# Half a gigabyte of coefficients. With more, the labels or features are surely identifiers.
MOST_COEFFICIENTS = 2**26

# rule -> (role of the column, content of the rows, remedy), in the order in which they are reported
RULES: dict[str, tuple[Role, str, str]] = {
    "null features": ("features", "null", "drop or fill these rows, e.g. df.dropna()"),
    "null element": ("features", "a null among the features", "drop or fill these rows"),
    "broken vector": (
        "features",
        "damaged sparse vectors: indices must rise strictly, lie in [0, size) and be one per value",
        "correct the step that built them",
    ),
    "size": (
        "features",
        "vectors whose size differs from the first row's",
        "give every row the same number of features",
    ),
    "too wide": (
        "features",
        f"vectors of more than {MOST_COEFFICIENTS} features",
        "reduce the number of features, e.g. with pyspark.ml.feature.FeatureHasher",
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
        "index them as 0, 1, 2, ..., e.g. with pyspark.ml.feature.StringIndexer",
    ),
    "label too large": (
        "label",
        "labels beyond the number of classes in the column's metadata",
        "correct the metadata or the labels",
    ),
    "null weight": ("weight", "null or NaN", "drop or fill these rows, e.g. df.fillna(1.0)"),
    "weight negative": ("weight", "negative weights", "make all weights 0 or more"),
    "weight infinite": ("weight", "infinite weights", "make all weights finite"),
    "null offset": ("offset", "null or NaN", "drop or fill these rows, e.g. df.fillna(0.0)"),
    "offset infinite": ("offset", "infinite offsets", "make all offsets finite"),
    "null held": ("held", "null", "set them to true (held out) or false (fitted)"),
}


@dataclass(frozen=True)
class ColumnNames:
    """The user's names of the columns; `each` has the names of single features, if known."""

    features: str | tuple[str, ...]  # a tuple if each feature has its own column
    label: str
    weight: str = ""
    each: Sequence[str] | None = None
    offset: str = ""
    held: str = ""

    def subject(self, role: Role) -> str:
        """Return the beginning of a sentence about the column."""
        name = getattr(self, role)
        if isinstance(name, str):
            return f"Column '{name}'"
        some = ", ".join(f"'{one}'" for one in name[:3])
        return f"Columns {some}" + (f" and {len(name) - 3} more" if len(name) > 3 else "")

    def feature(self, at: int) -> str:
        """Return the words for one feature: its number and, if known, its name."""
        known = self.each is not None and at < len(self.each)
        return f"feature {at} ('{self.each[at]}')" if known and self.each else f"feature {at}"

    def spell_out(self, text: str) -> str:
        """Return the text with each feature's name added to its number."""
        return re.sub(r"feature (\d+)", lambda found: self.feature(int(found[1])), text)


@dataclass
class RowFaults:
    """How often each rule was broken, with one example per rule: the first."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, rule: str, count: int, example: str = "") -> None:
        """Add `count` rows that break a rule."""
        if count:
            self.counts[rule] = self.counts.get(rule, 0) + count
            self.examples.setdefault(rule, example)

    def merge(self, other: RowFaults) -> None:
        """Add the faults of another partition."""
        for rule, count in other.counts.items():
            self.add(rule, count, other.examples[rule])

    def sentence(self, names: ColumnNames) -> str:
        """Return the error message for the first broken rule."""
        rule = next(rule for rule in RULES if rule in self.counts)
        role, what, remedy = RULES[rule]
        count = self.counts[rule]
        first = names.spell_out(self.examples[rule])
        example = f" (first: {first})" if first else ""
        rows = "1 row has" if count == 1 else f"{count} rows have"
        return f"{names.subject(role)}: {rows} {what}{example}. To fit, {remedy}."
