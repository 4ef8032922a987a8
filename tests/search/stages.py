"""Stages before the estimator, in Spark and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyspark.ml import Estimator, Model, Transformer
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.sql import functions as F

from tests.search.by_hand import Table, taken


def plain(frame: Any) -> Any:
    return frame.drop("features")


def assembler() -> Any:
    return VectorAssembler(inputCols=["x0", "x1", "x2"], outputCol="raw")


def assembled(table: Table) -> Table:
    return {**table, "raw": np.column_stack([table[name] for name in ("x0", "x1", "x2")])}


def standardized(
    train: Table, *, withMean: bool = False, withStd: bool = True
) -> Callable[[Table], Table]:
    """Spark's StandardScaler of `raw`: a feature that does not vary becomes zero."""
    raw = train["raw"]
    centre = raw.mean(axis=0) if withMean else np.zeros(raw.shape[1])
    deviation = raw.std(axis=0, ddof=1)
    varies = np.ptp(raw, axis=0) > 0
    factor = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
    factor = factor if withStd else np.ones(raw.shape[1])
    return lambda table: {**table, "features": (table["raw"] - centre) * factor}


class Shift(Estimator[Any]):
    """Subtracts the mean of x0, times `amount`; its fits are counted."""

    amount: Param[float] = Param(
        Params._dummy(), "amount", "How much of it.", typeConverter=TypeConverters.toFloat
    )
    fits: list[float] = []  # noqa: RUF012  # of all instances: the validators copy them

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(amount=1.0)

    def _fit(self, dataset: Any) -> Any:
        amount = self.getOrDefault(self.amount)
        Shift.fits.append(amount)
        return Shifted(amount * dataset.agg(F.avg("x0")).first()[0])


class Shifted(Model):
    """Subtracts a number from x0, and leaves rows out where little is left."""

    def __init__(self, by: float = 0.0) -> None:
        super().__init__()
        self.by = by

    def _transform(self, dataset: Any) -> Any:
        return dataset.withColumn("x0", F.col("x0") - self.by).where("abs(x0) > 0.1")

    def copy(self, extra: Any = None) -> Any:
        made = super().copy(extra)
        made.by = self.by
        return made


def shifted(table: Table, by: float) -> Table:
    """What `Shifted` makes of rows."""
    less = {**table, "x0": table["x0"] - by}
    return taken(less, np.abs(less["x0"]) > 0.1)


class Few(Transformer):
    """Leaves only what is needed, of some rows."""

    def _transform(self, dataset: Any) -> Any:
        return dataset.where("x0 > -0.5").select("features", "label")
