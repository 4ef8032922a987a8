"""Folds of a data set: a column with the fold of each row, and the frames of each fold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.fitting.split import Split
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.refusals import REFUSALS, first_line, warn_once


def cross_validation_split(
    dataset: DataFrame, uid: str, count: int, fold_column: str, seed: int
) -> Split:
    """Return the same split as Spark's CrossValidator, row for row.

    The folds come from `fold_column`; if its name is empty, they are drawn at random.
    """
    column, folds = f"{uid}_fold", range(count)
    drawn = drawn_by(count, fold_column, seed)
    if fold_column:
        given = F.col(fold_column)
        text = F.lit(f"Fold number must be whole and in range [0, {len(folds)}), but got ")
        wrong = F.raise_error(F.concat(text, F.coalesce(given.cast("string"), F.lit("null"))))
        known = (F.lit(0) <= given) & (given < F.lit(len(folds)))
        # In Spark a row of fold 0.5 is a training row of every fold, and held out of none.
        known = known & (given == F.floor(given))
        fold = F.when(known, given).otherwise(wrong)
        return Split(dataset.withColumn(column, fold), column, folds, drawn)
    random, width = f"{uid}_rand", 1.0 / len(folds)
    frame = dataset.select("*", F.rand(seed).alias(random))
    # Exactly the products that Spark compares with: rounding can decide the fold of a row.
    # Not nested: with many folds, a nested expression would be too deep for Spark Connect.
    fold = F.when(F.lit(False), -1)
    for i in folds:
        within = (F.col(random) >= i * width) & (F.col(random) < (i + 1) * width)
        fold = fold.when(within, i)
    frame = frame.withColumn(column, fold.otherwise(-1)).drop(random)
    return Split(frame, column, folds, drawn)


def train_validation_split(dataset: DataFrame, uid: str, ratio: float, seed: int) -> Split:
    """Return the same split as Spark's TrainValidationSplit, row for row.

    Fold 0 is for training, and fold 1 for evaluation.
    """
    column, random = f"{uid}_fold", f"{uid}_rand"
    frame = dataset.select("*", F.rand(seed).alias(random))
    held = F.when(F.col(random) >= ratio, 1).otherwise(0)
    frame = frame.withColumn(column, held).drop(random)
    return Split(frame, column, [1], halved_by(ratio, seed))


def drawn_by(count: int, fold_column: str, seed: int) -> str:
    """Return the Params that decide the folds of a cross-validation."""
    given = f"foldCol={fold_column!r}" if fold_column else f"seed={seed}"
    return f"numFolds={count}, {given}"


def halved_by(ratio: float, seed: int) -> str:
    """Return the Params that decide which rows a TrainValidationSplit holds out."""
    return f"trainRatio={ratio}, seed={seed}"


def packed_split(rows: PackedRows, wanted: str) -> Split:
    """Return the folds that rows were packed with, which must be the wanted ones."""
    split = rows.split
    if split is None or split.drawn != wanted:
        found = "without folds" if split is None else f"with {split.drawn}"
        raise InvalidValueError(
            f"The validator needs {wanted}, but the rows were packed {found}. Pack them with "
            "sparklr.pack(frame, validator=...)."
        )
    return split


@contextmanager
def persisted(split: Split, dataset: DataFrame | PackedRows, *, needed: bool) -> Iterator[Split]:
    """Persist the split while it is read several times, unless the data set already is."""
    if not needed or _is_persisted(frame_of(dataset)):
        yield split
        return
    try:
        frame = split.frame.persist()
    except REFUSALS as refusal:
        warn_once(
            f"cannot persist the rows, so each evaluation reads them again: {first_line(refusal)}"
        )
        yield split
        return
    try:
        yield replace(split, frame=frame)
    finally:
        frame.unpersist()


def _is_persisted(dataset: DataFrame) -> bool:
    try:
        level = dataset.storageLevel
    except REFUSALS:  # platforms that cannot persist may reject `storageLevel` too
        return False
    return level.useMemory or level.useDisk


def check_folds(found: Collection[int], held: Iterable[int]) -> None:
    """Refuse folds without held-out rows or without training rows."""
    for fold in held:
        if fold not in found:
            raise ValueError(f"The validation data at fold {fold} is empty.")
        if set(found) == {fold}:
            raise ValueError(f"The training data at fold {fold} is empty.")


def transformed(before: PipelineModel, split: Split, fold: int) -> DataFrame:
    """Return all rows, transformed by the fitted stages.

    Row-wise stages transform training and held-out rows together, so that rows are read once.
    """
    if all(_by_row(stage) for stage in before.stages):
        return before.transform(split.frame)
    train, held = before.transform(split.without(fold)), before.transform(split.only(fold))
    # Stages may drop the fold column.
    train = train.withColumn(split.column, F.lit(-1))
    return train.unionByName(held.withColumn(split.column, F.lit(fold)))


def is_row_transformer(stage: object) -> bool:
    return isinstance(stage, Transformer) and _by_row(stage)


def _by_row(stage: object) -> bool:
    if isinstance(stage, PipelineModel):
        return all(_by_row(one) for one in stage.stages)
    known = type(stage).__module__ == "pyspark.ml.feature"
    return known and not isinstance(stage, SQLTransformer)
