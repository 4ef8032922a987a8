"""The Spark jobs behind the summaries: weights summed by label and prediction, and by score.

A row without a label, or without a prediction (because it has no features), is not counted.
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
from sparklr.scoring.calibration import PairedTallies
from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.spark.collect import collect

# The most distinct scores that are collected unrounded: three columns of 32 MB on the driver.
MOST_SCORES = 4_000_000
# Beyond them, scores are rounded to multiples of this step on the log odds scale, and equal scores
# merge. Log odds end at 37, where the next double is 1; cut at -64, they span 3.3 million steps.
LOG_ODDS_STEP = 2.0**-15
LEAST_SCORE = float(np.exp(-64.0))
GREATEST_SCORE = 1.0 - 2.0**-53


@dataclass(frozen=True)
class PredictionFrame:
    """A frame with predictions, and the names of its columns."""

    frame: DataFrame
    label: str
    prediction: str
    probability: str
    weight: str  # empty if there is none

    @cached_property
    def weighted(self) -> bool:
        """Whether the frame has the weight column; if not, each row has weight 1, as in Spark."""
        try:
            self._column(self.weight, "weightCol")
        except ValueError:
            return False
        return True

    def by_label(self) -> Confusion:
        """Return the weights by label and prediction, from one job."""
        pairs = self._rows().groupBy("label", "prediction")
        sums = pairs.agg(F.sum("weight").alias("weight"), F.count(F.lit(1)).alias("rows"))
        label, prediction, weight, rows = collect(sums)
        self._check(weight)
        return Confusion(label, prediction, weight, int(rows.sum()))

    def by_score(self) -> ScoreCurve:
        """Return the weights by score and label, from one job, or two if there are many scores.

        The second job rounds the scores. Its curve has fewer points, but each point is exact: the
        threshold of a step is its lowest score, so that no score of the step is below it.
        """
        scores = vector_to_array(self._column(self.probability, "probabilityCol"))
        # A multinomial model of a single class has only one probability.
        rows = self._rows(score=F.coalesce(F.get(scores, F.lit(1)), F.lit(0.0)))
        score, *sums = collect(_by_step(rows, F.col("score")).limit(MOST_SCORES + 1))
        if len(score) > MOST_SCORES:
            score, *sums = collect(_by_step(rows, _log_odds_step(F.col("score"))))
        for one in sums:
            self._check(one)
        return ScoreCurve.of(score, *sums)

    def by_score_beside(self, other: str) -> PairedTallies:
        """Return sums by score, those of another column of probabilities too, from one job.

        Scores are rounded to steps, as in `by_score`; sums are of the exact ones.
        """
        names = (self.probability, other)
        both = [F.get(vector_to_array(self._column(name, "probabilityCol")), F.lit(1))
                for name in names]  # fmt: skip
        rows = self._rows(score=both[0], other=both[1]).where("weight != 0")
        weight, positive = F.col("weight"), F.col("label") > 0.5
        sums = rows.groupBy(_log_odds_step(F.col("score")).alias("step")).agg(
            F.count(F.lit(1)).cast("double"),
            F.sum("weight"),
            F.sum(F.when(positive, weight).otherwise(0.0)),
            F.sum(weight * F.col("score")),
            F.sum(weight * F.col("other")),
        )
        step, *found = collect(sums)
        self._check(found[1])
        order = np.argsort(step)
        return PairedTallies(*(its[order] for its in found))

    def _rows(self, **more: Column) -> DataFrame:
        """Return label, prediction and weight of the rows that count; invalid weights are NaN."""
        label = self._column(self.label, "labelCol").cast("double")
        prediction = self._column(self.prediction, "predictionCol")
        weight = F.lit(1.0)
        if self.weighted:
            given = self._column(self.weight, "weightCol").cast("double")
            fine = (given >= 0) & (given < float("inf"))  # Spark orders NaN above infinity
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
    """Return each step's lowest score, and its weights of positive and of negative rows."""
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
