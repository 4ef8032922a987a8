"""The Spark jobs behind the summaries: weights summed by label and prediction, and by score.

A row that lacks its label or its prediction (because it lacks features) is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.rows.columns import find_column
from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.spark.collect import collect

# Distinct scores that come to the driver as they are: three columns of 32 MB.
MOST_SCORES = 4_000_000
# Beyond them, scores that round to the same multiple of this on the log odds scale count as one.
# Log odds end at 37, where 1 is the next double; cut at -64, they have 3.3 million such steps.
LOG_ODDS_STEP = 2.0**-15
LEAST_SCORE = float(np.exp(-64.0))
GREATEST_SCORE = 1.0 - 2.0**-53


@dataclass(frozen=True)
class PredictionFrame:
    """A frame of predictions and the names of its columns."""

    frame: DataFrame
    label: str
    prediction: str
    probability: str
    weight: str  # empty for none

    @cached_property
    def weighted(self) -> bool:
        """Whether there is a column of weights: if not each row counts one, as in Spark."""
        try:
            self._column(self.weight, "weightCol")
        except ValueError:
            return False
        return True

    def by_label(self) -> Confusion:
        """One job: weights by label and prediction."""
        pairs = self._rows().groupBy("label", "prediction")
        sums = pairs.agg(F.sum("weight").alias("weight"), F.count(F.lit(1)).alias("rows"))
        label, prediction, weight, rows = collect(sums)
        self._check(weight)
        return Confusion(label, prediction, weight, int(rows.sum()))

    def by_score(self) -> ScoreCurve:
        """One job: weights by score and label; a second, of rounded scores, if there are too many.

        The second one's curve has fewer points, each of them as exact: a step's threshold is
        its lowest score, and all scores of the step are at least that.
        """
        scores = vector_to_array(self._column(self.probability, "probabilityCol"))
        # A multinomial model of a single class has no second probability.
        rows = self._rows(score=F.coalesce(F.get(scores, F.lit(1)), F.lit(0.0)))
        score, *sums = collect(_by_step(rows, F.col("score")).limit(MOST_SCORES + 1))
        if len(score) > MOST_SCORES:
            score, *sums = collect(_by_step(rows, _log_odds_step(F.col("score"))))
        for one in sums:
            self._check(one)
        return ScoreCurve.of(score, *sums)

    def _rows(self, **more: Column) -> DataFrame:
        """Label, prediction and weight of the rows that count; a weight that is none is NaN."""
        label = self._column(self.label, "labelCol").cast("double")
        prediction = self._column(self.prediction, "predictionCol")
        weight = F.lit(1.0)
        if self.weighted:
            given = self._column(self.weight, "weightCol").cast("double")
            fine = (given >= 0) & (given < float("inf"))  # to Spark, NaN is above infinity
            weight = F.when(fine, given).otherwise(float("nan"))
        columns = {"label": label, "prediction": prediction, "weight": weight, **more}
        rows = self.frame.select(*(column.alias(name) for name, column in columns.items()))
        known = F.col("label").isNotNull() & ~F.isnan("label") & F.col("prediction").isNotNull()
        return rows.where(known)

    def _column(self, name: str, param: str) -> Column:
        return find_column(self.frame, name, param).column

    def _check(self, sums: Array) -> None:
        if np.isnan(sums).any():
            raise ValueError(
                f"Column '{self.weight}': some weights are null, NaN, infinite or negative. "
                "Make every weight a finite number, 0 or more."
            )


def _by_step(rows: DataFrame, step: Column) -> DataFrame:
    """The lowest score of each step, and its weight of positive and of negative rows."""
    weight, positive = F.col("weight"), F.col("label") > 0.5
    sums = rows.groupBy(step.alias("step")).agg(
        F.min("score").alias("score"),
        F.sum(F.when(positive, weight).otherwise(0.0)).alias("positives"),
        F.sum(F.when(positive, 0.0).otherwise(weight)).alias("negatives"),
    )
    return sums.drop("step")


def _log_odds_step(score: Column) -> Column:
    inside = F.least(F.greatest(score, F.lit(LEAST_SCORE)), F.lit(GREATEST_SCORE))
    return F.rint((F.log(inside) - F.log1p(-inside)) / LOG_ODDS_STEP)
