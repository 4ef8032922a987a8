"""The Params of learning from a stream, with the names that Spark's streaming k-means has."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

from sparklr.spark.errors import InvalidValueError

S = TypeVar("S", bound="HasStream")

TIME_UNITS = ("batches", "points")


class HasStream(Params):
    """The Params of `partialFit` and `updates`; `fit` learns from one frame, and refuses them."""

    decayFactor: Param[float] = Param(
        Params._dummy(),
        "decayFactor",
        "The factor by which partialFit discounts what was learned before, for each batch or each "
        "row (timeUnit): 1 forgets nothing, 0 everything.",
        typeConverter=TypeConverters.toFloat,
    )
    halfLife: Param[float] = Param(
        Params._dummy(),
        "halfLife",
        "After so many batches or rows (timeUnit) what was learned counts half, in partialFit. It "
        "takes the place of decayFactor.",
        typeConverter=TypeConverters.toFloat,
    )
    timeUnit: Param[str] = Param(
        Params._dummy(),
        "timeUnit",
        "What decayFactor and halfLife count: batches, or points, the rows.",
        typeConverter=TypeConverters.toString,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(decayFactor=1.0, timeUnit="batches")

    def setDecayFactor(self: S, value: float) -> S:
        """Set `decayFactor`, and clear `halfLife`."""
        self._set(decayFactor=value)
        self.clear(self.halfLife)
        return self

    def getDecayFactor(self) -> float:
        """Return the value of `decayFactor`, or the factor that is equivalent to `halfLife`."""
        if self.isSet(self.halfLife):
            return float(0.5 ** (1 / self.getHalfLife()))
        return float(self.getOrDefault(self.decayFactor))

    def setHalfLife(self: S, value: float) -> S:
        """Set `halfLife`, and clear `decayFactor`."""
        self._set(halfLife=value)
        self.clear(self.decayFactor)
        return self

    def getHalfLife(self) -> float:
        """Return the value of `halfLife`; raise if it is not set."""
        return float(self.getOrDefault(self.halfLife))

    def setTimeUnit(self: S, value: str) -> S:
        """Set what `decayFactor` and `halfLife` count: batches or points."""
        self._set(timeUnit=value)
        return self

    def getTimeUnit(self) -> str:
        """Return the value of `timeUnit` or its default."""
        return str(self.getOrDefault(self.timeUnit))


def check_decay(params: HasStream) -> None:
    """Refuse `decayFactor` and `halfLife` if both are set."""
    if params.isSet(params.halfLife) and params.isSet(params.decayFactor):
        raise InvalidValueError(
            f"halfLife={params.getHalfLife():g} and decayFactor="
            f"{params.getOrDefault(params.decayFactor):g} are both set. Clear one of the two."
        )


def check_all_count_the_same(params: Params) -> None:
    """Refuse the Params of streams in a fit, where no row is older than another."""
    for name in ("decayFactor", "halfLife", "timeUnit"):
        if params.hasParam(name) and params.isSet(name):
            raise InvalidValueError(
                f"{name} is for partialFit and updates, which learn from batches: in a fit all "
                f"rows count the same. Clear {name}, or learn with partialFit."
            )


def discount_of(params: HasStream, rows: int) -> float:
    """Return the discount of all that was learned before a batch of so many rows."""
    points = params.getTimeUnit().lower() == "points"
    return params.getDecayFactor() ** (rows if points else 1)
