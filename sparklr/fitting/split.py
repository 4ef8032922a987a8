"""A data set with a column that contains the fold of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Split:
    """A data set with a fold column, and the folds that are held out in turn."""

    frame: DataFrame
    column: str
    held: Sequence[int]
    drawn: str  # the Params of the validator that decide the folds

    @property
    def fold(self) -> Column:
        return F.col(self.column)

    def without(self, fold: int) -> DataFrame:
        """Return the training rows of a fold."""
        return self.frame.where(self.fold != fold)

    def only(self, fold: int) -> DataFrame:
        """Return the validation rows of a fold."""
        return self.frame.where(self.fold == fold)
