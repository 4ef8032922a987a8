"""How much each row moves a fit of two classes: leverage, residuals and Cook's distance.

With margins m_i, chances p_i = sigmoid(m_i), weights w_i, covariance V, rows x~_i = [x_i, 1] and k
identified parameters,

    leverage            h = w p (1 - p) x~'V x~             sums to k
    Pearson residual    r = (y - p) sqrt(w / (p (1 - p)))
    deviance residual   sign(y - p) sqrt(-2 w log P(y))
    standardised        the residual / sqrt(1 - h)
    Cook's distance     r^2 h / (k (1 - h)^2)

as in R's glm (Pregibon 1981). A weight counts rows: the figures are those of all its rows
together. Workers need m and x~'V x~ = |R x~|^2 for a root R of V; the rest is Spark SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparklr.arrays import Array, Matrix
from sparklr.inference.residuals import BinomialResiduals
from sparklr.objective.information import Information
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import find_column, find_features, find_offset, find_weight
from sparklr.scoring.frame import check_width, with_numbers
from sparklr.scoring.outputs import Kind
from sparklr.scoring.scorer import numbers_of_rows
from sparklr.spark.errors import InvalidValueError

COLUMNS = (
    "leverage",
    "pearsonResidual",
    "devianceResidual",
    "standardizedPearsonResidual",
    "standardizedDevianceResidual",
    "cooksDistance",
)
# With more coefficients, a row takes longer than reading it does, and R is in every task.
MOST_COEFFICIENTS = 500
# A row whose leverage is nearer to 1 determines a parameter alone: rounding is what is left.
LEAST_LEFT = 1e-10


@dataclass(frozen=True, eq=False)
class Spread:
    """Margins and their variances from rows, for coefficients (p + 1,) and a root R (k, p + 1)."""

    coefficients: Array
    root: Array

    def __call__(self, column: pa.Array) -> pa.StructArray:
        """Return a struct of both for an Arrow column of features, null where these are null."""
        return numbers_of_rows(column, len(self.coefficients) - 1, self._of_matrix)

    def _of_matrix(self, matrix: Matrix) -> dict[str, Array]:
        moved = np.asarray(matrix @ self.root[:, :-1].T) + self.root[:, -1]
        margins = np.asarray(matrix @ self.coefficients[:-1]) + self.coefficients[-1]
        return {"margin": margins, "variance": np.einsum("ij,ij->i", moved, moved)}


def with_influence(
    dataset: DataFrame,
    params: LogisticRegressionParams,
    coefficients: Array,
    information: Information,
) -> DataFrame:
    """Return the frame with `COLUMNS`, for coefficients (p + 1,) with the intercept last."""
    taken = [name for name in COLUMNS if name in dataset.columns]
    if taken:
        raise InvalidValueError(
            f"The data set already has the column {', '.join(taken)}, which influence adds. Rename "
            "it before the fit."
        )
    if len(coefficients) > MOST_COEFFICIENTS:
        raise InvalidValueError(
            f"influence needs a matrix of all coefficients in every task, so it is for at most "
            f"{MOST_COEFFICIENTS}, but the model has {len(coefficients):,}."
        )
    features = find_features(dataset, params)
    check_width(features, len(coefficients) - 1)
    label = find_column(dataset, params.getLabelCol(), "labelCol").column.cast("double")
    weight, offset = find_weight(dataset, params), find_offset(dataset, params)
    spread = Spread(coefficients, information.root())
    kinds: dict[str, Kind] = {"margin": "double", "variance": "double"}
    scored, name = with_numbers(dataset, features, spread, kinds)
    weights = F.lit(1.0) if weight is None else weight.column.cast("double")
    margin = F.col(f"{name}.margin")
    if offset is not None:
        margin = margin + offset.column.cast("double")
    known = margin.isNotNull() & weights.isNotNull()
    known &= label.isNotNull() & ~F.isnan(label)
    variance, rank = F.col(f"{name}.variance"), information.rank
    figures = _figures(margin, variance, label > 0.5, weights, rank)
    added = [F.when(known, figure).alias(its) for its, figure in zip(COLUMNS, figures, strict=True)]
    return scored.select(*(F.col(_quoted(its)) for its in dataset.columns), *added)


def largest(frame: DataFrame, top: int) -> DataFrame:
    """Return the rows with the largest Cook's distances, in descending order."""
    return frame.orderBy(F.col("cooksDistance").desc_nulls_last()).limit(top)


def _figures(
    margin: Column, variance: Column, positive: Column, weight: Column, rank: int
) -> Sequence[Column]:
    """Return the columns, null where a leverage of 1 leaves a figure undefined."""
    its = BinomialResiduals(margin, positive, weight)
    leverage = weight * its.small / ((1 + its.small) * (1 + its.small)) * variance
    left = F.when(1 - leverage > LEAST_LEFT, 1 - leverage)
    pearson, deviance = its.pearson, its.deviance
    cook = pearson * pearson * leverage / (rank * left * left)
    return leverage, pearson, deviance, pearson / F.sqrt(left), deviance / F.sqrt(left), cook


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
