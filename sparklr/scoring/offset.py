"""Scores of rows with offsets: o is added to the margin m that the features give.

    rawPrediction [-m - o, m + o],   probability [1 / (1 + e^(m + o)), 1 - that],   prediction

In SQL, on top of raw predictions without offsets, so that Spark's own model, which has none, can
make these. A row without an offset has no scores: none is zero.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import Column
from pyspark.sql import functions as F

from sparklr.arrays import Array
from sparklr.scoring.frame import Scored
from sparklr.scoring.scorer import Scorer

RAW = "rawPredictionCol"


def moved(scored: Scored, offset: Column, scorer: Scorer) -> Scored:
    """Return all outputs of a binomial model, from its raw predictions and the offsets."""
    raw = scored.outputs[RAW]
    known = raw.isNotNull() & offset.isNotNull()  # a function of vectors fails on a null
    margin = F.when(known, vector_to_array(raw)[1] + offset.cast("double"))
    chance = 1.0 / (1.0 + F.exp(margin))
    (threshold,) = scorer.thresholds or (0.5,)
    with np.errstate(divide="ignore"):
        cut = float(np.log(np.divide(threshold, 1.0 - threshold)))
    # In Spark NaN is above all numbers.
    above = (margin > F.lit(cut)) & ~F.isnan(margin)
    made = {
        RAW: array_to_vector(F.array(-margin, margin)),
        "probabilityCol": array_to_vector(F.array(chance, 1.0 - chance)),
        "predictionCol": F.when(above, 1.0).otherwise(0.0),
    }
    outputs = {param: F.when(known, column) for param, column in made.items()}
    return Scored(scored.frame, scored.helpers, outputs)


def refuse_offset(what: str, name: str | None) -> None:
    """Refuse to make another package's model, which has no offsets."""
    if name is not None:
        raise ValueError(
            f"{what} is not possible for a model with offsetCol='{name}': the other model has no "
            "offsets, and would give other probabilities."
        )


def read_offsets(value: object, name: str | None) -> Array | None:
    """Return the offsets (n,) of rows in memory, from a pandas frame or a row of one, by name."""
    if name is None:
        return None
    if not isinstance(value, (pd.DataFrame, pd.Series)) or name not in value.axes[-1]:
        raise ValueError(
            f"The model has offsetCol='{name}', but these rows have no offset. Pass a pandas frame "
            f"with the features by name and a column '{name}', or use transform."
        )
    return np.atleast_1d(np.asarray(value[name], dtype=np.float64))
