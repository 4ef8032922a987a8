"""The Params for posteriors: the kind that a fit finds, and the columns that a model adds."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasSeed

T = TypeVar("T", bound="HasPosterior")
C = TypeVar("C", bound="HasPosteriorColumns")

POSTERIORS = ("none", "laplace", "gaussian", "sampled", "fisher")


class HasPosterior(Params):
    """The Params of a fit; a model has the posterior itself under the name of the first."""

    posterior: Param[str] = Param(
        Params._dummy(),
        "posterior",
        "The distribution of the coefficients that a fit finds beside them: none; laplace (the "
        "curvature at the optimum); gaussian (the best normal distribution, by a few more readings "
        "of the rows); sampled (draws by chains); or fisher (gaussian with Fisher's information in "
        "the place of entropy). The penalty is the prior. For L2 or no penalty; gaussian and "
        "fisher for binomial models.",
        typeConverter=TypeConverters.toString,
    )
    posteriorTol: Param[float] = Param(
        Params._dummy(),
        "posteriorTol",
        "The search for the posterior ends where no coefficient's mean would move by more than so "
        "many of its standard deviations.",
        typeConverter=TypeConverters.toFloat,
    )

    numDraws: Param[int] = Param(
        Params._dummy(),
        "numDraws",
        "About how many draws a sampled posterior has, of 64 chains together; at least 512.",
        typeConverter=TypeConverters.toInt,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(posterior="none", posteriorTol=0.01, numDraws=1024)

    def setPosterior(self: T, value: str) -> T:
        """Set which distribution of the coefficients a fit finds."""
        self._set(posterior=value)
        return self

    def getPosterior(self) -> str:
        """Return the value of `posterior` or its default."""
        return str(self.getOrDefault(self.posterior))

    def setPosteriorTol(self: T, value: float) -> T:
        """Set by how much, in deviations, the means of the posterior may still move."""
        self._set(posteriorTol=value)
        return self

    def getPosteriorTol(self) -> float:
        """Return the value of `posteriorTol` or its default."""
        return float(self.getOrDefault(self.posteriorTol))

    def setNumDraws(self: T, value: int) -> T:
        """Set about how many draws a sampled posterior has."""
        self._set(numDraws=value)
        return self

    def getNumDraws(self) -> int:
        """Return the value of `numDraws` or its default."""
        return int(self.getOrDefault(self.numDraws))


class HasPosteriorColumns(HasSeed):
    """The Params of the columns that `transform` makes of the posterior; all are off by default."""

    averaged: Param[bool] = Param(
        Params._dummy(),
        "averaged",
        "Whether the probability is its mean over the posterior, instead of that at the optimum.",
        typeConverter=TypeConverters.toBoolean,
    )
    intervalLevel: Param[float] = Param(
        Params._dummy(),
        "intervalLevel",
        "The posterior probability that a row's probability is in its interval.",
        typeConverter=TypeConverters.toFloat,
    )
    probabilityIntervalCol: Param[str] = Param(
        Params._dummy(),
        "probabilityIntervalCol",
        "The column of intervals of the probability of label 1: vectors of the lower and the upper "
        "end. If it is empty, there is none.",
        typeConverter=TypeConverters.toString,
    )
    probabilityStdCol: Param[str] = Param(
        Params._dummy(),
        "probabilityStdCol",
        "The column of the posterior standard deviations of the probability of label 1. If it is "
        "empty, there is none.",
        typeConverter=TypeConverters.toString,
    )
    sampledProbabilityCol: Param[str] = Param(
        Params._dummy(),
        "sampledProbabilityCol",
        "The column of probabilities of label 1 by one draw of the posterior for each row, by the "
        "seed. If it is empty, there is none.",
        typeConverter=TypeConverters.toString,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(
            averaged=False,
            intervalLevel=0.9,
            probabilityIntervalCol="",
            probabilityStdCol="",
            sampledProbabilityCol="",
            seed=0,  # Spark's own default is another in each process
        )

    def setAveraged(self: C, value: bool) -> C:
        """Set whether the probability is its mean over the posterior."""
        self._set(averaged=value)
        return self

    def getAveraged(self) -> bool:
        """Return the value of `averaged` or its default."""
        return bool(self.getOrDefault(self.averaged))

    def setIntervalLevel(self: C, value: float) -> C:
        """Set the posterior probability of an interval."""
        self._set(intervalLevel=value)
        return self

    def getIntervalLevel(self) -> float:
        """Return the value of `intervalLevel` or its default."""
        return float(self.getOrDefault(self.intervalLevel))

    def setProbabilityIntervalCol(self: C, value: str) -> C:
        """Set the column of intervals of the probability; an empty name means none."""
        self._set(probabilityIntervalCol=value)
        return self

    def getProbabilityIntervalCol(self) -> str:
        """Return the value of `probabilityIntervalCol` or its default."""
        return str(self.getOrDefault(self.probabilityIntervalCol))

    def setProbabilityStdCol(self: C, value: str) -> C:
        """Set the column of standard deviations of the probability; an empty name means none."""
        self._set(probabilityStdCol=value)
        return self

    def getProbabilityStdCol(self) -> str:
        """Return the value of `probabilityStdCol` or its default."""
        return str(self.getOrDefault(self.probabilityStdCol))

    def setSampledProbabilityCol(self: C, value: str) -> C:
        """Set the column of probabilities by one draw for each row; an empty name means none."""
        self._set(sampledProbabilityCol=value)
        return self

    def getSampledProbabilityCol(self) -> str:
        """Return the value of `sampledProbabilityCol` or its default."""
        return str(self.getOrDefault(self.sampledProbabilityCol))

    def setSeed(self: C, value: int) -> C:
        """Set the seed of random numbers."""
        self._set(seed=value)
        return self
