"""The Param `offsetCol` of the estimator and the model."""

from __future__ import annotations

from pyspark.ml.param import Param, Params, TypeConverters


class HasOffsetCol(Params):
    """The `offsetCol` Param, named as in Spark's generalized linear regression."""

    offsetCol: Param[str] = Param(
        Params._dummy(),
        "offsetCol",
        "The column of offsets, which are added to the log odds of rows of binomial models with "
        "coefficient 1. If it is not set or empty, there are none.",
        typeConverter=TypeConverters.toString,
    )

    def getOffsetCol(self) -> str:
        """Return the value of `offsetCol`; raise if it is not set."""
        return str(self.getOrDefault(self.offsetCol))


def offset_name(params: HasOffsetCol) -> str | None:
    """Return the name of the column of offsets, or None if there is none."""
    return (params.getOffsetCol() or None) if params.isSet(params.offsetCol) else None
