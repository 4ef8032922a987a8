"""The Params of stochastic gradient descent, `solver="sgd"`; a model does not have them."""

from __future__ import annotations

from typing import TypeVar

from pyspark.ml.param import Param, Params, TypeConverters

from sparklr.solvers.schedules import SCHEDULES

S = TypeVar("S", bound="HasSgd")

AUTO = "auto"
ADAPTIVE = (AUTO, "adagrad", "none")
SGD_PARAMS = (
    "schedule",
    "batchSize",
    "epochs",
    "momentum",
    "adaptive",
    "averaging",
)


class HasSgd(Params):
    """The Params of stochastic gradient descent; its `seed` is that of other random numbers."""

    schedule: Param[str] = Param(
        Params._dummy(),
        "schedule",
        f"How solver='sgd' lowers the learning rate: {', '.join(SCHEDULES)}.",
        typeConverter=TypeConverters.toString,
    )
    batchSize: Param[int] = Param(
        Params._dummy(),
        "batchSize",
        "The number of rows of a step of solver='sgd'.",
        typeConverter=TypeConverters.toInt,
    )
    epochs: Param[int] = Param(
        Params._dummy(),
        "epochs",
        "The most epochs of solver='sgd', of two readings of the rows each; maxIter limits them "
        "too.",
        typeConverter=TypeConverters.toInt,
    )
    momentum: Param[float] = Param(
        Params._dummy(),
        "momentum",
        "The share of the last step of solver='sgd' that is added to the next one.",
        typeConverter=TypeConverters.toFloat,
    )
    adaptive: Param[str] = Param(
        Params._dummy(),
        "adaptive",
        "How solver='sgd' adapts the learning rate to each feature: adagrad, none, or auto "
        "(adagrad where rows are sparse).",
        typeConverter=TypeConverters.toString,
    )
    averaging: Param[bool] = Param(
        Params._dummy(),
        "averaging",
        "Whether the walk of solver='sgd' through a block of rows ends at the mean of its points, "
        "instead of its last one.",
        typeConverter=TypeConverters.toBoolean,
    )

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._setDefault(
            schedule="constant",
            batchSize=64,
            epochs=10,
            momentum=0.0,
            adaptive=AUTO,
            averaging=False,
        )

    def setSchedule(self: S, value: str) -> S:
        """Set how solver='sgd' lowers the learning rate."""
        self._set(schedule=value)
        return self

    def getSchedule(self) -> str:
        """Return the value of `schedule` or its default."""
        return str(self.getOrDefault(self.schedule))

    def setBatchSize(self: S, value: int) -> S:
        """Set the number of rows of a step of solver='sgd'."""
        self._set(batchSize=value)
        return self

    def getBatchSize(self) -> int:
        """Return the value of `batchSize` or its default."""
        return int(self.getOrDefault(self.batchSize))

    def setEpochs(self: S, value: int) -> S:
        """Set the most epochs of solver='sgd'."""
        self._set(epochs=value)
        return self

    def getEpochs(self) -> int:
        """Return the value of `epochs` or its default."""
        return int(self.getOrDefault(self.epochs))

    def setMomentum(self: S, value: float) -> S:
        """Set the share of the last step of solver='sgd' that is added to the next one."""
        self._set(momentum=value)
        return self

    def getMomentum(self) -> float:
        """Return the value of `momentum` or its default."""
        return float(self.getOrDefault(self.momentum))

    def setAdaptive(self: S, value: str) -> S:
        """Set how solver='sgd' adapts the learning rate to each feature."""
        self._set(adaptive=value)
        return self

    def getAdaptive(self) -> str:
        """Return the value of `adaptive` or its default."""
        return str(self.getOrDefault(self.adaptive))

    def setAveraging(self: S, value: bool) -> S:
        """Set whether walks of solver='sgd' end at the mean of their points."""
        self._set(averaging=value)
        return self

    def getAveraging(self) -> bool:
        """Return the value of `averaging` or its default."""
        return bool(self.getOrDefault(self.averaging))
