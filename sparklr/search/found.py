"""What a search found: Spark's own models of validators, with a page that `print` shows.

They have Spark's names and are saved as Spark's own, which are what is loaded again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from pyspark.ml import Model
from pyspark.ml import tuning as spark
from pyspark.ml.util import MLWriter

from sparklr.arrays import Array
from sparklr.display.tables import Ends, Page, Table, number
from sparklr.spark.types import ParamDict, ParamMap

MOST_MAPS = 20  # rows of the table


class Found:
    """The page of a search."""

    chosen: int  # the map that was fitted on all rows

    @abstractmethod
    def _columns(self) -> dict[str, Array]:
        """Return the figures of each map, by name."""

    @abstractmethod
    def _how(self) -> str:
        """Return how rows were held out."""

    def _page(self, maps: Sequence[ParamMap], metric: str, *, larger: bool) -> Page:
        columns, words = self._columns(), [_words(its) for its in maps]
        shown = Ends.of(len(maps), MOST_MAPS)
        rows = [
            (words[at] + " *" * (at == self.chosen), *(number(its[at]) for its in columns.values()))
            for at in shown.places
        ]
        best = next(iter(columns.values()))[self.chosen]
        facts = (
            ("maps", f"{len(maps):,}, {self._how()}"),
            ("metric", f"{metric}, the {'larger' if larger else 'smaller'} the better"),
            ("chosen (*)", f"{words[self.chosen]}: {number(best)}"),
        )
        table = Table("Metrics", ("map", *columns), shown.rows(rows, "maps"))
        return Page("Search over param maps", facts, (table,))

    def page(self) -> Page:
        """Return the printed page."""
        params = self
        assert isinstance(params, (spark.CrossValidatorModel, spark.TrainValidationSplitModel))
        evaluator = params.getEvaluator()
        metric = str(evaluator.getMetricName()) if hasattr(evaluator, "getMetricName") else "metric"
        return self._page(params.getEstimatorParamMaps(), metric, larger=evaluator.isLargerBetter())

    def __str__(self) -> str:
        return self.page().text()

    def _repr_html_(self) -> str:
        return self.page().html()


class CrossValidatorModel(Found, spark.CrossValidatorModel):
    """What a CrossValidator found."""

    def __init__(
        self,
        bestModel: Model,
        avgMetrics: list[float],
        subModels: list[list[Model]] | None,
        stdMetrics: list[float],
        chosen: int,
    ) -> None:
        super().__init__(bestModel, avgMetrics, subModels, stdMetrics)
        self.chosen = chosen

    def copy(self, extra: ParamDict | None = None) -> CrossValidatorModel:
        """Return a copy with a copy of the best model, and the models of folds as they are."""
        best, its = self.bestModel.copy(extra), self
        made = CrossValidatorModel(best, its.avgMetrics, its.subModels, its.stdMetrics, its.chosen)
        return self._copyValues(made, extra)

    def write(self) -> MLWriter:
        """Return a writer of Spark's own model."""
        its = self
        plain = spark.CrossValidatorModel(
            its.bestModel, its.avgMetrics, its.subModels, its.stdMetrics
        )
        return self._copyValues(plain)._resetUid(self.uid).write()

    def _columns(self) -> dict[str, Array]:
        return {"mean": np.array(self.avgMetrics), "std. deviation": np.array(self.stdMetrics)}

    def _how(self) -> str:
        return f"each fitted without {self.getNumFolds()} folds in turn"


class TrainValidationSplitModel(Found, spark.TrainValidationSplitModel):
    """What a TrainValidationSplit found."""

    def __init__(
        self,
        bestModel: Model,
        validationMetrics: list[float],
        subModels: list[Model] | None,
        chosen: int,
    ) -> None:
        super().__init__(bestModel, validationMetrics, subModels)
        self.chosen = chosen

    def copy(self, extra: ParamDict | None = None) -> TrainValidationSplitModel:
        """Return a copy with a copy of the best model, and the models of all maps as they are."""
        best, its = self.bestModel.copy(extra), self
        made = TrainValidationSplitModel(best, its.validationMetrics, its.subModels, its.chosen)
        return self._copyValues(made, extra)

    def write(self) -> MLWriter:
        """Return a writer of Spark's own model."""
        its = self
        plain = spark.TrainValidationSplitModel(its.bestModel, its.validationMetrics, its.subModels)
        return self._copyValues(plain)._resetUid(self.uid).write()

    def _columns(self) -> dict[str, Array]:
        return {"metric": np.array(self.validationMetrics)}

    def _how(self) -> str:
        return f"each fitted on {self.getTrainRatio():.0%} of the rows"


def _words(its: ParamMap) -> str:
    """Return a map as its Params and values."""
    return ", ".join(f"{param.name}={_value(value)}" for param, value in its.items()) or "defaults"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
