"""Folds of a data set: a column that names each row's fold, and the frames that it divides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.spark.refusals import first_line, warn_once


@dataclass(frozen=True)
class Split:
    """A data set with a column that names each row's fold, and the folds held out in turn."""

    frame: DataFrame
    column: str
    held: Sequence[int]

    @property
    def fold(self) -> Column:
        return F.col(self.column)

    def without(self, fold: int) -> DataFrame:
        """The rows to train on."""
        return self.frame.where(self.fold != fold)

    def only(self, fold: int) -> DataFrame:
        """The rows to judge by."""
        return self.frame.where(self.fold == fold)


@contextmanager
def persisted(split: Split, dataset: DataFrame, *, needed: bool) -> Iterator[Split]:
    """The split, persisted while it is read several times, unless the data set is already."""
    if not needed or _is_persisted(dataset):
        yield split
        return
    try:
        frame = split.frame.persist()
    except Exception as refusal:
        warn_once(f"the rows are read anew for each evaluation: {first_line(refusal)}")
        yield split
        return
    try:
        yield Split(frame, split.column, split.held)
    finally:
        frame.unpersist()


def _is_persisted(dataset: DataFrame) -> bool:
    try:
        level = dataset.storageLevel
    except Exception:  # platforms that cannot persist may reject `storageLevel` too
        return False
    return level.useMemory or level.useDisk


def check_folds(found: Collection[int], held: Iterable[int]) -> None:
    """Each fold must have rows to judge by, and others to train on."""
    for fold in held:
        if fold not in found:
            raise ValueError(f"The validation data at fold {fold} is empty.")
        if set(found) == {fold}:
            raise ValueError(f"The training data at fold {fold} is empty.")


def transformed(before: PipelineModel, split: Split, fold: int) -> DataFrame:
    """All rows as the fitted stages make them.

    Stages that look at one row at a time may see both parts at once, so that they are read once.
    """
    if all(_by_row(stage) for stage in before.stages):
        return before.transform(split.frame)
    train, held = before.transform(split.without(fold)), before.transform(split.only(fold))
    # Stages may leave the fold's column out.
    train = train.withColumn(split.column, F.lit(-1))
    return train.unionByName(held.withColumn(split.column, F.lit(fold)))


def is_row_transformer(stage: Any) -> bool:
    return isinstance(stage, Transformer) and _by_row(stage)


def _by_row(stage: Any) -> bool:
    if isinstance(stage, PipelineModel):
        return all(_by_row(one) for one in stage.stages)
    known = type(stage).__module__ == "pyspark.ml.feature"
    return known and not isinstance(stage, SQLTransformer)
