"""The Params of early stopping on held-out rows: `validationIndicatorCol` and `patience`."""

from __future__ import annotations

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasValidationIndicatorCol


class HasEarlyStopping(HasValidationIndicatorCol):
    """The Params of early stopping; the column is named as in Spark's boosted trees."""

    patience: Param[int] = Param(
        Params._dummy(),
        "patience",
        "With validationIndicatorCol, the number of iterations without a lower loss of the "
        "held-out rows after which a fit stops.",
        typeConverter=TypeConverters.toInt,
    )

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(patience=5)

    def getPatience(self) -> int:
        """Return the value of `patience` or its default."""
        return int(self.getOrDefault(self.patience))


def held_name(params: HasEarlyStopping) -> str | None:
    """Return the name of the column that tells held-out rows, or None if there is none."""
    if not params.isSet(params.validationIndicatorCol):
        return None
    return params.getValidationIndicatorCol() or None
