"""Residuals of rows with labels y, chances p of label 1 and weights w, as Spark SQL.

response    y - p                              pearson     (y - p) sqrt(w / (p (1 - p)))
working     (y - p) / (p (1 - p))              deviance    sign(y - p) sqrt(-2 w log P(y))
"""

from __future__ import annotations

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KINDS = ("deviance", "pearson", "working", "response")


def residuals(
    predictions: DataFrame, kind: str, *, label: Column, probability: Column, weight: Column
) -> DataFrame:
    """Return a frame with one column, named as Spark names it."""
    if kind not in KINDS:
        raise ValueError(f"residualsType must be one of {', '.join(KINDS)}, but got '{kind}'.")
    chances = vector_to_array(probability)
    # 1 - p would lose all digits of a chance near 1, so both are read.
    no, yes = chances[0], chances[1]
    positive = label.cast("double") > 0.5
    response = F.when(positive, no).otherwise(-yes)
    own = F.when(positive, yes).otherwise(no)
    made = {
        "response": response,
        "working": response / (no * yes),
        "pearson": response * F.sqrt(weight / (no * yes)),
        "deviance": F.signum(response) * F.sqrt(-2.0 * weight * F.log(own)),
    }
    return predictions.select(made[kind].alias(f"{kind}Residuals"))
