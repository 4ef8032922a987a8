"""The Param `biasReduction` of the estimator and the model."""

from __future__ import annotations

from pyspark.ml.param import Param, Params, TypeConverters

BIAS_REDUCTION = ("none", "firth")


class HasBiasReduction(Params):
    """The `biasReduction` Param, which a model keeps: its likelihood is another."""

    biasReduction: Param[str] = Param(
        Params._dummy(),
        "biasReduction",
        "Whether to reduce the bias of the estimates, which are then finite even where the rows "
        "are separated: none, or firth (Jeffreys' prior; binomial models without penalty and "
        "bounds, of at most 1,000 coefficients).",
        typeConverter=TypeConverters.toString,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(biasReduction="none")

    def getBiasReduction(self) -> str:
        """Return the value of `biasReduction` or its default."""
        return str(self.getOrDefault(self.biasReduction))
