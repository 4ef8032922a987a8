"""Residuals of rows with labels y and weights w, as Spark SQL.

For two classes, with margins m and chances p of label 1, by the margin u of the wrong label: -m for
label 1, and m for label 0. Nothing overflows before a residual itself does, and no division by a
chance of zero can end the job:

    response    y - p                              = sign(y - p) sigmoid(u)
    working     (y - p) / (p (1 - p))              = sign(y - p) (1 + e^u)
    pearson     (y - p) sqrt(w / (p (1 - p)))      = sign(y - p) sqrt(w e^u)
    deviance    sign(y - p) sqrt(-2 w log P(y))    = sign(y - p) sqrt(2 w log(1 + e^u))

For several classes, with y_k = 1 for the label k, else 0:

    response    y_k - p_k, per class
    pearson     (y_k - p_k) sqrt(w / (p_k (1 - p_k))), per class; null where p_k is 0 or 1
    deviance    sqrt(-2 w log P(y)), per row
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column
from pyspark.sql import functions as F

from sparklr.spark.errors import InvalidValueError

KINDS = ("deviance", "pearson", "working", "response")


def check_kind(kind: str, *, per_class: bool) -> None:
    """Refuse a kind of residuals that there is not."""
    if kind not in KINDS:
        raise ValueError(f"residualsType must be one of {', '.join(KINDS)}, but got '{kind}'.")
    if kind == "working" and per_class:
        raise InvalidValueError(
            "residualsType='working' is for binomial models: with several classes each row has a "
            "matrix of working weights. Use 'pearson' or 'response'."
        )


@dataclass(frozen=True)
class BinomialResiduals:
    """The residuals of two classes."""

    margin: Column
    positive: Column
    weight: Column

    @property
    def _wrong(self) -> Column:
        return F.when(self.positive, -self.margin).otherwise(self.margin)

    @property
    def _sign(self) -> Column:
        return F.when(self.positive, 1.0).otherwise(-1.0)

    @property
    def small(self) -> Column:
        """e^-|m|."""
        return F.exp(-F.abs(self.margin))

    @property
    def response(self) -> Column:
        """y - p."""
        above = F.when(self._wrong > 0, F.lit(1.0)).otherwise(self.small)
        return self._sign * above / (1 + self.small)

    @property
    def working(self) -> Column:
        """(y - p) / (p (1 - p))."""
        return self._sign * (1 + F.exp(self._wrong))

    @property
    def pearson(self) -> Column:
        """(y - p) sqrt(w / (p (1 - p)))."""
        return self._sign * F.sqrt(self.weight) * F.exp(self._wrong / 2)

    @property
    def deviance(self) -> Column:
        """sign(y - p) sqrt(-2 w log P(y))."""
        loss = F.greatest(self._wrong, F.lit(0.0)) + F.log1p(self.small)
        return self._sign * F.sqrt(2 * self.weight * loss)

    def of(self, kind: str) -> Column:
        """Return the residuals of a kind."""
        made: dict[str, Column] = {
            "response": self.response,
            "working": self.working,
            "pearson": self.pearson,
            "deviance": self.deviance,
        }
        return made[kind]


def residuals_of_classes(kind: str, label: Column, probability: Column, weight: Column) -> Column:
    """Return the residuals of several classes."""
    chances, own = vector_to_array(probability), label.cast("int")
    if kind == "deviance":
        return F.sqrt(-2.0 * weight * F.log(F.element_at(chances, own + 1)))

    def of_class(chance: Column, at: Column) -> Column:
        response = F.when(at == own, 1 - chance).otherwise(-chance)
        if kind == "response":
            return response
        inside = (chance > 0) & (chance < 1)
        return F.when(inside, response * F.sqrt(weight / (chance * (1 - chance))))

    return F.transform(chances, of_class)
